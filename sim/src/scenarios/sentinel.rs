//! Sentinels: a primary that is replaced, once and again, and the one that comes back as a replica.

use super::{A, A_THREAD, B, K0, MILLI, Scene, TIMEOUT, counting, get, scene, set, traffic};
use crate::history::{Mishap, Outcome};
use crate::schedule::{Kind, Topology};

fn sentinels() -> Scene {
    Scene { topology: Topology::Sentinel, ..scene() }
}

#[test]
fn a_failover_loses_the_last_writes_and_no_more_and_calls_go_on() {
    let lost = sentinels().fault(Kind::Failover, 20, 10);
    let called = lost.client(A, traffic(120, 1_000)).client(A_THREAD, counting(20)).client(B, traffic(120, 10_000));
    called.play(|played| {
        assert_eq!(played.noted("takes the place"), 1);
        let since = |mishap: &Mishap| match *mishap {
            Mishap::Restart { down, snapshot: Some(snapshot), .. } => Some(down - snapshot),
            _ => None,
        };
        assert!(played.history.mishaps.iter().find_map(since).is_some_and(|lost| lost >= 9 * MILLI));
        let (from, until) = played.outage().expect("it was noticed");
        assert!(until > from && until < u64::MAX, "and is over");
        assert!(played.slowest() <= (TIMEOUT + 15) * MILLI);
    });
}

#[test]
fn what_the_new_primary_has_is_read_and_not_what_the_old_one_kept() {
    // The second process writes again once the failover is over: nobody reads the value that was lost with it.
    let lost = sentinels().fault(Kind::Failover, 10, 60);
    let writes = [(30, set(K0, 10)), (700, set(K0, 20))];
    lost.client(B, writes).client(A, [(900, get(K0)), (300, get(K0))]).play(|played| {
        assert_eq!(played.noted("takes the place"), 1);
        let reads = played.calls().filter(|call| call.verb == get(K0));
        reads.for_each(|read| assert_eq!(read.outcome, Outcome::Value(Some(20))));
    });
}

#[test]
fn one_failover_behind_another_leads_back_to_the_first_server() {
    let twice = sentinels().fault(Kind::Failover, 10, 10).fault(Kind::Failover, 700, 10);
    twice.client(A, traffic(400, 10_000)).client(B, traffic(400, 20_000)).play(|played| {
        assert_eq!(played.noted("server 1 takes the place of server 0"), 1);
        assert_eq!(played.noted("server 0 takes the place of server 1"), 1);
    });
}

#[test]
fn a_primary_that_stands_still_and_is_replaced_then_is_left_for_the_new_one() {
    let stopped = sentinels().fault(Kind::Stop, 10, 40).fault(Kind::Failover, 20, 200);
    stopped.client(A, traffic(200, 10_000)).client(B, traffic(200, 20_000)).play(|played| {
        assert_eq!(played.noted("takes the place"), 1);
        assert!(played.outage().is_some());
    });
}
