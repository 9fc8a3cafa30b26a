//! Schedules from a seed. The same seed and index give the same schedule, whatever ran before.

use holdfast::engine::base::random::Random;

use crate::history::{Compute, Key, MILLI, Place, Plan, Space, Tag, Verb};
use crate::schedule::{
    CachePlan, ClientPlan, Fault, HARD_TIMEOUT, Kind, Name, PART, PLACES, Schedule, Settings, Step, Topology, WINDOW,
};
use theme::Theme;
use themes::THEMES;

pub mod cluster;
pub mod theme;
pub mod themes;

/// A counter's amounts are the powers of 4, one for each increment, so that a sum says which it holds, and which it
/// holds twice.
const DIGITS: u32 = 22;
/// How long a connection vouches for what is held, from when its last request was sent: until it is asked whether it
/// lives, and behind the deadline of that, which is this one at least. In milliseconds.
const IDLE: u64 = 1_250;
const LEAST_DEADLINE: u64 = 250;

/// The schedule of this index.
pub fn schedule(seed: u64, index: u64, topology: Topology) -> Schedule {
    let random = Random::seeded(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ index.wrapping_mul(0xD134_2543_DE82_EF95));
    let (cluster, sentinels) = (topology == Topology::Cluster, topology == Topology::Sentinel);
    let theme = if cluster { cluster::theme(&random) } else { &THEMES[random.bits() as usize % THEMES.len()] };
    Planner {
        random,
        theme,
        cluster,
        sentinels,
        names: Vec::new(),
        groups: Vec::new(),
        at: 0,
        tags: 0,
        values: 0,
        digits: [0; 4],
    }
    .plan(seed, index)
}

struct Planner {
    random: Random,
    theme: &'static Theme,
    cluster: bool,
    sentinels: bool,
    names: Vec<String>,
    groups: Vec<Group>,
    /// The group whose calls are planned.
    at: usize,
    tags: usize,
    values: i64,
    digits: [u32; 4],
}

/// The keys of caches that may share them: of one namespace and one codec.
struct Group {
    space: Space,
    raw: bool,
    keys: Vec<Key>,
    counters: Vec<Key>,
    /// What sweeps name.
    patterns: &'static [Option<&'static str>],
}

