//! A connection whose replies are known to belong to its pipelines.
//!
//! The problem. Replies carry no name: they belong to commands by their order alone. One too many or too few, whoever loses or adds
//! it (a proxy that breaks, a bug of a server or of a client library), and each key behind it gets its neighbour's value. Where the
//! neighbours are of one kind, as reads are, no type tells.
//!
//! The approach. Each pipeline ends with `ECHO` and a number that no other pipeline of the connection has. Another last reply than this
//! number, and nothing of the pipeline is believed: the call is answered by the in-process tier, and the connection is torn down. It costs some
//! thirty bytes and the cheapest of commands for a whole pipeline. `ECHO`, not `PING`: a server whose snapshots fail answers `PING` with an error.
//!
//! The limits. What a pipeline lost and gained again within itself is not seen. A server, or an ACL, without `ECHO` is served without.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, ServerError, Value};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::reply::{classify, command_denied, explain, out_of_step};
use crate::engine::error::{Kind, Trouble};
use crate::engine::random;

/// A timer that fires so much too late says that this process was stopped, not the server: the replies may be lying in the socket.
pub const HELD_UP: Duration = Duration::from_millis(100);

/// Cheap to clone; all clones are one connection.
#[derive(Clone)]
pub struct Wire {
    redis: MultiplexedConnection,
    marks: Arc<Marks>,
}

struct Marks {
    first: u64,
    next: AtomicU64,
    denied: AtomicBool,
    /// Why the connection is of no more use, and who is to know.
    failure: Mutex<Option<Trouble>>,
    failed: Notify,
}

impl Wire {
    pub fn new(redis: MultiplexedConnection) -> Self {
        // From anywhere: no stored value is likely to be the number that is waited for.
        let first = random::bits() >> 1;
        Self {
            redis,
            marks: Arc::new(Marks {
                first,
                next: AtomicU64::new(first),
                denied: AtomicBool::new(false),
                failure: Mutex::default(),
                failed: Notify::new(),
            }),
        }
    }

    /// Sends a pipeline; its replies, errors of the server among them. The deadline is the caller's.
    pub async fn send(mut self, mut pipeline: Pipeline) -> Result<Vec<Value>, Trouble> {
        let mark = self.mark(&mut pipeline);
        let result = self.redis.send_packed_commands(&pipeline, 0, pipeline.len()).await;
        let mut values = result.map_err(|e| explain(&e))?;
        if let Some(mark) = mark {
            let last = values.pop();
            self.check(mark, last).inspect_err(|trouble| self.fail(trouble.clone()))?;
        }
        Ok(values)
    }

    /// As `send`, with a deadline. One that is missed is an outage, whoever missed it.
    pub async fn ask(&self, pipeline: Pipeline, patience: Duration) -> Result<Vec<Value>, Trouble> {
        let due = Instant::now() + patience;
        let replies = self.clone().send(pipeline);
        tokio::pin!(replies);
        let mut result = timeout_at(due, &mut replies).await;
        if result.is_err() && due.elapsed() > HELD_UP {
            result = timeout(HELD_UP, &mut replies).await;
        }
        result.unwrap_or_else(|_| {
            let trouble = Trouble::new(Kind::Timeout, "the server did not answer in time");
            self.fail(trouble.clone());
            Err(trouble)
        })
    }

    /// The connection is of no more use, whoever found it out: only a recovery undoes what is unknown now.
    pub fn fail(&self, trouble: Trouble) {
        self.marks.failure.lock().get_or_insert(trouble);
        self.marks.failed.notify_one();
    }

    /// Until that is so; for the one who serves it.
    pub async fn failed(&self) -> Trouble {
        self.marks.failed.notified().await;
        self.marks.failure.lock().clone().unwrap_or_else(out_of_step)
    }

    /// Whether the server refuses to be asked; known when the first pipeline has been answered.
    pub fn unmarked(&self) -> bool {
        self.marks.denied.load(Ordering::Relaxed)
    }

    fn mark(&self, pipeline: &mut Pipeline) -> Option<u64> {
        if self.unmarked() {
            return None;
        }
        let mark = self.marks.next.fetch_add(1, Ordering::Relaxed);
        pipeline.cmd("ECHO").arg(mark);
        Some(mark)
    }

    fn check(&self, mark: u64, last: Option<Value>) -> Result<(), Trouble> {
        match last {
            Some(Value::BulkString(bytes)) if bytes == mark.to_string().as_bytes() => Ok(()),
            // Such as LOADING, which is said to every command.
            Some(Value::ServerError(error)) if classify(&error).kind.is_outage() => Err(classify(&error)),
            // An ACL may change at any time; a proxy that does not pass the command on says so at once, in words of its own.
            Some(Value::ServerError(error)) if mark == self.marks.first || is_own(&error) && command_denied(&error) => {
                self.marks.denied.store(true, Ordering::Relaxed);
                Ok(())
            }
            _ => Err(out_of_step()),
        }
    }
}

/// Whether an error speaks of the mark's own command.
fn is_own(error: &ServerError) -> bool {
    error.details().is_some_and(|details| details.to_ascii_lowercase().contains("echo"))
}
