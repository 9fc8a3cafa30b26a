//! One server as callers see it: whether it is in use, how many calls are under way to it, what it vouches for, and
//! what an outage leaves to be undone on it.
//!
//! The machine that speaks with the server (`node`) changes this state; callers read it on their own threads. A second
//! server is a second value of both.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::engine::tier::budget::Budget;
use crate::engine::tier::journal::Journal;
use crate::engine::tier::near::Near;

/// Where calls go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// To the engine's thread: Redis is in use, or about to be.
    Connection,
    /// The in-process tier, on the caller's thread: Redis is away, or there is none.
    Local,
}

impl Gate {
    pub fn is_local(self) -> bool {
        self == Self::Local
    }
}

/// What the callers' threads and the machine share of one server.
pub struct Server {
    /// Held for reading by a batch that runs on its caller's thread, for writing by a change of mode.
    pub gate: RwLock<Gate>,
    /// What was read from it, for as long as it vouches for that.
    pub near: Near,
    /// What is to be undone on it before anything is read from it again.
    pub journal: Journal,
    /// Calls handed over and not answered yet.
    in_flight: AtomicUsize,
}

impl Server {
    /// `id`: the engine's, which names the clock of its hot values.
    pub fn new(gate: Gate, budget: &Arc<Budget>, id: u32) -> Self {
        Self {
            gate: RwLock::new(gate),
            near: Near::new(budget, id),
            journal: Journal::default(),
            in_flight: AtomicUsize::new(0),
        }
    }

    pub fn is_local(&self) -> bool {
        self.gate.read().is_local()
    }

    /// Callers hand their work to the machine (`Connection`), or run it themselves (`Local`). Waits for those who run
    /// it now.
    pub fn set_gate(&self, gate: Gate) {
        *self.gate.write() = gate;
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    pub fn enter(&self, calls: usize) {
        self.in_flight.fetch_add(calls, Ordering::SeqCst);
    }

    pub fn leave(&self, calls: usize) {
        self.in_flight.fetch_sub(calls, Ordering::SeqCst);
    }
}
