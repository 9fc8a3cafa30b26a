//! Servers that die, come back with less, let nobody in, or refuse.

use super::{A, A_THREAD, B, K0, K1, MILLI, SLACK, TIMEOUT, counting, del, get, scene, set, traffic};
use crate::history::{Outcome, Verb};
use crate::schedule::Kind;

#[test]
fn fault_4_a_server_that_dies_is_noticed_at_once_and_no_increment_is_sent_twice() {
    scene().fault(Kind::Restart, 12, 100).client(A, counting(20)).client(A_THREAD, traffic(40, 1_000)).play(|played| {
        // Nobody waits for a deadline: the connection is closed.
        assert!(played.slowest() <= 5 * MILLI, "{}", played.slowest());
        assert!(played.outage().is_some());
    });
}

#[test]
fn fault_5_a_server_that_restarts_empty_is_read_anew() {
    let calls = [(1, set(K0, 10)), (1, get(K0)), (150, get(K0)), (1, set(K0, 20)), (1, get(K0))];
    scene().fault(Kind::Restart, 20, 30).client(A, calls).client(B, [(100, get(K0))]).play(|played| {
        let reads: Vec<_> = played.calls().filter(|call| call.verb == get(K0)).map(|call| &call.outcome).collect();
        assert_eq!(reads.last(), Some(&&Outcome::Value(Some(20))));
        assert!(reads.contains(&&Outcome::Value(None)), "nothing of before is held");
    });
}

#[test]
fn fault_6_a_server_that_restarts_from_an_older_snapshot_brings_back_nothing_that_was_deleted_meanwhile() {
    // The snapshot is taken at 10 ms; the delete comes while the server is away.
    let calls = [(1, set(K0, 10)), (55, get(K0)), (1, del(K0)), (200, get(K0))];
    let away = scene().fault(Kind::Restore, 10, 70).fault(Kind::Blackhole, 40, 60);
    away.client(A, calls).client(B, traffic(20, 1_000)).play(|_| {});
}

#[test]
fn fault_15_a_server_that_lets_nobody_in_is_dialled_ever_more_seldom() {
    let full = scene().fault(Kind::Full, 9, 10_000).fault(Kind::Kill, 10, 0);
    full.client(A, traffic(60, 1_000)).play(|played| {
        let dials = played.noted("a dials");
        assert!((4..60).contains(&dials), "{dials} dials in ten seconds");
        assert!(played.slowest_away() <= SLACK);
    });
}

#[test]
fn fault_16_connections_that_are_killed_again_and_again_hurt_nobody() {
    let killed = (1..30).fold(scene(), |scene, n| scene.fault(Kind::Kill, n * 100, 0));
    killed.client(A, traffic(300, 10_000)).client(B, traffic(300, 20_000)).play(|played| {
        assert!(played.slowest() <= 5 * MILLI, "{}", played.slowest());
    });
}

#[test]
fn fault_20_a_script_that_never_ends_is_an_outage_and_nobody_kills_it() {
    scene().fault(Kind::Busy, 10, 200).client(A, traffic(60, 1_000)).play(|played| {
        assert!(played.outage().is_some() && played.slowest() <= TIMEOUT * MILLI + SLACK);
        assert_eq!(played.noted("SCRIPT KILL"), 0);
    });
}

#[test]
fn fault_21_a_server_that_loads_its_data_is_dialled_ever_more_seldom() {
    let loading = scene().fault(Kind::Loading, 10, 10_000).fault(Kind::Kill, 11, 0);
    loading.client(A, traffic(60, 1_000)).play(|played| {
        let dials = played.noted("a dials");
        assert!((4..60).contains(&dials), "{dials} dials in ten seconds");
        assert!(played.slowest_away() <= SLACK);
    });
}

#[test]
fn fault_22_a_master_that_becomes_a_replica_is_an_outage_and_deletes_hold() {
    let calls = [(1, set(K0, 10)), (1, get(K0)), (30, del(K0)), (1, get(K0)), (400, get(K0))];
    scene().fault(Kind::ReadOnly, 15, 200).client(A, calls).play(|played| {
        let reads: Vec<_> = played.calls().filter(|call| call.verb == get(K0)).map(|call| &call.outcome).collect();
        assert_eq!(reads[1..], [&Outcome::Value(None); 2]);
        assert!(played.outage().is_some());
    });
}

#[test]
fn fault_23_a_server_that_takes_no_writes_goes_on_to_be_read() {
    for kind in [Kind::Misconf, Kind::NoReplicas] {
        let reads = (0..30).map(|_| (3, get(K1)));
        let kept = scene().fault(kind, 30, 100).client(A, [(1, set(K1, 10)), (40, set(K0, 20)), (5, get(K0))]);
        kept.client(B, [(10, get(K1))]).client(A_THREAD, reads).play(|played| {
            assert_eq!(played.outage(), None, "{kind:?} is no outage");
            let last = played.calls().filter(|call| call.verb == get(K1)).last().map(|call| call.outcome.clone());
            assert_eq!(last, Some(Outcome::Value(Some(10))));
        });
    }
}

#[test]
fn a_tag_that_was_asked_for_behind_its_refused_invalidation_counts_as_ended() {
    // In one turn: the read needs the tag's token, and is answered behind both.
    let tagged = Verb::Set { key: K0, value: 10, ttl: Some(20_000), tag: Some(0) };
    let both = vec![get(K0), Verb::Invalidate { tag: 0 }];
    let refused = scene().fault(Kind::Misconf, 10, 100).client(B, [(1, tagged)]).burst(A, 30, both);
    // The worker thread has not read it before.
    let calls = refused.client(A, [(40, get(K0)), (1, get(K0))]).client(A_THREAD, [(60, get(K1))]);
    calls.play_often(3, |played| {
        let reads = played.calls().filter(|call| call.verb == get(K0)).map(|call| &call.outcome);
        assert!(reads.skip(1).all(|outcome| *outcome == Outcome::Value(None)));
    });
}

#[test]
fn fault_24_a_server_without_memory_refuses_writes_and_goes_on_to_be_read_and_to_delete() {
    let refused = [(30, set(K0, 20)), (1, get(K0)), (1, Verb::Increment { key: super::N0, amount: 1 }), (1, del(K1))];
    let calls = [(1, set(K0, 10)), (1, set(K1, 15))].into_iter().chain(refused).chain([(1, get(K1)), (1, get(K0))]);
    scene().fault(Kind::Oom, 20, 100).client(A, calls).play(|played| {
        assert_eq!(played.outage(), None);
        let outcomes: Vec<_> = played.calls().map(|call| &call.outcome).collect();
        assert_eq!(outcomes[3], &Outcome::Value(None), "the value from before is not taken for it");
        assert_eq!(outcomes[6..], [&Outcome::Value(None); 2]);
        assert!(outcomes.iter().all(|outcome| !matches!(outcome, Outcome::Error(_))));
    });
}
