//! Long work on the connection, beside the pump: `delPattern`, `clear`, `getStats`, a page of `scan`. Each step has the
//! deadline of a call.

use std::collections::BTreeSet;
use std::slice;

use futures_channel::oneshot;
use redis::{Pipeline, Value, cmd};

use crate::engine::base::error::{CallError, Kind, Trouble};
use crate::engine::base::pattern::Pattern;
use crate::engine::cache::job::Job;
use crate::engine::cache::local::to_i64;
use crate::engine::cache::long::{Called, Sweep, stats};
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::scan;
use crate::engine::cache::tell::counters::{ServerStats, add};
use crate::engine::call::batch::{Scan, Task};
use crate::engine::call::reply::Reply;
use crate::engine::conversation::connection::{Connection, Steps};
use crate::engine::net::reply::{classify, field, integer, out_of_step, text};
use crate::engine::task::signal::Watched;
use crate::engine::tier::cover::Swept;

/// A task that has its place in the order of calls, and what it waits for.
pub enum Placed {
    Stats,
    /// And what the server calls itself.
    Scan(Scan, Option<String>),
    Refused,
    /// Its cover is swept with all others: see `sweep::keep_swept`.
    Sweep(Sweep, oneshot::Receiver<Swept>),
    /// FLUSHDB was sent: here the order on the wire is enough.
    Flush(Sweep, Flushed),
}

impl Placed {
    /// What it sweeps.
    pub fn pattern(&self) -> Option<Pattern> {
        match self {
            Self::Stats | Self::Scan(..) | Self::Refused => None,
            Self::Sweep(sweep, _) | Self::Flush(sweep, _) => Some(sweep.pattern.clone()),
        }
    }
}

type Flushed = futures_util::future::BoxFuture<'static, Result<Vec<Value>, Trouble>>;

/// A task takes its place: what is planned from here on is behind it.
pub fn place(cache: &Cache, called: &mut Called, connection: &Connection) -> Placed {
    let Connection { server, wire, .. } = connection;
    let Some(sweep) = called.take_place(cache) else {
        return match &called.task {
            Task::Stats => Placed::Stats,
            Task::Scan(scan) => Placed::Scan(scan.clone(), connection.identity.run_id.clone()),
            _ => Placed::Refused,
        };
    };
    if called.task == (Task::Clear { flush_db: true }) && cache.prefix.is_raw() {
        let mut pipeline = Pipeline::with_capacity(2);
        // In the background, as UNLINK: a database of millions of keys takes longer than a call may.
        pipeline.cmd("DBSIZE").cmd("FLUSHDB").arg("ASYNC");
        return Placed::Flush(sweep, Box::pin(wire.ask(pipeline, cache.timeout)));
    }
    let swept = server.journal.raise(sweep.there.clone());
    Placed::Sweep(sweep, swept)
}

/// Does a task and answers it. An outage in the middle of it is the pump's, too, and what was called before it is
/// answered before it: `ended` says when.
pub async fn run(job: Job, placed: Placed, steps: Steps, ended: Watched) {
    let wire = steps.wire.clone();
    let mut tasks = Tasks { cache: &job.cache, steps };
    let reply = match placed {
        Placed::Stats => tasks.stats().await,
        Placed::Scan(scan, run_id) => tasks.scan(&scan, run_id.as_deref()).await,
        Placed::Refused => Ok(Reply::Error(CallError::needs_namespace())),
        Placed::Sweep(sweep, swept) => tasks.swept(&sweep, swept).await,
        Placed::Flush(sweep, flushed) => tasks.flushed(&sweep, flushed).await,
    };
    match reply {
        Ok(reply) => job.finish(&[reply]),
        Err(trouble) => {
            wire.fail(trouble);
            // Behind those: what they wrote on the in-process tier is of before it.
            ended.over().await;
            job.fall_back();
        }
    }
}

struct Tasks<'a> {
    cache: &'a Cache,
    steps: Steps,
}

/// What a task says, or the outage that it met.
type Outcome = Result<Reply, Trouble>;

