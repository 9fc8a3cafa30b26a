//! What was certainly before what, and what a mishap may have undone since.
//!
//! Where two orders are possible, nothing is certain. After a mishap an end is not certain any more where what made it
//! last is lost:
//!
//! - **A server that restarts from a snapshot** has lost what took effect between the snapshot and the restart: a value
//!   that lay there at the moment of the snapshot may be back, though it was ended then. A journal that is replayed
//!   behind the restart ends it again. A server that restarts empty gives nothing back.
//! - **A process that dies** takes its journal with it: what it had ended while Redis was away may be read by others.
//! - **A journal that is full** and said so has lost what was ended from then on until Redis was back: it may be read
//!   once Redis is back.
//! - **A journal that put a namespace in the place of its keys** sweeps that once Redis is back, as a sweep that was
//!   called in the outage: whoever reads meanwhile may find what it had ended, and what is written until then may go.
//! - **A server that refuses to remove keys** leaves them to all but the process that asked, which reads misses; what a
//!   sweep or the replay of an outage would have removed may be read anywhere.
//! - **A server that evicts keys** gives nothing back.
//! - **A slot that moves while a sweep runs**, or that nobody serves, may be met by it nowhere.

use super::facts::{Call, Effect, Facts, Write, over};
use crate::history::{Key, Mishap, Nanos, Verb};

