//! Old values: what `swr`, `grace` and `earlyRefresh` let a caller have, and what they do not.

use std::ops::Range;

use super::story::{A, AGAIN, B, K, N, REDIS, Story, compute, del, run, set, sync};
use crate::history::{Compute, MILLI, Outcome, Run, State, Verb};
use crate::schedule::HARD_TIMEOUT;

const NOTHING: [&str; 0] = [];

/// A value that is kept for this long behind its TTL of 30 ms.
fn kept_for(swr: u64, grace: u64) -> Compute {
    Compute { ttl: Some(30), swr, grace, ..compute(1) }
}

/// A caller that takes values this old, and whose function has nothing to say.
fn takes(swr: u64, grace: u64) -> Verb {
    Verb::Compute(Compute { swr, grace, fails: true, ..compute(9) })
}

#[test]
fn a_value_is_as_old_as_its_caller_takes_it_and_it_is_kept() {
    // It is stored at 20 ms the latest, and lives for 30; 50 are slack.
    let found = |kept, caller: Verb, reads| {
        let mut story = Story::new();
        story.computes(A, 0..20, kept, 1);
        story.call(B, reads..reads + 1, caller, Outcome::Value(Some(1)));
        story.found()
    };
    assert_eq!(found(kept_for(100, 0), takes(100, 0), 200), NOTHING);
    assert_eq!(found(kept_for(100, 0), takes(100, 0), 201), ["G5"]);
    assert_eq!(found(kept_for(10, 100), takes(0, 100), 200), NOTHING);
    assert_eq!(found(kept_for(10, 100), takes(0, 100), 201), ["G5"]);
    assert_eq!(found(kept_for(100, 0), takes(20, 0), 121), ["G5"]);
    assert_eq!(found(kept_for(20, 0), takes(100, 0), 121), ["G5"]);
    assert_eq!(found(kept_for(100, 0), Verb::Get { key: K }, 101), ["G5"]);
}

#[test]
fn what_a_set_left_is_never_old() {
    let found = |reads| {
        let mut story = Story::new();
        story.does(A, 0, Verb::Set { key: K, value: 1, ttl: Some(30), tag: None });
        story.call(B, reads..reads + 1, takes(100, 100), Outcome::Value(Some(1)));
        story.found()
    };
    assert_eq!(found(83), ["G5"]);
    assert_eq!(found(82), NOTHING);
}

#[test]
fn behind_swr_the_function_that_returns_goes_first() {
    let found = |runs: Range<u64>, swr| {
        let mut story = Story::new();
        story.computes(A, 0..20, kept_for(swr, 300), 1);
        let caller = Compute { swr, grace: 300, ..compute(5) };
        let record = story.call(B, 110..120, Verb::Compute(caller), Outcome::Value(Some(1)));
        record.runs.push(run(runs, 5));
        story.found()
    };
    assert_eq!(found(111..115, 0), ["G5"]);
    // The function is slow, or the value still serves at once.
    assert_eq!(found(111..130, 0), NOTHING);
    assert_eq!(found(111..115, 200), NOTHING);
}

#[test]
fn old_values_end_with_their_keys() {
    let found = |ends: Verb, reads| {
        let mut story = Story::new();
        story.computes(A, 0..20, kept_for(500, 500), 1);
        story.does(A, 110, ends);
        story.call(A, reads..reads + 1, takes(500, 500), Outcome::Value(Some(1)));
        story.found()
    };
    for ends in [del(), set(2), super::story::sweep()] {
        assert_eq!(found(ends.clone(), 120), ["G4"], "{ends:?}");
        assert_eq!(found(ends, 105), NOTHING);
    }
    let invalidates = Verb::Invalidate { tag: 3 };
    assert_eq!(found(invalidates, 120), NOTHING, "it has no tag");
}

#[test]
fn in_other_processes_too_behind_a_reply_of_the_server() {
    let found = |asks| {
        let mut story = Story::new();
        story.computes(A, 0..20, kept_for(500, 0), 1);
        story.does(A, 110, del());
        story.does(B, asks, sync());
        story.call(B, 120..121, takes(500, 0), Outcome::Value(Some(1)));
        story.found()
    };
    assert_eq!(found(113), ["G2"]);
    assert_eq!(found(111), NOTHING);
}

/// A takes the old value at once, and its function refreshes it until 130 ms. The result has landed at 136.
fn refreshing() -> Story {
    refreshing_until(Some((136, REDIS)))
}

fn refreshing_until(landed: Option<(u64, State)>) -> Story {
    let mut story = Story::new();
    story.computes(A, 0..20, kept_for(500, 0), 1);
    let caller = Compute { ttl: Some(30), swr: 500, ..compute(5) };
    let record = story.call(A, 101..103, Verb::Compute(caller), Outcome::Value(Some(1)));
    record.runs.push(Run { landed: landed.map(|(at, state)| (at * MILLI, state)), ..run(102..130, 5) });
    story
}

