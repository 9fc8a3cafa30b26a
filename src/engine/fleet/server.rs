//! One server as callers see it: whether it is in use, how long it takes to answer, how many calls are under way to it,
//! what it vouches for, and what an outage leaves to be undone on it.
//!
//! The machine that speaks with the server (`node`) changes this state; callers read it on their own threads. A second
//! server is a second value of both.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use serde_json::{Value, json};

use crate::engine::base::error::Trouble;
use crate::engine::call::called::Called;
use crate::engine::call::vouched::Clock;
use crate::engine::fleet::endpoint::Endpoint;
use crate::engine::net::denied::Denied;
use crate::engine::net::wire::Wire;
use crate::engine::task::executor::Spawner;
use crate::engine::task::signal::Signal;
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

/// How a server stands, for those who look after it.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    pub up: bool,
    /// Milliseconds since 1970.
    pub since: u64,
    pub last_error: Option<(Trouble, u64)>,
    pub version: Option<String>,
    /// Since when it is away, if it is.
    pub outage_since: Option<u64>,
    /// The first attempt to connect is over.
    pub decided: bool,
}

/// A connection in use. What is asked on it is written by whoever drives its node, who runs when there are tasks: so
/// whoever else asks does so in a task of this node.
#[derive(Clone)]
pub struct InUse {
    pub wire: Wire,
    pub denied: Denied,
    pub tasks: Spawner,
}

/// What makes a server a replica, which is only read, and only while it is known to be near its primary.
#[derive(Default)]
struct Replica {
    /// In milliseconds of the engine's clock.
    near_until: AtomicU64,
}

/// What the callers' threads and the machine share of one server.
pub struct Server {
    /// Its place among the servers of its fleet; 0 for that of the URL.
    pub place: u16,
    /// Where it is, where the cluster said so.
    pub at: Option<Endpoint>,
    pub standing: Mutex<Standing>,
    /// The connection in use, for what is asked of it by others than its node.
    pub in_use: Mutex<Option<InUse>>,
    /// Held for reading by a batch that runs on its caller's thread, for writing by a change of mode.
    pub gate: RwLock<Gate>,
    /// What was read from it, for as long as it vouches for that.
    pub near: Near,
    /// What is to be undone on it before anything is read from it again.
    pub journal: Journal,
    /// Somebody said that it is elsewhere now.
    pub elsewhere: Signal,
    /// It is a replica of a cluster's primary.
    replica: Option<Replica>,
    /// When its connection was taken into use, in milliseconds of the engine's clock.
    pub opened: AtomicU64,
    /// How many nodes have had it; it is the last one's.
    nodes: AtomicU64,
    /// It has slots of another one that was away perhaps: what was written in process under their keys goes once it is
    /// in use.
    pub heir: AtomicBool,
    /// Calls handed over and not answered yet.
    in_flight: AtomicUsize,
    pub latency: Latency,
}

impl Server {
    /// `clock`, of hot values, and `called`: the engine's.
    pub fn new(
        place: u16,
        at: Option<Endpoint>,
        gate: Gate,
        budget: &Arc<Budget>,
        clock: &Arc<Clock>,
        called: &Arc<Called>,
    ) -> Self {
        Self {
            place,
            at,
            standing: Mutex::default(),
            in_use: Mutex::default(),
            gate: RwLock::new(gate),
            near: Near::new(budget, clock, called),
            journal: Journal::default(),
            elsewhere: Signal::default(),
            replica: None,
            opened: AtomicU64::new(0),
            nodes: AtomicU64::new(0),
            heir: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            latency: Latency::default(),
        }
    }

    /// It, for those who look after it; `slots`: how many it serves, where it is a cluster's.
    pub fn node(&self, address: Option<String>, slots: Option<u32>) -> Value {
        let Standing { up, since, last_error, .. } = self.standing.lock().clone();
        let error = last_error
            .map(|(trouble, at)| json!({ "kind": trouble.kind.name(), "message": trouble.message, "at": at }));
        let (p50, p99) = percentiles([&self.latency]);
        json!({
            "address": address,
            "role": "primary",
            "mode": if up { "redis" } else { "memory" },
            "since": since,
            "lastError": error,
            "latencyMs": { "p50": p50, "p99": p99 },
            "slots": slots,
        })
    }

    /// A connection is about to be made, and nothing is known of it: calls wait for that.
    pub fn begins(&self) {
        *self.standing.lock() = Standing::default();
        self.set_gate(Gate::Connection);
    }