impl Tasks<'_> {
    /// Waits until what matches is gone, here and there.
    async fn swept(&mut self, sweep: &Sweep, swept: oneshot::Receiver<Swept>) -> Outcome {
        let locally = sweep.finish(self.cache).await;
        let lost = || Err(Trouble::new(Kind::Connection, "the connection was lost in the middle of a sweep"));
        let removed = match swept.await.unwrap_or_else(|_| lost()) {
            Ok(removed) => removed,
            Err(trouble) => {
                self.refused(sweep, unless_outage(trouble)?);
                0
            }
        };
        add(&self.cache.counters.deletes, removed);
        Ok(Reply::Number(to_i64(removed + locally)))
    }

    async fn flushed(&mut self, sweep: &Sweep, flushed: Flushed) -> Outcome {
        let locally = sweep.finish(self.cache).await;
        let mut replies = flushed.await?;
        let flushed = match (replies.pop(), replies.pop()) {
            (Some(Value::Okay), Some(size)) => integer(size),
            (Some(Value::ServerError(error)), _) => Err(classify(&error)),
            _ => Err(out_of_step()),
        };
        Ok(Reply::Number(match flushed {
            Ok(keys) => keys,
            Err(trouble) => {
                self.refused(sweep, unless_outage(trouble)?);
                to_i64(locally)
            }
        }))
    }

    async fn stats(&mut self) -> Outcome {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("INFO").arg("memory");
        pipeline.cmd("DBSIZE");
        let replies = self.steps.pipeline(pipeline).await?;
        let info = replies.first().and_then(text).unwrap_or_default();
        let number = |name: &str| field(&info, name).and_then(|v| v.trim().parse().ok());
        let server = ServerStats {
            used_memory: number("used_memory"),
            max_memory: number("maxmemory"),
            max_memory_policy: field(&info, "maxmemory_policy").map(|v| v.trim().to_owned()),
            keys: replies.into_iter().nth(1).and_then(|v| integer(v).ok()).and_then(|n| u64::try_from(n).ok()),
        };
        Ok(stats(self.cache, Some(&server)).await)
    }

    async fn scan(&mut self, scan: &Scan, run_id: Option<&str>) -> Outcome {
        let cache = self.cache;
        let from = scan::Start::parse(&scan.from, cache.shared());
        let pattern = Pattern::new(&cache.prefix, &scan.glob, false);
        let mut command = cmd("SCAN");
        command.arg(from.cursor(run_id)).arg("MATCH").arg(Pattern::common(slice::from_ref(&pattern)));
        command.arg("COUNT").arg(scan.count);
        let (keys, cursor) = match self.steps.command(command).await {
            Ok(Value::Array(page)) => scanned(page).ok_or_else(out_of_step)?,
            Ok(_) => return Err(out_of_step()),
            Err(trouble) => {
                let trouble = unless_outage(trouble)?;
                cache.shared().errors.count(trouble.kind);
                cache.shared().status.notice_once(&trouble);
                return Ok(scan::page(cache, std::iter::empty(), from.behind_server(cache.shared()).as_ref()));
            }
        };
        let journal = &self.steps.server.journal;
        let is_there = |key: &str| pattern.matches(key.as_bytes()) && !journal.holds(key) && !journal.covers(key);
        // A page may name a key twice. What is no UTF-8 is no key of ours.
        let keys: BTreeSet<String> = keys.into_iter().filter_map(|key| String::from_utf8(key).ok()).collect();
        let next = from.behind_page(&cursor, run_id, cache.shared());
        Ok(scan::page(cache, keys.iter().map(String::as_str).filter(|key| is_there(key)), next.as_ref()))
    }

    /// Some are left: the next recovery tries it again.
    fn refused(&self, sweep: &Sweep, trouble: Trouble) {
        self.cache.journal_pattern(&sweep.there, true, Some(self.steps.server.place));
        self.cache.shared().errors.count(trouble.kind);
        self.cache.shared().status.notice(&trouble);
    }
}

fn unless_outage(trouble: Trouble) -> Result<Trouble, Trouble> {
    if trouble.kind.is_outage() { Err(trouble) } else { Ok(trouble) }
}

/// The keys of a page of SCAN, and the cursor of the next.
fn scanned(mut page: Vec<Value>) -> Option<(Vec<Vec<u8>>, String)> {
    let (Value::Array(keys), Value::BulkString(cursor)) = (page.pop()?, page.pop()?) else { return None };
    let bytes = |key| if let Value::BulkString(bytes) = key { Some(bytes) } else { None };
    Some((keys.into_iter().filter_map(bytes).collect(), String::from_utf8(cursor).ok()?))
}
