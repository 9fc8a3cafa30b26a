//! What holds in the end: all agree, every call has settled, and the keys of others are there (G2 to G4, G6,
//! G8), and no process has held too much (G9).

use super::facts::{Effect, Facts, NEVER};
use super::tell::{Found, key, name, place, show, who};
use crate::history::{Client, MILLI, Mishap, Outcome, Place, Verb};
use crate::schedule::HARD_TIMEOUT;

/// In the end every process agrees with Redis, and Redis has nothing that anybody ended: in an outage, too (G3).
pub fn settled(facts: &Facts, found: &mut Found) {
    let history = facts.history;
    for read in &facts.reads {
        if facts.record(read.record).client != Client::Settle || history.plan.counters.contains(&read.key) {
            continue;
        }
        let write = read.write.map(|at| &facts.writes[at]);
        if let Some((_, before, after)) = history.finals.iter().find(|(key, ..)| *key == read.key)
            && before == after
            && !agrees(read.value, before.as_deref())
            // What a server refused to remove reads as a miss.
            && !(read.value.is_none() && facts.distrusts(facts.calls[read.record].start))
        {
            let records = write.map(|write| write.record).into_iter().chain([read.record]).collect();
            found.tell_all("G2", records, || {
                let shown = |value: Option<i64>| value.map_or("null".to_string(), |value| value.to_string());
                let (who, key) = (place(facts, read.record), key(facts, read.key));
                let (value, stored) = (shown(read.value), shown(number(before.as_deref())));
                format!("in the end {who} read {key} = {value}, and Redis has {stored}")
            });
        }
        let Some(write) = write else { continue };
        for at in facts.ends(write, NEVER) {
            let end = &facts.calls[at];
            // Nobody knows whether a thread that ended has made its last calls.
            if end.end == NEVER || !facts.precedes(write, at) || facts.undone(write, at, read.record) {
                continue;
            }
            let guarantee = match end.effect {
                _ if write.computed => "G4",
                Effect::Redis => "G2",
                _ => "G3",
            };
            found.tell(guarantee, [write.record, at, read.record], || {
                let read = show(facts, read, write.value);
                format!("in the end {read}, older than the {} of {}", name(facts, at), place(facts, at))
            });
        }
    }
}

/// Whether what a process read is what these bytes in Redis are: a number is the value itself; a marker (0xFE) is none;
/// what has a header (0xFF) may have been invalidated, and says nothing.
fn agrees(value: Option<i64>, bytes: Option<&[u8]>) -> bool {
    match bytes {
        None | Some([0xFE, ..]) => value.is_none(),
        Some([b'0'..=b'9', ..]) => value.is_some() && value == number(bytes),
        Some(_) => true,
    }
}

fn number(bytes: Option<&[u8]>) -> Option<i64> {
    std::str::from_utf8(bytes?).ok()?.parse().ok()
}

/// Every call settles, and trouble with Redis rejects none.
pub fn settles(facts: &Facts, found: &mut Found) {
    for (at, call) in facts.calls.iter().enumerate() {
        let record = facts.record(at);
        if let Outcome::Error(error) = &record.outcome
            && call.end != NEVER
        {
            if !facts.refused(at) && !threw(facts, at) && !gave_up(facts, at) {
                found.tell("contract", [at], || {
                    format!("a {} of {} rejected: {error}", name(facts, at), place(facts, at))
                });
            }
        } else if call.end == NEVER && !has_ended(facts, record.place) {
            found.tell("G6", [at], || format!("a {} of {} never settled", name(facts, at), place(facts, at)));
        }
    }
}

fn has_ended(facts: &Facts, place: Place) -> bool {
    let died = |mishap: &Mishap| match (mishap, place) {
        (Mishap::Death { process, .. }, Place::Environment { process: own, .. }) => *process == own,
        _ => false,
    };
    facts.history.ended.contains(&place) || facts.history.mishaps.iter().any(died)
}

/// Whether a computation rejected as its function threw, or that of a call of the same thread which it shared.
fn threw(facts: &Facts, at: usize) -> bool {
    let (Verb::Compute(compute), call) = (&facts.record(at).verb, &facts.calls[at]) else { return false };
    facts.calls.iter().enumerate().any(|(other, leader)| {
        leader.place == call.place
            && leader.start <= call.end
            && leader.end >= call.start
            && matches!(&facts.record(other).verb,
                Verb::Compute(led) if led.fails && led.keys.iter().any(|key| compute.keys.contains(key)))
    })
}

/// Whether a computation rejected as it had waited for as long as its caller said. No function runs for the usual time:
/// who waits for that waits for nobody.
fn gave_up(facts: &Facts, at: usize) -> bool {
    let (record, call) = (facts.record(at), &facts.calls[at]);
    let Verb::Compute(compute) = &record.verb else { return false };
    let waited = call.end - call.start >= compute.hard.saturating_mul(MILLI);
    waited && compute.hard < HARD_TIMEOUT && record.outcome == Outcome::too_late()
}

/// G8: the keys of others are there, but for a server that lost or evicted them.
pub fn others(facts: &Facts, found: &mut Found) {
    let history = facts.history;
    let flushed = history.records.iter().any(|record| matches!(record.verb, Verb::Flush));
    if !history.lost.is_empty() && !flushed && !facts.emptied(NEVER) {
        found.tell("G8", [], || format!("keys of others are gone: {}", history.lost.join(", ")));
    }
}

/// G9: what a process holds stays within its bounds, and nothing of a call is left at rest.
pub fn bound(facts: &Facts, found: &mut Found) {
    for excess in &facts.history.excesses {
        let ms = excess.at as f64 / MILLI as f64;
        found.tell("bound", [], || {
            let (process, what) = (who(Place::Environment { process: excess.process, thread: 0 }), excess.what);
            format!("{process} held {} {what} at {ms:.3} ms, of {} at most", excess.held, excess.bound)
        });
    }
}
