//! For each rule about what may be read a history that violates it, and its twin that does not.

use super::story::{A, A2, AGAIN, AWAY, B, K, OTHER, REDIS, Story, compute, del, set, sweep, sync};
use crate::history::{Compute, Outcome, State, Verb};

const NOTHING: [&str; 0] = [];

#[test]
fn what_a_function_returns_that_began_in_an_outage_is_for_its_waiters_alone() {
    let found = |began: State, place, state: State| {
        let mut story = Story::new();
        let record = story.computes(A, 0..20, compute(1), 1);
        (record.before, record.runs[0].before) = (began, began);
        (record.after, record.runs[0].after) = (Some(AGAIN), Some(AGAIN));
        story.within(place, 30..32, (state, state), Verb::Get { key: K }, Outcome::Value(Some(1)));
        story.found()
    };
    assert_eq!(found(AWAY, B, REDIS), ["G3"]);
    assert_eq!(found(AWAY, A, AGAIN), ["G3"]);
    assert_eq!(found(AWAY, A, AWAY), NOTHING, "nobody knows when it was stored there");
    assert_eq!(found(AGAIN, B, REDIS), NOTHING);
}

#[test]
fn a_value_comes_from_a_write_of_its_key() {
    let found = |value| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.reads(A, 10, Some(value));
        story.found()
    };
    assert_eq!(found(2), ["G1"]);
    assert_eq!(found(1), NOTHING);
}

#[test]
fn a_value_is_not_read_before_it_is_written() {
    let found = |written| {
        let mut story = Story::new();
        story.reads(B, 10, Some(1));
        story.does(A, written, set(1));
        story.found()
    };
    assert_eq!(found(20), ["G1"]);
    assert_eq!(found(11), NOTHING);
}

#[test]
fn keys_of_one_namespace_are_never_anothers() {
    let found = |key| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.call(A2, 10..12, Verb::Get { key }, Outcome::Value(Some(1)));
        story.found()
    };
    assert_eq!(found(OTHER), ["G1"]);
    assert_eq!(found(K), NOTHING);
}

#[test]
fn a_sweep_of_one_namespace_takes_nothing_from_another() {
    let found = |place| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.does(place, 10, sweep());
        story.reads(A, 20, None);
        story.found()
    };
    assert_eq!(found(A2), ["G1"]);
    assert_eq!(found(B), NOTHING);
}

#[test]
fn an_invalidation_in_one_namespace_ends_nothing_in_another() {
    let found = |place| {
        let mut story = Story::new();
        story.does(A, 0, Verb::Set { key: K, value: 1, ttl: None, tag: Some(0) });
        story.does(place, 10, Verb::Invalidate { tag: 0 });
        story.reads(A, 20, None);
        story.found()
    };
    assert_eq!(found(A2), ["G1"]);
    assert_eq!(found(B), NOTHING);
}

#[test]
fn a_process_does_not_read_what_it_has_deleted() {
    let found = |deletes| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.does(deletes, 10, del());
        story.reads(A, 20, Some(1));
        story.found()
    };
    assert_eq!(found(A), ["G1"]);
    // The push may be on its way.
    assert_eq!(found(B), NOTHING);
}

#[test]
fn a_process_does_not_read_what_it_has_deleted_in_an_outage() {
    let found = |reads| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.event(0, true, 5);
        story.within(A, 10..11, (AWAY, AWAY), del(), Outcome::Done);
        story.within(A, reads..14, (AWAY, AWAY), Verb::Get { key: K }, Outcome::Value(Some(1)));
        story.found()
    };
    assert_eq!(found(13), ["G3"]);
    assert_eq!(found(9), NOTHING);
}

#[test]
fn behind_a_reply_of_the_server_nobody_reads_what_was_ended_before_it() {
    let found = |asks| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.does(A, 10, set(2));
        story.does(B, asks, sync());
        story.reads(B, 20, Some(1));
        story.found()
    };
    assert_eq!(found(13), ["G2"]);
    assert_eq!(found(11), NOTHING);
}

