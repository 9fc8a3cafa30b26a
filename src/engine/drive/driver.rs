//! Drives a node on the engine's thread: hands it jobs, bytes and the time, and does what it wishes.
//!
//! One task has all of it: the socket, the queue of jobs, the dial and the timer. Whatever is ready is handed to the
//! node, one piece after the other, until nothing is; so many small batches leave as one write, and the replies of many
//! are read at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_channel::mpsc::{UnboundedReceiver, unbounded};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FusedStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::runtime;
use super::socket::{self, Socket};
use crate::engine::base::error::{Kind, Trouble};
use crate::engine::cache::job::Job;
use crate::engine::net::{tls, wire};
use crate::engine::node::handshake::Peer;
use crate::engine::node::machine::{Node, Spread};
use crate::engine::node::state::{DIAL_TIMEOUT, Wish, unanswered};
use crate::engine::task::executor::Tasks;

/// After so much work at a stretch the thread, which all engines share, is given to others that have something to do.
const STRETCH: Duration = Duration::from_millis(1);
/// Jobs that are handed over before replies are looked for again.
const MAX_JOBS: usize = 64;
/// Bytes that one read takes at most.
const READ_BYTES: usize = 64 * 1024;
/// Room that is kept for bytes to be written, when none are left.
const KEPT_BYTES: usize = 256 * 1024;
/// The timer is set so far ahead where the node names no moment.
const FAR: Duration = Duration::from_secs(3_600);

