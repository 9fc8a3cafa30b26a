//! Schedules from a seed. The same seed and index give the same schedule, whatever ran before.

use holdfast::engine::base::random::Random;

use crate::history::{Compute, Key, MILLI, Place, Plan, Tag, Verb};
use crate::schedule::{ClientPlan, Fault, Kind, Name, PLACES, Schedule, Settings, Step};
use crate::themes::{THEMES, Theme};

/// A counter's amounts are the powers of 4, one for each increment, so that a sum says which it holds, and which it
/// holds twice.
const DIGITS: u32 = 22;
/// How long a connection vouches for what is held, from when its last request was sent: until it is asked whether it
/// lives, and behind the deadline of that, which is this one at least. In milliseconds.
const IDLE: u64 = 1_250;
const LEAST_DEADLINE: u64 = 250;

/// The schedule of this index.
pub fn schedule(seed: u64, index: u64) -> Schedule {
    let random = Random::seeded(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ index.wrapping_mul(0xD134_2543_DE82_EF95));
    let theme = &THEMES[random.bits() as usize % THEMES.len()];
    Planner {
        random,
        theme,
        keys: Vec::new(),
        counters: Vec::new(),
        tags: 0,
        names: Vec::new(),
        values: 0,
        digits: [0; 4],
    }
    .plan(seed, index)
}

struct Planner {
    random: Random,
    theme: &'static Theme,
    names: Vec<String>,
    keys: Vec<Key>,
    counters: Vec<Key>,
    tags: usize,
    values: i64,
    digits: [u32; 4],
}

impl Planner {
    /// An integer from `low` to `high`.
    fn int(&self, [low, high]: [u64; 2]) -> u64 {
        low + self.random.bits() % (high - low + 1)
    }

    fn chance(&self, part: f64) -> bool {
        self.random.part() <= part
    }

