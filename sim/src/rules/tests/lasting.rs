//! For each rule about what lasts a history that violates it, and its twin that does not: lives, what is there in the
//! end, calls and sums.

use super::story::{A, AWAY, B, F, K, N, REDIS, Story, del, set, sweep};
use crate::history::{Excess, MILLI, Outcome, Verb};
use crate::rules::counters::HEAD;

const NOTHING: [&str; 0] = [];

#[test]
fn nothing_is_read_after_its_ttl() {
    let found = |reads| {
        let mut story = Story::new();
        story.does(A, 0, Verb::Set { key: K, value: 1, ttl: Some(30), tag: None });
        story.reads(B, reads, Some(1));
        story.found()
    };
    assert_eq!(found(83), ["G5"]);
    assert_eq!(found(82), NOTHING);
}

#[test]
fn what_others_ended_is_served_no_longer_than_it_is_vouched_for() {
    let found = |state, reads: u64| {
        let mut story = Story::new();
        (story.0.plan.trust, story.0.plan.max_age) = (Some(60 * MILLI), Some(20 * MILLI));
        if state == REDIS {
            story.0.plan.max_age = None;
        }
        story.does(A, 0, set(1));
        story.does(F, 10, set(2));
        story.within(A, reads..reads + 1, (state, state), Verb::Get { key: K }, Outcome::Value(Some(1)));
        story.found()
    };
    assert_eq!(found(REDIS, 73), NOTHING, "its push may be unread");
    assert_eq!(found(REDIS, 74), ["G2"]);
    assert_eq!(found(AWAY, 33), NOTHING);
    assert_eq!(found(AWAY, 34), ["G2"], "what was held when Redis went is too old for its cache");
}

#[test]
fn an_expire_may_lengthen_a_life_and_ones_own_may_shorten_it() {
    let found = |place, ttl, reads| {
        let mut story = Story::new();
        story.does(A, 0, Verb::Set { key: K, value: 1, ttl: Some(100), tag: None });
        story.call(place, 10..12, Verb::Expire { key: K, ttl }, Outcome::Flag(true));
        story.reads(A, reads, Some(1));
        story.found()
    };
    assert_eq!(found(B, 200, 250), NOTHING);
    assert_eq!(found(B, 200, 263), ["G5"]);
    assert_eq!(found(A, 20, 100), ["G5"]);
    assert_eq!(found(B, 20, 100), NOTHING);
}

#[test]
fn an_expire_that_says_true_has_met_a_value() {
    let found = |invalidated: std::ops::Range<u64>, again: bool, says| {
        let mut story = Story::new();
        story.does(A, 0, Verb::Set { key: K, value: 1, ttl: Some(20_000), tag: Some(0) });
        story.call(A, invalidated, Verb::Invalidate { tag: 0 }, Outcome::Done);
        if again {
            story.call(B, 5..14, set(2), Outcome::Done);
        }
        story.call(B, 12..15, Verb::Expire { key: K, ttl: 500 }, Outcome::Flag(says));
        story.found()
    };
    assert_eq!(found(8..10, false, true), ["G5"]);
    assert_eq!(found(8..10, false, false), NOTHING);
    assert_eq!(found(8..13, false, true), NOTHING, "it may have been invalidated behind it");
    assert_eq!(found(8..10, true, true), NOTHING, "it was written anew");
}

#[test]
fn a_key_in_redis_has_the_time_left_that_it_was_given() {
    let found = |left| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.call(A, 5..7, Verb::Expire { key: K, ttl: 500 }, Outcome::Flag(true));
        story.call(F, 10..10, Verb::Probe { key: K }, Outcome::Found(Some(b"1".to_vec()), left));
        story.found()
    };
    assert_eq!(found(10_000), ["G5"]);
    assert_eq!(found(19_990), NOTHING);
    assert_eq!(found(495), NOTHING);
    assert_eq!(found(-1), NOTHING);
}

#[test]
fn in_the_end_too() {
    let found = |left| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.looks(A, 10, Some(1));
        story.0.left = vec![(K, Some(left * MILLI))];
        story.found()
    };
    assert_eq!(found(10_000), ["G5"]);
    assert_eq!(found(20_000), NOTHING);
}

#[test]
fn ones_own_write_is_there_until_something_takes_it_away() {
    let found = |taken| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        if taken {
            story.does(B, 5, del());
        }
        story.reads(A, 20, None);
        story.found()
    };
    assert_eq!(found(false), ["G1"]);
    assert_eq!(found(true), NOTHING);
}

