//! Gathers the facts from a history, in one walk over its calls for the writes and one for what ends and reads them.

use super::facts::{Backs, Call, Effect, End, Facts, NEVER, Reach, Read, Write, effect, process_of};
use super::pattern;
use crate::history::{Compute, History, Key, MILLI, Nanos, Outcome, Record, Run, Tag, Verb};

impl<'a> Facts<'a> {
    pub fn new(history: &'a History) -> Self {
        let keys = count_keys(history);
        let backs = Backs::new(history);
        let mut facts = Self {
            history,
            calls: calls(history, &backs),
            writes: Vec::new(),
            reads: Vec::new(),
            ends: vec![Vec::new(); keys],
            expiries: vec![Vec::new(); keys],
            values: vec![Vec::new(); keys],
            syncs: Vec::new(),
            swept_later: Vec::new(),
            outages: outages(history, &backs),
            backs,
        };
        // All writes first: a call that reads may have begun before the one that wrote.
        for record in 0..history.records.len() {
            facts.note_writes(record);
        }
        for values in &mut facts.values {
            values.sort_unstable();
        }
        for record in 0..history.records.len() {
            facts.note_ends(record);
            facts.note_reads(record);
        }
        facts
    }

    fn note_writes(&mut self, at: usize) {
        let record = self.record(at);
        let call = self.calls[at];
        match &record.verb {
            Verb::Set { key, value, ttl, tag } => self.note_write(Write {
                key: *key,
                value: *value,
                record: at,
                computed: false,
                start: call.start,
                stored: call.start,
                until: call.until,
                effect: call.effect,
                leased: false,
                away: false,
                tag: *tag,
                ttl: nanos(*ttl),
                window: 0,
                slots: self.slots(*key, *tag),
            }),
            // What a function threw instead is nobody's value.
            Verb::Compute(compute) if !compute.fails => {
                for run in &record.runs {
                    let write = self.computed(at, compute, run);
                    self.note_write(write);
                }
            }
            _ => {}
        }
    }

    fn note_write(&mut self, write: Write) {
        self.values[write.key].push((write.value, self.writes.len()));
        self.writes.push(write);
    }

    /// The slots of a key and of a tag; twice that of the key where there is none.
    fn slots(&self, key: Key, tag: Option<Tag>) -> [u16; 2] {
        let plan = &self.history.plan;
        let of_key = plan.slot_of(key);
        [of_key, tag.map_or(of_key, |tag| plan.slot_of_tag(plan.space_of(key), tag))]
    }

    /// A value that a function returned.
    fn computed(&self, at: usize, compute: &Compute, run: &Run) -> Write {
        let (record, call) = (self.record(at), self.calls[at]);
        let (effect, until) = match (run.after, run.landed) {
            (Some(after), Some((at, state))) => match effect(after, Some(state)) {
                Effect::Unknown => (Effect::Unknown, self.back(call.process, at)),
                known => (known, at),
            },
            // It may still be on its way.
            _ => (Effect::Unknown, NEVER),
        };
        Write {
            key: run.key,
            value: run.value,
            record: at,
            computed: true,
            start: run.start,
            stored: run.end.unwrap_or(run.start),
            until,
            effect,
            // A server that refuses writes refuses leases as well; and a key that it refused to remove has none.
            leased: compute.lock
                && self::effect(record.before, Some(run.before)) == Effect::Redis
                && !self.refuses(record.start, run.start)
                && !self.distrusts(run.start),
            away: self::effect(record.before, Some(run.before)) == Effect::Memory,
            tag: compute.tag,
            ttl: nanos(compute.ttl),
            window: window(compute),
            slots: self.slots(run.key, compute.tag),
        }
    }

    fn note_ends(&mut self, at: usize) {
        let record = self.record(at);
        match &record.verb {
            Verb::Set { key, .. } => self.note_end(at, *key, None),
            Verb::Del { keys } => keys.iter().enumerate().for_each(|(i, key)| {
                if !keys[..i].contains(key) {
                    self.note_end(at, *key, None);
                }
            }),
            Verb::Invalidate { tag } => {
                let home = self.history.plan.home_of(record.place);
                for key in 0..self.values.len() {
                    if !self.values[key].is_empty() && self.history.plan.space_of(key) == home {
                        self.note_end(at, key, Some(*tag));
                    }
                }
            }
            Verb::Sweep { pattern } => {
                if self.calls[at].effect != Effect::Redis {
                    self.swept_later.push(at);
                }
                let plan = &self.history.plan;
                let home = plan.home_of(record.place);
                let swept = |key: Key| {
                    let name = plan.names.get(key).map_or("", String::as_str);
                    plan.space_of(key) == home && pattern.as_deref().is_none_or(|glob| pattern::matches(glob, name))
                };
                for key in 0..self.values.len() {
                    if !self.values[key].is_empty() && swept(key) {
                        self.note_end(at, key, None);
                    }
                }
            }
            Verb::Flush => (0..self.values.len()).for_each(|key| {
                if !self.values[key].is_empty() {
                    self.note_end(at, key, None);
                }
            }),
            Verb::Expire { key, .. } => self.expiries[*key].push(at),
            Verb::Sync { key } if self.calls[at].effect == Effect::Redis => {
                self.syncs.push((at, self.history.plan.slot_of(*key)));
            }
            _ => {}
        }
    }

