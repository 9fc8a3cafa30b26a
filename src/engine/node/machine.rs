//! One server through its states, as a machine without I/O: `Pausing → Dialing → Greeting → Recovering → Serving`, and
//! round again, for as long as a cache is open.
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
use std::task::Context;
use std::time::Instant;

use redis::Value;

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::base::{clock, mutant};
use crate::engine::cache::job::Job;
use crate::engine::cache::shared::Shared;
use crate::engine::conversation::connection::Connection;
use crate::engine::fleet::server::{Gate, Server};
use crate::engine::net::denied::Denied;
use crate::engine::net::reply::out_of_step;
use crate::engine::net::resp::{Inbound, Message};
use crate::engine::net::target::Target;
use crate::engine::net::wire::{self, Wire};
use crate::engine::node::backoff::{Backoff, LONGEST_PAUSE};
use crate::engine::node::gate::{self, Old, down, lose};
use crate::engine::node::handshake::{Peer, Protocol, Refused, invalidated};
use crate::engine::node::heard::heard;
use crate::engine::node::pump::Pump;
use crate::engine::node::state::{DIAL_TIMEOUT, State, Wish, unanswered};
use crate::engine::task::executor::Tasks;

/// One server, and the calls under way to it.
pub struct Node {
    pub(super) shared: Arc<Shared>,
    pub(super) server: Arc<Server>,
    tasks: Tasks,
    pub(super) state: State,
    /// Calls that came before there was a connection, in their order.
    waiting: VecDeque<Job>,
    wishes: VecDeque<Wish>,
    inbound: Inbound,
    backoff: Backoff,
    /// What was said already of what the ACL denies.
    told: Denied,
    old: Option<Old>,
    /// The time that its tasks were told last. Many steps are of one moment, for which no task can wait any more.
    time: Instant,
    /// Nobody can call any more.
    closing: bool,
}

impl Node {
    /// Begins with a dial.
    pub fn new(shared: Arc<Shared>, server: Arc<Server>, tasks: Tasks, now: Instant) -> Self {
        let mut node = Self {
            shared,
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
        };
        node.tasks.spawner().timers().set(now);
        node.dial(now);
        node
    }

