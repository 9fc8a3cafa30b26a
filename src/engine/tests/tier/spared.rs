//! Sparing: what the part of a sweep that is still to come leaves alone, and for how long.

use std::sync::Arc;

use redis::Value;

use crate::engine::base::key::Prefix;
use crate::engine::base::pattern::Pattern;
use crate::engine::tier::covers::MAX_EXCEPTIONS;
use crate::engine::tier::journal::Journal;
use crate::engine::tier::spared::{Spared, Sparing};

fn pattern() -> Pattern {
    Pattern::new(&Prefix::new("app"), "k*", false)
}

/// A sweep of the servers 1 and 2.
fn called(sparing: &Sparing) -> Arc<Spared> {
    sparing.begin(&pattern(), [1, 2].into_iter())
}

fn picked(journal: &Journal, names: &[&str]) -> Vec<String> {
    let keys = names.iter().map(|name| Value::BulkString(name.as_bytes().to_vec())).collect();
    let parts = journal.pick(keys);
    parts.into_iter().flat_map(|part| part.keys).map(|key| String::from_utf8_lossy(&key).into_owned()).collect()
}

#[test]
fn a_key_is_spared_where_the_sweep_had_its_place_at_the_server_that_stored_it() {
    let (sparing, late) = (Sparing::default(), Journal::default());
    let sweep = called(&sparing);
    let before = sparing.moment();
    sweep.placed(1);
    let behind = sparing.moment();
    let _told = late.raise(sweep.rest_of(&pattern()));
    sparing.stored(1, "app:k1", before);
    sparing.stored(2, "app:k1", behind);
    assert!(late.covers("app:k1"), "it may be in front of the sweep");
    sparing.stored(1, "app:k1", behind);
    sparing.stored(1, "app:other", behind);
    // It got its slots from the others, and has no part.
    sparing.stored(3, "app:k3", before);
    assert!(!late.covers("app:k1") && late.covers("app:k2") && !late.covers("app:k3"));
    assert!(late.walk(None).is_some());
    assert_eq!(picked(&late, &["app:k1", "app:k2", "app:k3", "app:other"]), ["app:k2"]);
    assert_eq!(sparing.measures().map(|(_, held, _)| held), [2, 12]);
    sweep.placed(1);
    sparing.stored(1, "app:k4", behind);
    assert!(!late.covers("app:k4"), "it keeps its place");
}

#[test]
fn what_a_server_stored_before_its_connection_was_lost_is_spared_no_more() {
    let (sparing, late) = (Sparing::default(), Journal::default());
    let sweep = called(&sparing);
    sweep.placed(1);
    sweep.placed(2);
    let _told = late.raise(sweep.rest_of(&pattern()));
    for (place, key) in [(1, "app:k1"), (1, "app:k2"), (2, "app:k2")] {
        sparing.stored(place, key, sparing.moment());
    }
    sparing.lost(1);
    assert!(late.covers("app:k1"), "a replica that takes over may have what was there before");
    assert!(!late.covers("app:k2"), "another one stored it since");
    assert_eq!(sparing.measures().map(|(_, held, _)| held), [1, 6]);
}

#[test]
fn a_sweep_that_is_called_again_spares_nothing_of_before() {
    let (sparing, late, away) = (Sparing::default(), Journal::default(), Journal::default());
    let call = || {
        let sweep = called(&sparing);
        sweep.placed(1);
        drop(late.raise(sweep.rest_of(&pattern())));
        let _ = away.note_pattern(&Prefix::new("app"), sweep.rest_of(&pattern()), false);
    };
    call();
    sparing.stored(1, "app:k1", sparing.moment());
    assert!(!late.covers("app:k1") && !away.covers("app:k1"));
    call();
    assert!(late.covers("app:k1") && away.covers("app:k1"));
    assert_eq!((away.len(), sparing.len()), (1, 1), "it is the same pattern");
}

#[test]
fn nothing_is_noted_once_all_parts_of_a_sweep_are_done_or_nobody_is_to_do_them() {
    let (sparing, [first, second]) = (Sparing::default(), [Journal::default(), Journal::default()]);
    let sweep = called(&sparing);
    sweep.placed(1);
    for journal in [&first, &second] {
        drop(journal.raise(sweep.rest_of(&pattern())));
        journal.walk(None);
    }
    drop(sweep);
    sparing.stored(1, "app:k1", sparing.moment());
    first.walked(None);
    assert_eq!(sparing.len(), 1);
    // Its slots have gone to others, which are to do what it was.
    let (_, passed) = second.part(|_| true, [true, false]);
    assert!(second.covers("app:k1") && passed.iter().all(|(pattern, _)| pattern.spares(b"app:k1")));
    drop(passed);
    assert!(sparing.is_empty());
    assert_eq!(sparing.measures().map(|(_, held, _)| held), [0, 0]);
}

#[test]
fn beyond_its_bound_a_key_is_not_spared() {
    let (sparing, late) = (Sparing::default(), Journal::default());
    let sweep = called(&sparing);
    sweep.placed(1);
    let _told = late.raise(sweep.rest_of(&pattern()));
    (0..=MAX_EXCEPTIONS).for_each(|n| sparing.stored(1, &format!("app:k{n}"), sparing.moment()));
    assert!(!late.covers("app:k0") && late.covers(&format!("app:k{MAX_EXCEPTIONS}")));
}
