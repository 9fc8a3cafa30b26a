//! Drives a node in steps, for an event loop that does the I/O itself.
//!
//! **The problem.** What a lone call costs is waking a processor that sleeps. With a thread of ours between the event
//! loop and the socket there are two such wake-ups for each call; where the event loop reads and writes the socket
//! itself there is one.
//!
//! **The approach.** The event loop's thread runs a step for each thing that happened: calls were handed over, bytes
//! came, a moment has come. A step hands it to the node, lets it go on as far as it can, and says what is to be done
//! then: bytes to write, a dial, the next moment. Jobs of the loop's own calls are taken within the call that hands
//! them over. Whatever comes from another thread rings a bell, once, until the next step.
//!
//! **One owner.** The node belongs to the event loop that opened it. Where a second environment (a worker thread) uses
//! the engine too, or the owner ends, the node moves to the engine's thread: there it serves all of them, and no event
//! loop that is blocked keeps another one waiting.
//!
//! **Blocked.** An event loop that makes no step renews no lease either. While leases are held another thread looks
//! after them (`conversation/stand_in.rs`).
//!
//! **Looking.** An event loop that is busy reads no invalidations. So it says when it has looked at the socket, and
//! what the near cache holds is served only for a short while after that (`call/vouched.rs`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_channel::mpsc::UnboundedReceiver;
use futures_util::StreamExt;
use futures_util::stream::FusedStream;
use parking_lot::Mutex;

use crate::engine::base::clock;
use crate::engine::base::error::Trouble;
use crate::engine::cache::job::Job;
use crate::engine::conversation::stand_in::Watch;
use crate::engine::fleet::server::Server;
use crate::engine::node::bell::{Bell, Poke};
use crate::engine::node::handshake::Peer;
use crate::engine::node::machine::Node;
use crate::engine::node::state::{State, Wish};

/// After so much work at a stretch the event loop is given to others.
const STRETCH: Duration = Duration::from_millis(1);
/// Jobs that are handed over before it is looked at the time again.
const MAX_JOBS: usize = 64;

/// What has happened.
pub enum Event<'a> {
    /// Jobs may have come.
    Turn,
    /// The moment that was told has come.
    Moment,
    Bytes(&'a [u8]),
    Connected,
    Lost(Trouble),
}

/// What is to be done after a step.
#[derive(Default)]
pub struct Done {
    /// Wishes wait to be taken.
    pub wishes: bool,
    /// There is more to do at once: a further step in the next turn.
    pub more: bool,
    /// The moment of the next step, where it is earlier than the one that was told before: so far from now.
    pub moment: Option<Duration>,
    /// Leases are held: `stand_in` is to be asked, so far from now.
    pub watch: Option<Duration>,
    /// The node is gone: it has ended, or moved.
    pub gone: bool,
}

/// A node and the queue of its jobs.
pub struct Driven {
    pub node: Node,
    pub jobs: UnboundedReceiver<Job>,
}

struct Inner {
    /// None for a moment, while one that failed within is replaced, and once it is gone.
    driven: Option<Driven>,
    wishes: Vec<Wish>,
    /// The moment that the owner knows.
    told: Option<Instant>,
    watch: Watch,
    /// Who takes the node as soon as no call is under way, and no long work. Until then no further ones are.
    successor: Option<Successor>,
    /// Who takes it where it turns out to be a cluster's.
    spread: Option<Successor>,
}

/// Takes a node, to drive it elsewhere.
pub type Successor = Box<dyn FnOnce(Driven) + Send>;

impl Inner {
    fn pass_on(&mut self) {
        if let (Some(mut driven), Some(successor)) = (self.driven.take(), self.successor.take()) {
            driven.node.server.near.looked(None);
            driven.node.moved(Instant::now());
            successor(driven);
        }
    }
}

/// The steps of one node.
pub struct Steps {
    inner: Mutex<Inner>,
    server: Arc<Server>,
    bell: Arc<Bell>,
}

impl Steps {
    /// `spread`: who takes the node where it turns out to be a cluster's.
    pub fn new(driven: Driven, spread: impl FnOnce(Driven) + Send + 'static) -> Self {
        let server = driven.node.server.clone();
        server.near.looked(Some(0));
        let watch = Watch::new(Instant::now());
        let spread: Option<Successor> = Some(Box::new(spread));
        let inner = Inner { driven: Some(driven), wishes: Vec::new(), told: None, watch, successor: None, spread };
        Self { inner: Mutex::new(inner), server, bell: Arc::default() }
    }

    /// Whether what is held may be served only once the socket has been looked at.
    pub fn is_blind(&self) -> bool {
        let near = &self.server.near;
        near.is_armed() && !near.vouched.seen(clock::millis_of(Instant::now()))
    }

    /// At this moment nothing was left to be read.
    pub fn looked(&self, at: Instant) {
        // Under the lock: a node that has moved is looked at by its thread.
        if self.inner.lock().driven.is_some() {
            self.server.near.looked(Some(clock::millis_of(at)));
        }
    }

    /// Whom to ask for a step.
    pub fn attach(&self, poke: Poke) {
        let _ = self.bell.poke.set(poke);
    }

    /// Asks for a step, from any thread.
    pub fn ring(&self) {
        self.bell.ring();
    }

    /// A step is about to be made: nothing needs to ring for it.
    pub fn announce(&self) {
        self.bell.begin();
    }

