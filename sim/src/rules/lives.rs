//! How long values live (G5, and of G1 that they do live).

use super::facts::over;
use super::facts::{Call, Effect, Facts, NEVER, Read, SLACK, Write};
use super::gather::{nanos, window};
use super::order::made;
use super::tell::{Found, key, place, show};
use crate::history::{Client, MILLI, Mishap, Nanos, Outcome, Verb};

/// G5: nothing lives longer than its TTL, the last that it was given; nor is it served as an old value for longer than
/// it is kept, and its caller takes it.
pub fn expiry(facts: &Facts, found: &mut Found) {
    for (read, write) in facts.valued() {
        let reader = &facts.calls[read.record];
        let due = due(facts, read, write);
        let (swr, most) = windows(facts, read, write);
        if reader.start > due.saturating_add(most) {
            let late = (reader.start - due - most) as f64 / MILLI as f64;
            let records = with_given(facts, read, write);
            found.tell_all("G5", records, || format!("{} {late:.1} ms too late", show(facts, read, write.value)));
        } else if reader.start > due.saturating_add(swr) && returned(facts, read) {
            found.tell("G5", [write.record, read.record], || {
                format!("{}, an old value, though its function had returned", show(facts, read, write.value))
            });
        }
    }
}

/// When the life of a value is certainly over.
fn due(facts: &Facts, read: &Read, write: &Write) -> Nanos {
    let reader = &facts.calls[read.record];
    let (mut given, mut only) = (0, None);
    let mut last = 0;
    for at in given_to(facts, read, write) {
        let call = &facts.calls[at];
        (given, only) = (given + 1, Some(at));
        last = last.max(call.until.saturating_add(ttl_of(facts, at)));
    }
    // This process' own `expire`, where it certainly met this value and there was no other one, may also shorten its
    // life.
    let met = only.filter(|at| {
        let call = &facts.calls[*at];
        given == 1
            && facts.record(*at).outcome == Outcome::Flag(true)
            && call.process == reader.process
            && write.until < call.start
            && call.until < reader.start
            && !facts.undone(write, *at, read.record)
    });
    if met.is_none() {
        last = last.max(write.until.saturating_add(write.ttl));
    }
    last.saturating_add(SLACK)
}

/// The calls of `expire` that may have met a value before it was read.
fn given_to<'f>(facts: &'f Facts, read: &Read, write: &Write) -> impl Iterator<Item = usize> + use<'f> {
    let (begun, over) = (write.start, facts.calls[read.record].end);
    facts.expiries(write.key).iter().copied().filter(move |at| {
        let call = &facts.calls[*at];
        call.end > begun && call.start < over
    })
}

fn with_given(facts: &Facts, read: &Read, write: &Write) -> Vec<usize> {
    [write.record].into_iter().chain(given_to(facts, read, write)).chain([read.record]).collect()
}

/// For how long behind its TTL a caller may get a value at once, and at all.
fn windows(facts: &Facts, read: &Read, write: &Write) -> (Nanos, Nanos) {
    match &facts.record(read.record).verb {
        Verb::Compute(compute) => (nanos(Some(compute.swr)).min(write.window), window(compute).min(write.window)),
        _ => (0, 0),
    }
}

/// Whether a caller's own function had returned a value for this key.
fn returned(facts: &Facts, read: &Read) -> bool {
    let record = facts.record(read.record);
    match &record.verb {
        Verb::Compute(compute) if !compute.fails => {
            record.runs.iter().any(|run| run.key == read.key && run.end.is_some_and(|end| Some(end) < record.end))
        }
        _ => false,
    }
}

fn ttl_of(facts: &Facts, at: usize) -> Nanos {
    match facts.record(at).verb {
        Verb::Expire { ttl, .. } => nanos(Some(ttl)),
        _ => NEVER,
    }
}

