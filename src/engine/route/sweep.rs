//! Long work on all servers of a cluster: each does its part, and the caller gets one answer.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use crate::engine::base::text::Json;
use crate::engine::cache::job::{Job, Work};
use crate::engine::cache::long::Called;
use crate::engine::cache::scan;
use crate::engine::call::batch::Task;
use crate::engine::call::reply::Reply;
use crate::engine::call::sink::{ReplyTo, Sink, Versions};
use crate::engine::fleet::server::Server;
use crate::engine::route::together::Together;

/// The parts of a task, one for each server that serves slots; where none does, one for the server of the URL.
/// What was answered before is told before that.
pub fn split(mut job: Job, together: &Arc<Together>) -> Option<Vec<(Arc<Server>, Job)>> {
    let Work::Task(called) = &mut job.work else { return None };
    let cache = job.cache.clone();
    let fleet = &cache.shared().fleet;
    let cluster = fleet.cluster()?;
    let mut task = called.task.clone();
    let mut servers: Vec<_> = cluster.servers().filter(|server| cluster.is_used(server)).cloned().collect();
    if let Task::Scan(scan) = &mut task {
        // A page is one server's.
        let from = scan::Start::parse(&scan.from, cache.shared()).at_server(cache.shared());
        servers.retain(|server| server.place == from.server);
        scan.from = from.to_string();
    }
    if servers.is_empty() {
        servers.push(fleet.first().clone());
    }
    let spared = called.spared(&cache, servers.iter().map(|server| server.place));
    // Before the whole has its place: nothing that matches is served in between.
    let parts: Vec<_> = servers
        .into_iter()
        .map(|server| {
            let part = Called::of(&cache, task.clone(), server.place, spared.clone());
            (server, part)
        })
        .collect();
    drop(called.take_place(&cache));
    job.to = together.behind(&job.to);
    let joint = Arc::new(Sum {
        to: job.to.clone(),
        state: Mutex::new(State { left: parts.len(), replies: Vec::new(), job: Some(job) }),
        task,
    });
    let parts = parts.into_iter().map(|(server, part)| {
        let to = ReplyTo { sink: joint.clone(), id: 0 };
        let part = Job::new(cache.clone(), server.clone(), Work::Task(part), to);
        (server, part)
    });
    Some(parts.collect())
}

/// Adds up what the servers say.
struct Sum {
    to: ReplyTo,
    task: Task,
    state: Mutex<State>,
}

struct State {
    left: usize,
    replies: Vec<Reply>,
    job: Option<Job>,
}

impl Sink for Sum {
    fn client(&self) -> u32 {
        self.to.sink.client()
    }

    fn closed(&self) -> bool {
        self.to.sink.closed()
    }

    fn complete_some(&self, id: u32, _places: &[u32], replies: &[Reply]) {
        self.complete(id, replies);
    }

    fn complete(&self, _id: u32, replies: &[Reply]) {
        let whole = {
            let mut state = self.state.lock();
            state.replies.extend_from_slice(replies);
            state.left = state.left.saturating_sub(1);
            if state.left > 0 {
                return;
            }
            state.job.take().map(|job| (job, std::mem::take(&mut state.replies)))
        };
        if let Some((job, replies)) = whole {
            job.finish(&[if self.task == Task::Stats { stats(replies) } else { sum(&replies) }]);
        }
    }

    fn event(&self, json: String) {
        self.to.sink.event(json);
    }

    fn versions(&self) -> Option<Arc<dyn Versions>> {
        self.to.sink.versions()
    }
}

fn sum(replies: &[Reply]) -> Reply {
    let mut sum = 0;
    for reply in replies {
        match reply {
            Reply::Number(number) => sum += number,
            other => return other.clone(),
        }
    }
    Reply::Number(sum)
}

/// What each server said of itself, added up; what this process counts is the same in each.
fn stats(replies: Vec<Reply>) -> Reply {
    let read = |reply: &Reply| match reply {
        Reply::Value(json) => serde_json::from_str::<Value>(json.as_str()).ok(),
        _ => None,
    };
    let all: Vec<Value> = replies.iter().filter_map(read).collect();
    // One that is away knows nothing of a server.
    let Some(mut whole) = all.iter().find(|one| !one["redis"].is_null()).or(all.first()).cloned() else {
        return replies.into_iter().next().unwrap_or(Reply::Miss);
    };
    let total = |name: &str| {
        let of_each = all.iter().filter_map(|one| one["redis"][name].as_u64());
        of_each.fold(None, |sum: Option<u64>, one| Some(sum.unwrap_or(0) + one))
    };
    if !whole["redis"].is_null() {
        for name in ["usedMemory", "maxMemory", "keys"] {
            whole["redis"][name] = total(name).map_or(Value::Null, Value::from);
        }
        whole["keys"] = total("keys").map_or(Value::Null, Value::from);
    }
    Reply::Value(Json::Owned(whole.to_string()))
}
