//! A connection whose replies are known to belong to its pipelines.
//!
//! **The problem.** Replies carry no name: they belong to commands by their order alone. One too many or too few, whoever loses or adds
//! it (a proxy that breaks, a bug of a server or of a client library), and each key behind it gets its neighbour's value. Where the
//! neighbours are of one kind, as reads are, no type tells.
//!
//! **The approach.** Each pipeline ends with `ECHO` and a number that no other pipeline of the connection has. Another last reply than this
//! number, and nothing of the pipeline is believed: the call is answered by the in-process tier, and the connection is torn down. It costs some
//! thirty bytes and the cheapest of commands for a whole pipeline. `ECHO`, not `PING`: a server whose snapshots fail answers `PING` with an error.
//!
//! **Why not the crate's connection.** There a pipeline goes through a queue to the task that has the socket, and its parser is a general one (resp.rs). Here it is written where it is
//! sent, as far as the socket takes it, and one task reads. At 8 callers of `get` that was 13 and 23 % more calls a second and 12 and 20 % less CPU for each, at 64 callers 3 and 18 %
//! more and 4 and 18 % less, with the machine slow and fast; at 512, and with large values, it makes no difference.
//!
//! **Rejected: callers' threads that write.** A lone call wakes four threads one after the other; its own thread could write to the socket itself, and wake one less. As a trial it did: beside the
//! crate's connection a lone `get` was 4 to 8 % faster and kept the event loop for 30 % longer, as writing to a socket is dearer than waking a thread; at 8 callers nothing was gained.
//!
//! **The limits.** What a pipeline lost and gained again within itself is not seen. A server, or an ACL, without `ECHO` is served without.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Pipeline, PushInfo, ServerError, Value};
use tokio::io::AsyncReadExt;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::base::random;
use crate::engine::net::denied::Lack;
use crate::engine::net::reply::{Denial, classify, command_denied, out_of_step};
use crate::engine::net::resp::{Message, Parser};
use crate::engine::net::socket::{Rx, Tx};
use crate::engine::net::tls;

/// A timer that fires so much too late says that this process was stopped, not the server: the replies may be lying in the socket.
pub const HELD_UP: Duration = Duration::from_millis(100);
/// Room that is made for what comes next.
const READ: usize = 16 * 1024;
/// Room that is kept when nothing is left to read.
const KEPT: usize = 256 * 1024;

/// What the server made of `ECHO`.
const ALLOWED: u8 = 0;
const DENIED: u8 = 1;
const UNKNOWN: u8 = 2;

/// Cheap to clone; all clones are one connection.
#[derive(Clone)]
pub struct Wire(Arc<Inner>);

struct Inner {
    side: Mutex<Side>,
    /// There is something left to write.
    backlog: Notify,
    first: u64,
    next: AtomicU64,
    /// Whether the server refuses to be asked: what [`Lack`] it is.
    echo: AtomicU8,
    /// Whether anything came yet.
    heard: AtomicBool,
    /// Why the connection is of no more use, and who is to know.
    failure: Mutex<Option<Trouble>>,
    failed: Notify,
}

/// Both directions, as they must agree.
struct Side {
    /// None once the connection is closed.
    tx: Option<Arc<Tx>>,
    /// What is still to be written, and whether the driver does: then whatever is sent goes behind it.
    unsent: Vec<u8>,
    writing: bool,
    waiting: VecDeque<Waiting>,
}

/// A pipeline whose replies are still to come.
struct Waiting {
    left: usize,
    values: Vec<Value>,
    mark: Option<u64>,
    to: oneshot::Sender<Vec<Value>>,
}

impl Wire {
    pub fn new(tx: Tx) -> Self {
        // From anywhere: no stored value is likely to be the number that is waited for.
        let first = random::bits() >> 1;
        Self(Arc::new(Inner {
            side: Mutex::new(Side {
                tx: Some(Arc::new(tx)),
                unsent: Vec::new(),
                writing: false,
                waiting: VecDeque::new(),
            }),
            backlog: Notify::new(),
            first,
            next: AtomicU64::new(first),
            echo: AtomicU8::new(ALLOWED),
            heard: AtomicBool::new(false),
            failure: Mutex::default(),
            failed: Notify::new(),
        }))
    }

    /// As `send`, before the server lets anybody ask: without a number.
    pub fn greet(&self, pipeline: &Pipeline) -> impl Future<Output = Result<Vec<Value>, Trouble>> + use<> {
        self.put(pipeline, None)
    }

