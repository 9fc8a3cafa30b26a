//! What is demanded, and what is not, when servers restart, processes die, journals are full and servers refuse writes.

use super::story::{A, AGAIN, AWAY, B, K, N, REDIS, Story, del, set, sweep, sync};
use crate::history::{MILLI, Mishap, Outcome, State, Verb};
use crate::rules::counters::HEAD;

const NOTHING: [&str; 0] = [];

/// The server is away from 20 to 25 ms.
fn restart(snapshot: Option<u64>) -> Mishap {
    Mishap::Restart { down: 20 * MILLI, up: 25 * MILLI, snapshot: snapshot.map(|at| at * MILLI) }
}

fn reads(story: &mut Story, state: State, start: u64, value: Option<i64>) {
    story.within(A, start..start + 2, (state, state), Verb::Get { key: K }, Outcome::Value(value));
}

#[test]
fn what_was_ended_behind_the_snapshot_may_be_back_behind_the_restart() {
    let found = |snapshot, at, state| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.does(A, 10, del());
        story.mishap(restart(snapshot));
        reads(&mut story, state, at, Some(1));
        story.found()
    };
    assert_eq!(found(Some(5), 30, AGAIN), NOTHING);
    assert_eq!(found(Some(15), 30, AGAIN), ["G1"], "the snapshot has the delete");
    assert_eq!(found(Some(5), 15, REDIS), ["G1"], "not before the restart");
    assert_eq!(found(None, 30, AGAIN), ["G1"], "a server that is empty gives nothing back");
}

#[test]
fn what_was_not_in_the_snapshot_is_not_back() {
    let found = |written: u64| {
        let mut story = Story::new();
        story.does(A, written, set(1));
        story.does(A, 10, del());
        story.mishap(restart(Some(5)));
        reads(&mut story, AGAIN, 30, Some(1));
        story.found()
    };
    assert_eq!(found(6), ["G1"]);
    assert_eq!(found(4), NOTHING);
}

#[test]
fn what_was_swept_before_its_process_was_back_may_be_back_with_the_snapshot() {
    let found = |swept: Option<(usize, u64)>| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.event(0, true, 8);
        story.within(A, 10..11, (AWAY, AWAY), sweep(), Outcome::Number(0));
        if let Some((process, at)) = swept {
            story.mishap(Mishap::Swept { process, at: at * MILLI });
        }
        story.mishap(restart(Some(5)));
        story.event(0, false, 30);
        reads(&mut story, AGAIN, 40, Some(1));
        story.found()
    };
    assert_eq!(found(None), ["G3"], "it is swept when its process is back");
    assert_eq!(found(Some((0, 20))), NOTHING);
    assert_eq!(found(Some((1, 20))), ["G3"], "another process");
    assert_eq!(found(Some((0, 15))), ["G3"], "another restart");
}

#[test]
fn what_was_removed_before_its_process_was_back_may_be_back_with_the_snapshot() {
    let found = |undone: Option<(usize, u64, u64)>, recovered: u64| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.event(0, true, 8);
        story.within(A, 10..11, (AWAY, AWAY), del(), Outcome::Number(0));
        if let Some((process, keys, at)) = undone {
            story.mishap(Mishap::Removed { process, keys, at: at * MILLI });
        }
        story.mishap(restart(Some(15)));
        story.event(0, false, recovered);
        reads(&mut story, AGAIN, 40, Some(1));
        story.found()
    };
    assert_eq!(found(None, 30), ["G3"], "it is removed when its process is back");
    assert_eq!(found(Some((0, 1, 20)), 30), NOTHING);
    assert_eq!(found(Some((0, 2, 20)), 30), ["G3"], "another key");
    assert_eq!(found(Some((1, 1, 20)), 30), ["G3"], "another process");
    assert_eq!(found(Some((0, 1, 16)), 30), ["G3"], "another restart");
    assert_eq!(found(Some((0, 1, 20)), 12), ["G3"], "it was back before the snapshot");
}

