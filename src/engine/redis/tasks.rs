//! Long work on the connection, beside the pump: `delPattern`, `clear`, `getStats`. Each step has the deadline of a call.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, Value, cmd};

use super::commands;
use super::dial::{Denied, field, text};
use super::reply::{classify, explain, integer, out_of_step};
use super::{Job, Work};
use crate::engine::batch::{Json, Reply, Task};
use crate::engine::cache::{Cache, ServerStats, stats_json};
use crate::engine::clock::now_ms;
use crate::engine::error::{CallError, Kind, Trouble};
use crate::engine::stats::add;
use crate::engine::{glob, local, tags};

/// Keys that one SCAN looks at: a step of about a millisecond for the server.
const SCAN_COUNT: usize = 1_000;

/// Does a task and answers it.
pub async fn run(job: Job, redis: MultiplexedConnection, denied: Denied) {
    let Work::Task(task) = &job.work else { return };
    let mut steps = Steps { cache: &job.cache, redis, denied };
    let reply = match task {
        Task::DelPattern(pattern) => steps.del_pattern(pattern).await,
        Task::Clear { flush_db } => match (job.cache.prefix.is_raw(), flush_db) {
            (false, _) => steps.clear().await,
            (true, true) => steps.flush_db().await,
            (true, false) => Reply::Error(CallError::needs_namespace()),
        },
        Task::Stats => steps.stats().await,
    };
    job.finish(&[reply]);
}

struct Steps<'a> {
    cache: &'a Cache,
    redis: MultiplexedConnection,
    denied: Denied,
}

impl Steps<'_> {
    async fn pipeline(&mut self, pipeline: &Pipeline) -> Result<Vec<Value>, Trouble> {
        let step = self.redis.send_packed_commands(pipeline, 0, pipeline.len());
        match tokio::time::timeout(self.cache.timeout, step).await {
            Ok(result) => result.map_err(|e| explain(&e)),
            Err(_) => Err(Trouble::new(Kind::Timeout, "the server did not answer in time")),
        }
    }

    async fn command(&mut self, command: Cmd) -> Result<Value, Trouble> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(command);
        match self.pipeline(&pipeline).await?.pop() {
            Some(Value::ServerError(error)) => Err(classify(&error)),
            Some(value) => Ok(value),
            None => Err(out_of_step()),
        }
    }

    async fn del_pattern(&mut self, pattern: &str) -> Reply {
        // What is being computed must not store afterwards; and the in-process tier may hold such keys once Redis is away.
        let locally = local::remove_pattern(self.cache, pattern, now_ms());
        self.remove(pattern, locally, |rest| !tags::is_internal(rest) && glob::matches(pattern.as_bytes(), rest)).await
    }

    async fn clear(&mut self) -> Reply {
        let locally = local::clear(self.cache, now_ms());
        self.remove("*", locally, |_| true).await
    }

    async fn remove(&mut self, pattern: &str, locally: u64, which: impl Fn(&[u8]) -> bool) -> Reply {
        let mut removed = 0;
        if let Err(trouble) = self.scan_and_remove(pattern, which, &mut removed).await {
            self.failed(&trouble);
        }
        add(&self.cache.counters.deletes, removed);
        Reply::Number(local::to_i64(removed + locally))
    }

    async fn scan_and_remove(
        &mut self,
        pattern: &str,
        which: impl Fn(&[u8]) -> bool,
        removed: &mut u64,
    ) -> Result<(), Trouble> {
        let prefix = self.cache.prefix.as_str().to_owned();
        let full = format!("{}{pattern}", glob::escape(&prefix));
        let mut cursor = b"0".to_vec();
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(&full).arg("COUNT").arg(SCAN_COUNT);
            let Value::Array(mut page) = self.command(scan).await? else { return Err(out_of_step()) };
            let (Some(Value::Array(keys)), Some(Value::BulkString(next))) = (page.pop(), page.pop()) else {
                return Err(out_of_step());
            };
            let mut unlink = cmd(commands::remove(self.denied));
            let mut found = false;
            // Of ours, which are not counted.
            let mut internal = cmd(commands::remove(self.denied));
            let mut any_internal = false;
            for key in keys {
                // The server matched it already; only keys of this namespace are ever removed, whatever the server says.
                if let Value::BulkString(key) = key
                    && let Some(rest) = key.strip_prefix(prefix.as_bytes())
                    && which(rest)
                {
                    if let Ok(key) = std::str::from_utf8(&key) {
                        // With the UNLINK that is sent next: a read planned before it fills nothing, one planned behind it reads what is left.
                        self.cache.shared().near.invalidate(key);
                    }
                    if tags::is_internal(rest) {
                        internal.arg(&key);
                        any_internal = true;
                    } else {
                        unlink.arg(&key);
                        found = true;
                    }
                }
            }
            if found {
                *removed += u64::try_from(integer(self.command(unlink).await?)?).unwrap_or(0);
            }
            if any_internal {
                integer(self.command(internal).await?)?;
            }
            if next == b"0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn flush_db(&mut self) -> Reply {
        let locally = local::clear(self.cache, now_ms());
        self.cache.shared().near.flush();
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("DBSIZE").cmd("FLUSHDB");
        let flushed = match self.pipeline(&pipeline).await {
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
                self.failed(&trouble);
                Reply::Number(local::to_i64(locally))
            }
        }
    }

    async fn stats(&mut self) -> Reply {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("INFO").arg("memory");
        pipeline.cmd("DBSIZE");
        let server = match self.pipeline(&pipeline).await {
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
        if !trouble.kind.is_outage() {
            self.cache.shared().status.notice(trouble);
        }
    }
}