    /// What is to be done, in this order.
    pub fn wish(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
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
            wire.output(to);
        }
    }

    /// Work of a caller.
    pub fn call(&mut self, job: Job, now: Instant) {
        self.set(now);
        match &mut self.state {
            State::Serving(pump) => pump.start(job, now),
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
        let State::Dialing { target, protocol, deadline } = &self.state else { return };
        self.state = State::greet(&self.shared, &self.server, target, *protocol, peer, *deadline);
    }

    /// The wish to dial could not be fulfilled, or the connection is gone.
    pub fn lost(&mut self, trouble: Trouble, now: Instant) {
        self.set(now);
        let Some(wire) = self.state.wire() else {
            if matches!(self.state, State::Dialing { .. }) {
                self.outage(trouble, now);
            }
            return;
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
        wire.hear();
        let mut inbound = std::mem::take(&mut self.inbound);
        let result = inbound.feed(bytes, |message| match message {
            Message::Push(push) => {
                invalidated(&self.shared, &self.server, push, clock::millis_of(now));
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
        self.advance(now) || went_on || stepped
    }

    /// A moment that `next_moment` named has come, or has long passed.
    pub fn tick(&mut self, now: Instant) {
        self.set(now);
        match self.state.tick(now) {
            Ok(false) => {}
            Ok(true) => return self.dial(now),
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

    fn set(&mut self, now: Instant) {
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
                Ok(Some(Err(refused))) => self.outage(refused.trouble(), now),
                Err(_) => self.outage(wire::closed(), now),
            },
            State::Recovering { recovered, .. } => match recovered.try_recv() {
                Ok(None) => return false,
                Ok(Some((connection, result))) => self.recovered(connection, result, now),
                Err(_) => self.outage(wire::closed(), now),
            },
            State::Serving(pump) => match pump.connection.wire.failure() {
                Some(trouble) => self.outage(trouble, now),
                None => return pump.start_next(now),
            },
            State::Pausing { .. } | State::Dialing { .. } | State::Ended => return false,
        }
        true
    }

    fn dial(&mut self, now: Instant) {
        self.shared.status.probing(true);
        // Longer than usual where calls are allowed to take longer.
        let deadline = now + DIAL_TIMEOUT.max(self.shared.patience() * 2);
        match self.shared.fleet.target(&self.server).cloned() {
            Some(target) => self.wish_to_dial(target, Protocol::Resp3, deadline),
            None => self.outage(Trouble::new(Kind::Connect, "the server's address is not known"), now),
        }
    }

    fn wish_to_dial(&mut self, target: Arc<Target>, protocol: Protocol, deadline: Instant) {
        self.wishes.push_back(Wish::Dial(target.clone(), deadline));
        self.state = State::Dialing { target, protocol, deadline };
    }

    fn recovered(&mut self, connection: Connection, result: Result<u64, Trouble>, now: Instant) {
        match result {
            // Work that came meanwhile may have waited for too long, and then callers run on the fallback tier again.
            Ok(_) if self.server.is_local() => {
                self.outage(Trouble::new(Kind::Timeout, "the server was too slow while recovering"), now);
            }
            Ok(replayed) => {
                gate::open(&self.shared, &connection, replayed, &mut self.told, clock::millis_of(now));
                self.old = Old::of(&connection);
                let mut pump = Box::new(Pump::new(&self.shared, connection, now));
                self.waiting.drain(..).for_each(|job| pump.start(job, now));
                self.state = State::Serving(pump);
                self.end_if_idle();
            }
            Err(trouble) => self.outage(trouble, now),
        }
    }

    /// There is no connection from here on: nobody waits for it.
    fn outage(&mut self, trouble: Trouble, now: Instant) {
        if self.closing {
            return self.end();
        }
        match self.drop_connection() {
            State::Serving(pump) => {
                lose(&self.shared, &self.server, &trouble, now);
                self.backoff.lived(now.saturating_duration_since(pump.since));
                // It answers what is under way.
                drop(pump);
            }
            other => {
                drop(other);
                down(&self.shared, &self.server, &trouble, &mut self.waiting);
            }
        }
        self.shared.status.probing(false);
        self.state = State::Pausing { until: now + self.backoff.pause(trouble.kind, &self.shared.random) };
    }

    /// Gives the socket up, and what was known of the stream; what the state was.
    fn drop_connection(&mut self) -> State {
        self.wishes = VecDeque::from([Wish::Close]);
        if !mutant::lacks("torn") {
            self.inbound = Inbound::default();
        }
        if let Some(wire) = self.state.wire() {
            wire.close();
        }
        std::mem::replace(&mut self.state, State::Ended)
    }

    fn end_if_idle(&mut self) {
        if self.closing && self.state.is_idle() {
            self.end();
        }
    }

    fn end(&mut self) {
        drop(self.drop_connection());
        self.server.set_gate(Gate::Local);
        self.waiting.drain(..).for_each(Job::fall_back);
    }

    /// It is driven elsewhere from here on: it gives its connection up and dials at once. Calls wait for that one as
    /// for the first; what is under way on the old one is answered on the in-process tier.
    pub fn moved(&mut self, now: Instant) {
        self.set(now);
        gate::moving(&self.shared, &self.server, now);
        drop(self.drop_connection());
        self.dial(now);
    }

    /// It failed within, and is replaced: the tasks and what is under way are dropped, and so answered. The next one
    /// begins with a long pause.
    pub fn replaced(self, now: Instant) -> Self {
        let Self { shared, server, tasks, state, waiting, .. } = self;
        let trouble = Trouble::new(Kind::Connection, "the connection's task failed; please report this");
        lose(&shared, &server, &trouble, now);
        drop(state);
        waiting.into_iter().for_each(Job::fall_back);
        let mut node = Self::new(shared, server, tasks, now);
        node.wishes = VecDeque::from([Wish::Close]);
        node.shared.status.probing(false);
        node.state = State::Pausing { until: now + LONGEST_PAUSE };
        node
    }
}
