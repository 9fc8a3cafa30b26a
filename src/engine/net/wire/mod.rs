//! A connection whose replies are known to belong to its pipelines. It reads and writes nothing itself: whoever drives
//! it takes the bytes to write, and hands over the bytes that came.
//!
//! **The problem.** Replies carry no name: they belong to commands by their order alone. One too many or too few,
//! whoever loses or adds it (a proxy that breaks, a bug of a server or of a client library), and each key behind it
//! gets its neighbour's value. Where the neighbours are of one kind, as reads are, no type tells.
//!
//! **The approach.** Each pipeline ends with `ECHO` and a number that no other pipeline of the connection has. Another
//! last reply than this number, and nothing of the pipeline is believed: the call is answered by the in-process tier,
//! and the connection is torn down. It costs some thirty bytes and the cheapest of commands for a whole pipeline.
//! `ECHO`, not `PING`: a server whose snapshots fail answers `PING` with an error.
//!
//! **Whose replies.** Pipelines of calls are answered where their replies are parsed, without a wake-up between:
//! `reply` gives their values back to the node. Those of conversations (leases, sweeps) go to the task that asked.
//!
//! **The limits.** What a pipeline lost and gained again within itself is not seen. A server, or an ACL, without `ECHO`
//! is served without. Bytes that the socket does not take are bounded by the calls that may be under way:
//! src/js/bridge/window.js.

pub mod asks;
mod writes;

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_channel::oneshot;
use parking_lot::Mutex;
use redis::{Pipeline, ServerError, Value};

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::net::denied::Lack;
use crate::engine::net::reply::{Denial, classify, command_denied, out_of_step};
use crate::engine::net::wire::writes::Writes;
use crate::engine::task::timers::Timers;

/// A moment that is reached so much too late says that this process was stopped, not the server: the replies may be
/// lying in the socket.
pub const HELD_UP: Duration = Duration::from_millis(100);

/// Cheap to clone; all clones are one connection.
#[derive(Clone)]
pub struct Wire {
    side: Arc<Mutex<Side>>,
    /// Whether there is a failure: who asks at each step is spared the lock.
    failed: Arc<AtomicBool>,
    /// Whether anybody wants to know what `wrote` says.
    watched: Arc<AtomicBool>,
    timers: Timers,
}

/// Both directions, as they must agree.
struct Side {
    open: bool,
    /// Bytes that nobody took yet.
    unsent: Vec<u8>,
    waiting: VecDeque<Waiting>,
    /// The first mark, and the next one.
    first: u64,
    next: u64,
    /// Whether the server refuses to be asked.
    echo: Lack,
    /// Whether anything came yet.
    heard: bool,
    /// Why the connection is of no more use.
    failure: Option<Trouble>,
    /// What the pipeline wrote that was answered last.
    last: Writes,
}

/// A pipeline whose replies are still to come.
struct Waiting {
    left: usize,
    values: Vec<Value>,
    mark: Option<u64>,
    /// The task that asked; none for the calls of the node.
    task: Option<Task>,
    writes: Writes,
}

/// Where the replies go that a task asked for.
type Task = oneshot::Sender<Vec<Value>>;

/// The replies of a pipeline, errors of the server among them, or why there are none.
pub type Replies = Result<Vec<Value>, Trouble>;

impl Wire {
    /// `first`: a random number. From anywhere, so that no stored value is likely to be a mark that is waited for.
    /// `marks`: whether pipelines end with one. `watched`: whether `wrote` is to know of what is sent.
    pub fn new(first: u64, marks: bool, timers: Timers, watched: Arc<AtomicBool>) -> Self {
        let first = first >> 1;
        let side = Side {
            open: true,
            unsent: Vec::new(),
            waiting: VecDeque::new(),
            first,
            next: first,
            echo: if marks { Lack::None } else { Lack::Unwanted },
            heard: false,
            failure: None,
            last: Writes::default(),
        };
        Self { side: Arc::new(Mutex::new(side)), failed: Arc::default(), watched, timers }
    }

    pub fn timers(&self) -> &Timers {
        &self.timers
    }

