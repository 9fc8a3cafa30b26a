//! What may be read (G1 to G4): no value from nowhere, none that was ended before, none that was stored apart.

use super::facts::over;
use super::facts::{Call, Effect, Facts, Read, Write};
use super::order::made;
use super::tell::{Found, name, place, show};
use crate::history::{MILLI, Nanos, Run, Verb};

/// The engine counts whole milliseconds.
const TICK: Nanos = 2 * MILLI;

/// Values come from a write of that key, and not before it.
pub fn written(facts: &Facts, found: &mut Found) {
    for read in &facts.reads {
        let Some(value) = read.value else { continue };
        if facts.history.plan.counters.contains(&read.key) {
            continue;
        }
        match read.write.map(|at| &facts.writes[at]) {
            None => {
                found.tell("G1", [read.record], || format!("{}, which nobody wrote there", show(facts, read, value)))
            }
            Some(write) if write.start > facts.calls[read.record].end => {
                found.tell("G1", [read.record], || format!("{} before it was written", show(facts, read, value)));
            }
            Some(_) => {}
        }
    }
}

/// G1: what this process has replaced, deleted or invalidated it does not read again, whatever happens to Redis.
pub fn own_writes(facts: &Facts, found: &mut Found) {
    for (read, write) in facts.valued() {
        let reader = &facts.calls[read.record];
        for at in facts.ends(write, reader.start) {
            let end = &facts.calls[at];
            // A `get` that is called behind a write or a sweep is behind it; a computation may share a flight until the
            // write has resolved.
            if end.process != reader.process
                || !(if reader.computes || facts.spreads(at) { over(end, reader) } else { made(end, reader) })
                || !facts.precedes(write, at)
                || facts.undone(write, at, read.record)
            {
                continue;
            }
            let guarantee = match end.effect {
                _ if write.computed => "G4",
                Effect::Redis => "G1",
                _ => "G3",
            };
            found.tell(guarantee, [write.record, at, read.record], || {
                format!("{}, older than its own {}", show(facts, read, write.value), name(facts, at))
            });
        }
    }
}

/// G2: behind a reply of the server there are no values from before it that anybody ended.
pub fn pushes(facts: &Facts, found: &mut Found) {
    for (read, write) in facts.valued() {
        let reader = &facts.calls[read.record];
        if reader.effect != Effect::Redis || shares(facts, read, write) || outdated(facts, read) {
            continue;
        }
        // Who ends a tag tells by way of the tag's server.
        let syncs = write.slots.map(|slot| facts.sync_before(reader, slot));
        let Some(last) = syncs.iter().flatten().map(|sync| facts.calls[*sync].start).max() else { continue };
        for at in facts.ends(write, last) {
            let by_tag = matches!(facts.record(at).verb, Verb::Invalidate { .. });
            let Some(sync) = syncs[usize::from(by_tag)] else { continue };
            let end = &facts.calls[at];
            if end.effect != Effect::Redis
                || !over(end, &facts.calls[sync])
                || !facts.precedes(write, at)
                || facts.refused(at)
                || facts.undone(write, at, read.record)
            {
                continue;
            }
            found.tell("G2", [write.record, at, sync, read.record], || {
                format!(
                    "{} after a reply of the server, older than the {} of {} before that reply",
                    show(facts, read, write.value),
                    name(facts, at),
                    place(facts, at)
                )
            });
        }
    }
}

/// Whether a caller shares a computation of its own process that was under way.
fn shares(facts: &Facts, read: &Read, write: &Write) -> bool {
    let reader = &facts.calls[read.record];
    let mine = facts.calls[write.record].process == reader.process && reader.start < write.until;
    reader.computes && write.computed && mine
}

/// Whether it may be the old value of a refresh of its process that runs on, or whose result is being stored: without
/// pushes nobody tells the process that another one has replaced it.
fn outdated(facts: &Facts, read: &Read) -> bool {
    let reader = &facts.calls[read.record];
    if !facts.history.plan.silent || !reader.computes {
        return false;
    }
    let runs = |run: &Run| {
        let over = run.landed.is_some_and(|(at, _)| at < reader.start);
        run.key == read.key && run.start <= reader.end && !over
    };
    let mut mine = facts.history.records.iter().zip(&facts.calls).filter(|(_, call)| call.process == reader.process);
    mine.any(|(record, _)| record.runs.iter().any(runs))
}

/// G2: a process that stays connected does not go back to an older value.
pub fn forwards(facts: &Facts, found: &mut Found) {
    let mut seen: Vec<Seen> = (0..facts.keys()).map(|_| Seen::default()).collect();
    for (read, write) in facts.valued() {
        let reader = &facts.calls[read.record];
        if reader.effect != Effect::Redis || outdated(facts, read) {
            continue;
        }
        let seen = &mut seen[read.key];
        if let Some((other, newer)) = seen.newer(facts, reader, write) {
            found.tell("G2", [write.record, newer.record, other.record, read.record], || {
                let read = show(facts, read, write.value);
                format!("{read} after it had seen {}, which replaced it", newer.value)
            });
        }
        if !reader.computes {
            seen.note(read, write);
        }
    }
}

