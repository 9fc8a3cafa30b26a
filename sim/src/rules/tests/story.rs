//! Small histories made by hand, and what the rules find in them. Times are milliseconds.

use std::ops::Range;

use crate::history::{
    Client, Compute, Event, History, Key, MILLI, Mishap, Mode, Outcome, Place, Plan, Record, Run, State, Verb,
};
use crate::rules::check;
use crate::rules::counters::HEAD;
use crate::schedule::HARD_TIMEOUT;

pub const A: Place = Place::Environment { process: 0, thread: 0 };
/// Another thread of A's process.
pub const A2: Place = Place::Environment { process: 0, thread: 1 };
pub const B: Place = Place::Environment { process: 1, thread: 0 };
pub const F: Place = Place::Foreign;

/// Keys: two of the same name in two namespaces, a counter, and one for syncs.
pub const K: Key = 0;
pub const OTHER: Key = 1;
pub const N: Key = 2;
const FRESH: Key = 3;

pub const REDIS: State = State { mode: Mode::Redis, since: 1 };
pub const AWAY: State = State { mode: Mode::Memory, since: 2 };
pub const AGAIN: State = State { mode: Mode::Redis, since: 3 };
const LONG: u64 = 20_000;

pub struct Story(pub History);

impl Story {
    pub fn new() -> Self {
        let plan = Plan {
            names: ["k0", "k0", "n0", "sync"].map(String::from).to_vec(),
            keys: vec![K, OTHER],
            counters: vec![N],
            head: HEAD,
            spaces: vec![0, 1],
            homes: vec![(A2, 1)],
            ..Plan::default()
        };
        Self(History { plan, ..History::default() })
    }

    /// A call with Redis in use, from its start to its end.
    pub fn call(&mut self, place: Place, times: Range<u64>, verb: Verb, outcome: Outcome) -> &mut Record {
        let state = if place == F { State { mode: Mode::Foreign, since: 0 } } else { REDIS };
        self.within(place, times, (state, state), verb, outcome)
    }

    /// As `call`, in these states.
    pub fn within(
        &mut self,
        place: Place,
        times: Range<u64>,
        (before, after): (State, State),
        verb: Verb,
        outcome: Outcome,
    ) -> &mut Record {
        let records = &mut self.0.records;
        let (start, end) = (times.start * MILLI, Some(times.end * MILLI));
        let (after, client) = (Some(after), Client::Plan(0));
        records.push(Record { verb, place, client, seq: 0, before, after, start, end, outcome, runs: Vec::new() });
        records.last_mut().unwrap()
    }

    /// A write, a delete or a sync in Redis, which takes two milliseconds.
    pub fn does(&mut self, place: Place, start: u64, verb: Verb) -> &mut Record {
        self.call(place, start..start + 2, verb, Outcome::Done)
    }

    pub fn reads(&mut self, place: Place, start: u64, value: Option<i64>) -> &mut Record {
        self.call(place, start..start + 2, Verb::Get { key: K }, Outcome::Value(value))
    }

    /// The last call of all, when nobody writes any more.
    pub fn looks(&mut self, place: Place, start: u64, value: Option<i64>) {
        self.reads(place, start, value).client = Client::Settle;
    }

    /// A computation of K that took all its time, but for a millisecond before and two behind it, in which it was
    /// stored.
    pub fn computes(&mut self, place: Place, times: Range<u64>, compute: Compute, value: i64) -> &mut Record {
        let mut run = run(times.start + 1..times.end - 2, value);
        run.landed = Some((times.end * MILLI, REDIS));
        let record = self.call(place, times, Verb::Compute(compute), Outcome::Value(Some(value)));
        record.runs.push(run);
        record
    }

    pub fn event(&mut self, process: usize, fallback: bool, at: u64) {
        self.0.events.push(Event { process, fallback, at: at * MILLI });
    }

    pub fn mishap(&mut self, mishap: Mishap) {
        self.0.mishaps.push(mishap);
    }

    /// The guarantees that do not hold.
    pub fn found(&mut self) -> Vec<&'static str> {
        self.0.records.sort_by_key(|record| record.start);
        for (seq, record) in self.0.records.iter_mut().enumerate() {
            record.seq = seq as u32;
        }
        check(&self.0).iter().map(|violation| violation.guarantee).collect()
    }
}

pub fn set(value: i64) -> Verb {
    Verb::Set { key: K, value, ttl: Some(LONG), tag: None }
}

pub fn del() -> Verb {
    Verb::Del { keys: vec![K] }
}

pub fn sync() -> Verb {
    Verb::Sync { key: FRESH }
}

pub fn sweep() -> Verb {
    Verb::Sweep { pattern: None }
}

pub fn compute(value: i64) -> Compute {
    Compute {
        keys: vec![K],
        many: false,
        value,
        ttl: Some(LONG),
        tag: None,
        lock: true,
        ms: 0,
        swr: 0,
        grace: 0,
        early: 0.0,
        timeout: None,
        hard: HARD_TIMEOUT,
        fails: false,
        nothing: false,
    }
}

pub fn run(times: Range<u64>, value: i64) -> Run {
    let (start, end) = (times.start * MILLI, Some(times.end * MILLI));
    let landed = end.map(|end| (end + MILLI, REDIS));
    Run { key: K, value, start, before: REDIS, end, after: Some(REDIS), landed }
}