/// Begins to poll the tasks of an engine that has no server, for as long as there are any.
pub fn start_alone(mut tasks: Tasks) -> Result<(), String> {
    let runtime = runtime()?;
    tasks.spawner().drive();
    runtime.spawn(async move {
        let mut timer = Timer::new();
        std::future::poll_fn(|context| {
            loop {
                tasks.spawner().timers().set(Instant::now());
                while tasks.poll(context) {}
                if tasks.is_empty() {
                    return Poll::Ready(());
                }
                if timer.poll(tasks.spawner().timers().next(), context).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await;
    });
    Ok(())
}

/// Tokio's timer, moved only where it must be: most moments that a node names lie behind the one it is set to.
pub struct Timer {
    sleep: Pin<Box<Sleep>>,
    set: Instant,
}

impl Timer {
    pub fn new() -> Self {
        let set = Instant::now() + FAR;
        Self { sleep: Box::pin(tokio::time::sleep_until(set.into())), set }
    }

    /// Ready once the moment may have come.
    pub fn poll(&mut self, moment: Option<Instant>, context: &mut Context<'_>) -> Poll<()> {
        let moment = moment.unwrap_or_else(|| Instant::now() + FAR);
        if moment < self.set {
            self.move_to(moment);
        }
        while self.sleep.as_mut().poll(context).is_ready() {
            if moment <= Instant::now() {
                self.move_to(Instant::now() + FAR);
                return Poll::Ready(());
            }
            self.move_to(moment);
        }
        Poll::Pending
    }

    fn move_to(&mut self, moment: Instant) {
        self.set = moment;
        self.sleep.as_mut().reset(moment.into());
    }
}

type Dial = BoxFuture<'static, Result<(Socket, Peer), Trouble>>;

pub struct Driver {
    /// None for a moment, while one that failed within is replaced.
    node: Option<Node>,
    jobs: UnboundedReceiver<Job>,
    socket: Option<Socket>,
    dial: Option<Dial>,
    timer: Timer,
    room: Box<[u8]>,
    /// Bytes to be written, from `written` on.
    writing: Vec<u8>,
    written: usize,
    /// Something was written that TLS may still hold.
    unflushed: bool,
}

impl Driver {
    pub fn new(node: Node, jobs: UnboundedReceiver<Job>) -> Self {
        Self {
            node: Some(node),
            jobs,
            socket: None,
            dial: None,
            timer: Timer::new(),
            room: vec![0; READ_BYTES].into(),
            writing: Vec::new(),
            written: 0,
            unflushed: false,
        }
    }

    /// Hands the node whatever is ready. Ready when it has ended.
    fn step(&mut self, node: &mut Node, context: &mut Context<'_>) -> Poll<()> {
        let begun = Instant::now();
        let mut now = begun;
        loop {
            let mut went_on = self.fulfil(node);
            if node.is_ended() {
                return Poll::Ready(());
            }
            went_on |= self.poll_dial(node, context, now);
            went_on |= self.poll_read(node, context, now);
            went_on |= self.poll_jobs(node, context, now);
            went_on |= node.run(Some(&mut *context), now);
            if node.next_moment().is_some_and(|moment| moment <= now) {
                node.tick(now);
                went_on = true;
            }
            went_on |= self.poll_write(node, context, now);
            if !went_on && self.timer.poll(node.next_moment(), context).is_pending() {
                return Poll::Pending;
            }
            now = Instant::now();
            if now.saturating_duration_since(begun) >= STRETCH {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    fn fulfil(&mut self, node: &mut Node) -> bool {
        let mut any = false;
        while let Some(wish) = node.wish() {
            any = true;
            (self.socket, self.dial, self.unflushed) = (None, None, false);
            self.writing.clear();
            self.written = 0;
            if let Wish::Dial(target, deadline) = wish {
                self.dial = Some(Box::pin(async move {
                    let peer = Peer::default();
                    let opened = socket::open(&target.address, DIAL_TIMEOUT / 2, &peer.asked);
                    match tokio::time::timeout_at(deadline.into(), opened).await {
                        Ok(Ok(socket)) => Ok((socket, peer)),
                        Ok(Err(trouble)) if trouble.kind == Kind::Tls && peer.asked.any() => Err(tls::unknown_client()),
                        Ok(Err(trouble)) => Err(trouble),
                        Err(_) => Err(unanswered()),
                    }
                }));
            }
        }
        any
    }

    fn poll_dial(&mut self, node: &mut Node, context: &mut Context<'_>, now: Instant) -> bool {
        let Some(dial) = &mut self.dial else { return false };
        let Poll::Ready(result) = dial.as_mut().poll(context) else { return false };
        self.dial = None;
        match result {
            Ok((socket, peer)) => {
                self.socket = Some(socket);
                node.connected(peer, now);
            }
            Err(trouble) => node.lost(trouble, now),
        }
        true
    }

    fn poll_read(&mut self, node: &mut Node, context: &mut Context<'_>, now: Instant) -> bool {
        let Some(socket) = &mut self.socket else { return false };
        let mut room = ReadBuf::new(&mut self.room);
        match Pin::new(socket).poll_read(context, &mut room) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) if room.filled().is_empty() => {
                self.socket = None;
                node.lost(wire::closed(), now);
            }
            Poll::Ready(Ok(())) => node.read(room.filled(), now),
            Poll::Ready(Err(error)) => {
                self.socket = None;
                node.lost(tls::broken(&error).unwrap_or_else(wire::closed), now);
            }
        }
        true
    }

    fn poll_jobs(&mut self, node: &mut Node, context: &mut Context<'_>, now: Instant) -> bool {
        let mut any = false;
        for _ in 0..MAX_JOBS {
            // Nobody can hand over more, and the node knows.
            if self.jobs.is_terminated() {
                break;
            }
            match self.jobs.poll_next_unpin(context) {
                Poll::Pending => break,
                Poll::Ready(Some(job)) => node.call(job, now),
                Poll::Ready(None) => node.close(now),
            }
            any = true;
        }
        any
    }

    fn poll_write(&mut self, node: &mut Node, context: &mut Context<'_>, now: Instant) -> bool {
        let Some(socket) = &mut self.socket else { return false };
        let mut any = false;
        loop {
            if self.written == self.writing.len() {
                self.writing.clear();
                self.writing.shrink_to(KEPT_BYTES);
                self.written = 0;
                node.output(&mut self.writing);
            }
            let rest = self.writing.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            match Pin::new(&mut *socket).poll_write(context, rest) {
                Poll::Pending => break,
                Poll::Ready(Ok(bytes)) if bytes > 0 => {
                    self.written += bytes;
                    self.unflushed = true;
                    any = true;
                }
                Poll::Ready(_) => {
                    self.hang_up(node, context, now);
                    return true;
                }
            }
        }
        if self.unflushed && Pin::new(&mut *socket).poll_flush(context).is_ready() {
            self.unflushed = false;
        }
        any
    }

    /// Nothing can be written any more. Why may lie there to be read: a server says so before it closes.
    fn hang_up(&mut self, node: &mut Node, context: &mut Context<'_>, now: Instant) {
        while self.poll_read(node, context, now) {}
        if self.socket.take().is_some() {
            node.lost(wire::closed(), now);
        }
    }
}

impl Future for Driver {
    /// What the node leaves, and its jobs, where it turned out to be a cluster's.
    type Output = Option<(Spread, UnboundedReceiver<Job>)>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(mut node) = this.node.take() else { return Poll::Ready(None) };
        match catch_unwind(AssertUnwindSafe(|| this.step(&mut node, context))) {
            Ok(Poll::Ready(())) => {
                let (_, none) = unbounded();
                let jobs = std::mem::replace(&mut this.jobs, none);
                Poll::Ready(node.spread().map(|spread| (spread, jobs)))
            }
            Ok(Poll::Pending) => {
                this.node = Some(node);
                Poll::Pending
            }
            // What panics within is an outage like another.
            Err(_) => {
                this.node = catch_unwind(AssertUnwindSafe(|| node.replaced(Instant::now()))).ok();
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}