#[test]
fn a_sweep_leaves_alone_what_its_thread_writes_behind_it() {
    let found = |place| {
        let mut story = Story::new();
        story.call(place, 0..15, sweep(), Outcome::Number(0));
        story.does(A, 5, set(1));
        story.reads(A, 20, None);
        story.found()
    };
    assert_eq!(found(A), ["G1"]);
    assert_eq!(found(B), NOTHING);
}

#[test]
fn in_the_end_all_agree_with_redis() {
    let found = |bytes: &[u8]| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.looks(B, 10, Some(1));
        story.0.finals = vec![(K, Some(bytes.to_vec()), Some(bytes.to_vec()))];
        story.found()
    };
    assert_eq!(found(b"2"), ["G2"]);
    assert_eq!(found(b"1"), NOTHING);
    assert_eq!(found(b"\xfelease"), ["G2"]);
    assert_eq!(found(b"\xffheader"), NOTHING);
}

#[test]
fn in_the_end_redis_has_nothing_that_an_outage_ended() {
    let found = |settled: bool| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        let deletes = story.within(B, 10..12, (AWAY, AWAY), del(), Outcome::Done);
        if !settled {
            (deletes.end, deletes.after) = (None, None);
            story.0.ended.push(B);
        }
        story.looks(A, 30, Some(1));
        story.found()
    };
    assert_eq!(found(true), ["G3"]);
    assert_eq!(found(false), NOTHING);
}

#[test]
fn every_call_settles_and_none_rejects() {
    let found = |end, outcome, ended| {
        let mut story = Story::new();
        let record = story.does(A, 0, set(1));
        (record.end, record.outcome) = (end, outcome);
        story.0.ended = ended;
        story.found()
    };
    assert_eq!(found(None, Outcome::None, vec![]), ["G6"]);
    assert_eq!(found(None, Outcome::None, vec![A]), NOTHING);
    assert_eq!(found(Some(1), Outcome::Error("ERR".into()), vec![]), ["contract"]);
    assert_eq!(found(Some(1), Outcome::Done, vec![]), NOTHING);
}

#[test]
fn keys_of_others_stay() {
    let found = |flushes| {
        let mut story = Story::new();
        story.0.lost.push("theirs".into());
        if flushes {
            story.does(F, 0, Verb::Flush);
        }
        story.found()
    };
    assert_eq!(found(false), ["G8"]);
    assert_eq!(found(true), NOTHING);
}

#[test]
fn a_process_holds_no_more_than_its_bounds() {
    let mut story = Story::new();
    story.0.excesses.push(Excess { process: 1, at: 5, what: "keys of the journal", held: 21, bound: 20 });
    assert_eq!(story.found(), ["bound"]);
}

#[test]
fn a_sum_has_each_increment_once_and_those_that_had_resolved() {
    let found = |sum: i64| {
        let mut story = Story::new();
        let add = |amount| Verb::Increment { key: N, amount };
        story.call(A, 0..2, add(1), Outcome::Value(Some(HEAD + 1)));
        story.call(B, 5..30, add(4), Outcome::Value(Some(HEAD + 5)));
        story.call(A, 10..12, Verb::Get { key: N }, Outcome::Value(Some(sum)));
        story.found()
    };
    for sum in [HEAD + 1, HEAD + 5] {
        assert_eq!(found(sum), NOTHING);
    }
    // Twice; one that nobody made; none; not Redis' own; below all sums.
    for sum in [HEAD + 2, HEAD + 17, HEAD, 1, -1] {
        assert_eq!(found(sum), ["G1"], "{sum}");
    }
}

#[test]
fn in_the_end_redis_has_all_increments_that_it_confirmed() {
    let found = |sum: i64, after| {
        let mut story = Story::new();
        let add = Verb::Increment { key: N, amount: 1 };
        story.within(A, 0..2, (REDIS, after), add, Outcome::Value(Some(HEAD + 1)));
        let bytes = Some(sum.to_string().into_bytes());
        story.0.finals = vec![(N, bytes.clone(), bytes)];
        story.found()
    };
    assert_eq!(found(HEAD, REDIS), ["G1"]);
    assert_eq!(found(HEAD + 1, REDIS), NOTHING);
    assert_eq!(found(HEAD, AWAY), NOTHING);
}