    fn pick<'a, T>(&self, list: &'a [T]) -> &'a T {
        &list[self.random.bits() as usize % list.len()]
    }

    fn weighted<T: Copy>(&self, weights: &[(T, f64)]) -> T {
        let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
        let mut left = self.random.part() * sum;
        for (name, weight) in weights {
            left -= weight;
            if left <= 0.0 {
                return *name;
            }
        }
        weights[0].0
    }

    fn plan(mut self, seed: u64, index: u64) -> Schedule {
        let theme = self.theme;
        for i in 0..self.int(theme.keys) {
            self.keys.push(self.names.len());
            self.names.push(format!("k{i}"));
        }
        for i in 0..theme.counters {
            self.counters.push(self.names.len());
            self.names.push(format!("n{i}"));
        }
        self.tags = self.int([1, 2]) as usize;
        let mut places = PLACES.to_vec();
        for _ in 0..self.int(theme.more) {
            places.push(*self.pick(theme.more_of));
        }
        let mut clients: Vec<ClientPlan> = places.into_iter().map(|place| self.client(place)).collect();
        if theme.foreign_always || self.chance(0.5) {
            for _ in 0..theme.foreigners {
                clients.push(self.foreigner());
            }
        }
        let faults = self.int(if theme.certain { [1, 3] } else { [0, 2] });
        let faults = (0..faults).map(|_| self.fault()).collect();
        let settings = Settings {
            timeout_ms: self.int(theme.timeout_ms),
            near: self.chance(0.9),
            stale: self.chance(0.7),
            window: if self.chance(0.2) { self.int([1, 6]) as usize } else { 16_384 },
            resp2: self.chance(0.05),
            walled: self.chance(0.1),
            tracked: if self.chance(0.05) { Some(self.int([1, 3]) as usize) } else { None },
            max_age: if self.chance(0.15) { Some(self.int([1, 20])) } else { None },
        };
        let plan = Plan {
            names: self.names,
            keys: self.keys,
            counters: self.counters,
            head: 1 << (2 * DIGITS),
            trust: Some((IDLE + settings.timeout_ms.max(LEAST_DEADLINE)) * MILLI),
            max_age: settings.max_age.map(|ms| ms * MILLI),
            ..Plan::default()
        };
        Schedule { seed, index, theme: theme.name, plan, clients, faults, settings }
    }

    fn fault(&self) -> Fault {
        let kind = self.weighted(self.theme.faults);
        let at = if matches!(kind, Kind::End | Kind::Lag | Kind::Die) { self.theme.at } else { [0, 40] };
        let process = *self.pick(self.theme.faulty);
        Fault { kind, process, at: self.int(at), lasts: self.int(self.theme.lasts), ms: self.int(self.theme.lag) }
    }

    fn client(&mut self, place: Place) -> ClientPlan {
        let theme = self.theme;
        let steps = (0..self.int([6, 16])).map(|_| {
            let pause = if self.chance(0.3) { 0 } else { self.int(theme.pause) };
            let calls = if theme.bursts_always || self.chance(0.3) { self.int(theme.bursts) } else { 1 };
            Step { pause, calls: (0..calls).map(|_| self.call(theme.ops)).collect() }
        });
        ClientPlan { place, steps: steps.collect() }
    }

    fn foreigner(&mut self) -> ClientPlan {
        let theme = self.theme;
        let steps = (0..self.int(theme.foreign_steps)).map(|_| {
            let pause = self.int([0, 12]);
            let call = if self.chance(0.03) { Verb::Flush } else { self.untagged(theme.foreign) };
            Step { pause, calls: vec![call] }
        });
        ClientPlan { place: Place::Foreign, steps: steps.collect() }
    }

    fn untagged(&mut self, ops: &[(Name, f64)]) -> Verb {
        match self.call(ops) {
            Verb::Set { key, value, ttl, .. } => Verb::Set { key, value, ttl, tag: None },
            call => call,
        }
    }

    fn name(&mut self, name: String) -> Key {
        self.names.push(name);
        self.names.len() - 1
    }

    fn call(&mut self, ops: &[(Name, f64)]) -> Verb {
        match self.weighted(ops) {
            Name::Get => {
                let counts = ops.iter().any(|(name, _)| *name == Name::Increment);
                let counter = counts && self.chance(0.3);
                Verb::Get { key: *self.pick(if counter { &self.counters } else { &self.keys }) }
            }
            Name::GetMany => {
                let mut keys = self.keys.clone();
                if self.chance(0.3) {
                    keys.extend(&self.counters);
                }
                Verb::GetMany { keys }
            }
            Name::Sync => {
                self.values += 1;
                let name = format!("sync:{}", self.values);
                Verb::Sync { key: self.name(name) }
            }
            Name::Probe => Verb::Probe { key: *self.pick(&self.keys) },
            Name::Increment => self.increment(),
            Name::Invalidate => Verb::Invalidate { tag: self.tag() },
            Name::Sweep => {
                let pattern = self.pick(&[None, Some("*"), Some("k*"), Some("k0"), Some("?[0-1]")]);
                Verb::Sweep { pattern: pattern.map(str::to_owned) }
            }
            Name::Del if self.chance(0.2) => Verb::Del { keys: self.keys.clone() },
            Name::Del => Verb::Del { keys: vec![*self.pick(&self.keys)] },
            Name::Expire => Verb::Expire { key: *self.pick(&self.keys), ttl: self.ttl() },
            Name::Set => {
                let (key, value, ttl, tag) = self.write();
                Verb::Set { key, value, ttl: Some(ttl), tag }
            }
            Name::Compute => self.compute(),
        }
    }

    fn compute(&mut self) -> Verb {
        let theme = self.theme;
        let (key, value, ttl, tag) = self.write();
        let many = self.chance(0.2);
        let keys = if many { self.keys.clone() } else { vec![key] };
        let stale = self.chance(theme.stale);
        Verb::Compute(Compute {
            keys,
            many,
            value,
            ttl: Some(ttl),
            tag,
            lock: self.chance(theme.locked),
            ms: self.int(theme.computes),
            swr: if stale && self.chance(0.6) { self.int([5, 80]) } else { 0 },
            grace: if stale && self.chance(0.6) { self.int([5, 120]) } else { 0 },
            early: if stale && self.chance(0.3) { 1.0 } else { 0.0 },
            fails: stale && self.chance(0.3),
        })
    }

    fn tag(&self) -> Tag {
        self.random.bits() as usize % self.tags
    }

    fn ttl(&self) -> u64 {
        if self.chance(self.theme.short) { self.int([8, 60]) } else { *self.pick(self.theme.longs) }
    }

    /// A key, a value of its own with room for the runs of one call, how long it lives, and its tag.
    fn write(&mut self) -> (Key, i64, u64, Option<Tag>) {
        self.values += 1;
        let tag = if self.chance(self.theme.tagged) { Some(self.tag()) } else { None };
        (*self.pick(&self.keys), self.values * 10, self.ttl(), tag)
    }

    fn increment(&mut self) -> Verb {
        let at = self.random.bits() as usize % self.counters.len();
        let digit = self.digits[at];
        let key = self.counters[at];
        if digit == DIGITS {
            return Verb::Get { key };
        }
        self.digits[at] += 1;
        Verb::Increment { key, amount: 1 << (2 * digit) }
    }
}
