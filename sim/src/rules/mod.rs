//! The guarantees of docs/reliability.md as rules over a history. A rule says only what must be true however the calls
//! were interleaved; where two orders are possible, it allows both. What the rules allow on purpose stands in
//! docs/reliability.md.
//!
//! check/judge has the same rules over the histories of real servers, and the tests here demand that both judge alike.
//! Beyond those, the rules here know old values (`swr`, `grace`), namespaces, and mishaps: restarts, deaths, full
//! journals and refusals (order.rs).

mod counters;
mod facts;
mod gather;
mod lives;
mod order;
mod pattern;
mod reads;
mod rest;
mod tell;
#[cfg(test)]
mod tests;

#[allow(unused_imports, reason = "for whoever plans schedules")]
pub use counters::{BASE, DIGITS, HEAD};
pub use tell::Violation;

use crate::history::History;
use facts::{Facts, NEVER};
use tell::Found;

const RULES: [fn(&Facts, &mut Found); 16] = [
    rest::settles,
    reads::written,
    reads::own_writes,
    reads::pushes,
    reads::forwards,
    reads::aged,
    reads::apart,
    reads::computations,
    lives::expiry,
    lives::met,
    lives::timed,
    lives::kept,
    rest::settled,
    counters::counters,
    rest::others,
    rest::bound,
];

/// The violations of a history, the earliest first.
pub fn check(history: &History) -> Vec<Violation> {
    let facts = Facts::new(history);
    let mut found = Found::default();
    for rule in RULES {
        rule(&facts, &mut found);
    }
    let Found(mut found) = found;
    found.sort_by_key(|violation| violation.records.last().map_or(NEVER, |at| facts.calls[*at].start));
    found
}
