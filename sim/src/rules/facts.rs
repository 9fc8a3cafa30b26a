//! What the rules look up: the calls of a history with the moments at which they took effect, the values that were
//! written, what ends values, and the reads.
//!
//! **Where a call took effect.** A call that found its process in one and the same state when it began and when it
//! settled (mode, and since when) had no change of mode in between: `redis`, it was Redis that answered; `memory`, the
//! in-process tier alone. Else it is `unknown`: it may have reached Redis, and may still do so until the process is
//! back there (`until`), as recovery kills the connection on which it was sent.

use crate::history::{History, Key, MILLI, Mishap, Mode, Nanos, Place, Record, State, Tag, Verb};

/// What the clocks of two processes, timers and the server's expiry may differ by.
pub const SLACK: Nanos = 50 * MILLI;
/// Later than all moments.
pub const NEVER: Nanos = Nanos::MAX;
/// The process of the foreign client.
const OUTSIDE: usize = usize::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Redis,
    Memory,
    Unknown,
}

/// A time in which a process does not change its state: its number in `Facts`, so that two of them compare at once.
pub type Era = u32;

/// What the rules ask of a record, close together.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Its place, by number.
    pub place: u32,
    pub process: usize,
    pub seq: u32,
    pub start: Nanos,
    /// `NEVER` for a call that did not settle.
    pub end: Nanos,
    pub effect: Effect,
    /// None where the effect is unknown.
    pub era: Option<Era>,
    /// From when on nothing of it can take effect any more.
    pub until: Nanos,
    /// `getOrCompute` or `getOrComputeMany`.
    pub computes: bool,
}

/// A value that was written to a key. No two writes of a key have the same value.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    pub key: Key,
    pub value: i64,
    pub record: usize,
    /// A function returned it.
    pub computed: bool,
    pub start: Nanos,
    /// The earliest moment at which it may have been stored, and the latest: until then callers of its process may
    /// come to share its computation.
    pub stored: Nanos,
    pub until: Nanos,
    pub effect: Effect,
    /// Only one that was asked for under a lease is kept from being stored by what other processes do.
    pub leased: bool,
    /// Its function began in an outage.
    pub away: bool,
    pub tag: Option<Tag>,
    /// Its time to live; `NEVER` for none.
    pub ttl: Nanos,
    /// For how long behind its TTL it is kept.
    pub window: Nanos,
    /// The slots of what it is known by: its key, and its tag, where it has one.
    pub slots: [u16; 2],
}

/// A value of a key, as a call resolved to it.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    pub record: usize,
    pub key: Key,
    pub value: Option<i64>,
    /// Which write it shows.
    pub write: Option<usize>,
}

/// A call that ends values: all those of a key, or those with a tag.
#[derive(Clone, Copy, Debug)]
pub struct End {
    pub record: usize,
    pub start: Nanos,
    pub tag: Option<Tag>,
    pub reach: Reach,
}

/// Until when calls that end all values of a key may take effect: the last of them, and the last but that one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reach {
    pub record: usize,
    pub until: Option<Nanos>,
    pub others: Option<Nanos>,
}

impl Reach {
    pub fn note(&mut self, record: usize, until: Nanos) {
        let until = Some(until);
        if until > self.until {
            *self = Self { record, until, others: self.until };
        } else {
            self.others = self.others.max(until);
        }
    }

    /// Of the calls but this one.
    pub fn without(&self, record: usize) -> Option<Nanos> {
        if self.record == record { self.others } else { self.until }
    }
}

pub struct Facts<'a> {
    pub history: &'a History,
    /// By record.
    pub calls: Vec<Call>,
    pub writes: Vec<Write>,
    pub reads: Vec<Read>,
    /// By key: what ends the values that were written there.
    pub(super) ends: Vec<Vec<End>>,
    /// Records by key: what may end them.
    pub(super) expiries: Vec<Vec<usize>>,
    /// Writes by key, in the order of their values.
    pub(super) values: Vec<Vec<(i64, usize)>>,
    /// Reads of the server itself, each behind all its pushes until then, and the slot of each.
    pub(super) syncs: Vec<(usize, u16)>,
    /// Sweeps that were not Redis' alone to do.
    pub(super) swept_later: Vec<usize>,
    pub(super) backs: Backs,
    /// The outages of all processes: when each was noticed, and when that process was back.
    pub outages: Vec<(Nanos, Nanos)>,
}

