//! Several servers: what one of them leaves to the others, and what goes with a slot.

use super::{A, A_THREAD, B, K0, K1, MILLI, Scene, counting, del, get, scene, set, traffic};
use crate::history::{Mishap, Outcome, Verb};
use crate::schedule::{Kind, Topology};

fn cluster() -> Scene {
    Scene { topology: Topology::Cluster, ..scene() }
}

fn tagged(value: i64) -> Verb {
    Verb::Set { key: K0, value, ttl: Some(20_000), tag: Some(0) }
}

#[test]
fn what_an_outage_of_one_server_left_in_process_ends_with_its_tag_on_another_one() {
    // The last third of the slots is away, where k0 lies; the tag t0 lies in the second.
    let away = cluster().fault_of(Kind::Stop, 10, 600, 2, 0);
    let calls = [(2, get(K0)), (100, tagged(10)), (5, Verb::Invalidate { tag: 0 }), (5, get(K0))];
    away.client(A, calls).play(|played| {
        let last = played.calls().last().expect("a read");
        assert_eq!(last.outcome, Outcome::Value(None));
    });
}

#[test]
fn a_sweep_while_all_servers_are_away_leaves_nothing_to_be_undone() {
    let cut = cluster().fault(Kind::Blackhole, 10, 1_500);
    let sweep = Verb::Sweep { pattern: Some("k*".to_owned()) };
    // Everybody's last look measures the journals.
    cut.client(A, [(2, set(K0, 10)), (2, set(K1, 20)), (1_450, sweep), (5, get(K0))]).play(|played| {
        assert!(played.outage().is_some());
    });
}

#[test]
fn what_was_deleted_while_nobody_served_its_slot_does_not_come_back() {
    let unserved = cluster().fault_of(Kind::Unserve, 10, 300, 0, 2);
    let calls = [(2, set(K0, 10)), (100, del(K0)), (5, get(K0)), (1_500, get(K0))];
    unserved.client(A, calls).client(B, [(2_000, get(K0))]).play(|_| {});
}

#[test]
fn slots_that_move_under_load_keep_the_order_of_each_keys_calls() {
    let moves = cluster().fault_of(Kind::Migrate, 8, 0, 0, 2);
    let loaded = moves.client(A, traffic(60, 1_000)).client(A_THREAD, traffic(60, 2_000)).client(B, counting(20));
    loaded.play(|played| {
        let moved = played.history.mishaps.iter().filter(|it| matches!(it, Mishap::Moved { .. })).count();
        assert!(moved >= 1, "{moved} slots moved");
    });
}

#[test]
fn a_failover_loses_the_last_writes_and_no_more() {
    let lost = cluster().fault_of(Kind::Failover, 20, 10, 2, 0);
    lost.client(A, traffic(80, 1_000)).client(B, traffic(80, 2_000)).play(|played| {
        let since = |mishap: &Mishap| match *mishap {
            Mishap::Failover { down, snapshot: Some(snapshot), .. } => Some(down - snapshot),
            _ => None,
        };
        let lost = played.history.mishaps.iter().find_map(since).expect("a failover");
        assert!(lost >= 9 * MILLI, "{lost}");
    });
}