/// What tells a group from others: its namespace, whether its codec is `raw`, how its keys and counters are named, and
/// its patterns.
type Sort = (Space, bool, [&'static str; 2], &'static [Option<&'static str>]);

const FIRST: Sort = (0, false, ["k", "n"], &[None, Some("*"), Some("k*"), Some("k0"), Some("?[0-1]")]);
/// Another namespace, with keys of the same names; the same one, with another codec and keys of its own; and raw keys,
/// of which no sweep may name those of others.
const OTHERS: [Sort; 3] = [
    (1, false, ["k", "n"], FIRST.3),
    (0, true, ["kr", "m"], &[None, Some("*"), Some("k*"), Some("kr*"), Some("kr0")]),
    (2, false, ["r", "s"], &[Some("r*"), Some("r0"), Some("r[0-2]")]),
];
/// How many faults are failovers where there are sentinels.
const FAILOVERS: f64 = 0.4;
/// How many clients make more calls in one turn than the window takes, and how many those are.
const FLOODS: f64 = 0.000_3;
const FLOOD: usize = WINDOW + 216;

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
        self.group(FIRST);
        let several = self.chance(theme.several);
        if several {
            self.group(*self.pick(&OTHERS));
        }
        let alike = self.cache();
        let homes = PLACES.map(|_| if several { self.random.bits() as usize % 2 } else { 0 });
        let caches = homes.map(|at| {
            let Group { space, raw, .. } = self.groups[at];
            let cache = if several { self.cache() } else { alike };
            CachePlan { space, raw, ..cache }
        });
        self.tags = self.int([1, 2]) as usize;
        let mut places = PLACES.to_vec();
        for _ in 0..self.int(theme.more) {
            places.push(*self.pick(theme.more_of));
        }
        let mut clients = Vec::new();
        for place in places {
            self.at = PLACES.iter().zip(homes).find(|(other, _)| **other == place).map_or(0, |(_, home)| home);
            clients.push(self.client(place));
        }
        if theme.foreign_always || self.chance(0.5) {
            for _ in 0..theme.foreigners {
                clients.push(self.foreigner());
            }
        }
        let faults = self.int(theme.count);
        let faults = (0..faults).map(|_| self.fault()).collect();
        let mut settings = Settings {
            caches,
            raw_keys: Vec::new(),
            window: if self.chance(0.2) { self.int([1, 6]) as usize } else { WINDOW },
            part: if self.chance(0.2) { self.int([2, 4]) as usize } else { PART },
            cluster: self.cluster,
            sentinels: self.sentinels,
            resp2: self.chance(0.05),
            // The user of raw keys may touch all.
            walled: self.chance(0.1) && self.groups.iter().all(|group| group.space != 2),
            tracked: if self.chance(0.05) { Some(self.int([1, 3]) as usize) } else { None },
            max_age: if self.chance(theme.aged) { Some(self.int(theme.ages)) } else { None },
        };
        let patience = caches.iter().map(|cache| cache.timeout_ms).fold(LEAST_DEADLINE, u64::max);
        let least = caches.iter().map(|cache| cache.timeout_ms).min().filter(|_| self.cluster);
        let mut plan = Plan {
            token_wait: least.map(|ms| ms * MILLI / 2),
            used: self.used(),
            names: self.names,
            head: 1 << (2 * DIGITS),
            trust: Some((IDLE + patience) * MILLI),
            max_age: settings.max_age.map(|ms| ms * MILLI),
            silent: settings.resp2,
            cluster: self.cluster,
            ..Plan::default()
        };
        for Group { space, raw, keys, counters, .. } in self.groups {
            let count = keys.len() + counters.len();
            plan.spaces.extend(vec![space; count]);
            settings.raw_keys.extend(vec![raw; count]);
            plan.keys.extend(keys);
            plan.counters.extend(counters);
        }
        plan.homes = PLACES.into_iter().zip(caches.map(|cache| cache.space)).collect();
        Schedule { seed, index, theme: theme.name, plan, clients, faults, settings }
    }

    /// Names the keys of a group.
    fn group(&mut self, (space, raw, [key, counter], patterns): Sort) {
        let keys = (0..self.int(self.theme.keys)).map(|i| self.name(format!("{key}{i}"))).collect();
        let counters = (0..self.theme.counters).map(|i| self.name(format!("{counter}{i}"))).collect();
        self.groups.push(Group { space, raw, keys, counters, patterns });
    }

    /// The options of a cache.
    fn cache(&self) -> CachePlan {
        let timeout_ms = self.int(self.theme.timeout_ms);
        CachePlan { space: 0, raw: false, timeout_ms, near: self.chance(0.9), stale: self.chance(0.7) }
    }

    fn keys(&self) -> &[Key] {
        &self.groups[self.at].keys
    }

    fn fault(&self) -> Fault {
        let mut kind = self.weighted(self.theme.faults);
        let (machine, slot) = if self.cluster { cluster::fault(self, &mut kind) } else { (0, 0) };
        // What empties a single server is a failover here.
        if self.sentinels && (matches!(kind, Kind::Restart | Kind::Restore) || self.chance(FAILOVERS)) {
            kind = Kind::Failover;
        }
        let at = if matches!(kind, Kind::End | Kind::Lag | Kind::Die) { self.theme.at } else { self.theme.when };
        let process = *self.pick(self.theme.faulty);
        Fault {
            kind,
            process,
            at: self.int(at),
            lasts: self.int(self.theme.lasts),
            ms: self.int(self.theme.lag),
            machine,
            slot,
        }
    }

    fn client(&mut self, place: Place) -> ClientPlan {
        let theme = self.theme;
        let steps = (0..self.int([6, 16])).map(|_| {
            let pause = if self.chance(0.3) { 0 } else { self.int(theme.pause) };
            let calls = if theme.bursts_always || self.chance(0.3) { self.int(theme.bursts) } else { 1 };
            Step { pause, calls: (0..calls).map(|_| self.call(theme.ops)).collect() }
        });
        let mut steps: Vec<Step> = steps.collect();
        if self.chance(FLOODS) {
            let calls = (0..FLOOD).map(|n| if n % 256 == 0 { self.call(theme.ops) } else { self.read() }).collect();
            steps.insert(1, Step { pause: 1, calls });
        }
        ClientPlan { place, steps }
    }

    fn read(&self) -> Verb {
        Verb::Get { key: *self.pick(self.keys()) }
    }

    fn foreigner(&mut self) -> ClientPlan {
        let theme = self.theme;
        let steps = (0..self.int(theme.foreign_steps)).map(|_| {
            self.at = self.random.bits() as usize % self.groups.len();
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
        let name = if self.cluster && !name.contains('{') { name + *self.pick(cluster::HASH_TAGS) } else { name };
        self.names.push(name);
        self.names.len() - 1
    }

    fn call(&mut self, ops: &[(Name, f64)]) -> Verb {
        match self.weighted(ops) {
            Name::Get => {
                let counts = ops.iter().any(|(name, _)| *name == Name::Increment);
                let counter = counts && self.chance(0.3);
                if counter { Verb::Get { key: *self.pick(&self.groups[self.at].counters) } } else { self.read() }
            }
            Name::GetMany => {
                let mut keys = self.keys().to_vec();
                if self.chance(0.3) {
                    keys.extend(&self.groups[self.at].counters);
                }
                Verb::GetMany { keys }
            }
            Name::Sync => {
                self.values += 1;
                let name = format!("sync:{}{}", self.values, self.sync_tag());
                Verb::Sync { key: self.name(name) }
            }
            Name::Probe => Verb::Probe { key: *self.pick(self.keys()) },
            Name::Increment => self.increment(),
            Name::Invalidate => Verb::Invalidate { tag: self.tag() },
            Name::Sweep => {
                let pattern = self.pick(self.groups[self.at].patterns);
                Verb::Sweep { pattern: pattern.map(str::to_owned) }
            }
            Name::Del if self.chance(0.2) => Verb::Del { keys: self.keys().to_vec() },
            Name::Del => Verb::Del { keys: vec![*self.pick(self.keys())] },
            Name::Expire => Verb::Expire { key: *self.pick(self.keys()), ttl: self.ttl() },
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
        let keys = if many { self.keys().to_vec() } else { vec![key] };
        let stale = self.chance(theme.stale);
        let hard = if self.chance(theme.stale * 0.2) { self.int([1, 40]) } else { HARD_TIMEOUT };
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
            timeout: if stale && self.chance(0.3) { Some(self.int([1, 20])) } else { None },
            hard,
            fails: stale && self.chance(0.3),
            nothing: false,
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
        (*self.pick(self.keys()), self.values * 10, self.ttl(), tag)
    }

    fn increment(&mut self) -> Verb {
        let counters = self.groups[self.at].counters.len();
        let which = self.random.bits() as usize % counters;
        let at = self.at * counters + which;
        let digit = self.digits[at];
        let key = self.groups[self.at].counters[which];
        if digit == DIGITS {
            return Verb::Get { key };
        }
        self.digits[at] += 1;
        Verb::Increment { key, amount: 1 << (2 * digit) }
    }
}