#[test]
fn what_was_answered_as_the_connection_broke_is_in_no_journal() {
    let found = |snapshot| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.within(A, 10..12, (REDIS, AWAY), del(), Outcome::Done);
        story.event(0, true, 12);
        story.event(0, false, 30);
        story.mishap(restart(Some(snapshot)));
        reads(&mut story, AGAIN, 40, Some(1));
        story.found()
    };
    assert_eq!(found(5), NOTHING);
    assert_eq!(found(15), ["G3"], "the snapshot has it, or the journal");
}

#[test]
fn what_was_ended_behind_the_restart_stays_so() {
    let found = |deletes: u64| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        let state = if deletes < 20 { REDIS } else { AGAIN };
        story.within(A, deletes..deletes + 2, (state, state), del(), Outcome::Done);
        story.mishap(restart(Some(5)));
        reads(&mut story, AGAIN, 40, Some(1));
        story.found()
    };
    assert_eq!(found(30), ["G1"]);
    assert_eq!(found(10), NOTHING);
}

#[test]
fn a_journal_that_is_replayed_behind_the_restart_ends_what_is_back() {
    let found = |back: u64, snapshot| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.event(0, true, 4);
        story.within(A, 6..7, (AWAY, AWAY), del(), Outcome::Done);
        story.event(0, false, back);
        story.mishap(restart(Some(snapshot)));
        let later = State { since: 9, ..AGAIN };
        reads(&mut story, later, 40, Some(1));
        story.found()
    };
    assert_eq!(found(30, 5), ["G3"]);
    assert_eq!(found(10, 8), NOTHING, "it was replayed in what was lost");
    assert_eq!(found(10, 12), ["G3"], "the snapshot has what was replayed");
}

#[test]
fn others_see_no_more_than_that_behind_a_reply_and_in_the_end() {
    let found = |snapshot| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.does(A, 10, del());
        story.mishap(restart(snapshot));
        story.within(B, 30..32, (AGAIN, AGAIN), sync(), Outcome::Done);
        let value = Outcome::Value(Some(1));
        story.within(B, 40..42, (AGAIN, AGAIN), Verb::Get { key: K }, value).client = crate::history::Client::Settle;
        story.found()
    };
    assert_eq!(found(Some(5)), NOTHING);
    assert_eq!(found(Some(15)), ["G2", "G2"]);
}

#[test]
fn a_ttl_that_an_expire_had_shortened_may_be_back_too() {
    let found = |snapshot| {
        let mut story = Story::new();
        story.does(A, 0, Verb::Set { key: K, value: 1, ttl: Some(100), tag: None });
        story.call(A, 10..12, Verb::Expire { key: K, ttl: 10 }, Outcome::Flag(true));
        story.mishap(restart(snapshot));
        reads(&mut story, AGAIN, 100, Some(1));
        story.found()
    };
    assert_eq!(found(Some(5)), NOTHING);
    assert_eq!(found(Some(15)), ["G5"]);
    assert_eq!(found(None), ["G5"], "a server that is empty has no such value");
}

#[test]
fn increments_that_a_restart_has_lost_may_be_missing() {
    let found = |snapshot, sum: i64| {
        let mut story = Story::new();
        story.call(A, 10..12, Verb::Increment { key: N, amount: 1 }, Outcome::Value(Some(HEAD + 1)));
        story.mishap(restart(snapshot));
        story.within(A, 30..32, (AGAIN, AGAIN), Verb::Get { key: N }, Outcome::Value(Some(sum)));
        let bytes = Some(sum.to_string().into_bytes());
        story.0.finals = vec![(N, bytes.clone(), bytes)];
        story.found()
    };
    assert_eq!(found(Some(5), HEAD), NOTHING);
    assert_eq!(found(Some(15), HEAD), ["G1", "G1"]);
    assert_eq!(found(Some(5), 0), ["G1"], "the snapshot had the head");
    assert_eq!(found(None, 0), NOTHING);
}

