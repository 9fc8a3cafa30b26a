//! Random small histories. They are nonsense: calls overlap, and what they resolve to is any value that somebody wrote
//! to the key, so that every rule has something to say about many of them.

use holdfast::engine::base::random::Random;

use crate::history::{
    Client, Compute, Event, History, Key, MILLI, Mode, Nanos, Outcome, Place, Plan, Record, Run, State, Verb,
};
use crate::rules::counters::{BASE, HEAD};
use crate::schedule::HARD_TIMEOUT;

const KEYS: usize = 2;
const COUNTER: Key = 2;
/// Of syncs.
const FRESH: Key = 3;
const PLACES: [Place; 4] = [
    Place::Environment { process: 0, thread: 0 },
    Place::Environment { process: 0, thread: 1 },
    Place::Environment { process: 1, thread: 0 },
    Place::Foreign,
];
/// Milliseconds whose sums JavaScript computes exactly.
const TTLS: [u64; 5] = [10, 25, 60, 250, 20_000];

pub struct Dice(Random);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(Random::seeded(seed))
    }

    /// A number below this.
    pub fn below(&self, most: u64) -> u64 {
        self.0.bits() % most
    }

    /// Once in so many times.
    pub fn once_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub fn pick<T: Clone>(&self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize].clone()
    }
}

/// The states of a process, each with the moment from which on it is in it.
type Life = Vec<(Nanos, State)>;

struct Maker {
    dice: Dice,
    /// Moments are multiples of this, so that many are the same.
    unit: Nanos,
    last: Nanos,
    lives: [Life; 2],
    value: i64,
    digit: u32,
}

pub fn history(seed: u64) -> History {
    let dice = Dice::new(seed);
    let unit = dice.pick(&[1, 5, 20]) * MILLI;
    let last = unit * (8 + dice.below(24));
    let mut maker = Maker { dice, unit, last, lives: [Vec::new(), Vec::new()], value: 0, digit: 0 };
    let mut events = Vec::new();
    for process in 0..2 {
        maker.lives[process] = maker.life(process, &mut events);
    }
    let mut records = maker.records();
    let written = written(&records);
    let sums = sums(&records);
    for record in &mut records {
        maker.resolve(record, &written, &sums);
    }
    let finals = [0, 1, COUNTER].into_iter().map(|key| {
        let before = maker.bytes(key, &written, &sums);
        let after = if maker.dice.once_in(5) { maker.bytes(key, &written, &sums) } else { before.clone() };
        (key, before, after)
    });
    let finals = finals.collect();
    let left =
        (0..KEYS).map(|key| (key, maker.dice.once_in(2).then(|| maker.moment() + maker.dice.pick(&TTLS) * MILLI)));
    let left = left.collect();
    let plan = Plan {
        names: ["k0", "k1", "n0", "sync"].map(String::from).to_vec(),
        keys: vec![0, 1],
        counters: vec![COUNTER],
        head: HEAD,
        ..Plan::default()
    };
    let ended = if maker.dice.once_in(4) { vec![PLACES[1]] } else { Vec::new() };
    let lost = if maker.dice.once_in(8) { vec!["theirs".to_string()] } else { Vec::new() };
    History { plan, records, events, finals, left, ended, lost, ..History::default() }
}

impl Maker {
    fn moment(&self) -> Nanos {
        self.dice.below(self.last / self.unit + 1) * self.unit
    }

    fn life(&self, process: usize, events: &mut Vec<Event>) -> Life {
        let mut moments: Vec<_> = (0..self.dice.below(4)).map(|_| self.moment()).collect();
        moments.sort_unstable();
        let mut life = vec![(0, State { mode: Mode::Redis, since: 1 })];
        for (i, at) in moments.into_iter().enumerate() {
            let fallback = i % 2 == 0;
            let mode = if fallback { Mode::Memory } else { Mode::Redis };
            life.push((at, State { mode, since: i as u64 + 2 }));
            if !self.dice.once_in(10) {
                events.push(Event { process, fallback, at });
            }
        }
        life
    }