#[test]
fn a_refresh_is_stored_when_it_has_landed() {
    let found = |landed, reads| {
        let mut story = refreshing_until(landed);
        story.reads(B, reads, Some(5));
        story.found()
    };
    // At 136 ms the latest, for 30 ms and the slack.
    assert_eq!(found(Some((136, REDIS)), 216), NOTHING);
    assert_eq!(found(Some((136, REDIS)), 217), ["G5"]);
    assert_eq!(found(None, 217), NOTHING, "it may be stored at any time");
}

#[test]
fn what_was_refreshed_while_its_key_was_deleted_is_nobodys_but_its_waiters() {
    let found = |deletes, reads| {
        let mut story = refreshing();
        story.does(B, deletes, del());
        story.does(A, 134, sync());
        let asks = Verb::Compute(compute(9));
        story.call(A, 126..140, asks, Outcome::Value(Some(5)));
        story.reads(reads, 150, Some(5));
        story.found()
    };
    assert_eq!(found(120, B), ["G4", "G4"]);
    assert_eq!(found(120, A), ["G2", "G4"]);
    assert_eq!(found(160, B), NOTHING);
}

#[test]
fn who_shares_a_refresh_has_its_value_though_another_process_has_ended_it() {
    let found = |asks| {
        let mut story = refreshing();
        story.does(B, 110, del());
        story.does(A, 120, sync());
        story.call(A, asks..asks + 9, Verb::Compute(compute(9)), Outcome::Value(Some(5)));
        story.does(A, 134, sync());
        story.found()
    };
    assert_eq!(found(125), NOTHING);
    assert_eq!(found(140), ["G2"]);
}

#[test]
fn a_refresh_that_an_outage_met_may_be_stored_until_redis_is_back() {
    let mut story = refreshing_until(Some((139, AGAIN)));
    story.event(0, true, 132);
    story.within(A, 131..140, (REDIS, AGAIN), sync(), Outcome::Done);
    story.event(0, false, 139);
    story.within(A, 150..152, (AGAIN, AGAIN), sync(), Outcome::Done);
    story.reads(B, 219, Some(5));
    assert_eq!(story.found(), NOTHING);
    story.reads(B, 220, Some(5));
    assert_eq!(story.found(), ["G5"]);
}

#[test]
fn redis_keeps_a_value_for_its_windows_too() {
    let found = |left: u64| {
        let mut story = Story::new();
        story.computes(A, 0..20, kept_for(500, 800), 1);
        story.looks(A, 30, Some(1));
        story.0.left = vec![(K, Some(left * MILLI))];
        story.found()
    };
    assert_eq!(found(848), NOTHING);
    assert_eq!(found(50), ["G5"]);
}

#[test]
fn a_function_that_throws_rejects_its_callers_and_no_others() {
    let found = |fails, key| {
        let mut story = Story::new();
        let error = || Outcome::Error("ERR_ON_PURPOSE".into());
        story.call(A, 0..20, Verb::Compute(Compute { fails, ..compute(1) }), error());
        story.call(A, 10..20, Verb::Compute(Compute { keys: vec![key], ..compute(5) }), error());
        story.found()
    };
    assert_eq!(found(true, K), NOTHING);
    assert_eq!(found(true, N), ["contract"]);
    assert_eq!(found(false, K), ["contract", "contract"]);
}

#[test]
fn without_pushes_the_old_value_of_a_running_refresh_may_be_had_after_its_end() {
    let found = |silent: bool, runs: Range<u64>, landed: u64| {
        let mut story = Story::new();
        story.0.plan.silent = silent;
        story.computes(B, 0..20, kept_for(500, 0), 1);
        let refresh = Compute { swr: 500, ..compute(3) };
        let record = story.call(A, 110..112, Verb::Compute(refresh), Outcome::Value(Some(1)));
        record.runs.push(Run { landed: Some((landed * MILLI, REDIS)), ..run(runs, 3) });
        story.does(B, 120, del());
        story.does(A, 130, sync());
        story.call(A, 140..141, takes(500, 0), Outcome::Value(Some(1)));
        story.found()
    };
    assert_eq!(found(true, 111..150, 152), NOTHING);
    assert_eq!(found(false, 111..150, 152), ["G2"], "a push tells");
    assert_eq!(found(true, 111..125, 140), NOTHING, "its result is being stored");
    assert_eq!(found(true, 111..125, 139), ["G2"], "it is over");
}

#[test]
fn a_call_gives_up_when_its_caller_said_so_and_not_by_itself() {
    let found = |hard: u64, waited: u64| {
        let mut story = Story::new();
        let caller = Compute { hard, ..compute(5) };
        story.call(A, 0..waited, Verb::Compute(caller), Outcome::too_late());
        story.found()
    };
    assert_eq!(found(10, 10), NOTHING);
    assert_eq!(found(10, 9), ["contract"], "it was not time yet");
    assert_eq!(found(HARD_TIMEOUT, HARD_TIMEOUT), ["contract"], "it waited for nobody");
}
