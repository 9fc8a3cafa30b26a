//! Time as the in-process tier sees it: milliseconds of the monotonic clock, so that a change of the system's clock
//! expires nothing. Callers' threads ask the clock that their engine was given; the machine is told the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use once_cell::sync::Lazy;

static START: Lazy<Instant> = Lazy::new(Instant::now);

/// The clock of an engine.
#[derive(Clone)]
pub enum Clock {
    System,
    /// A simulation's: the time is what was told last.
    Told(Arc<Told>),
}

impl Clock {
    pub fn now(&self) -> Instant {
        match self {
            Self::System => Instant::now(),
            Self::Told(told) => told.now(),
        }
    }

    /// As `millis_of`.
    pub fn now_ms(&self) -> u64 {
        millis_of(self.now())
    }
}

/// The time of a simulation: so much after its beginning.
pub struct Told {
    from: Instant,
    nanos: AtomicU64,
}

impl Told {
    pub fn new(from: Instant) -> Self {
        Self { from, nanos: AtomicU64::new(0) }
    }

    pub fn set(&self, nanos: u64) {
        self.nanos.store(nanos, Ordering::Relaxed);
    }

    pub fn nanos(&self) -> u64 {
        self.nanos.load(Ordering::Relaxed)
    }

    fn now(&self) -> Instant {
        self.from + Duration::from_nanos(self.nanos())
    }
}

/// The moment from which these milliseconds count.
pub fn origin() -> Instant {
    *START
}

/// A moment in milliseconds since the first use in this process.
pub fn millis_of(moment: Instant) -> u64 {
    u64::try_from(moment.saturating_duration_since(*START).as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970, for people to read (`health().since`); nothing is decided by it.
pub fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// How long an entry lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    Forever,
    Millis(u64),
}

impl Ttl {
    /// The bridge passes milliseconds as a number, infinity for no expiry.
    pub fn from_ms(ms: f64) -> Self {
        if ms.is_finite() { Self::Millis((ms as u64).max(1)) } else { Self::Forever }
    }

    /// The moment of the monotonic clock at which it ends; `u64::MAX` for never.
    pub fn deadline(self, now: u64) -> u64 {
        match self {
            Self::Forever => u64::MAX,
            Self::Millis(ms) => now.saturating_add(ms),
        }
    }

    /// Milliseconds as Redis' PX takes them; none for no expiry.
    pub fn px(self) -> Option<u64> {
        match self {
            Self::Forever => None,
            Self::Millis(ms) => Some(ms),
        }
    }
}