#[test]
fn keys_of_others_are_gone_from_a_server_that_is_empty() {
    let found = |snapshot| {
        let mut story = Story::new();
        story.0.lost.push("theirs".into());
        story.mishap(restart(snapshot));
        story.found()
    };
    assert_eq!(found(None), NOTHING);
    assert_eq!(found(Some(5)), ["G8"]);
}

#[test]
fn a_process_that_dies_takes_its_journal_with_it() {
    let found = |dies: Option<u64>, back: Option<u64>, widened: Option<u64>| {
        let mut story = Story::new();
        story.does(B, 0, set(1));
        story.event(0, true, 5);
        story.within(A, 10..11, (AWAY, AWAY), del(), Outcome::Done);
        if let Some(back) = back {
            story.event(0, false, back);
        }
        if let Some(dies) = dies {
            story.mishap(Mishap::Death { process: 0, at: dies * MILLI });
        }
        if let Some(at) = widened {
            story.mishap(Mishap::Widened { process: 0, at: at * MILLI });
        }
        story.looks(B, 40, Some(1));
        story.found()
    };
    assert_eq!(found(None, None, None), ["G3"]);
    assert_eq!(found(Some(20), None, None), NOTHING);
    assert_eq!(found(Some(20), Some(15), None), ["G3"], "its journal had been replayed");
    assert_eq!(found(Some(20), Some(15), Some(12)), NOTHING, "but not swept");
    assert_eq!(found(Some(20), Some(15), Some(6)), NOTHING, "but not swept");
    assert_eq!(found(None, Some(15), Some(12)), ["G3"], "its process goes on, and sweeps it");
}

#[test]
fn it_had_not_read_itself_what_it_had_ended() {
    let mut story = Story::new();
    story.does(A, 0, set(1));
    story.event(0, true, 5);
    story.within(A, 10..11, (AWAY, AWAY), del(), Outcome::Done);
    reads(&mut story, AWAY, 15, Some(1));
    story.mishap(Mishap::Death { process: 0, at: 20 * MILLI });
    assert_eq!(story.found(), ["G3"]);
}

#[test]
fn the_calls_of_a_process_that_died_need_not_settle_and_may_take_effect() {
    let found = |dies, value| {
        let mut story = Story::new();
        let deletes = story.does(A, 10, set(1));
        (deletes.end, deletes.after, deletes.outcome) = (None, None, Outcome::None);
        if dies {
            story.mishap(Mishap::Death { process: 0, at: 20 * MILLI });
        }
        story.looks(B, 40, value);
        story.found()
    };
    assert_eq!(found(true, Some(1)), NOTHING);
    assert_eq!(found(true, None), NOTHING);
    assert_eq!(found(false, None), ["G6"]);
}

#[test]
fn what_a_full_journal_lost_may_be_read_when_redis_is_back_and_nothing_else() {
    let found = |deletes: u64, told: Option<u64>, state, at| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.event(0, true, 5);
        story.within(A, deletes..deletes + 1, (AWAY, AWAY), del(), Outcome::Done);
        story.event(0, false, 30);
        if let Some(told) = told {
            story.mishap(Mishap::Overflow { process: 0, at: told * MILLI });
        }
        reads(&mut story, state, at, Some(1));
        story.found()
    };
    assert_eq!(found(15, Some(15), AGAIN, 40), NOTHING);
    assert_eq!(found(15, Some(12), AGAIN, 40), NOTHING);
    assert_eq!(found(15, None, AGAIN, 40), ["G3"]);
    assert_eq!(found(10, Some(12), AGAIN, 40), ["G3"], "it was in the journal before that was full");
    assert_eq!(found(15, Some(12), AWAY, 20), ["G3"], "in process it is gone");
    assert_eq!(found(35, Some(12), AGAIN, 40), ["G3"], "in a later outage");
}