    /// A node drives it from here on: its number.
    pub fn taken(&self) -> u64 {
        self.nodes.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Whether it is this node's still. One that ends while calls are under way may end behind the beginning of the
    /// next one.
    pub fn is_of(&self, node: u64) -> bool {
        self.nodes.load(Ordering::SeqCst) == node
    }

    pub fn as_replica(self) -> Self {
        Self { replica: Some(Replica::default()), ..self }
    }

    pub fn is_replica(&self) -> bool {
        self.replica.is_some()
    }

    /// A replica is known to be near its primary until then; 0: it is not known to be.
    pub fn is_near_until(&self, until: u64) {
        if let Some(replica) = &self.replica {
            replica.near_until.store(until, Ordering::SeqCst);
        }
    }

    /// Whether it is a replica that may be read now.
    pub fn may_be_read(&self, now: u64) -> bool {
        self.replica.as_ref().is_some_and(|replica| now < replica.near_until.load(Ordering::SeqCst))
    }

    pub fn is_local(&self) -> bool {
        self.gate.read().is_local()
    }

    /// How it is named to those who look after it; the one of the URL has no name, as a host is half of a URL.
    pub fn name(&self) -> Option<String> {
        self.at.as_ref().map(ToString::to_string)
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

/// How many round trips the percentiles look back on.
const WINDOW: usize = 1024;
/// The upper bounds of the histogram of batches, in microseconds: from a server beside us to far beyond the usual
/// `timeoutMs`. `src/js/cache/report.js` names them.
const BOUNDS: [u32; 13] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000];

/// The last round trips of a server.
#[derive(Debug, Default)]
pub struct Latency(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    /// Microseconds.
    samples: Vec<u32>,
    /// The oldest, once there are as many as are kept.
    next: usize,
    batches: Durations,
}

/// How long all batches took whose replies came.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Durations {
    /// How many took no longer than each of the bounds, and longer than the one before it; last those beyond all.
    pub counts: [u64; BOUNDS.len() + 1],
    /// Microseconds.
    pub sum: u64,
}

impl Durations {
    /// Those of all servers.
    pub fn of<'a>(all: impl IntoIterator<Item = &'a Latency>) -> Self {
        let mut sum = Self::default();
        for one in all {
            let Window { batches, .. } = &*one.0.lock();
            sum.sum += batches.sum;
            sum.counts.iter_mut().zip(batches.counts).for_each(|(sum, count)| *sum += count);
        }
        sum
    }
}

impl Latency {
    /// A batch of calls was answered.
    pub fn record_batch(&self, took: Duration) {
        let micros = self.note(took);
        let Window { batches, .. } = &mut *self.0.lock();
        batches.sum += u64::from(micros);
        batches.counts[BOUNDS.partition_point(|bound| *bound < micros)] += 1;
    }

    /// A round trip of another kind.
    pub fn record(&self, took: Duration) {
        self.note(took);
    }

    fn note(&self, took: Duration) -> u32 {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        let Window { samples, next, .. } = &mut *self.0.lock();
        if samples.len() < WINDOW {
            samples.push(micros);
        } else {
            samples[*next] = micros;
            *next = (*next + 1) % WINDOW;
        }
        micros
    }
}

/// p50 and p99 of all that these keep, in milliseconds; 0 before the first round trip.
pub fn percentiles<'a>(all: impl IntoIterator<Item = &'a Latency>) -> (f64, f64) {
    let mut samples: Vec<u32> = all.into_iter().flat_map(|one| one.0.lock().samples.clone()).collect();
    samples.sort_unstable();
    let at = |q: f64| {
        let i = ((samples.len() as f64 * q).ceil() as usize).clamp(1, samples.len().max(1)) - 1;
        samples.get(i).map_or(0.0, |&us| f64::from(us) / 1000.0)
    };
    (at(0.50), at(0.99))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Durations, Latency, WINDOW, percentiles};

    #[test]
    fn the_last_round_trips_of_all_servers_count() {
        let (one, other) = (Latency::default(), Latency::default());
        assert_eq!(percentiles([&one, &other]), (0.0, 0.0));
        (0..WINDOW + 500).for_each(|_| one.record(Duration::from_millis(9)));
        (0..WINDOW).for_each(|_| one.record(Duration::from_millis(1)));
        assert_eq!(percentiles([&one]), (1.0, 1.0));
        (0..WINDOW / 50).for_each(|_| other.record(Duration::from_millis(5)));
        assert_eq!(percentiles([&one, &other]), (1.0, 5.0));
    }

    #[test]
    fn the_batches_of_all_servers_are_counted_up_to_the_bound_that_they_took() {
        let (one, other) = (Latency::default(), Latency::default());
        [99, 100, 101].into_iter().for_each(|micros| one.record_batch(Duration::from_micros(micros)));
        other.record_batch(Duration::from_secs(2));
        // A PING is none.
        other.record(Duration::from_micros(1));
        let Durations { counts, sum } = Durations::of([&one, &other]);
        assert_eq!((counts[..3].to_vec(), counts[13], sum), (vec![2, 1, 0], 1, 2_000_300));
        assert_eq!(counts.iter().sum::<u64>(), 4);
    }
}