    fn state(&self, place: Place, at: Nanos) -> State {
        let Place::Environment { process, .. } = place else { return State { mode: Mode::Foreign, since: 0 } };
        let life = &self.lives[process];
        if self.dice.once_in(30) {
            return self.dice.pick(life).1;
        }
        life.iter().rfind(|(from, _)| *from <= at).map_or(life[0].1, |(_, state)| *state)
    }

    fn records(&mut self) -> Vec<Record> {
        // Each process has used Redis.
        let first = PLACES[..3].iter().map(|place| self.record(*place, Verb::Sync { key: FRESH }, 0));
        let mut records: Vec<_> = first.collect();
        for _ in 0..8 + self.dice.below(40) {
            let place = self.dice.pick(&PLACES);
            let verb = if place == Place::Foreign { self.foreign() } else { self.verb() };
            let start = self.moment();
            records.push(self.record(place, verb, start));
        }
        for place in &PLACES[..3] {
            for key in 0..=COUNTER {
                let start = self.last + self.dice.below(4) * self.unit;
                let verb =
                    if self.dice.once_in(4) { Verb::GetMany { keys: vec![0, 1, COUNTER] } } else { Verb::Get { key } };
                let record = self.record(*place, verb, start);
                records.push(Record { client: Client::Settle, ..record });
            }
        }
        records.sort_by_key(|record| record.start);
        for (seq, record) in records.iter_mut().enumerate() {
            record.seq = seq as u32;
        }
        records
    }

    fn record(&self, place: Place, verb: Verb, start: Nanos) -> Record {
        let settles = place == Place::Foreign || !self.dice.once_in(25);
        let end = settles.then(|| start + self.dice.below(5) * self.unit);
        let runs = match &verb {
            Verb::Compute(compute) => self.runs(place, compute, start),
            _ => Vec::new(),
        };
        Record {
            verb,
            place,
            client: Client::Plan(0),
            seq: 0,
            before: self.state(place, start),
            after: end.map(|end| self.state(place, end)),
            start,
            end,
            outcome: Outcome::None,
            runs,
        }
    }

    fn runs(&self, place: Place, compute: &Compute, start: Nanos) -> Vec<Run> {
        let mut runs = Vec::new();
        for key in &compute.keys {
            for _ in 0..self.dice.below(3) {
                let start = start + self.dice.below(2) * self.unit;
                let end = (!self.dice.once_in(8)).then(|| start + self.dice.below(4) * self.unit);
                let landed = end.filter(|_| !self.dice.once_in(8)).map(|end| end + self.dice.below(4) * self.unit);
                runs.push(Run {
                    key: *key,
                    value: compute.value + runs.len() as i64,
                    start,
                    before: self.state(place, start),
                    end,
                    after: end.map(|end| self.state(place, end)),
                    landed: landed.map(|at| (at, self.state(place, at))),
                });
            }
        }
        runs
    }

    fn verb(&mut self) -> Verb {
        let key = self.dice.below(KEYS as u64) as Key;
        let many = self.dice.once_in(3);
        let keys = if many { vec![0, 1] } else { vec![key] };
        let tag = self.dice.once_in(3).then(|| self.dice.below(2) as usize);
        let ttl = Some(self.dice.pick(&TTLS));
        self.value += 10;
        match self.dice.below(26) {
            0..=5 => Verb::Get { key },
            6 | 7 => Verb::GetMany { keys: vec![0, COUNTER, 1] },
            8..=10 => Verb::Sync { key: FRESH },
            11..=14 => Verb::Set { key, value: self.value, ttl, tag },
            15 | 16 => Verb::Del { keys },
            17 => Verb::Invalidate { tag: self.dice.below(2) as usize },
            18 => {
                let pattern = self.dice.pick(&[None, Some("*"), Some("k*"), Some("k0"), Some("?[0-1]")]);
                Verb::Sweep { pattern: pattern.map(String::from) }
            }
            19 => Verb::Expire { key, ttl: self.dice.pick(&TTLS) },
            20 | 21 => {
                self.digit += 1;
                Verb::Increment { key: COUNTER, amount: BASE.pow(self.digit % 22) }
            }
            22 => Verb::Get { key: COUNTER },
            _ => Verb::Compute(Compute {
                keys,
                many,
                value: self.value,
                ttl,
                tag,
                lock: !self.dice.once_in(4),
                ms: 0,
                swr: 0,
                grace: 0,
                early: 0.0,
                timeout: None,
                hard: HARD_TIMEOUT,
                fails: false,
                nothing: false,
            }),
        }
    }