    /// Sends a pipeline, now; what it returns are its replies, errors of the server among them. The deadline is the caller's.
    pub fn send(&self, mut pipeline: Pipeline) -> impl Future<Output = Result<Vec<Value>, Trouble>> + use<> {
        let mark = self.mark(&mut pipeline);
        self.put(&pipeline, mark)
    }

    /// As `send`, with a deadline. One that is missed is an outage, whoever missed it.
    pub fn ask(
        &self,
        pipeline: Pipeline,
        patience: Duration,
    ) -> impl Future<Output = Result<Vec<Value>, Trouble>> + use<> {
        let due = Instant::now() + patience;
        let replies = self.send(pipeline);
        let wire = self.clone();
        async move {
            tokio::pin!(replies);
            let mut result = timeout_at(due, &mut replies).await;
            if result.is_err() && due.elapsed() > HELD_UP {
                result = timeout(HELD_UP, &mut replies).await;
            }
            result.unwrap_or_else(|_| {
                let trouble = Trouble::new(Kind::Timeout, "the server did not answer in time");
                wire.fail(trouble.clone());
                Err(trouble)
            })
        }
    }

    /// The connection is of no more use, whoever found it out: only a recovery undoes what is unknown now.
    pub fn fail(&self, trouble: Trouble) {
        let mut failure = self.0.failure.lock();
        // That it is closed is found out by whoever writes; why, by whoever reads.
        if failure.as_ref().is_none_or(|known| known.kind == Kind::Connection) {
            *failure = Some(trouble);
        }
        drop(failure);
        self.0.failed.notify_one();
    }

    /// Until that is so; for the one who serves it.
    pub async fn failed(&self) -> Trouble {
        self.0.failed.notified().await;
        self.why()
    }

    /// Closes the socket, whatever is in flight, once the driver has ended as well.
    pub fn close(&self) {
        let mut side = self.0.side.lock();
        side.tx = None;
        side.waiting.clear();
    }

    /// Whether the server refuses to be asked for a number, and how; known when the first pipeline has been answered.
    pub fn echo(&self) -> Lack {
        match self.0.echo.load(Ordering::Relaxed) {
            ALLOWED => Lack::None,
            DENIED => Lack::Denied,
            _ => Lack::Unknown,
        }
    }

    /// Whether the server said anything at all.
    pub fn heard(&self) -> bool {
        self.0.heard.load(Ordering::Relaxed)
    }

    fn why(&self) -> Trouble {
        self.0.failure.lock().clone().unwrap_or_else(closed)
    }

    fn mark(&self, pipeline: &mut Pipeline) -> Option<u64> {
        if self.echo().is() {
            return None;
        }
        let mark = self.0.next.fetch_add(1, Ordering::Relaxed);
        pipeline.cmd("ECHO").arg(mark);
        Some(mark)
    }

    fn put(&self, pipeline: &Pipeline, mark: Option<u64>) -> impl Future<Output = Result<Vec<Value>, Trouble>> + use<> {
        let (to, replies) = oneshot::channel();
        let left = pipeline.len();
        self.write_or_queue(
            &pipeline.get_packed_pipeline(),
            Waiting { left, values: Vec::with_capacity(left), mark, to },
        );
        let wire = self.clone();
        async move { replies.await.map_err(|_| wire.why()) }
    }

    fn write_or_queue(&self, bytes: &[u8], waiting: Waiting) {
        let mut side = self.0.side.lock();
        // Closed: dropping what waits tells whoever does.
        let Some(tx) = side.tx.clone() else { return };
        side.waiting.push_back(waiting);
        if side.writing {
            return side.unsent.extend(bytes);
        }
        match tx.try_write(bytes) {
            Ok(written) if written == bytes.len() => {}
            Ok(written) => {
                side.unsent.extend(bytes.get(written..).unwrap_or_default());
                side.writing = true;
                self.0.backlog.notify_one();
            }
            // The driver finds it out as well, and ends.
            Err(_) => self.fail(closed()),
        }
    }

    /// Reads, and writes what the socket did not take at once, until the connection is of no more use. `pushed` is told of each push before the replies behind it are given.
    pub async fn drive(self, rx: Rx, pushed: impl Fn(PushInfo)) {
        let trouble = tokio::select! {
            biased;
            trouble = self.read(rx, pushed) => trouble,
            trouble = self.write() => trouble,
        };
        self.fail(trouble);
        self.close();
    }

