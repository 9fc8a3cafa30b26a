//! Long work on the connection, beside the pump: `delPattern`, `clear`, `getStats`. Each step has the deadline of a call.

use redis::{Pipeline, Value};
use tokio::sync::watch;

use super::denied::Denied;
use super::dial::{field, text};
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

/// Does a task and answers it. An outage in the middle of it is the pump's, too, and what was called before it is answered before it: `ended` says when.
pub async fn run(job: Job, wire: Wire, denied: Denied, mut ended: watch::Receiver<()>) {
    let Work::Task(task) = &job.work else { return };
    let near = &job.cache.shared().near;
    let steps = Steps { wire: wire.clone(), denied, patience: job.cache.timeout, near };
    let mut tasks = Tasks { cache: &job.cache, steps };
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
            (true, false) => Ok(Reply::Error(CallError::needs_namespace())),
        },
        Task::Stats => tasks.stats().await,
    };
    match reply {
        Ok(reply) => job.finish(&[reply]),
        Err(trouble) => {
            wire.fail(trouble);
            // Never sent: an error is the end.
            let _ = ended.changed().await;
            job.fall_back();
        }
    }
}

struct Tasks<'a> {
    cache: &'a Cache,
    steps: Steps<'a>,
}

/// What a task says, or the outage that it met.
type Outcome = Result<Reply, Trouble>;

impl Tasks<'_> {
    /// Removes what matches, where it was removed from the in-process tier already: what is being computed must not store afterwards, and that tier
    /// may hold such keys once Redis is away.
    async fn remove(&mut self, glob: &str, internal: bool, locally: u64) -> Outcome {
        let pattern = Pattern { prefix: self.cache.prefix.as_str().into(), glob: glob.into(), internal };
        let mut removed = 0;
        let swept = self.steps.sweep(&pattern, &mut removed).await;
        add(&self.cache.counters.deletes, removed);
        if let Err(trouble) = swept {
            let trouble = unless_outage(trouble)?;
            // Some may be left.
            self.cache.journal_pattern(glob, internal);
            self.refused(&trouble);
        }
        Ok(Reply::Number(local::to_i64(removed + locally)))
    }

    async fn flush_db(&mut self) -> Outcome {
        let locally = local::clear(self.cache, now_ms());
        self.cache.shared().near.flush();
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("DBSIZE").cmd("FLUSHDB");
        let mut replies = self.steps.pipeline(pipeline).await?;
        let flushed = match (replies.pop(), replies.pop()) {
            (Some(Value::Okay), Some(size)) => integer(size),
            (Some(Value::ServerError(error)), _) => Err(classify(&error)),
            _ => Err(out_of_step()),
        };
        Ok(Reply::Number(match flushed {
            Ok(keys) => keys,
            Err(trouble) => {
                let trouble = unless_outage(trouble)?;
                self.cache.journal_pattern("*", true);
                self.refused(&trouble);
                local::to_i64(locally)
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
        Ok(Reply::Value(Json::Owned(stats_json(self.cache, Some(&server)))))
    }

    fn refused(&self, trouble: &Trouble) {
        self.cache.shared().errors.count(trouble.kind);
        self.cache.shared().status.notice(trouble);
    }
}

fn unless_outage(trouble: Trouble) -> Result<Trouble, Trouble> {
    if trouble.kind.is_outage() { Err(trouble) } else { Ok(trouble) }
}