    fn foreign(&mut self) -> Verb {
        let key = self.dice.below(KEYS as u64) as Key;
        self.value += 10;
        match self.dice.below(16) {
            0..=5 => Verb::Set { key, value: self.value, ttl: Some(self.dice.pick(&TTLS)), tag: None },
            6..=9 => Verb::Del { keys: vec![key] },
            10 => Verb::Flush,
            _ => Verb::Probe { key },
        }
    }

    /// Gives a call a result.
    fn resolve(&self, record: &mut Record, written: &[(Key, i64)], sums: &[i64]) {
        let dice = &self.dice;
        if record.end.is_none() {
            return;
        }
        if record.place != Place::Foreign && dice.once_in(50) {
            record.outcome = Outcome::Error("ERR_ON_PURPOSE".into());
            return;
        }
        let value = |key: &Key| if *key == COUNTER { self.sum(sums) } else { self.value_of(*key, written) };
        record.outcome = match &record.verb {
            Verb::Get { key } | Verb::Increment { key, .. } => Outcome::Value(value(key)),
            Verb::GetMany { keys } => Outcome::Values(keys.iter().map(value).collect()),
            Verb::Compute(compute) if compute.many => Outcome::Values(compute.keys.iter().map(value).collect()),
            Verb::Compute(compute) => Outcome::Value(value(&compute.keys[0])),
            Verb::Expire { .. } => Outcome::Flag(dice.once_in(2)),
            Verb::Probe { key } => {
                let left = if dice.once_in(6) { -1 } else { dice.pick(&TTLS) as i64 - dice.below(12) as i64 };
                Outcome::Found(self.bytes(*key, written, sums), left)
            }
            _ => Outcome::Done,
        };
    }

    fn value_of(&self, key: Key, written: &[(Key, i64)]) -> Option<i64> {
        let there: Vec<_> = written.iter().filter(|(other, _)| *other == key).collect();
        match self.dice.below(12) {
            0..=3 => None,
            4 => Some(self.dice.pick(written).1),
            _ if there.is_empty() => None,
            _ => Some(self.dice.pick(&there).1),
        }
    }

    fn sum(&self, sums: &[i64]) -> Option<i64> {
        let dice = &self.dice;
        let head = if dice.once_in(3) { 0 } else { HEAD };
        let chosen = sums.iter().filter(|_| !dice.once_in(3)).map(|amount| amount * (1 + i64::from(dice.once_in(20))));
        match dice.below(15) {
            0 => None,
            1 => Some(-1),
            2 => Some(head + 3),
            _ => Some(head + chosen.sum::<i64>()),
        }
    }

    fn bytes(&self, key: Key, written: &[(Key, i64)], sums: &[i64]) -> Option<Vec<u8>> {
        let value = if key == COUNTER { self.sum(sums) } else { self.value_of(key, written) };
        match self.dice.below(12) {
            0 if key != COUNTER => Some(b"\xfelease".to_vec()),
            1 if key != COUNTER => Some(b"\xffheader".to_vec()),
            _ => value.map(|value| value.to_string().into_bytes()),
        }
    }
}

/// All values, by their keys.
fn written(records: &[Record]) -> Vec<(Key, i64)> {
    let mut written = vec![(0, 1), (1, 2)];
    for record in records {
        if let Verb::Set { key, value, .. } = record.verb {
            written.push((key, value));
        }
        written.extend(record.runs.iter().map(|run| (run.key, run.value)));
    }
    written
}

/// All amounts.
fn sums(records: &[Record]) -> Vec<i64> {
    let amount = |record: &Record| match record.verb {
        Verb::Increment { amount, .. } => Some(amount),
        _ => None,
    };
    records.iter().filter_map(amount).collect()
}
