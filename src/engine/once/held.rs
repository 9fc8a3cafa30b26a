//! What this engine holds in Redis, or may hold: the markers that are to be renewed while its event loop is blocked
//! (conversation/stand_in.rs).
//!
//! The table of flights says it, and no list beside it. A task enters a list when it runs for the first time, and where
//! thousands of leases come at once a function begins, and blocks the event loop, before all tasks have run. A flight
//! is in the table from its read on, and is gone or fenced as soon as it may not store: because of a write, or because
//! its cache was closed or its environment has ended. Nor does a list know of a lease that was asked for, and whose
//! reply lies in a socket that nobody reads.

use std::sync::atomic::Ordering;

use crate::engine::once::flight::Flights;
use crate::engine::once::lease::{self, LONGEST};
use crate::engine::once::waiters::{Flight, Lease, State};

/// A marker that lies in Redis, or may.
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    /// The stored key where it lies: the one that is computed, or that of a refresh's lock.
    pub at: Box<str>,
    pub token: u32,
}

impl Flights {
    /// The lock under which a flight refreshes the entry at `key` lies at this stored key.
    pub fn locked(&self, key: &str, token: u32, lock: &str) {
        if let Some(flight) = self.table.lock().find(key, token) {
            flight.lock = Some(lock.into());
        }
    }

    /// Whether a lease was asked for since `holds` found none: spares who looks often the lock of the table.
    pub fn may_hold(&self) -> bool {
        self.asking.load(Ordering::Relaxed)
    }

    /// Whether any flight holds a lease, or may.
    pub fn holds(&self) -> bool {
        // Before the look: who asks for a lease says so under the lock of the table, so none is missed.
        self.asking.store(false, Ordering::Relaxed);
        let holds = self.table.lock().flights.values().flatten().any(Flight::may_hold);
        if holds {
            self.asking.store(true, Ordering::Relaxed);
        }
        holds
    }

    /// All that is to be renewed at this moment, in milliseconds.
    pub fn held(&self, now: u64) -> Vec<Held> {
        let longest = lease::millis(LONGEST);
        let mut held = Vec::new();
        for (key, flights) in &self.table.lock().flights {
            let fresh = |flight: &&Flight| flight.since.is_none_or(|since| now.saturating_sub(since) < longest);
            for flight in flights.iter().filter(|flight| flight.may_hold()).filter(fresh) {
                held.push(Held { at: flight.lock.as_ref().unwrap_or(key).clone(), token: flight.token });
            }
        }
        held
    }
}

impl Flight {
    /// Whether a marker of its lies in Redis, or may, and is of use.
    fn may_hold(&self) -> bool {
        let asks = self.asked || self.state == State::Asking;
        !self.fenced && (self.lease != Lease::None || asks && !self.is_computing())
    }
}