    fn note_end(&mut self, at: usize, key: Key, tag: Option<Tag>) {
        let mut reach = self.ends[key].last().map_or(Reach::default(), |end| end.reach);
        if matches!(self.record(at).verb, Verb::Set { .. } | Verb::Del { .. } | Verb::Flush) {
            reach.note(at, self.calls[at].until);
        }
        self.ends[key].push(End { record: at, start: self.calls[at].start, tag, reach });
    }

    fn note_reads(&mut self, at: usize) {
        let record = self.record(at);
        let keys = match &record.verb {
            Verb::Get { key } => std::slice::from_ref(key),
            Verb::GetMany { keys } => keys,
            Verb::Compute(compute) => &compute.keys,
            _ => return,
        };
        // What rejects reads nothing: `Done` of a computation is its function's error.
        if record.end.is_none() || matches!(record.outcome, Outcome::Error(_) | Outcome::Done) {
            return;
        }
        for (i, key) in keys.iter().enumerate() {
            let value = match &record.outcome {
                Outcome::Value(value) => *value,
                Outcome::Values(values) => values.get(i).copied().flatten(),
                _ => None,
            };
            let write = value.and_then(|value| self.find(*key, value));
            self.reads.push(Read { record: at, key: *key, value, write });
        }
    }
}

/// What the rules ask of records.
fn calls(history: &History, backs: &Backs) -> Vec<Call> {
    let (mut eras, mut places) = (Vec::new(), Vec::new());
    let mut calls = Vec::with_capacity(history.records.len());
    for record in &history.records {
        let process = process_of(record.place);
        let end = record.end.unwrap_or(NEVER);
        let effect = if record.end.is_some() { effect(record.before, record.after) } else { Effect::Unknown };
        let known = effect != Effect::Unknown;
        calls.push(Call {
            place: number(&mut places, record.place),
            process,
            seq: record.seq,
            start: record.start,
            end,
            effect,
            era: known.then(|| number(&mut eras, (process, record.before))),
            // Of a thread that has ended nobody is told; its process may still do what it called.
            until: if known || end == NEVER { end } else { backs.from(process, end) },
            computes: matches!(record.verb, Verb::Compute(_)),
        });
    }
    calls
}

/// The number of something in the list of those that were met.
fn number<T: PartialEq>(met: &mut Vec<T>, each: T) -> u32 {
    let at = met.iter().rposition(|known| *known == each).unwrap_or_else(|| {
        met.push(each);
        met.len() - 1
    });
    at as u32
}

fn outages(history: &History, backs: &Backs) -> Vec<(Nanos, Nanos)> {
    let noticed = history.events.iter().filter(|event| event.fallback);
    noticed.map(|event| (event.at, backs.from(event.process, event.at + 1))).collect()
}

fn count_keys(history: &History) -> usize {
    let named = |record: &Record| match &record.verb {
        Verb::Get { key }
        | Verb::Sync { key }
        | Verb::Set { key, .. }
        | Verb::Increment { key, .. }
        | Verb::Expire { key, .. }
        | Verb::Probe { key } => Some(*key),
        Verb::GetMany { keys } | Verb::Del { keys } => keys.iter().max().copied(),
        Verb::Compute(compute) => compute.keys.iter().chain(record.runs.iter().map(|run| &run.key)).max().copied(),
        Verb::Invalidate { .. } | Verb::Sweep { .. } | Verb::Flush => None,
    };
    let most = history.records.iter().filter_map(named).max().map_or(0, |key| key + 1);
    most.max(history.plan.names.len())
}

/// For how long behind its TTL a caller of this takes a value, and one that it stores is kept.
pub fn window(compute: &Compute) -> Nanos {
    compute.swr.max(compute.grace).saturating_mul(MILLI)
}

pub fn nanos(ttl: Option<u64>) -> Nanos {
    ttl.map_or(NEVER, |ttl| ttl.saturating_mul(MILLI))
}
