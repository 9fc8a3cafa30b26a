//! Topologies: what is the same in two of them, what is not, and which is the older one.

use proptest::prelude::*;
use redis::Value;

use crate::engine::fleet::parse::parse_slots;
use crate::engine::fleet::slot::SLOTS;
use crate::engine::fleet::topology::{Change, Node, Role, Topology};
use crate::engine::tests::fleet::{as_named, asked, list, owners, slots, text};

fn read(answer: &Value) -> Topology {
    parse_slots(answer, &asked(), &as_named()).expect("an answer")
}

/// Three primaries, of which one has a replica.
fn three() -> Topology {
    read(&slots(&[(0, 5_460, &["a", "x"]), (5_461, 10_922, &["b"]), (10_923, 16_383, &["c"])]))
}

/// What changed, in words.
fn told(change: &Change<'_>) -> (String, [String; 3]) {
    let id = |node: Option<&Node>| node.map_or("-".to_owned(), |node| node.id.to_string());
    let moved = change.moved.iter();
    let moved = moved.map(|m| format!("{}-{} {}>{}", m.slots.start(), m.slots.end(), id(m.from), id(m.to)));
    let ids = |nodes: &[&Node]| nodes.iter().map(|node| id(Some(node))).collect::<Vec<_>>().join(" ");
    (moved.collect::<Vec<_>>().join(", "), [ids(&change.came), ids(&change.went), ids(&change.turned)])
}

fn is(moved: &str, nodes: [&str; 3]) -> (String, [String; 3]) {
    (moved.to_owned(), nodes.map(str::to_owned))
}

#[test]
fn a_topology_is_no_change_to_itself() {
    let change = Topology::diff(&three(), &three()).is_empty();
    assert!(change && Topology::diff(&Topology::default(), &Topology::default()).is_empty());
}

#[test]
fn the_first_topology_is_all_new() {
    let (none, three) = (Topology::default(), three());
    let change = Topology::diff(&none, &three);
    let moved = "0-5460 ->a, 5461-10922 ->b, 10923-16383 ->c";
    assert_eq!(told(&change), is(moved, ["a x b c", "", ""]));
    assert!(!change.is_empty() && none.owner(0).is_none());
}

#[test]
fn slots_that_are_moved_have_the_owner_that_they_were_moved_to() {
    let new = read(&slots(&[
        (0, 99, &["b"]),
        (100, 5_460, &["a", "x"]),
        (5_461, 10_922, &["b"]),
        (10_923, 16_000, &["c"]),
        (16_001, 16_383, &["d"]),
    ]));
    let old = three();
    let change = Topology::diff(&old, &new);
    assert_eq!(told(&change), is("0-99 a>b, 16001-16383 c>d", ["d", "", ""]));
}

#[test]
fn a_failover_turns_nodes_and_moves_their_slots() {
    let new = read(&slots(&[(0, 5_460, &["x", "a"]), (5_461, 10_922, &["b"]), (10_923, 16_383, &["c"])]));
    let old = three();
    assert_eq!(told(&Topology::diff(&old, &new)), is("0-5460 a>x", ["", "", "x a"]));
    let x = new.owner(0).expect("an owner");
    assert_eq!(new.replicas_of(x).map(|node| &*node.id).collect::<Vec<_>>(), ["a"]);
    assert_eq!(new.nodes().iter().filter(|node| node.role == Role::Primary).count(), 3);
}

#[test]
fn a_slot_that_nobody_serves_has_lost_its_owner() {
    let (old, new) = (three(), read(&slots(&[(0, 5_460, &["a", "x"]), (10_923, 16_383, &["c"])])));
    assert_eq!(told(&Topology::diff(&old, &new)), is("5461-10922 b>-", ["", "b", ""]));
    assert_eq!(owners(&new), "0-5460 a, 5461-10922 -, 10923-16383 c");
    assert_eq!(told(&Topology::diff(&new, &old)), is("5461-10922 ->b", ["b", "", ""]));
}

#[test]
fn a_node_that_was_replaced_or_moved_is_another_one() {
    let one = |host: &str, id: &str| {
        let node = list([text(host), Value::Int(7_000), text(id)]);
        read(&list([list([Value::Int(0), Value::Int(16_383), node])]))
    };
    let old = one("h", "a");
    // ElastiCache replaces nodes under their old names.
    let replaced = one("h", "b");
    assert_eq!(told(&Topology::diff(&old, &replaced)), is("0-16383 a>b", ["b", "a", ""]));
    let elsewhere = one("i", "a");
    assert_eq!(told(&Topology::diff(&old, &elsewhere)), is("0-16383 a>a", ["a", "a", ""]));
}

#[test]
fn an_answer_of_a_lower_epoch_is_an_old_one_of_the_same_cluster() {
    let told = |topology: Topology, epoch: &str| topology.with_epoch(epoch);
    let at = |epoch: u64| format!("cluster_state:ok\r\ncluster_current_epoch:{epoch}\r\ncluster_my_epoch:1\r\n");
    let (old, new) = (told(three(), &at(6)), told(three(), &at(7)));
    assert!(old.is_older_than(&new) && !new.is_older_than(&old) && !old.is_older_than(&old));
    for silent in [three(), told(three(), ""), told(three(), "cluster_current_epoch:x\r\n")] {
        assert!(!silent.is_older_than(&new) && !new.is_older_than(&silent));
    }
    // Its nodes were reset, and are others now.
    let another = told(read(&slots(&[(0, 16_383, &["z"])])), &at(1));
    assert!(!another.is_older_than(&new));
    assert!(Topology::diff(&old, &new).is_empty(), "the epoch alone is no change");
}

/// Any topology of five nodes, and of as many runs of slots as there are cuts.
fn any_topology() -> impl Strategy<Value = Topology> {
    let ids = prop::sample::subsequence(vec!["a", "b", "c", "d", "e"], 1..=3);
    prop::collection::btree_map(0_i64..16_384, ids, 1..9).prop_map(|runs| {
        let firsts: Vec<_> = runs.iter().collect();
        let lasts = firsts.iter().skip(1).map(|(next, _)| **next - 1).chain([16_383]);
        let ranges: Vec<_> = firsts.iter().zip(lasts).map(|((first, ids), last)| (**first, last, &ids[..])).collect();
        read(&slots(&ranges))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_change_brings_the_old_topology_to_the_new_one(old in any_topology(), new in any_topology()) {
        let change = Topology::diff(&old, &new);
        prop_assert!(old != new || change.is_empty());
        let ids = |owner: Option<&Node>| owner.map(|node| node.id.clone());
        let mut now: Vec<_> = (0..SLOTS).map(|slot| ids(old.owner(slot))).collect();
        for moved in &change.moved {
            for slot in moved.slots.clone() {
                let place = &mut now[usize::from(slot)];
                prop_assert_eq!(&*place, &ids(moved.from));
                prop_assert_ne!(ids(moved.from), ids(moved.to));
                *place = ids(moved.to);
            }
        }
        prop_assert!((0..SLOTS).zip(&now).all(|(slot, owner)| *owner == ids(new.owner(slot))));
        let count = old.nodes().len() + change.came.len() - change.went.len();
        prop_assert_eq!(count, new.nodes().len());
        let told = change.came.iter().chain(&change.turned);
        prop_assert!(new.nodes().iter().all(|node| old.nodes().contains(node) || told.clone().any(|it| *it == node)));
    }
}