#[test]
fn a_caller_may_share_a_computation_that_was_ended_before_a_reply_of_the_server() {
    let found = |asks| {
        let mut story = Story::new();
        story.computes(A, 0..30, compute(1), 1);
        story.does(B, 10, del());
        story.does(A, 15, sync());
        story.call(A, asks..asks + 10, Verb::Compute(compute(5)), Outcome::Value(Some(1)));
        story.found()
    };
    assert_eq!(found(20), NOTHING);
    assert_eq!(found(40), ["G2"]);
}

#[test]
fn a_connected_process_does_not_go_back() {
    let found = |first, then| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.does(A, 10, set(2));
        story.reads(B, 20, Some(first));
        story.reads(B, 30, Some(then));
        story.found()
    };
    assert_eq!(found(2, 1), ["G2"]);
    assert_eq!(found(1, 2), NOTHING);
}

#[test]
fn what_an_outage_stored_is_read_in_that_process_only() {
    let found = |reads| {
        let mut story = Story::new();
        story.event(0, true, 0);
        story.within(A, 5..6, (AWAY, AWAY), set(1), Outcome::Done);
        story.within(reads, 10..11, (AWAY, AWAY), Verb::Get { key: K }, Outcome::Value(Some(1)));
        story.found()
    };
    assert_eq!(found(B), ["G3"]);
    assert_eq!(found(A), NOTHING);
}

#[test]
fn what_an_outage_stored_is_gone_when_redis_is_back() {
    let found = |state| {
        let mut story = Story::new();
        story.event(0, true, 0);
        story.within(A, 5..6, (AWAY, AWAY), set(1), Outcome::Done);
        story.within(A, 10..11, (state, state), Verb::Get { key: K }, Outcome::Value(Some(1)));
        story.found()
    };
    assert_eq!(found(AGAIN), ["G3"]);
    assert_eq!(found(AWAY), NOTHING);
}

#[test]
fn what_an_outage_stored_is_gone_in_the_next_outage_too() {
    let later = State { since: 4, ..AWAY };
    let found = |was_back: bool| {
        let mut story = Story::new();
        story.event(0, true, 0);
        story.within(A, 5..6, (AWAY, AWAY), set(1), Outcome::Done);
        if was_back {
            story.event(0, false, 7);
            story.event(0, true, 8);
        }
        story.within(A, 10..11, (later, later), Verb::Get { key: K }, Outcome::Value(Some(1)));
        story.found()
    };
    assert_eq!(found(true), ["G3"]);
    // Where nobody has seen it back, it was not.
    assert_eq!(found(false), NOTHING);
}

#[test]
fn what_was_computed_while_its_key_was_deleted_is_nobodys() {
    let found = |deletes| {
        let mut story = Story::new();
        story.computes(A, 0..20, compute(1), 1);
        story.does(B, deletes, del());
        story.reads(B, 40, Some(1));
        story.found()
    };
    // By B, which has deleted it, and by anybody.
    assert_eq!(found(10), ["G4", "G4"]);
    assert_eq!(found(60), NOTHING);
}

#[test]
fn an_own_delete_ends_a_computation() {
    let found = |deletes| {
        let mut story = Story::new();
        story.computes(A, 0..20, compute(1), 1);
        story.does(A, deletes, del());
        story.reads(A, 40, Some(1));
        story.found()
    };
    assert_eq!(found(17), ["G4"]);
    assert_eq!(found(60), NOTHING);
}

#[test]
fn without_a_lease_a_result_may_be_stored_over_the_delete_of_another_process() {
    let found = |lock| {
        let mut story = Story::new();
        let unleased = Compute { lock, ..compute(1) };
        story.computes(A, 0..20, unleased, 1);
        story.does(B, 10, del());
        story.reads(A, 40, Some(1));
        story.found()
    };
    assert_eq!(found(true), ["G4"]);
    assert_eq!(found(false), NOTHING);
}