fn refusal(deletes: bool) -> Mishap {
    Mishap::Refusal { from: 9 * MILLI, until: 15 * MILLI, deletes }
}

#[test]
fn a_server_that_refuses_writes_makes_misses_and_rejects_increments() {
    let found = |refuses: bool| {
        let mut story = Story::new();
        story.does(A, 10, set(1));
        story.call(A, 10..12, Verb::Increment { key: N, amount: 1 }, Outcome::Error("ERR_OOM".into()));
        if refuses {
            story.mishap(refusal(false));
        }
        story.reads(A, 30, None);
        let bytes = Some(HEAD.to_string().into_bytes());
        story.0.finals = vec![(N, bytes.clone(), bytes)];
        story.found()
    };
    assert_eq!(found(true), NOTHING);
    assert_eq!(found(false), ["contract", "G1", "G1"]);
}

#[test]
fn a_server_that_refuses_deletes_leaves_values_to_others_only() {
    let found = |deletes, place| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.does(A, 10, set(2));
        story.mishap(refusal(deletes));
        story.looks(place, 30, Some(1));
        story.found()
    };
    assert_eq!(found(true, B), NOTHING);
    assert_eq!(found(false, B), ["G2"]);
    assert_eq!(found(true, A), ["G1", "G2"]);
}

#[test]
fn what_a_server_refused_may_be_made_good_behind_a_reply() {
    let found = |refuses| {
        let mut story = Story::new();
        story.does(A, 0, set(1));
        story.does(A, 10, set(2));
        if refuses {
            story.mishap(refusal(false));
        }
        story.does(B, 14, sync());
        story.reads(B, 20, Some(1));
        story.found()
    };
    assert_eq!(found(true), NOTHING);
    assert_eq!(found(false), ["G2"]);
}

#[test]
fn a_server_that_evicts_keys_makes_misses_and_gives_nothing_back() {
    let found = |evicts, value, sum: i64| {
        let mut story = Story::new();
        story.call(A, 0..2, Verb::Increment { key: N, amount: 1 }, Outcome::Value(Some(HEAD + 1)));
        story.does(A, 3, set(1));
        story.does(A, 6, set(2));
        if evicts {
            story.mishap(Mishap::Eviction { from: 8 * MILLI, until: 15 * MILLI });
        }
        story.reads(A, 20, value);
        story.call(A, 20..22, Verb::Get { key: N }, Outcome::Value(Some(sum)));
        story.0.lost.push("theirs".into());
        story.found()
    };
    assert_eq!(found(true, None, 0), NOTHING);
    assert_eq!(found(true, Some(1), HEAD + 1), ["G1"]);
    assert_eq!(found(false, None, 0), ["G1", "G1", "G8"]);
}

#[test]
fn a_namespace_that_a_full_journal_clears_takes_what_was_written_and_counted_there() {
    let found = |widened: Option<u64>| {
        let mut story = Story::new();
        story.does(A, 20, set(1));
        story.call(B, 25..27, Verb::Increment { key: N, amount: 1 }, Outcome::Value(Some(HEAD + 1)));
        if let Some(at) = widened {
            story.mishap(Mishap::Widened { process: 1, at: at * MILLI });
        }
        story.reads(A, 30, None);
        story.call(B, 40..42, Verb::Increment { key: N, amount: 4 }, Outcome::Value(Some(4)));
        story.0.finals = vec![(N, Some(b"4".to_vec()), Some(b"4".to_vec()))];
        story.found()
    };
    assert_eq!(found(Some(10)), NOTHING);
    assert_eq!(found(None), ["G1", "G1", "G1"], "the value; the counter's head; the first increment");
    assert_eq!(found(Some(50)), ["G1", "G1"], "in the end it may be gone, and not before");
}
