//! Long work on the connection, beside the pump: `delPattern`, `clear`, `getStats`. Each step has the deadline of a call.

use redis::{Pipeline, Value};

use super::dial::{Denied, field, text};
use super::reply::{classify, integer, out_of_step};
use super::sweep::Steps;
use super::wire::Wire;
use super::{Job, Work};
use crate::engine::batch::{Json, Reply, Task};
use crate::engine::cache::{Cache, ServerStats, stats_json};
use crate::engine::clock::now_ms;
use crate::engine::error::{CallError, Trouble};
use crate::engine::journal::Pattern;
use crate::engine::local;
use crate::engine::stats::add;

/// Does a task and answers it.
pub async fn run(job: Job, wire: Wire, denied: Denied) {
    let Work::Task(task) = &job.work else { return };
    let near = &job.cache.shared().near;
    let mut tasks = Tasks { cache: &job.cache, steps: Steps { wire, denied, patience: job.cache.timeout, near } };
    let reply = match task {
        Task::DelPattern(pattern) => {
            let locally = local::remove_pattern(&job.cache, pattern, now_ms());
            tasks.remove(pattern, false, locally).await
        }
        Task::Clear { flush_db } => match (job.cache.prefix.is_raw(), flush_db) {
            (false, _) => {
                let locally = local::clear(&job.cache, now_ms());
                tasks.remove("*", true, locally).await
            }
            (true, true) => tasks.flush_db().await,
            (true, false) => Reply::Error(CallError::needs_namespace()),
        },
        Task::Stats => tasks.stats().await,
    };
    job.finish(&[reply]);
}

struct Tasks<'a> {
    cache: &'a Cache,
    steps: Steps<'a>,
}

impl Tasks<'_> {
    /// Removes what matches, where it was removed from the in-process tier already: what is being computed must not store afterwards, and that tier
    /// may hold such keys once Redis is away.
    async fn remove(&mut self, glob: &str, internal: bool, locally: u64) -> Reply {
        let pattern = Pattern { prefix: self.cache.prefix.as_str().into(), glob: glob.into(), internal };
        let mut removed = 0;
        if let Err(trouble) = self.steps.sweep(&pattern, &mut removed).await {
            // Some may be left.
            self.cache.journal_pattern(glob, internal);
            self.failed(&trouble);
        }
        add(&self.cache.counters.deletes, removed);
        Reply::Number(local::to_i64(removed + locally))
    }

    async fn flush_db(&mut self) -> Reply {
        let locally = local::clear(self.cache, now_ms());
        self.cache.shared().near.flush();
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("DBSIZE").cmd("FLUSHDB");
        let flushed = match self.steps.pipeline(pipeline).await {
            Ok(mut replies) => match (replies.pop(), replies.pop()) {
                (Some(Value::Okay), Some(size)) => integer(size),
                (Some(Value::ServerError(error)), _) => Err(classify(&error)),
                _ => Err(out_of_step()),
            },
            Err(trouble) => Err(trouble),
        };
        match flushed {
            Ok(keys) => Reply::Number(keys),
            Err(trouble) => {
                self.cache.journal_pattern("*", true);
                self.failed(&trouble);
                Reply::Number(local::to_i64(locally))
            }
        }
    }

    async fn stats(&mut self) -> Reply {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("INFO").arg("memory");
        pipeline.cmd("DBSIZE");
        let server = match self.steps.pipeline(pipeline).await {
            Ok(replies) => {
                let info = replies.first().and_then(text).unwrap_or_default();
                let number = |name: &str| field(&info, name).and_then(|v| v.trim().parse().ok());
                Some(ServerStats {
                    used_memory: number("used_memory"),
                    max_memory: number("maxmemory"),
                    max_memory_policy: field(&info, "maxmemory_policy").map(|v| v.trim().to_owned()),
                    keys: replies.into_iter().nth(1).and_then(|v| integer(v).ok()).and_then(|n| u64::try_from(n).ok()),
                })
            }
            Err(trouble) => {
                self.failed(&trouble);
                None
            }
        };
        Reply::Value(Json::Owned(stats_json(self.cache, server.as_ref())))
    }

    fn failed(&self, trouble: &Trouble) {
        self.cache.shared().errors.count(trouble.kind);
        if trouble.kind.is_outage() {
            // A missed deadline is an outage, whoever missed it: only a recovery undoes what is in the journal now.
            self.cache.shared().broken.notify_waiters();
        } else {
            self.cache.shared().status.notice(trouble);
        }
    }
}
