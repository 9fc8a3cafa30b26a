//! The stand-in: renews the leases of an event loop that is blocked.
//!
//! **The problem.** An event loop that drives its node itself (node/steps.rs) makes no step while it is blocked, by a
//! function that computes without a break or by anything else. So the tasks of leases.rs do not run, and after 3 s each
//! lease has ended: another process computes as well, and no result of this one is stored. The function of a cache is
//! what takes long; that it does so without a break is common.
//!
//! **The approach.** While leases are held, the engine's thread looks once in a while when the last step was made.
//! Where that is longer ago than `BLOCKED`, it writes a pipeline to the same socket, behind what the node has sent,
//! which renews them all, and does so each `RENEWAL` until the next step. It only writes: the replies lie in the socket
//! until the event loop reads them in their turn. It holds the locks under which steps are made, so what the two send
//! has one order. An event loop with a lease that is not blocked makes a step each second, and the thread then finds
//! nothing to do; while no lease is held it does not look.
//!
//! **Why a renewal does no harm.** `RENEW` changes nothing but the time left of this flight's own marker, and no other
//! flight has that marker. Behind a delete, a write, a result, a release, or a lease that another flight or process has
//! taken over, the marker is gone and the renewal does nothing. In front of one of these it is overtaken by it: none of
//! them asks how long the marker would have stayed. Which flights are renewed is read from their table when the
//! pipeline is made, so none is that was fenced or ended, whose cache was closed or whose environment has ended; nor a
//! function that runs for `LONGEST`, or any behind an event loop that is blocked for so long.
//!
//! **No outage.** Nobody reads the replies in time, and that is not the server's fault: what was due until the last
//! renewal's own deadline is not taken for an outage before the socket could be read (`Pump::tick`).
//!
//! **Rejected.** *A short connection of the thread's own*: a dial and a handshake each second, a second way to fail
//! (credentials, `maxclients`), and an order against the first connection to be argued for. *To read the socket too*:
//! Node's read is under no lock of ours, so the bytes of two readers could change places. *To run the node's tasks from
//! the thread*: they wait for replies, and would take those that nobody reads for an outage. *To move the node to the
//! thread*: that gives up what is under way, and the leases' tasks have the old connection. *Longer leases*: these are
//! what the death of an owner costs those who wait.
//!
//! **The limits.** Where there is no connection, or the socket takes no bytes, nothing is renewed: the leases end as
//! those of an outage do. A process that gets no processor time renews nothing, whichever thread has the socket.

use std::time::{Duration, Instant};

use redis::Pipeline;

use crate::engine::cache::shared::Shared;
use crate::engine::once::flight::Flights;
use crate::engine::once::lease::{self, Holder, LONGEST, RENEWAL};

/// An event loop that made no step for so long is blocked: with a lease it would make one each second. A renewal may
/// have been sent a second before its last step; then 0.8 s of the lease are left.
pub const BLOCKED: Duration = Duration::from_millis(1_200);
/// What the socket did not take is offered again after this long.
pub const UNWRITTEN: Duration = Duration::from_millis(50);

/// When another thread looks after the leases of an event loop.
pub struct Watch {
    /// When the event loop began its last step.
    stepped: Instant,
    /// No renewal is due before.
    due: Instant,
    /// A further look comes.
    looks: bool,
}

/// What a look came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Look {
    /// The leases are to be renewed.
    pub renew: bool,
    /// The next look, so far from now; none where nothing is held.
    pub next: Option<Duration>,
}

impl Watch {
    pub fn new(now: Instant) -> Self {
        Self { stepped: now, due: now, looks: false }
    }

    /// The event loop begins a step.
    pub fn step(&mut self, now: Instant) {
        self.stepped = now;
    }

    /// The first look, so far from now, where leases may be held and no further look comes.
    pub fn begin(&mut self, flights: &Flights) -> Option<Duration> {
        let begins = !self.looks && flights.may_hold();
        self.looks |= begins;
        begins.then_some(BLOCKED)
    }

    /// A look. `written`: the socket has taken all that was to be written.
    pub fn look(&mut self, flights: &Flights, written: bool, now: Instant) -> Look {
        let blocked = now.saturating_duration_since(self.stepped);
        if blocked >= LONGEST || !flights.holds() {
            self.looks = false;
            return Look { renew: false, next: None };
        }
        if blocked >= BLOCKED && !written {
            return Look { renew: false, next: Some(UNWRITTEN) };
        }
        let due = self.due.max(self.stepped + BLOCKED);
        if now < due {
            return Look { renew: false, next: Some(due.saturating_duration_since(now)) };
        }
        self.due = now + RENEWAL;
        Look { renew: true, next: Some(UNWRITTEN) }
    }
}

/// What renews all that the engine holds; `now` in milliseconds. None where it holds nothing.
pub fn renewals(shared: &Shared, now: u64) -> Option<Pipeline> {
    let held = shared.flights.held(now);
    let mut pipeline = Pipeline::with_capacity(held.len());
    for (place, held) in held.iter().enumerate() {
        // The first one teaches the server the script, which the others name.
        let holder = Holder { engine: shared.name, token: held.token };
        pipeline.add_command(lease::renew(place == 0, &held.at, holder));
    }
    (!pipeline.is_empty()).then_some(pipeline)
}
