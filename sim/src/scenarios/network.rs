//! What a network does to a connection: nothing passes, replies are lost, late, torn, invented, or come byte by byte.

use super::{A, A_THREAD, B, K0, MILLI, Nanos, SLACK, TIMEOUT, counting, get, scene, set, traffic};
use crate::schedule::Kind;

#[test]
fn fault_7_the_heartbeat_notices_a_dead_network_without_any_traffic() {
    let seldom = [(1, set(K0, 10)), (8_000, get(K0))];
    scene().fault(Kind::Blackhole, 500, 5_000).client(A, seldom).client(A_THREAD, [(8_000, get(K0))]).play(|played| {
        let (from, until) = played.outage().expect("an outage");
        let begun = 500 * MILLI;
        // A heartbeat a second, and 250 ms for its answer; the schedule begins within a few milliseconds.
        assert!(from < begun + 1_300 * MILLI, "{from}");
        assert!(until < begun + 9_000 * MILLI, "it comes back by itself: {until}");
    });
}

#[test]
fn fault_8_writes_whose_replies_are_lost_are_undone() {
    scene().fault(Kind::Deafen, 15, 0).client(A, traffic(40, 1_000)).client(B, traffic(40, 2_000)).play(|played| {
        assert!(played.slowest() <= TIMEOUT * MILLI + SLACK);
        assert!(played.outage().is_some());
    });
}

#[test]
fn fault_9_dials_that_nobody_answers_come_one_at_a_time_and_no_caller_waits_for_them() {
    let dead = scene().fault(Kind::Backlog, 9, 10_000).fault(Kind::Kill, 10, 0);
    dead.client(A, traffic(200, 1_000)).play(|played| {
        assert!(played.slowest_away() <= SLACK);
        // A dial takes up to three seconds, and so does the pause behind it.
        let dials = played.noted("a dials");
        assert!((3..=12).contains(&dials), "{dials} dials in ten seconds");
    });
}

#[test]
fn fault_10_a_reply_that_is_torn_gives_no_value_and_another_connection() {
    let torn = scene().fault(Kind::Tear, 10, 0).fault(Kind::Tear, 30, 0);
    torn.client(A, traffic(40, 1_000)).client(A_THREAD, traffic(40, 2_000)).play(|played| {
        assert!(played.noted("finds its connection closed") > 0);
        assert!(played.slowest() <= TIMEOUT * MILLI + SLACK);
    });
}

#[test]
fn fault_11_one_byte_at_a_time_is_right_or_too_late() {
    scene().fault(Kind::Drip, 5, 100).client(A, traffic(20, 1_000)).client(A, counting(8)).play(|played| {
        assert!(played.slowest() <= TIMEOUT * MILLI + SLACK);
    });
}

#[test]
fn fault_12_a_reply_too_many_or_too_few_is_never_another_keys_value() {
    for kind in [Kind::Extra, Kind::Missing] {
        let spoiled = scene().fault(kind, 10, 0).fault(kind, 40, 0);
        spoiled
            .client(A, traffic(40, 1_000))
            .client(A_THREAD, traffic(40, 2_000))
            .client(A, counting(10))
            .play(|played| assert!(played.noted("gives its connection up") > 0, "{kind:?}"));
    }
}

#[test]
fn fault_13_a_reply_that_comes_too_late_is_nobodys() {
    // Later than the deadline of every call.
    scene().fault(Kind::Lag, 10, 120).client(A, traffic(60, 1_000)).client(B, traffic(60, 2_000)).play(|played| {
        let slowest: Nanos = played.slowest();
        assert!(slowest <= TIMEOUT * MILLI + SLACK, "{slowest}");
    });
}

#[test]
fn fault_14_lengths_and_depths_that_no_server_sends_end_the_connection() {
    scene().fault(Kind::Hostile, 10, 0).fault(Kind::Hostile, 40, 0).client(A, traffic(40, 1_000)).play(|played| {
        assert!(played.noted("gives its connection up") > 0);
    });
}
