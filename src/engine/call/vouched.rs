//! Until when what the near cache holds may be served: for how long the connection's last answer vouches for it, and
//! how long ago an event loop that has the socket to itself looked at it (race 6 of near.rs).
//!
//! A thread reads invalidations as they come. An event loop reads them when it polls, and one that is busy does not: it
//! may run for a second, or await values that are held here and never poll at all. So where it has not looked for more
//! than `UNSEEN`, nothing that is held is served before it has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::engine::base::mutant;
use crate::engine::call::sink::{CLOCKS, SLOTS, Versions};

/// No event loop has the socket: a thread reads what comes when it comes.
const ALWAYS: u64 = u64::MAX;
/// The moment until which an engine vouches is moved by at least so many milliseconds, so that not each reply moves it.
const MIN_STEP_MS: u64 = 20;
/// As that, for looks at the socket.
const MIN_LOOK_MS: u64 = 2;
/// How long, in milliseconds, an event loop may not have looked: what a turn of a busy one takes.
pub const UNSEEN: u64 = 20;

/// Until when every connected server of an engine vouches. Hot values do not know whose they are, and look at this
/// alone: where one of several servers is silent, no hot value is served until that one is known to be away.
pub struct Clock {
    /// Where, among the counters, hot values find it.
    pub counter: usize,
    /// Of each server; 0 where it vouches for nothing.
    until: Mutex<Vec<u64>>,
}

impl Clock {
    /// `id`: the engine's.
    pub fn new(id: u32) -> Arc<Self> {
        Arc::new(Self { counter: SLOTS + id as usize % CLOCKS, until: Mutex::default() })
    }

    fn join(&self) -> usize {
        let mut until = self.until.lock();
        until.push(0);
        until.len() - 1
    }

    /// A server vouches until then; until when all of those do that vouch at all.
    fn set(&self, member: usize, moment: u64) -> u64 {
        let mut until = self.until.lock();
        if let Some(own) = until.get_mut(member) {
            *own = moment;
        }
        until.iter().copied().filter(|moment| *moment > 0).min().unwrap_or(0)
    }
}

pub struct Vouched {
    /// Of the monotonic clock, in milliseconds.
    until: AtomicU64,
    looked: AtomicU64,
    clock: Arc<Clock>,
    member: usize,
}

impl Vouched {
    pub fn new(clock: &Arc<Clock>) -> Self {
        let (clock, member) = (clock.clone(), clock.join());
        Self { until: AtomicU64::new(0), looked: AtomicU64::new(ALWAYS), clock, member }
    }

    /// It vouches for nothing from here on.
    pub fn leave(&self) {
        self.clock.set(self.member, 0);
    }

    pub fn holds(&self, now: u64) -> bool {
        now <= self.until.load(Ordering::SeqCst) && self.seen(now)
    }

    /// Whether its event loop has looked at the socket a short while ago.
    pub fn seen(&self, now: u64) -> bool {
        now <= self.looked.load(Ordering::SeqCst).saturating_add(UNSEEN) || mutant::lacks("seen")
    }

    /// The connection vouches until then; whether that is worth telling.
    pub fn extend(&self, until: u64) -> bool {
        // Of replies that come many a millisecond, few say more than the one before.
        let worth = until >= self.until.load(Ordering::SeqCst).saturating_add(MIN_STEP_MS);
        if worth {
            self.until.store(until, Ordering::SeqCst);
        }
        worth
    }

    /// Its event loop has looked; none where a thread does so from here on. Whether that is worth telling.
    pub fn looked(&self, at: Option<u64>) -> bool {
        let (before, at) = (self.looked.load(Ordering::SeqCst), at.unwrap_or(ALWAYS));
        let worth = at == ALWAYS || before == ALWAYS || at >= before.saturating_add(MIN_LOOK_MS);
        if worth {
            self.looked.store(at, Ordering::SeqCst);
        }
        worth && before != at
    }

    pub fn tell(&self, versions: &dyn Versions) {
        let looked = self.looked.load(Ordering::SeqCst).saturating_add(UNSEEN);
        let until = self.until.load(Ordering::SeqCst).min(looked);
        let all = self.clock.set(self.member, until);
        // The low bits: whoever reads them compares them with the low bits of a moment nearby.
        versions.counters()[self.clock.counter].store(all as i32, Ordering::SeqCst);
    }
}
