//! Servers and processes that stand still, for a moment or for a minute.

use super::{A, A_THREAD, B, K0, MILLI, SLACK, TIMEOUT, del, get, scene, set, traffic};
use crate::history::{Outcome, Place, Verb};
use crate::schedule::Kind;

#[test]
fn fault_1_a_stopped_server_is_noticed_by_the_first_deadline_and_then_nobody_waits() {
    scene().fault(Kind::Stop, 10, 300).client(A, traffic(60, 1_000)).client(A_THREAD, traffic(60, 2_000)).play(
        |played| {
            assert!(played.slowest() <= TIMEOUT * MILLI + SLACK);
            assert!(played.outage().is_some() && played.slowest_away() <= SLACK, "{}", played.slowest_away());
        },
    );
}

#[test]
fn fault_2_five_thousand_calls_in_flight_settle_by_the_deadline() {
    let calls = (0..5_000).map(|n| if n % 2 == 0 { get(K0) } else { set(K0, 10 + n * 10) }).collect();
    scene().fault(Kind::Stop, 5, 200).burst(A, 10, calls).play_often(2, |played| {
        assert_eq!(played.calls().count(), 5_000);
        assert!(played.slowest() <= TIMEOUT * MILLI + SLACK);
    });
}

#[test]
fn fault_3_what_a_server_had_buffered_for_a_minute_does_not_undo_a_later_delete() {
    let calls = [(8, set(K0, 10)), (5, get(K0)), (20_000, del(K0)), (1, get(K0)), (50_000, get(K0))];
    scene().fault(Kind::Stop, 5, 60_000).client(A, calls).client(B, [(70_000, get(K0))]).play(|played| {
        let reads: Vec<_> = played.calls().filter(|call| call.verb == get(K0)).map(|call| &call.outcome).collect();
        assert_eq!(reads[1..], [&Outcome::Value(None); 3], "deleted is deleted");
    });
}

#[test]
fn fault_43_a_process_that_stood_still_for_a_minute_serves_nothing_of_before() {
    let short = Verb::Set { key: K0, value: 10, ttl: Some(1_000), tag: None };
    let calls = [(1, short), (1, get(K0)), (1, get(K0)), (60_000, get(K0)), (1, get(super::K1))];
    let foreign = [(50_000, set(super::K1, 50))];
    scene()
        .fault(Kind::Freeze, 20, 60_000)
        .client(A, calls)
        .client(A, [(1, set(super::K1, 40))])
        .client(Place::Foreign, foreign)
        .play(|played| {
            let last = |key| {
                let reads = played.calls().filter(|call| call.verb == get(key));
                reads.last().map(|call| call.outcome.clone())
            };
            assert_eq!(last(K0), Some(Outcome::Value(None)), "its time was over");
            assert_eq!(last(super::K1), Some(Outcome::Value(Some(50))), "it was replaced meanwhile");
        });
}