impl<'a> Facts<'a> {
    pub fn record(&self, at: usize) -> &'a Record {
        &self.history.records[at]
    }

    /// The calls that end a value and were made from when it was written until the last of these moments, in their
    /// order. No call before these ends it, as nothing is over before it begins.
    pub fn ends(&self, write: &Write, last: Nanos) -> impl DoubleEndedIterator<Item = usize> {
        self.ends_from(write, write.start.min(write.until), last)
    }

    /// The calls that end such values, and were made from one moment to another.
    pub fn ends_from(&self, write: &Write, first: Nanos, last: Nanos) -> impl DoubleEndedIterator<Item = usize> {
        let (ends, tag) = (&self.ends[write.key], write.tag);
        let from = ends.partition_point(|end| end.start < first);
        let until = from + ends[from..].partition_point(|end| end.start <= last);
        ends[from..until].iter().filter(move |end| end.tag.is_none_or(|it| tag == Some(it))).map(|end| end.record)
    }

    /// How far sets, deletes and flushes reach that were made until this moment.
    pub fn reach(&self, key: Key, last: Nanos) -> Reach {
        let made = self.ends[key].partition_point(|end| end.start <= last);
        made.checked_sub(1).map_or(Reach::default(), |at| self.ends[key][at].reach)
    }

    /// The last read of the server itself, that of this slot, in the same era that was over before a call.
    pub fn sync_before(&self, call: &Call, slot: u16) -> Option<usize> {
        let made = self.syncs.partition_point(|(at, _)| self.calls[*at].start <= call.start);
        let before =
            |(at, of): &&(usize, u16)| *of == slot && self.calls[*at].era == call.era && over(&self.calls[*at], call);
        self.syncs[..made].iter().rfind(before).map(|(at, _)| *at)
    }

    /// A mishap as it befell a value: the failover of a server is a restart to what it served.
    pub fn of_write(&self, mishap: &Mishap, write: &Write) -> Option<Mishap> {
        Self::as_restart(mishap, |slots| write.slots.iter().all(|slot| self.history.plan.spares(slots, *slot)))
    }

    /// Whether a call ends keys of several servers. These know nothing of each other: what the same thread called and
    /// has not settled yet may be sent once more behind it, and what it calls before it has settled, ahead of it.
    pub fn spreads(&self, at: usize) -> bool {
        self.history.plan.cluster && matches!(self.record(at).verb, Verb::Invalidate { .. } | Verb::Sweep { .. })
    }

    /// Whether a read may not find the token of a value's tag, whose slot was on its way, or nobody's: it is asked for
    /// once, and the value is a miss where the answer is that it is elsewhere; nor is there one for what is stored
    /// meanwhile. Nor is it waited for to the end.
    pub fn misses_token(&self, write: &Write, reader: &Call) -> bool {
        let [_, tag] = write.slots;
        let plan = &self.history.plan;
        let moved = |mishap: &Mishap| match *mishap {
            Mishap::Moved { slots, from, .. } => from <= reader.end && !plan.spares(slots, tag),
            _ => false,
        };
        let waited = |call: &Call| plan.token_wait.is_some_and(|least| call.end - call.start >= least);
        let waited = waited(reader) || waited(&self.calls[write.record]);
        write.tag.is_some() && (waited || self.history.mishaps.iter().any(moved))
    }

    pub fn as_restart(mishap: &Mishap, spares: impl Fn(u64) -> bool) -> Option<Mishap> {
        match *mishap {
            Mishap::Failover { slots, .. } if spares(slots) => None,
            Mishap::Failover { down, up, snapshot, .. } => Some(Mishap::Restart { down, up, snapshot }),
            other => Some(other),
        }
    }

    pub fn expiries(&self, key: Key) -> &[usize] {
        &self.expiries[key]
    }

    /// How many keys there are.
    pub fn keys(&self) -> usize {
        self.values.len()
    }

    /// The writes of a key.
    pub fn writes(&self, key: Key) -> impl Iterator<Item = &Write> {
        self.values[key].iter().map(|(_, at)| &self.writes[*at])
    }

    pub fn write(&self, key: Key, value: i64) -> Option<&Write> {
        self.find(key, value).map(|at| &self.writes[at])
    }

    /// Reads that show a value which was written.
    pub fn valued(&self) -> impl Iterator<Item = (&Read, &Write)> {
        self.reads.iter().filter_map(|read| Some((read, &self.writes[read.write?])))
    }

    pub(super) fn find(&self, key: Key, value: i64) -> Option<usize> {
        let values = self.values.get(key)?;
        let at = values.partition_point(|(other, _)| *other <= value).checked_sub(1)?;
        (values[at].0 == value).then_some(values[at].1)
    }

    /// From when on a process is known to use Redis, at this moment or later.
    pub fn back(&self, process: usize, from: Nanos) -> Nanos {
        self.backs.from(process, from)
    }
}

/// The moments at which each process is known to use Redis, in their order: the rules ask for each call of an outage,
/// and would search all records each time.
pub(super) struct Backs(Vec<(usize, Vec<Nanos>)>);

impl Backs {
    pub fn new(history: &History) -> Self {
        let redis = |state: &State| state.mode == Mode::Redis;
        let mut backs = Self(Vec::new());
        for event in history.events.iter().filter(|event| !event.fallback) {
            backs.note(event.process, event.at);
        }
        for record in &history.records {
            let process = process_of(record.place);
            if redis(&record.before) {
                backs.note(process, record.start);
            }
            if let Some(end) = record.end.filter(|_| record.after.as_ref().is_some_and(redis)) {
                backs.note(process, end);
            }
        }
        backs.0.iter_mut().for_each(|(_, moments)| moments.sort_unstable());
        backs
    }

    fn note(&mut self, process: usize, at: Nanos) {
        match self.0.iter_mut().find(|(known, _)| *known == process) {
            Some((_, moments)) => moments.push(at),
            None => self.0.push((process, vec![at])),
        }
    }

    /// From when on a process is known to use Redis, at this moment or later.
    pub fn from(&self, process: usize, from: Nanos) -> Nanos {
        let known = self.0.iter().find(|(known, _)| *known == process);
        known.and_then(|(_, moments)| moments.get(moments.partition_point(|at| *at < from))).copied().unwrap_or(NEVER)
    }
}

pub(super) fn process_of(place: Place) -> usize {
    match place {
        Place::Environment { process, .. } => process,
        Place::Foreign => OUTSIDE,
    }
}

/// Where something took effect that began in one state and was over in another.
pub(super) fn effect(before: State, after: Option<State>) -> Effect {
    match after {
        Some(after) if after == before && before.mode == Mode::Partly => Effect::Unknown,
        Some(after) if after == before && before.mode == Mode::Memory => Effect::Memory,
        Some(after) if after == before => Effect::Redis,
        _ => Effect::Unknown,
    }
}

/// Whether a call had settled before another one was made.
pub fn over(earlier: &Call, later: &Call) -> bool {
    earlier.end != NEVER && earlier.end < later.start
}