    /// Whether it is the same connection.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.side, &other.side)
    }

    /// Asks before the server lets anybody ask for a mark: without one.
    pub fn greet(&self, pipeline: &Pipeline) -> impl Future<Output = Replies> + use<> {
        self.put(pipeline, false)
    }

    /// Sends a pipeline of the node, whose replies `reply` gives back.
    pub fn send(&self, pipeline: &Pipeline) {
        self.side.lock().put(pipeline, true, None, self.watched());
    }

    /// As `send`: so many commands that write nothing, by whoever knows their bytes.
    pub fn read(&self, commands: usize, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut side = self.side.lock();
        if side.open {
            encode(&mut side.unsent);
            side.wait(commands, true, None, Writes::default());
        }
    }

    /// Sends a pipeline; what it returns are its replies. The deadline is the caller's.
    pub fn request(&self, pipeline: Pipeline) -> impl Future<Output = Replies> + use<> {
        self.put(&pipeline, true)
    }

    /// As `request`, with a deadline. One that is missed is an outage, whoever missed it.
    pub fn ask(&self, pipeline: Pipeline, patience: Duration) -> impl Future<Output = Replies> + use<> {
        let due = self.timers.now() + patience;
        let replies = self.request(pipeline);
        let wire = self.clone();
        async move {
            let mut replies = std::pin::pin!(replies);
            let mut result = wire.timers.until(due, &mut replies).await;
            if result.is_err() && wire.timers.now().saturating_duration_since(due) > HELD_UP {
                result = wire.timers.within(HELD_UP, &mut replies).await;
            }
            result.unwrap_or_else(|_| {
                let trouble = Trouble::new(Kind::Timeout, "the server did not answer in time");
                wire.fail(trouble.clone());
                Err(trouble)
            })
        }
    }

    fn put(&self, pipeline: &Pipeline, marks: bool) -> impl Future<Output = Replies> + use<> {
        let (task, replies) = oneshot::channel();
        self.side.lock().put(pipeline, marks, Some(task), self.watched());
        let wire = self.clone();
        async move { replies.await.map_err(|_| wire.why()) }
    }

    /// The connection is of no more use, whoever found it out: only a recovery undoes what is unknown now.
    pub fn fail(&self, trouble: Trouble) {
        let mut side = self.side.lock();
        // That it is closed is found out by whoever writes; why, by whoever reads.
        if side.failure.as_ref().is_none_or(|known| known.kind == Kind::Connection) {
            side.failure = Some(trouble);
            self.failed.store(true, Ordering::Release);
        }
    }

    /// Why it is of no more use, if it is.
    pub fn failure(&self) -> Option<Trouble> {
        if self.failed.load(Ordering::Acquire) { self.side.lock().failure.clone() } else { None }
    }

    fn watched(&self) -> bool {
        self.watched.load(Ordering::SeqCst)
    }

    fn why(&self) -> Trouble {
        self.failure().unwrap_or_else(closed)
    }

    /// Ends it, whatever is in flight: tasks that wait for replies are told.
    pub fn close(&self) {
        let waiting = {
            let mut side = self.side.lock();
            side.open = false;
            std::mem::take(&mut side.waiting)
        };
        drop(waiting);
    }

    /// The server hung up: why, where it said so first, as it does with more clients than it takes.
    pub fn hung_up(&self, trouble: Trouble) {
        let words = match self.side.lock().waiting.front().and_then(|front| front.values.last()) {
            Some(Value::ServerError(error)) => Some(classify(error)).filter(|trouble| trouble.kind.is_outage()),
            _ => None,
        };
        self.fail(words.unwrap_or(trouble));
    }

    /// Moves the bytes that are to be written to the end of `to`.
    pub fn output(&self, to: &mut Vec<u8>) {
        let mut side = self.side.lock();
        if to.is_empty() {
            std::mem::swap(to, &mut side.unsent);
        } else {
            to.append(&mut side.unsent);
        }
    }

    /// Whether a push that comes now about a stored key is of a command that was sent here: one that was answered just
    /// now or, before Redis 7, is about to be. Should somebody else have written the key between two commands of one
    /// batch, the second of which writes it as well, that is taken for the command's.
    pub fn wrote(&self, key: &str) -> bool {
        let side = self.side.lock();
        let (done, front) = side.waiting.front().map_or((0, None), |front| (front.values.len(), Some(&front.writes)));
        front.is_some_and(|writes| writes.has(key, done)) || done == 0 && side.last.has(key, side.last.commands)
    }

    /// Something came.
    pub fn hear(&self) {
        self.side.lock().heard = true;
    }

    /// Whether the server said anything at all.
    pub fn heard(&self) -> bool {
        self.side.lock().heard
    }

    /// Whether the server refuses to be asked for a mark, and how; known when the first pipeline has been answered.
    pub fn echo(&self) -> Lack {
        self.side.lock().echo
    }

    /// Takes a reply to the pipeline that it belongs to; the last one says whether it does. The values of a pipeline of
    /// the node that is whole.
    pub fn reply(&self, value: Value) -> Result<Option<Vec<Value>>, Trouble> {
        let whole = self.side.lock().reply(value)?;
        let Some(Waiting { values, task, .. }) = whole else { return Ok(None) };
        match task {
            None => Ok(Some(values)),
            Some(task) => {
                // Nobody may wait any more.
                let _ = task.send(values);
                Ok(None)
            }
        }
    }
}

