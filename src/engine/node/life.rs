//! What becomes of a node: it dials, is connected, recovers, loses its connection, moves, ends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::base::{clock, mutant};
use crate::engine::cache::job::Job;
use crate::engine::conversation::connection::Connection;
use crate::engine::conversation::finding::Said;
use crate::engine::fleet::members::Way;
use crate::engine::fleet::sentinels::Search;
use crate::engine::fleet::server::Gate;
use crate::engine::net::resp::Inbound;
use crate::engine::net::target::Target;
use crate::engine::node::backoff::LONGEST_PAUSE;
use crate::engine::node::gate::{self, Old, down, lose};
use crate::engine::node::handshake::Protocol;
use crate::engine::node::machine::Node;
use crate::engine::node::state::{State, Wish};
use crate::engine::serve::pump::Pump;
use crate::engine::task::executor::Tasks;

/// The longest pause behind a hint: all of a fleet's processes get it in the same moment.
const HINTED: Duration = Duration::from_millis(100);
/// A connection to a server of a cluster is not given up for what others say before it has lasted this long.
const KEPT: Duration = Duration::from_secs(1);

impl Node {
    /// Goes to where the server is: to its address, or to those who know it.
    pub(super) fn dial(&mut self, now: Instant) {
        self.shared.status.probing(true);
        match self.shared.fleet.way(&self.server, &self.shared.random) {
            Some(Way::To(target)) => self.dial_server(target, now),
            Some(Way::Ask(sentinels)) => self.ask_next(Search::new(sentinels, now), now),
            None => self.outage(Trouble::new(Kind::Connect, "the server's address is not known"), now),
        }
    }

    fn dial_server(&mut self, target: Arc<Target>, now: Instant) {
        // Longer than usual where calls are allowed to take longer.
        let deadline = now + self.shared.fleet.dial_timeout().max(self.shared.patience() * 2);
        self.wish_to_dial(target, Protocol::Resp3, deadline);
    }

    /// Asks the next sentinel which server is the primary.
    fn ask_next(&mut self, mut search: Search, now: Instant) {
        match search.next(now) {
            Some((sentinel, until)) => {
                self.wishes.push_back(Wish::Dial(sentinel.clone(), until));
                self.state = State::Asking { search, sentinel, until, talk: None };
            }
            None => self.outage(search.trouble(), now),
        }
    }

    /// What a sentinel said, or why it said nothing.
    pub(super) fn asked(&mut self, said: Result<Said, Trouble>, now: Instant) {
        let State::Asking { mut search, .. } = self.drop_connection() else { return };
        match said {
            Ok(said) => match self.shared.fleet.named(&said.primary, &said.others) {
                Some(target) => self.dial_server(target, now),
                None => self.outage(Trouble::new(Kind::Connect, "the server's address is not known"), now),
            },
            Err(trouble) => {
                search.failed(trouble);
                self.ask_next(search, now);
            }
        }
    }

    pub(super) fn wish_to_dial(&mut self, target: Arc<Target>, protocol: Protocol, deadline: Instant) {
        self.wishes.push_back(Wish::Dial(target.clone(), deadline));
        self.state = State::Dialing { target, protocol, deadline };
    }

    pub(super) fn recovered(&mut self, connection: Connection, result: Result<u64, Trouble>, now: Instant) {
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
    pub(super) fn outage(&mut self, trouble: Trouble, now: Instant) {
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
        let longest = self.shared.fleet.longest_pause();
        // A cluster that is down is so for as long as an election takes.
        let kind = if self.server.place > 0 && trouble.kind == Kind::Cluster { Kind::Loading } else { trouble.kind };
        self.state = State::Pausing { until: now + self.backoff.pause(kind, longest, &self.shared.random) };
    }

    /// It is said to be elsewhere now: whoever knows is asked, soon, or its address is dialled anew.
    pub(super) fn elsewhere(&mut self, now: Instant) {
        match &self.state {
            // It is being asked, or nobody needs it.
            State::Asking { .. } | State::Resting | State::Ended => return,
            State::Pausing { .. } => {}
            // What it does not redirect is its own: that is not answered in process. And where it was dialled just now,
            // and says the same, that helps no more.
            State::Serving(pump) if self.server.place > 0 => {
                if pump.is_quiet() && now.saturating_duration_since(pump.since) >= KEPT {
                    self.moved(now);
                }
                return;
            }
            _ if self.server.place > 0 => return,
            _ => self.outage(Trouble::new(Kind::Connection, "the sentinels name another primary"), now),
        }
        if let State::Pausing { until } = &mut self.state {
            *until = now + HINTED.mul_f64(self.shared.random.part());
        }
    }

    /// Gives the socket up, and what was known of the stream; what the state was.
    pub(super) fn drop_connection(&mut self) -> State {
        self.wishes = VecDeque::from([Wish::Close]);
        if !mutant::lacks("torn") {
            self.inbound = Inbound::default();
        }
        if let Some(wire) = self.state.wire() {
            wire.close();
        }
        std::mem::replace(&mut self.state, State::Ended)
    }

    /// Nobody has called for a while: the connection is closed, and what it vouched for ends. That is no outage.
    pub(super) fn rest(&mut self, now: Instant) {
        gate::moving(&self.shared, &self.server, now);
        drop(self.drop_connection());
        self.state = State::Resting;
    }

    pub(super) fn end_if_idle(&mut self) {
        // A cluster that does not agree yet may give a slot to a server and take it back while that is dialled: what
        // was sent there meanwhile has its answer from there, and a redirect where it is no more.
        let waits = self.server.place > 0 && !self.waiting.is_empty();
        if self.closing && !waits && self.state.is_idle() {
            self.end();
        }
    }

    pub(super) fn end(&mut self) {
        drop(self.drop_connection());
        // Whoever waits for one of its tasks is told.
        drop(std::mem::replace(&mut self.tasks, Tasks::new(self.time)));
        if self.server.is_of(self.number) {
            *self.server.in_use.lock() = None;
            self.shared.fleet.set_gate(&self.server, Gate::Local);
        }
        self.waiting.drain(..).for_each(Job::fall_back);
    }

    /// It is driven elsewhere from here on: it gives its connection up and dials at once. Calls wait for that one as
    /// for the first; what is under way on the old one is answered on the in-process tier.
    pub fn moved(&mut self, now: Instant) {
        self.set(now);
        gate::moving(&self.shared, &self.server, now);
        let resting = matches!(self.drop_connection(), State::Resting);
        if resting {
            self.state = State::Resting;
        } else {
            self.dial(now);
        }
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
