//! The rule about counters (G1). Each increment of a schedule adds a power of 4 of its own, on top of the counter's
//! value before (`HEAD`): so a sum says which increments it holds, which it holds twice, and whether it is Redis' or
//! was counted apart, in an outage.

use super::facts::{Call, Effect, Facts, NEVER};
use super::tell::{Found, key, name, place};
use crate::history::{Client, Key, Outcome, Verb};

pub const BASE: i64 = 4;
pub const DIGITS: usize = 22;
/// What counters hold before a schedule.
pub const HEAD: i64 = BASE.pow(DIGITS as u32);
/// The largest number that JavaScript holds exactly.
const MOST: i64 = (1 << 53) - 1;

/// How often a sum holds each amount, and then how often the head.
type Sum = [i64; DIGITS + 1];

struct Add {
    record: usize,
    digit: usize,
}

pub fn counters(facts: &Facts, found: &mut Found) {
    let records = &facts.history.records;
    let removed = records.iter().any(|record| matches!(record.verb, Verb::Flush | Verb::Sweep { .. }));
    for counter in &facts.history.plan.counters {
        let adds: Vec<Add> = (records.iter().enumerate())
            .filter_map(|(at, record)| match record.verb {
                Verb::Increment { key, amount } if key == *counter => {
                    Some(Add { record: at, digit: digit_of(amount)? })
                }
                _ => None,
            })
            .collect();
        for at in 0..records.len() {
            each_value(facts, at, *counter, |value| judge(facts, found, *counter, &adds, Some(at), value, removed));
        }
        if let Some((_, before, after)) = facts.history.finals.iter().find(|(key, ..)| key == counter)
            && let Some(bytes) = before
            && before == after
        {
            let value = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).unwrap_or(-1);
            judge(facts, found, *counter, &adds, None, value, removed);
        }
    }
}

/// Judges a sum that a call saw; none: that Redis has in the end.
fn judge(facts: &Facts, found: &mut Found, counter: Key, adds: &[Add], at: Option<usize>, value: i64, removed: bool) {
    let call = at.map(|at| &facts.calls[at]);
    let mut bad = |add: Option<&Add>, text: &str| {
        let records = add.map(|add| add.record).into_iter().chain(at).collect();
        found.tell_all("G1", records, || {
            let whose = at.map_or("Redis".to_string(), |at| format!("{}'s {}", place(facts, at), name(facts, at)));
            format!("{whose} of {} gave {value}: {text}", key(facts, counter))
        });
    };
    let Some(sum) = digits_of(value) else { return bad(None, "no sum") };
    for (digit, times) in sum[..DIGITS].iter().enumerate() {
        let add = adds.iter().find(|add| add.digit == digit);
        if *times > 1 {
            bad(add, &format!("an increment counts {times} times"));
        }
        let early = |add: &Add| call.is_some_and(|call| facts.calls[add.record].start > call.end);
        if *times > 0 && add.is_none_or(early) {
            bad(add, "an increment counts that was not made");
        }
    }
    if removed {
        return;
    }
    // Redis' own sums begin with what was there before.
    let theirs = sum[DIGITS] > 0;
    if let Some(call) = call
        && call.effect == Effect::Redis
        && !theirs
        && !at.is_some_and(|at| facts.refused(at))
        && !facts.emptied(call.end)
        && !facts.cleared(call.end)
    {
        bad(None, &format!("Redis' sum has lost the {HEAD} that it began with"));
    }
    for add in adds {
        let demanded = sum[add.digit] == 0 && counts(facts, add.record, at, theirs);
        if demanded && !facts.lost(add.record, call.map_or(NEVER, |call| call.end)) && !failed(facts, add.record) {
            bad(Some(add), "an increment that had resolved does not count");
        }
    }
}

/// Whether an increment must be part of a sum that a call saw; none: that Redis has in the end.
fn counts(facts: &Facts, add: usize, at: Option<usize>, theirs: bool) -> bool {
    let added = &facts.calls[add];
    let Some(at) = at else { return added.effect == Effect::Redis };
    let call: &Call = &facts.calls[at];
    if added.end == NEVER {
        return false;
    }
    if add == at {
        return true;
    }
    let before = if added.place == call.place { added.seq < call.seq } else { added.end < call.start };
    if !before {
        return false;
    }
    // Within an outage each process counts for itself; Redis' sums have what Redis has confirmed.
    let mine = call.process == added.process;
    match added.effect {
        Effect::Memory => mine && call.era == added.era,
        Effect::Redis => {
            let record = facts.record(at);
            theirs && (mine || record.client == Client::Settle || matches!(record.verb, Verb::Increment { .. }))
        }
        Effect::Unknown => false,
    }
}

/// Whether a server that refuses writes may have refused an increment, which is then counted in its process.
fn failed(facts: &Facts, add: usize) -> bool {
    facts.refused(add)
}

/// The sums of a counter that a call shows.
fn each_value(facts: &Facts, at: usize, counter: Key, mut judge: impl FnMut(i64)) {
    let record = facts.record(at);
    match (&record.verb, &record.outcome) {
        _ if record.end.is_none() => {}
        (Verb::Get { key } | Verb::Increment { key, .. }, Outcome::Value(Some(value))) if *key == counter => {
            judge(*value);
        }
        (Verb::GetMany { keys }, Outcome::Values(values)) => {
            let shown = keys.iter().zip(values).filter(|(key, _)| **key == counter);
            shown.filter_map(|(_, value)| *value).for_each(judge);
        }
        _ => {}
    }
}

/// None where a sum is none.
fn digits_of(value: i64) -> Option<Sum> {
    if !(0..=MOST).contains(&value) {
        return None;
    }
    let mut rest = value;
    Some(std::array::from_fn(|_| {
        let digit = rest % BASE;
        rest /= BASE;
        digit
    }))
}

fn digit_of(amount: i64) -> Option<usize> {
    (0..DIGITS).find(|digit| BASE.pow(*digit as u32) == amount)
}