/// What was read of a key, the earliest first.
#[derive(Default)]
struct Seen<'f> {
    reads: Vec<(&'f Read, &'f Write)>,
    /// The value that was stored last, and when the last other one was: most reads show no older value.
    last: Option<&'f Write>,
    before: Nanos,
}

impl<'f> Seen<'f> {
    fn note(&mut self, read: &'f Read, write: &'f Write) {
        self.reads.push((read, write));
        match self.last {
            Some(last) if last.value == write.value => {}
            Some(last) if last.stored > write.stored => self.before = self.before.max(write.stored),
            last => {
                self.before = last.map_or(0, |last| last.stored);
                self.last = Some(write);
            }
        }
    }

    /// A value that had certainly replaced this one, and that the same process had seen before in the same era.
    fn newer(&self, facts: &Facts, reader: &Call, write: &Write) -> Option<(&'f Read, &'f Write)> {
        let last = self.last.map_or(0, |last| if last.value == write.value { self.before } else { last.stored });
        if last < write.start.min(write.until) {
            return None;
        }
        let newer = self.reads.iter().find(|(other, newer)| {
            let first = &facts.calls[other.record];
            newer.value != write.value && first.era == reader.era && over(first, reader) && facts.replaced(write, newer)
        });
        newer.copied()
    }
}

/// G2: what others have ended is not served for longer than its connection vouches for it, nor, where it came from
/// Redis, than `nearCache.maxAge` says. A computation may be older: that of its process which it shares.
pub fn aged(facts: &Facts, found: &mut Found) {
    let plan = &facts.history.plan;
    for (read, write) in facts.valued() {
        let reader = &facts.calls[read.record];
        let vouched = plan.trust.filter(|_| reader.effect == Effect::Redis);
        let young = plan.max_age.filter(|_| reader.effect == Effect::Redis || write.effect == Effect::Redis);
        let Some(most) = vouched.into_iter().chain(young).min().filter(|_| !reader.computes) else { continue };
        let Some(last) = reader.start.checked_sub(most + TICK) else { continue };
        for at in facts.ends(write, last) {
            let end = &facts.calls[at];
            if end.effect != Effect::Redis
                || end.end > last
                || !facts.precedes(write, at)
                || facts.refused(at)
                || facts.undone(write, at, read.record)
            {
                continue;
            }
            found.tell("G2", [write.record, at, read.record], || {
                let (read, ms) = (show(facts, read, write.value), most / MILLI);
                format!("{read}, which the {} of {} ended more than {ms} ms before", name(facts, at), place(facts, at))
            });
        }
    }
}

/// G3: what an outage stored in a process stays there, and is gone when Redis is back, in the next outage, too. What a
/// function returns that began in an outage is for those who wait for it alone.
pub fn apart(facts: &Facts, found: &mut Found) {
    for (read, write) in facts.valued() {
        let (reader, writer) = (&facts.calls[read.record], &facts.calls[write.record]);
        let (memory, mine) = (write.effect == Effect::Memory, reader.process == writer.process);
        let was_back = || memory && facts.back(writer.process, write.until) < reader.start;
        let is_back = || reader.effect == Effect::Redis || was_back();
        if !(memory || write.away) || (mine && (!is_back() || (!memory && reader.computes))) {
            continue;
        }
        found.tell("G3", [write.record, read.record], || {
            let read = show(facts, read, write.value);
            format!("{read}, written in {} while Redis was away", place(facts, write.record))
        });
    }
}

/// G4: a value whose key was deleted or written while it was computed is nobody's but its waiters'.
pub fn computations(facts: &Facts, found: &mut Found) {
    for (read, write) in facts.valued() {
        let (reader, writer) = (&facts.calls[read.record], &facts.calls[write.record]);
        let mine = reader.process == writer.process;
        if !write.computed || !write.leased || (mine && (reader.computes || reader.effect != Effect::Redis)) {
            continue;
        }
        for at in facts.ends(write, write.stored) {
            let end = &facts.calls[at];
            if end.effect != Effect::Redis
                || write.start >= end.start
                || end.end >= write.stored
                || facts.undone(write, at, read.record)
                || facts.refused(at)
            {
                continue;
            }
            found.tell("G4", [write.record, at, read.record], || {
                let read = show(facts, read, write.value);
                format!("{read}, computed while {} did a {}", place(facts, at), name(facts, at))
            });
        }
    }
}