impl Side {
    fn put(&mut self, pipeline: &Pipeline, marks: bool, task: Option<Task>, watched: bool) {
        // Closed: dropping the sender tells the task.
        if !self.open {
            return;
        }
        pipeline.cmd_iter().for_each(|command| command.write_packed_command(&mut self.unsent));
        let writes = if watched { Writes::of(pipeline) } else { Writes::default() };
        self.wait(pipeline.len(), marks, task, writes);
    }

    /// The replies to so many commands are to come, and behind them that to a mark.
    fn wait(&mut self, commands: usize, marks: bool, task: Option<Task>, writes: Writes) {
        let mark = (marks && !self.echo.is()).then_some(self.next);
        if let Some(mark) = mark {
            self.next += 1;
            write_mark(&mut self.unsent, mark);
        }
        let left = commands + usize::from(mark.is_some());
        self.waiting.push_back(Waiting { left, values: Vec::with_capacity(left), mark, task, writes });
    }

    fn reply(&mut self, value: Value) -> Result<Option<Waiting>, Trouble> {
        // Nobody asked.
        let front = self.waiting.front_mut().ok_or_else(out_of_step)?;
        front.values.push(value);
        front.left -= 1;
        if front.left > 0 {
            return Ok(None);
        }
        let Some(mut whole) = self.waiting.pop_front() else { return Ok(None) };
        self.last = std::mem::take(&mut whole.writes);
        if let Some(mark) = whole.mark {
            self.check(mark, whole.values.pop())?;
        }
        Ok(Some(whole))
    }

    fn check(&mut self, mark: u64, last: Option<Value>) -> Result<(), Trouble> {
        match last {
            Some(Value::BulkString(bytes)) if decimal(&bytes) == Some(mark) => Ok(()),
            // Such as LOADING, which is said to every command.
            Some(Value::ServerError(error)) if classify(&error).kind.is_outage() => Err(classify(&error)),
            // An ACL may change at any time; a proxy that does not pass the command on says so at once, in words of its
            // own.
            Some(Value::ServerError(error)) if mark == self.first || is_own(&error) && command_denied(&error) => {
                let denied = matches!(Denial::by(&error), Some(Denial::Command(_)));
                self.echo = if denied { Lack::Denied } else { Lack::Unknown };
                Ok(())
            }
            _ => Err(out_of_step()),
        }
    }
}

/// Asks for a mark.
fn write_mark(to: &mut Vec<u8>, mark: u64) {
    let digits = mark.checked_ilog10().unwrap_or(0) + 1;
    // A Vec takes all that is written.
    let _ = write!(to, "*2\r\n$4\r\nECHO\r\n${digits}\r\n{mark}\r\n");
}

/// A number as `write_mark` writes it.
fn decimal(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.starts_with(['0', '+']) || *text == "0")?.parse().ok()
}

pub fn closed() -> Trouble {
    Trouble::new(Kind::Connection, "the server closed the connection")
}

/// Whether an error speaks of the mark's own command.
fn is_own(error: &ServerError) -> bool {
    error.details().is_some_and(|details| details.to_ascii_lowercase().contains("echo"))
}
