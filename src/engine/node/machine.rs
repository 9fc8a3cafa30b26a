//! One server through its states, as a machine without I/O: `Pausing → (Asking →) Dialing → Greeting → Recovering →
//! Serving`, and round again, for as long as a cache is open.
//!
//! **The problem.** A cache must be faster than what it caches, above all while its server is away. So no caller ever
//! waits for a connection that is known to be gone, the server's return is noticed without anyone's traffic, and what
//! was done meanwhile must not leak into the time after.
//!
//! **The approach.** The machine is a value. It is handed calls, bytes, that a connection came up or was lost, and the
//! time; it gives back bytes to write, wishes (dial, close), and the moment at which it wants to be asked again. It
//! knows no socket, no timer and no clock, so that a thread, an event loop or a simulator can drive it. Callers see its
//! state through a gate: `Connection` hands their work to the machine, `Local` runs it on their own thread. Work that
//! arrives while there is no connection is answered at once on the in-process tier; only before the first connection it
//! waits, and no longer than its own deadline. Dialling goes on for ever. When a dial succeeds, what the outage left
//! behind is undone first (gate.rs); then the gate closes, the fallback tier is dropped, and work flows.
//!
//! **Rejected.** *redis-rs' `ConnectionManager`*: it queues callers behind its reconnect outside of their time-out.
//! *A task for each connection*: only a runtime could drive it, and only real time could test it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::time::Instant;

use redis::Value;

use crate::engine::base::clock;
use crate::engine::base::error::Trouble;
use crate::engine::cache::job::Job;
use crate::engine::cache::shared::Shared;
use crate::engine::cache::tell::counters::add;
use crate::engine::fleet::server::Server;
use crate::engine::fleet::topology::Topology;
use crate::engine::net::denied::Denied;
use crate::engine::net::reply::out_of_step;
use crate::engine::net::resp::{Inbound, Message};
use crate::engine::net::wire::{self, Wire};
use crate::engine::node::backoff::Backoff;
use crate::engine::node::gate::{Old, down};
use crate::engine::node::handshake::{Peer, Protocol, Refused, invalidated};
use crate::engine::node::state::{Hint, State, Talk, Wish, unanswered};
use crate::engine::serve::heard::{gathered, heard};
use crate::engine::task::executor::Tasks;

/// One server, and the calls under way to it.
pub struct Node {
    pub(super) shared: Arc<Shared>,
    pub(super) server: Arc<Server>,
    /// Which of its server's nodes it is.
    pub(super) number: u64,
    pub(super) tasks: Tasks,
    pub(super) state: State,
    /// Calls that came before there was a connection, in their order.
    pub(super) waiting: VecDeque<Job>,
    pub(super) wishes: VecDeque<Wish>,
    pub(super) inbound: Inbound,
    pub(super) backoff: Backoff,
    /// What was said already of what the ACL denies.
    pub(super) told: Denied,
    pub(super) old: Option<Old>,
    /// The time that its tasks were told last. Many steps are of one moment, for which no task can wait any more.
    pub(super) time: Instant,
    /// Nobody can call any more.
    pub(super) closing: bool,
    /// Where the server may be elsewhere from one moment to the next.
    hint: Option<Hint>,
    /// It is a cluster's node, and has ended with that: others take over.
    found: Option<Topology>,
}

/// What a node leaves that turned out to be a cluster's: the calls that waited, and what is known of the cluster.
pub struct Spread {
    pub shared: Arc<Shared>,
    pub tasks: Tasks,
    pub waiting: VecDeque<Job>,
    pub topology: Topology,
}

impl Node {
    /// Begins with a dial, or, where it is lazy, with the first call.
    pub fn new(shared: Arc<Shared>, server: Arc<Server>, tasks: Tasks, now: Instant) -> Self {
        let mut node = Self {
            shared,
            number: server.taken(),
            server,
            tasks,
            state: State::Ended,
            waiting: VecDeque::new(),
            wishes: VecDeque::new(),
            inbound: Inbound::default(),
            backoff: Backoff::default(),
            told: Denied::default(),
            old: None,
            time: now,
            closing: false,
            hint: None,
            found: None,
        };
        // A server of a cluster may be another one under the same address.
        if node.shared.fleet.is_moving() || node.server.place > 0 {
            node.hint = Some(Hint::of(&node.server, node.tasks.spawner()));
        }
        node.tasks.spawner().timers().set(now);
        if node.shared.habits.lazy {
            node.state = State::Resting;
        } else {
            node.dial(now);
        }
        node
    }