    /// Hands over what has happened, and goes on as far as the node can. Bytes to be written go to the end of `output`.
    pub fn step(&self, event: Event<'_>, output: &mut Vec<u8>) -> Done {
        self.announce();
        let inner = &mut *self.inner.lock();
        let begun = Instant::now();
        inner.watch.step(begun);
        if matches!(event, Event::Moment) {
            inner.told = None;
        }
        let Some(mut driven) = inner.driven.take() else { return Done { gone: true, ..Done::default() } };
        let moving = inner.successor.is_some();
        let result = catch_unwind(AssertUnwindSafe(|| self.go_on(&mut driven, event, begun, moving, output)));
        let more = match result {
            Ok(more) => more,
            // What panics within is an outage like another.
            Err(_) => {
                output.clear();
                let Driven { node, jobs } = driven;
                let Ok(node) = catch_unwind(AssertUnwindSafe(|| node.replaced(Instant::now()))) else {
                    return Done { gone: true, ..Done::default() };
                };
                driven = Driven { node, jobs };
                true
            }
        };
        while let Some(wish) = driven.node.wish() {
            output.clear();
            inner.wishes.push(wish);
        }
        if inner.successor.is_some() && driven.node.state.is_quiet() {
            inner.driven = Some(driven);
            inner.pass_on();
            output.clear();
            return Done { gone: true, ..Done::default() };
        }
        if driven.node.is_spread()
            && let Some(spread) = inner.spread.take()
        {
            // The thread drives all of its servers.
            driven.node.server.near.looked(None);
            output.clear();
            spread(driven);
            return Done { gone: true, ..Done::default() };
        }
        let next = driven.node.next_moment();
        let moment = next.filter(|next| inner.told.is_none_or(|told| *next < told));
        inner.told = moment.or(inner.told);
        let gone = driven.node.is_ended();
        let watch = inner.watch.begin(&driven.node.shared.flights);
        if !gone {
            inner.driven = Some(driven);
        }
        let moment = moment.map(|moment| moment.saturating_duration_since(Instant::now()));
        Done { wishes: !inner.wishes.is_empty(), more, moment, watch, gone }
    }

    /// For another thread, which writes the output: renews the leases of an event loop that is blocked, unless `output`
    /// has bytes that the socket did not take. When it wants to be asked again.
    pub fn stand_in(&self, now: Instant, output: &mut Vec<u8>) -> Option<Duration> {
        let inner = &mut *self.inner.lock();
        let node = &mut inner.driven.as_mut()?.node;
        let look = inner.watch.look(&node.shared.flights, output.is_empty(), now);
        if let (true, State::Serving(pump)) = (look.renew, &mut node.state) {
            pump.stand_in(now);
            node.output(output);
        }
        look.next
    }

    fn go_on(&self, driven: &mut Driven, event: Event<'_>, begun: Instant, moving: bool, output: &mut Vec<u8>) -> bool {
        let mut now = begun;
        let Driven { node, jobs } = driven;
        match event {
            Event::Turn | Event::Moment => {}
            Event::Bytes(bytes) => node.read(bytes, now),
            Event::Connected => node.connected(Peer::default(), now),
            Event::Lost(trouble) => node.lost(trouble, now),
        }
        let waker = Waker::from(self.bell.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            let mut went_on = !moving && take(node, jobs, &mut context, now);
            went_on |= node.run(Some(&mut context), now);
            if node.next_moment().is_some_and(|moment| moment <= now) {
                node.tick(now);
                went_on = true;
            }
            if !went_on && self.bell.rest() || node.is_ended() {
                break;
            }
            now = Instant::now();
            if now.saturating_duration_since(begun) >= STRETCH {
                self.bell.end();
                node.output(output);
                return true;
            }
        }
        node.output(output);
        false
    }

    /// What the node wants done, in this order.
    pub fn wishes(&self) -> Vec<Wish> {
        std::mem::take(&mut self.inner.lock().wishes)
    }

    /// Whether the node has ended, or moved.
    pub fn is_gone(&self) -> bool {
        self.inner.lock().driven.is_none()
    }

    /// The node turned out to be a cluster's, and the engine's thread has it.
    pub fn is_spread(&self) -> bool {
        self.inner.lock().spread.is_none()
    }

    /// The node is to be driven by another one, as soon as what is under way has been answered.
    pub fn hand_over(&self, successor: impl FnOnce(Driven) + Send + 'static) {
        let mut inner = self.inner.lock();
        inner.successor.get_or_insert_with(|| Box::new(successor));
        let idle = inner.driven.as_ref().is_some_and(|driven| driven.node.state.is_quiet());
        if idle {
            inner.pass_on();
        }
        drop(inner);
        self.ring();
    }

    /// The owner has had its time: its event loop is blocked. What is under way is answered on the in-process tier.
    pub fn seize(&self) {
        self.inner.lock().pass_on();
        self.ring();
    }

    /// The owner ends, and its node with it: what is under way is answered on the in-process tier.
    pub fn end(&self) {
        let driven = self.inner.lock().driven.take();
        drop(driven);
    }
}

fn take(node: &mut Node, jobs: &mut UnboundedReceiver<Job>, context: &mut Context<'_>, now: Instant) -> bool {
    let mut any = false;
    for _ in 0..MAX_JOBS {
        // Nobody can hand over more, and the node knows.
        if jobs.is_terminated() {
            break;
        }
        match jobs.poll_next_unpin(context) {
            Poll::Pending => break,
            Poll::Ready(Some(job)) => node.call(job, now),
            Poll::Ready(None) => node.close(now),
        }
        any = true;
    }
    any
}