impl Facts<'_> {
    /// Whether a value was certainly there, or its computation begun, before a call that ends such values.
    pub fn precedes(&self, write: &Write, end: usize) -> bool {
        if write.record == end {
            return false;
        }
        let spreads = self.spreads(end);
        let (writer, end) = (&self.calls[write.record], &self.calls[end]);
        let mine = writer.process == end.process;
        if write.computed && (mine || write.leased) {
            write.start < end.start
        } else if mine {
            if spreads { over(writer, end) } else { made(writer, end) }
        } else {
            write.until < end.start
        }
    }

    /// Whether a value was certainly replaced by another one in Redis.
    pub fn replaced(&self, older: &Write, newer: &Write) -> bool {
        let (first, second) = (&self.calls[older.record], &self.calls[newer.record]);
        if !older.computed && !newer.computed && first.place == second.place && first.era == second.era {
            return first.era.is_some() && first.seq < second.seq;
        }
        older.until < newer.stored
    }

    /// Whether a mishap may have given a value back to this reader that a call had ended.
    pub fn undone(&self, write: &Write, end: usize, reader: usize) -> bool {
        self.history.mishaps.iter().any(|mishap| {
            let met = self.of_write(mishap, write);
            met.is_some_and(|met| self.undoes(&met, write, end, reader))
                || self.revives(mishap, write, end, reader)
                || self.escapes(mishap, write, end)
        })
    }

    /// Whether a tag that a call ended has its old token again: the value may lie on another server, and was not lost.
    fn revives(&self, mishap: &Mishap, write: &Write, end: usize, reader: usize) -> bool {
        let Mishap::Failover { slots, down, snapshot: Some(snapshot), .. } = *mishap else { return false };
        let ended = &self.calls[end];
        matches!(self.record(end).verb, Verb::Invalidate { .. })
            && !self.history.plan.spares(slots, write.slots[1])
            && self.calls[reader].end >= down
            && (ended.effect != Effect::Memory && ended.start <= down || ended.effect != Effect::Redis)
            && ended.until >= snapshot
    }

    /// Whether a sweep may have missed it, as its slot went from a server that was still to be walked to one that had
    /// been; or was nobody's, and what lay there is removed once it is somebody's again.
    fn escapes(&self, mishap: &Mishap, write: &Write, end: usize) -> bool {
        let (Mishap::Moved { slots, from, until } | Mishap::Unserved { slots, from, until }) = *mishap else {
            return false;
        };
        let call = &self.calls[end];
        let later = call.effect != Effect::Redis;
        let swept = || later && (self.widened(call) || self.beside_sweep(call));
        // An outage's process hears of the move when it is back.
        (later || call.start <= until && from <= call.until)
            && !self.history.plan.spares(slots, write.slots[0])
            && (matches!(self.record(end).verb, Verb::Sweep { .. }) || swept())
    }

    fn undoes(&self, mishap: &Mishap, write: &Write, at: usize, reader: usize) -> bool {
        let (end, reader) = (&self.calls[at], &self.calls[reader]);
        let journaled = end.effect != Effect::Redis;
        let swept = matches!(self.record(at).verb, Verb::Sweep { .. }) || (journaled && self.widened(end));
        match *mishap {
            Mishap::Restart { snapshot: None, .. }
            | Mishap::Eviction { .. }
            | Mishap::Widened { .. }
            | Mishap::Failover { .. }
            | Mishap::Moved { .. }
            | Mishap::Unserved { .. }
            | Mishap::Swept { .. }
            | Mishap::Removed { .. } => false,
            Mishap::Restart { down, up, snapshot: Some(snapshot) } => {
                if reader.end < down || !self.restored(write, end, snapshot, down) {
                    return false;
                }
                // The journal is replayed when its process is back; what it sweeps may be swept later.
                let gone = (swept || self.beside_sweep(end)) && self.swept(end, down);
                let back = self.back(end.process, end.end);
                let removed = self.removed(end, write.key, down);
                let replayed = if gone || (removed && down < back) { down } else { back };
                // Of a cluster's servers each is back at its own time, and the process with the last of them.
                let by = if self.history.plan.cluster { end.end } else { replayed };
                // What the server had answered before its process noticed an outage is in no journal.
                (journaled && by <= up && (swept || replayed >= snapshot || self.follows(write, up)))
                    || (end.effect != Effect::Memory && end.start <= down && end.end >= snapshot)
                    // What was refused held in its process, until a write that is lost took its place.
                    || self.refuses(end.start, end.until)
            }
            Mishap::Death { process, at: died } => {
                let replayed = || self.back(end.process, end.end) <= died;
                journaled && end.process == process && reader.process != process && (swept || !replayed())
            }
            Mishap::Overflow { process, at: full } => {
                let back = self.back(process, full + 1);
                // Of a cluster's servers each is back at its own time.
                let is_back = self.history.plan.cluster || back <= reader.end;
                journaled && end.process == process && end.end >= full && end.start <= back && is_back
            }
            Mishap::Refusal { from, until, deletes } => {
                // Which keys a refused sweep would have removed nobody knows.
                // What an outage left to be undone may have been refused when its process came back.
                let replay = journaled && end.end <= until && from <= reader.end;
                deletes && (replay || (reader.process != end.process || swept) && overlaps(end, from, until))
            }
        }
    }

    /// Whether what is to be undone of a value may have had to follow its slot, which took longer than its process was
    /// away.
    pub fn follows(&self, write: &Write, by: Nanos) -> bool {
        let slot = write.slots[0];
        self.history.mishaps.iter().any(|mishap| match *mishap {
            Mishap::Moved { slots, from, .. } => from <= by && !self.history.plan.spares(slots, slot),
            _ => false,
        })
    }

    /// Whether a sweep that waited in its process's journal had been done at that moment, though the process was not
    /// back yet.
    fn swept(&self, end: &Call, moment: Nanos) -> bool {
        self.history.mishaps.iter().any(|mishap| match *mishap {
            Mishap::Swept { process, at } => process == end.process && end.end <= at && at == moment,
            _ => false,
        })
    }

    /// Whether what it had left to be removed of a key was gone at that moment, though its process was not back: the
    /// connection was lost before it was in use.
    fn removed(&self, end: &Call, key: Key, moment: Nanos) -> bool {
        self.history.mishaps.iter().any(|mishap| match *mishap {
            Mishap::Removed { process, keys, at } => {
                process == end.process && end.end <= at && at == moment && keys >> key & 1 == 1
            }
            _ => false,
        })
    }

    /// Whether its process called a sweep in the same outage: the keys of that are in no journal beside it.
    fn beside_sweep(&self, end: &Call) -> bool {
        self.swept_later.iter().map(|at| &self.calls[*at]).any(|call| {
            let mine = call.process == end.process && call.start <= end.end;
            mine && self.back(call.process, call.end) == self.back(end.process, end.end)
        })
    }

    /// Whether a whole namespace took the place of a key in the journal of its process.
    fn widened(&self, end: &Call) -> bool {
        self.history.mishaps.iter().any(|mishap| match *mishap {
            Mishap::Widened { process, at } => process == end.process && end.start <= self.back(process, at),
            _ => false,
        })
    }

    /// Whether a value may have been in a snapshot, or have been stored on what a snapshot had of its computation.
    fn restored(&self, write: &Write, end: &Call, snapshot: Nanos, down: Nanos) -> bool {
        // A process that ends a key stores none of its own computations of it, whatever the server has.
        let mine = self.calls[write.record].process == end.process;
        write.stored <= snapshot || (!mine && write.computed && write.start <= snapshot && write.until >= down)
    }

    /// Whether a connected server may have refused a call.
    pub fn refused(&self, at: usize) -> bool {
        let call = &self.calls[at];
        self.refuses(call.start, call.until)
    }

    /// Whether a connected server refused writes at some moment between these.
    pub fn refuses(&self, start: Nanos, end: Nanos) -> bool {
        let meets =
            |mishap: &Mishap| matches!(*mishap, Mishap::Refusal { from, until, .. } if start <= until && end >= from);
        self.history.mishaps.iter().any(meets)
    }

    /// Whether a process may hold keys until then that the server refused to remove.
    pub fn distrusts(&self, until: Nanos) -> bool {
        let meets = |mishap: &Mishap| matches!(*mishap, Mishap::Refusal { from, deletes: true, .. } if from <= until);
        self.history.mishaps.iter().any(meets)
    }

    /// Whether what a call did in Redis may be missing for a later one, as a server restarted, or evicted its key, or a
    /// full journal cleared its namespace.
    pub fn lost(&self, at: usize, reader: Nanos) -> bool {
        let call = &self.calls[at];
        let loses = |mishap: &Mishap| match *mishap {
            Mishap::Restart { down, snapshot, .. } => {
                reader >= down && call.start <= down && snapshot.is_none_or(|taken| call.until >= taken)
            }
            Mishap::Eviction { from, until } => reader >= from && call.start <= until,
            Mishap::Widened { at, .. } => reader >= at,
            _ => false,
        };
        let plan = &self.history.plan;
        let slot = match self.record(at).verb {
            Verb::Increment { key, .. } | Verb::Set { key, .. } => plan.slot_of(key),
            _ => 0,
        };
        let mishaps = self.history.mishaps.iter();
        mishaps.filter_map(|it| Self::as_restart(it, |slots| plan.spares(slots, slot))).any(|it| loses(&it))
    }

    /// Whether a full journal may have cleared its namespace by then.
    pub fn cleared(&self, by: Nanos) -> bool {
        self.history.mishaps.iter().any(|mishap| matches!(*mishap, Mishap::Widened { at, .. } if at <= by))
    }

    /// Whether the server may have lost all that it had at first by then.
    pub fn emptied(&self, by: Nanos) -> bool {
        let empties = |mishap: &Mishap| match *mishap {
            Mishap::Restart { down: from, snapshot: None, .. } | Mishap::Eviction { from, .. } => from <= by,
            _ => false,
        };
        self.history.mishaps.iter().any(empties)
    }
}

fn overlaps(call: &Call, from: Nanos, until: Nanos) -> bool {
    call.start <= until && call.until >= from
}

/// Whether a call was over, or at least made, before another one of the same thread.
pub fn made(earlier: &Call, later: &Call) -> bool {
    if earlier.place == later.place { earlier.seq < later.seq } else { over(earlier, later) }
}