/// G5: an `expire` that Redis answered with true has met a value: one that nobody had certainly ended before.
pub fn met(facts: &Facts, found: &mut Found) {
    for key in 0..facts.keys() {
        for &at in facts.expiries(key) {
            let call = &facts.calls[at];
            if facts.record(at).outcome != Outcome::Flag(true) || call.effect != Effect::Redis {
                continue;
            }
            let ends = |write: &Write, end: usize| {
                let ended = &facts.calls[end];
                let certain = ended.effect == Effect::Redis
                    && facts.precedes(write, end)
                    && if facts.spreads(end) { over(ended, call) } else { made(ended, call) };
                certain && !facts.refused(end) && !facts.undone(write, end, at)
            };
            let writes = facts.values[key].iter().map(|(_, at)| &facts.writes[*at]);
            let mut there = writes.filter(|write| write.start <= call.end).peekable();
            let any = there.peek().is_some();
            if any && there.all(|write| facts.ends(write, call.start).any(|end| ends(write, end))) {
                found.tell("G5", [at], || format!("an expire of {} met what was ended before", self::key(facts, key)));
            }
        }
    }
}

/// G5: in Redis a key has the time left that its value was given, with it or by an `expire` that found it.
pub fn timed(facts: &Facts, found: &mut Found) {
    for read in &facts.reads {
        let Some(write) = read.write.map(|at| &facts.writes[at]) else { continue };
        let record = facts.record(read.record);
        if record.client != Client::Settle || write.until == NEVER {
            continue;
        }
        if let Some(left) = facts.history.left.iter().find(|(key, _)| *key == read.key).and_then(|(_, left)| *left) {
            life(facts, found, read.record, write, (left, left));
        }
    }
    for (at, record) in facts.history.records.iter().enumerate() {
        let (Verb::Probe { key }, Outcome::Found(Some(bytes), millis)) = (&record.verb, &record.outcome) else {
            continue;
        };
        let (Some(value), Ok(millis)) = (plain(bytes), u64::try_from(*millis)) else { continue };
        if let Some(write) = facts.write(*key, value).filter(|write| write.until != NEVER) {
            let call = &facts.calls[at];
            let due = (call.start + millis * MILLI, call.end.saturating_add((millis + 1) * MILLI));
            life(facts, found, at, write, due);
        }
    }
}

/// A number as it is stored: a value without a header.
fn plain(bytes: &[u8]) -> Option<i64> {
    let digits = bytes.iter().all(u8::is_ascii_digit) && (bytes.len() == 1 || bytes.first() != Some(&b'0'));
    if digits { std::str::from_utf8(bytes).ok()?.parse().ok() } else { None }
}

/// What lay in Redis, and between which moments its life was to end.
fn life(facts: &Facts, found: &mut Found, at: usize, write: &Write, due: (Nanos, Nanos)) {
    let looker = &facts.calls[at];
    let fits = |from: Nanos, until: Nanos, ttl: Nanos| {
        let life = ttl.saturating_add(write.window);
        ttl != NEVER
            && due.1 >= from.saturating_add(life).saturating_sub(SLACK)
            && due.0 <= until.saturating_add(life).saturating_add(SLACK)
    };
    // A refresh is stored behind its call.
    let until = facts.calls[write.record].until.max(write.until);
    if fits(write.stored, until, write.ttl) {
        return;
    }
    // `false` is Redis' word only where Redis answered: a call that ran into an outage was answered in process, and may
    // have taken effect in Redis all the same.
    let given = facts.expiries(write.key).iter().copied().any(|each| {
        let call = &facts.calls[each];
        let refused = facts.record(each).outcome == Outcome::Flag(false) && call.effect == Effect::Redis;
        let meets = call.until > write.start && call.start < looker.end;
        meets && !refused && fits(call.start, call.until, ttl_of(facts, each))
    });
    if given {
        return;
    }
    let meant = facts.expiries(write.key).iter().copied().filter(|each| facts.calls[*each].start < looker.end);
    let records = [write.record].into_iter().chain(meant).chain([at]).collect();
    found.tell_all("G5", records, || {
        let seconds = (due.0 as f64 - looker.end as f64) / 1e9;
        format!("{} = {} in Redis has {seconds:.1} s left, which nobody gave it", key(facts, write.key), write.value)
    });
}