    /// What is to be done, in this order.
    pub fn wish(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }

    /// What it leaves, where it is a cluster's.
    pub fn spread(&mut self) -> Option<Spread> {
        let topology = self.found.take()?;
        let (shared, waiting) = (self.shared.clone(), std::mem::take(&mut self.waiting));
        let tasks = std::mem::replace(&mut self.tasks, Tasks::new(self.time));
        Some(Spread { shared, tasks, waiting, topology })
    }

    /// Whether it is a cluster's.
    pub fn is_spread(&self) -> bool {
        self.found.is_some()
    }

    /// Calls that wait for the first connection.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Moves the bytes that are to be written to the end of `to`.
    pub fn output(&self, to: &mut Vec<u8>) {
        if let Some(wire) = self.state.wire() {
            let before = to.len();
            wire.output(to);
            if to.len() > before {
                add(&self.shared.traffic.sent, (to.len() - before) as u64);
            }
        }
    }

    /// Work of a caller.
    pub fn call(&mut self, job: Job, now: Instant) {
        self.set(now);
        match &mut self.state {
            State::Serving(pump) => pump.start(job, now),
            State::Resting => {
                self.waiting.push_back(job);
                self.dial(now);
            }
            _ if self.server.is_local() => job.fall_back(),
            _ => self.waiting.push_back(job),
        }
    }

    /// Nobody can call any more: it ends when what is under way has been answered.
    pub fn close(&mut self, now: Instant) {
        self.set(now);
        self.closing = true;
        self.end_if_idle();
    }

    /// The wish to dial was fulfilled.
    pub fn connected(&mut self, peer: Peer, now: Instant) {
        self.set(now);
        match &mut self.state {
            State::Dialing { target, protocol, deadline } => {
                self.state =
                    State::greet(&self.shared, self.tasks.spawner(), &self.server, target, *protocol, peer, *deadline);
            }
            State::Asking { search, sentinel, talk, .. } => {
                *talk = Some(Talk::begin(&self.shared, self.tasks.spawner(), search.name(), sentinel));
            }
            _ => {}
        }
    }

    /// The wish to dial could not be fulfilled, or the connection is gone.
    pub fn lost(&mut self, trouble: Trouble, now: Instant) {
        self.set(now);
        let Some(wire) = self.state.wire() else {
            return match self.state {
                State::Dialing { .. } => self.outage(trouble, now),
                State::Asking { .. } => self.asked(Err(trouble), now),
                _ => {}
            };
        };
        wire.hung_up(trouble);
        self.broken(now);
    }

    /// The wire has failed. The tasks that enter a connection find out first: the handshake knows more than the socket.
    fn broken(&mut self, now: Instant) {
        let Some(wire) = self.state.wire().cloned() else { return };
        let trouble = wire.failure().unwrap_or_else(wire::closed);
        match self.state {
            State::Serving(_) => self.outage(trouble, now),
            _ => wire.close(),
        }
    }

    /// Bytes came, in any pieces.
    pub fn read(&mut self, bytes: &[u8], now: Instant) {
        self.set(now);
        let Some(wire) = self.state.wire().cloned() else { return };
        add(&self.shared.traffic.received, bytes.len() as u64);
        wire.hear();
        let mut inbound = std::mem::take(&mut self.inbound);
        let result = inbound.feed(bytes, |message| match message {
            Message::Push(push) => {
                invalidated(&self.shared, &self.server, &wire, push, clock::millis_of(now));
                Ok(())
            }
            Message::Reply(value) => self.reply(value, &wire, now),
        });
        self.inbound = inbound;
        if let Err(trouble) = result {
            wire.fail(trouble);
            self.broken(now);
        }
        self.end_if_idle();
    }