    async fn read(&self, mut rx: Rx, pushed: impl Fn(PushInfo)) -> Trouble {
        let mut parser = Parser::default();
        let mut bytes: Vec<u8> = Vec::with_capacity(READ);
        let mut at = 0;
        loop {
            loop {
                match parser.next(&bytes, &mut at) {
                    Ok(Some(Message::Push(push))) => pushed(push),
                    Ok(Some(Message::Reply(value))) => {
                        if let Err(trouble) = self.reply(value) {
                            return trouble;
                        }
                    }
                    Ok(None) => break,
                    Err(_) => return foreign(bytes.get(at..).unwrap_or_default()),
                }
            }
            bytes.drain(..at);
            at = 0;
            if bytes.is_empty() && bytes.capacity() > KEPT {
                bytes.shrink_to(KEPT);
            }
            bytes.reserve(READ);
            match rx.read_buf(&mut bytes).await {
                Ok(0) => return self.last_words().unwrap_or_else(closed),
                Err(error) => return self.last_words().or_else(|| tls::broken(&error)).unwrap_or_else(closed),
                Ok(_) => self.0.heard.store(true, Ordering::Relaxed),
            }
        }
    }

    /// Why the server hung up, where it said so first, as it does with more clients than it takes.
    fn last_words(&self) -> Option<Trouble> {
        match self.0.side.lock().waiting.front()?.values.last()? {
            Value::ServerError(error) => Some(classify(error)).filter(|trouble| trouble.kind.is_outage()),
            _ => None,
        }
    }

    async fn write(&self) -> Trouble {
        loop {
            self.0.backlog.notified().await;
            loop {
                let (tx, chunk) = {
                    let mut side = self.0.side.lock();
                    side.writing = !side.unsent.is_empty();
                    let Some(tx) = side.tx.clone() else { return closed() };
                    (tx, std::mem::take(&mut side.unsent))
                };
                if chunk.is_empty() {
                    break;
                }
                if tx.write(&chunk).await.is_err() {
                    return closed();
                }
            }
        }
    }

    /// Takes a reply to the pipeline that it belongs to; the last one says whether it does.
    fn reply(&self, value: Value) -> Result<(), Trouble> {
        let mut side = self.0.side.lock();
        // Nobody asked.
        let front = side.waiting.front_mut().ok_or_else(out_of_step)?;
        front.values.push(value);
        front.left -= 1;
        if front.left > 0 {
            return Ok(());
        }
        let Some(mut whole) = side.waiting.pop_front() else { return Ok(()) };
        if let Some(mark) = whole.mark {
            self.check(mark, whole.values.pop())?;
        }
        // Nobody may wait any more.
        let _ = whole.to.send(whole.values);
        Ok(())
    }

    fn check(&self, mark: u64, last: Option<Value>) -> Result<(), Trouble> {
        match last {
            Some(Value::BulkString(bytes)) if bytes == mark.to_string().as_bytes() => Ok(()),
            // Such as LOADING, which is said to every command.
            Some(Value::ServerError(error)) if classify(&error).kind.is_outage() => Err(classify(&error)),
            // An ACL may change at any time; a proxy that does not pass the command on says so at once, in words of its own.
            Some(Value::ServerError(error)) if mark == self.0.first || is_own(&error) && command_denied(&error) => {
                let unknown = !matches!(Denial::by(&error), Some(Denial::Command(_)));
                self.0.echo.store(if unknown { UNKNOWN } else { DENIED }, Ordering::Relaxed);
                Ok(())
            }
            _ => Err(out_of_step()),
        }
    }
}

fn closed() -> Trouble {
    Trouble::new(Kind::Connection, "the server closed the connection")
}

/// What began with bytes that are no RESP.
fn foreign(bytes: &[u8]) -> Trouble {
    // A record of TLS: an alert, or part of a handshake.
    match bytes {
        [0x15 | 0x16, 3, ..] => {
            Trouble::new(Kind::Tls, "the server speaks TLS on that port; the URL must begin with rediss://")
        }
        _ => {
            Trouble::new(Kind::Protocol, "what answered does not speak the Redis protocol (a TLS port needs rediss://)")
        }
    }
}

/// Whether an error speaks of the mark's own command.
fn is_own(error: &ServerError) -> bool {
    error.details().is_some_and(|details| details.to_ascii_lowercase().contains("echo"))
}