/// G1: one's own write is there, where nothing took it away.
pub fn kept(facts: &Facts, found: &mut Found) {
    for read in &facts.reads {
        let reader = &facts.calls[read.record];
        if read.value.is_some() || reader.computes || reader.effect != Effect::Redis {
            continue;
        }
        // What most often took it away.
        let reach = facts.reach(read.key, reader.end);
        for write in facts.writes(read.key) {
            let writer = &facts.calls[write.record];
            if write.computed || reach.without(write.record) >= Some(write.start) {
                continue;
            }
            if writer.era != reader.era || !over(writer, reader) {
                continue;
            }
            let alive = reader.end <= write.start.saturating_add(write.ttl).saturating_sub(SLACK);
            if alive && !taken(facts, write, reader) {
                found.tell("G1", [write.record, read.record], || {
                    let (who, key) = (place(facts, read.record), key(facts, read.key));
                    format!("{who} read {key} = null although nothing took its own {} away", write.value)
                });
            }
        }
    }
}

/// Whether something may have taken a value away before it was read.
fn taken(facts: &Facts, write: &Write, reader: &Call) -> bool {
    let meanwhile = |start: Nanos, until: Nanos| start <= reader.end && until >= write.start;
    // A sweep that finds a slot moved is answered before the slot's new owner has been swept.
    let moved =
        |at: usize| matches!(facts.record(at).verb, Verb::Sweep { .. }) && facts.follows(write, facts.calls[at].until);
    let ended = |at: usize| {
        // What ends a tag and is not heard of yet makes a miss of what is stored with it.
        let call = &facts.calls[at];
        // And what an outage left to be undone follows its slot.
        let follows = || call.effect != Effect::Redis && facts.follows(write, reader.end);
        let lasts = || ends_tag(facts, at, write) || is_swept_later(facts, at) || moved(at) || follows();
        at != write.record
            && !spares(facts, at, write)
            && (meanwhile(call.start, call.until) || meanwhile(call.start, NEVER) && lasts())
    };
    let computed = |other: &Write| other.computed && !other.leased && meanwhile(other.start, other.until);
    // The latest first: it is the likeliest.
    facts.ends_from(write, 0, reader.end).rev().any(ended)
        || facts.expiries(write.key).iter().copied().any(ended)
        || facts.writes(write.key).any(computed)
        || facts.outages.iter().any(|(at, back)| meanwhile(at.saturating_sub(SLACK), *back))
        || facts.misses_token(write, reader)
        || facts.history.mishaps.iter().filter_map(|mishap| facts.of_write(mishap, write)).any(|mishap| match mishap {
            Mishap::Restart { down, up, .. } => meanwhile(down, up),
            // On a cluster what was refused is removed when its slot goes to another server.
            Mishap::Refusal { from, deletes: true, .. } if facts.history.plan.cluster => from <= reader.end,
            Mishap::Refusal { from, until, .. } | Mishap::Eviction { from, until } => meanwhile(from, until),
            Mishap::Unserved { slots, from, until } => {
                !facts.history.plan.spares(slots, write.slots[0]) && meanwhile(from, until)
            }
            Mishap::Widened { at, .. } => at <= reader.end,
            // A failover is a restart here, where it befell the value at all.
            Mishap::Death { .. }
            | Mishap::Overflow { .. }
            | Mishap::Swept { .. }
            | Mishap::Removed { .. }
            | Mishap::Moved { .. }
            | Mishap::Failover { .. } => false,
        })
}

/// Whether a sweep of the same thread was called before the write: it leaves that alone, however long it takes.
fn spares(facts: &Facts, at: usize, write: &Write) -> bool {
    let (call, writer) = (&facts.calls[at], &facts.calls[write.record]);
    let swept = matches!(facts.record(at).verb, Verb::Sweep { .. }) && call.effect == Effect::Redis;
    swept && call.place == writer.place && call.seq < writer.seq
}

/// Whether the keys of a sweep are walked for once its process is back, while that and others write already.
fn is_swept_later(facts: &Facts, at: usize) -> bool {
    matches!(facts.record(at).verb, Verb::Sweep { .. }) && facts.calls[at].effect != Effect::Redis
}

/// Whether a call ends the tag that a value was stored with: an invalidation, and what removes all keys, the tag's
/// among them.
fn ends_tag(facts: &Facts, at: usize, write: &Write) -> bool {
    match facts.record(at).verb {
        Verb::Invalidate { .. } => true,
        Verb::Flush | Verb::Sweep { pattern: None } => write.tag.is_some(),
        _ => false,
    }
}