    fn reply(&mut self, value: Value, wire: &Wire, now: Instant) -> Result<(), Trouble> {
        let Some(values) = wire.reply(value)? else { return Ok(()) };
        match &mut self.state {
            State::Serving(pump) => heard(pump, values, now),
            _ => Err(out_of_step()),
        }
    }

    /// Goes on with what can go on: tasks, and the next step of the state. Whether anything did; where nothing did, the
    /// waker is told when a task can again. No context: none was woken since, at this moment.
    pub fn run(&mut self, context: Option<&mut Context<'_>>, now: Instant) -> bool {
        self.set(now);
        let stepped = self.advance(now);
        let went_on = context.is_some_and(|context| self.tasks.poll(context));
        if self.hint.as_ref().is_some_and(|hint| hint.0.swap(false, Ordering::SeqCst)) {
            self.elsewhere(now);
            return true;
        }
        self.advance(now) || went_on || stepped
    }

    /// A moment that `next_moment` named has come, or has long passed.
    pub fn tick(&mut self, now: Instant) {
        self.set(now);
        if matches!(&self.state, State::Serving(pump) if pump.may_rest(now)) {
            return self.rest(now);
        }
        match self.state.tick(now) {
            Ok(false) => {}
            Ok(true) => return self.dial(now),
            Err(trouble) if matches!(self.state, State::Asking { .. }) => self.asked(Err(trouble), now),
            Err(trouble) => self.outage(trouble, now),
        }
        if self.waiting.front().is_some_and(|job| job.deadline() <= now) {
            down(&self.shared, &self.server, &unanswered(), &mut self.waiting);
        }
    }

    /// When it wants to be ticked next, or before.
    pub fn next_moment(&self) -> Option<Instant> {
        let waiting = self.waiting.front().map(Job::deadline);
        [self.state.next_moment(), waiting, self.tasks.spawner().timers().next()].into_iter().flatten().min()
    }

    pub(super) fn set(&mut self, now: Instant) {
        if self.time != now {
            self.time = now;
            self.tasks.spawner().timers().set(now);
        }
    }

    /// The next step of the state; whether there was one.
    fn advance(&mut self, now: Instant) -> bool {
        match &mut self.state {
            State::Greeting { greeted, target, protocol, deadline, .. } => match greeted.try_recv() {
                Ok(None) => return false,
                Ok(Some(Ok(connection))) => {
                    self.state = State::recover(&self.shared, connection, self.old.clone());
                }
                Ok(Some(Err(Refused::Hello))) if *protocol == Protocol::Resp3 => {
                    let (target, deadline) = (target.clone(), *deadline);
                    drop(self.drop_connection());
                    self.wish_to_dial(target, Protocol::Resp2, deadline);
                }
                Ok(Some(Err(Refused::Cluster(topology)))) => {
                    drop(self.drop_connection());
                    self.found = Some(*topology);
                }
                Ok(Some(Err(refused))) => self.outage(refused.trouble(), now),
                Err(_) => self.outage(wire::closed(), now),
            },
            State::Asking { talk: Some(talk), .. } => match talk.said.try_recv() {
                Ok(None) => return false,
                Ok(Some(said)) => self.asked(said, now),
                Err(_) => self.asked(Err(wire::closed()), now),
            },
            State::Recovering { recovered, .. } => match recovered.try_recv() {
                Ok(None) => return false,
                Ok(Some((connection, result))) => self.recovered(connection, result, now),
                Err(_) => self.outage(wire::closed(), now),
            },
            State::Serving(pump) => match pump.connection.wire.failure() {
                Some(trouble) => self.outage(trouble, now),
                None => match gathered(pump, now) {
                    Ok(true) => {}
                    Ok(false) => return pump.start_next(now),
                    Err(trouble) => self.outage(trouble, now),
                },
            },
            State::Resting | State::Pausing { .. } | State::Asking { .. } | State::Dialing { .. } | State::Ended => {
                return false;
            }
        }
        true
    }
}
