//! CLUSTER SLOTS and CLUSTER SHARDS, as servers of all kinds answer them.

use redis::Value;

use crate::engine::base::error::Kind;
use crate::engine::fleet::endpoint::{AddressMap, Endpoint};
use crate::engine::fleet::parse::{parse_shards, parse_slots};
use crate::engine::fleet::topology::{Health, MAX_NODES, Node, Role, Topology};
use crate::engine::net::target::Address;
use crate::engine::tests::fleet::{as_named, asked, asked_over_tls, at, error, list, map, owners, slots, text};

fn int(n: i64) -> Value {
    Value::Int(n)
}

fn read_slots(answer: &Value) -> Topology {
    parse_slots(answer, &asked(), &as_named()).expect("an answer")
}

fn read_shards(answer: &Value) -> Topology {
    parse_shards(answer, &asked(), &as_named()).expect("an answer")
}

/// One range with a primary that is named so.
fn slots_of(node: impl IntoIterator<Item = Value>) -> Value {
    list([list([int(0), int(16_383), list(node)])])
}

/// A node of a shard.
fn member(resp3: bool, id: &'static str, role: &str, health: &str, more: Vec<(&'static str, Value)>) -> Value {
    let known = [("id", text(id)), ("role", text(role)), ("health", text(health))];
    map(resp3, known.into_iter().chain(more))
}

fn shard(resp3: bool, slots: &[i64], nodes: Vec<Value>) -> Value {
    map(resp3, [("slots", list(slots.iter().copied().map(int))), ("nodes", list(nodes))])
}

/// A node of a shard that is reached at the host of its id.
fn plain(id: &'static str, role: &str, health: &str) -> Value {
    let host = || text(&format!("host-{id}"));
    member(true, id, role, health, vec![("port", int(7_000)), ("ip", host()), ("endpoint", host())])
}

/// The shard of a node `n` of which so much is known, beside one that can be reached.
fn beside(known: Vec<(&'static str, Value)>, asked: &Address) -> Topology {
    let node = member(true, "n", "master", "online", known);
    let other = shard(true, &[2, 3], vec![plain("other", "master", "online")]);
    parse_shards(&list([shard(true, &[0, 1], vec![node]), other]), asked, &as_named()).expect("an answer")
}

fn where_is(topology: &Topology, id: &str) -> Option<Endpoint> {
    topology.nodes().iter().find(|node| &*node.id == id).map(|node| node.at.clone())
}

#[test]
fn slots_are_read_with_their_primaries_and_replicas() {
    let topology = read_slots(&slots(&[
        (0, 5_460, &["a", "x", "y"]),
        (5_461, 10_922, &["b"]),
        (10_923, 16_000, &["c", "z"]),
        (16_001, 16_383, &["a", "x", "y"]),
    ]));
    assert_eq!(owners(&topology), "0-5460 a, 5461-10922 b, 10923-16000 c, 16001-16383 a");
    let a = topology.owner(16_383).expect("an owner");
    let node = Node { id: "a".into(), at: at("host-a", 7_000), role: Role::Primary, health: Health::Online };
    assert_eq!((a, topology.nodes().len()), (&node, 6));
    assert_eq!(topology.replicas_of(a).map(|node| &*node.id).collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!(topology.owner(16_384), None);
}

#[test]
fn each_version_describes_its_nodes_in_its_own_way() {
    let host = || text("10.0.0.1");
    let names = |resp3| map(resp3, [("hostname", text("h.example"))]);
    for node in [
        vec![host(), int(7_000)],
        vec![host(), int(7_000), text("id")],
        vec![host(), int(7_000), text("id"), names(false)],
        vec![host(), int(7_000), text("id"), names(true), int(5)],
        vec![Value::SimpleString("10.0.0.1".into()), text("7000"), Value::Nil],
    ] {
        let topology = read_slots(&slots_of(node.clone()));
        let owner = topology.owner(0).expect("an owner");
        let id = if node.get(2) == Some(&text("id")) { "id" } else { "10.0.0.1:7000" };
        assert_eq!((&owner.at, &*owner.id), (&at("10.0.0.1", 7_000), id), "{node:?}");
    }
}

#[test]
fn who_names_no_host_is_the_one_that_answered() {
    for host in [Value::Nil, text(""), text("0.0.0.0"), text("::")] {
        let topology = read_slots(&slots_of([host.clone(), int(7_005), text("id")]));
        assert_eq!(where_is(&topology, "id"), Some(at("asked", 7_005)), "{host:?}");
        let node = member(false, "id", "master", "online", vec![("port", int(7_005)), ("endpoint", host.clone())]);
        let topology = read_shards(&list([shard(false, &[0, 16_383], vec![node])]));
        assert_eq!(where_is(&topology, "id"), Some(at("asked", 7_005)), "{host:?}");
    }
}

#[test]
fn a_node_that_cannot_be_reached_is_left_out_and_its_slots_have_no_owner() {
    let known = |id: &str| list([text("h"), int(1), text(id)]);
    for (host, port) in [("?", 7_000), ("a b", 7_000), (&*"x".repeat(254), 7_000), ("h", 0), ("h", 65_536), ("h", -1)] {
        let unknown = list([text(host), int(port), text("u")]);
        let topology = read_slots(&list([
            list([int(0), int(99), unknown, known("r")]),
            list([int(100), int(16_383), known("a")]),
        ]));
        // Its replica is no primary yet.
        assert_eq!(owners(&topology), "0-99 -, 100-16383 a", "{host}:{port}");
        let replica = &topology.nodes()[0];
        assert_eq!((&*replica.id, &replica.role), ("r", &Role::Replica { of: Some("u".into()) }));
    }
    // A range may have no nodes at all.
    let topology = read_slots(&list([list([int(0), int(0)]), list([int(1), int(1), known("a")])]));
    assert_eq!(owners(&topology), "0-0 -, 1-1 a, 2-16383 -");
}

#[test]
fn of_two_that_claim_a_slot_the_first_has_it() {
    let topology = read_slots(&slots(&[(0, 9_999, &["a"]), (5_000, 16_383, &["b"]), (0, 16_383, &["c"])]));
    assert_eq!(owners(&topology), "0-9999 a, 10000-16383 b");
    // Who owns slots is a primary, wherever else it is named.
    let topology = read_slots(&slots(&[(0, 9, &["a", "b"]), (10, 19, &["b", "a"])]));
    assert!(topology.nodes().iter().all(|node| node.role == Role::Primary), "{topology:?}");
}

#[test]
fn shards_are_read_from_either_protocol() {
    for resp3 in [false, true] {
        let node = |id, role, port| {
            let more = vec![
                ("port", int(port)),
                ("ip", text("10.0.0.1")),
                ("endpoint", text("10.0.0.1")),
                ("replication-offset", int(72_156)),
                ("availability-zone", text("")),
            ];
            member(resp3, id, role, "online", more)
        };
        let answer = list([
            shard(resp3, &[0, 5_460, 16_000, 16_383], vec![node("x", "replica", 7_004), node("a", "master", 7_001)]),
            shard(resp3, &[5_461, 15_999], vec![node("b", "master", 7_002)]),
            shard(resp3, &[], vec![node("c", "master", 7_003)]),
        ]);
        let topology = read_shards(&answer);
        assert_eq!(owners(&topology), "0-5460 a, 5461-15999 b, 16000-16383 a", "resp3 {resp3}");
        let a = topology.owner(0).expect("an owner");
        assert_eq!(topology.replicas_of(a).map(|node| &node.at).collect::<Vec<_>>(), [&at("10.0.0.1", 7_004)]);
        assert_eq!(where_is(&topology, "c"), Some(at("10.0.0.1", 7_003)), "it owns nothing yet");
    }
}

#[test]
fn a_shard_says_how_its_nodes_fare_and_the_better_primary_has_its_slots() {
    let of = |nodes| read_shards(&list([shard(true, &[0, 16_383], nodes)]));
    // A failover that the others have heard of, and the old primary not yet.
    let topology = of(vec![plain("old", "master", "fail"), plain("new", "master", "online")]);
    assert_eq!(owners(&topology), "0-16383 new");
    let topology = of(vec![plain("a", "master", "failed"), plain("r", "replica", "loading")]);
    assert_eq!(owners(&topology), "0-16383 a", "nobody has taken over");
    let health: Vec<_> = topology.nodes().iter().map(|node| node.health).collect();
    assert_eq!(health, [Health::Failed, Health::Loading]);
    let topology = read_shards(&list([
        shard(true, &[0, 9], vec![plain("r", "slave", "online")]),
        shard(true, &[10, 19], vec![plain("b", "primary", "well")]),
    ]));
    assert_eq!(owners(&topology), "0-9 -, 10-19 b, 20-16383 -");
    assert_eq!(topology.nodes()[0].role, Role::Replica { of: None });
}

#[test]
fn a_shards_node_is_reached_by_what_it_prefers_or_else_by_what_it_has() {
    let host = |entries: &[(&'static str, &str)]| {
        let entries = entries.iter().map(|(name, value)| (*name, text(value)));
        let topology = beside(entries.chain([("port", int(1))]).collect(), &asked());
        where_is(&topology, "n").map(|at| at.host().to_owned())
    };
    for (entries, expected) in [
        (&[("endpoint", "e"), ("ip", "i"), ("hostname", "h")][..], Some("e")),
        (&[("endpoint", "?"), ("ip", "i")], None),
        (&[("endpoint", ""), ("ip", "i")], Some("asked")),
        (&[("ip", "i"), ("hostname", "h")], Some("h")),
        (&[("ip", "i"), ("hostname", "")], Some("i")),
        (&[("ip", "i"), ("hostname", "?")], Some("i")),
        (&[("ip", "")], Some("asked")),
        (&[("ip", "2001:db8::1")], Some("2001:db8::1")),
        (&[], None),
    ] {
        assert_eq!(host(entries).as_deref(), expected, "{entries:?}");
    }
}

#[test]
fn the_port_is_that_of_what_is_spoken() {
    let port = |asked: &Address, ports: &[(&'static str, i64)]| {
        let ports = ports.iter().map(|(name, port)| (*name, int(*port)));
        let topology = beside(ports.chain([("endpoint", text("h"))]).collect(), asked);
        where_is(&topology, "n").map(|at| at.port())
    };
    let (plain, tls) = (asked(), asked_over_tls());
    let both = [("port", 1), ("tls-port", 2)];
    assert_eq!((port(&plain, &both), port(&tls, &both)), (Some(1), Some(2)));
    assert_eq!((port(&plain, &both[..1]), port(&tls, &both[..1])), (Some(1), Some(1)));
    assert_eq!((port(&plain, &both[1..]), port(&tls, &[("port", 3), ("tls-port", 0)])), (Some(2), Some(3)));
    assert_eq!((port(&plain, &[]), port(&plain, &[("port", 65_536)])), (None, None));
}

#[test]
fn the_map_is_for_all_nodes() {
    let inside = AddressMap::from([(at("host-a", 7_000), at("localhost", 17_000))]);
    let topology = parse_slots(&slots(&[(0, 9, &["a", "b"])]), &asked(), &inside).expect("an answer");
    assert_eq!(where_is(&topology, "a"), Some(at("localhost", 17_000)));
    assert_eq!(where_is(&topology, "b"), Some(at("host-b", 7_000)));
    let shards = list([shard(true, &[0, 1], vec![plain("a", "master", "")])]);
    let topology = parse_shards(&shards, &asked(), &inside).expect("an answer");
    assert_eq!(where_is(&topology, "a"), Some(at("localhost", 17_000)));
}

#[test]
fn what_is_no_answer_is_refused() {
    let node = || list([text("h"), int(1), text("a")]);
    let nodes = |nodes: Value| list([map(true, [("slots", list([int(0), int(9)])), ("nodes", nodes)])]);
    let range = |first: i64, last: i64| list([list([int(first), int(last), node()])]);
    for answer in [
        Value::Nil,
        Value::Okay,
        text("0-5460"),
        list([int(1)]),
        list([list([int(0)])]),
        list([list([text("x"), int(1), node()])]),
        list([list([int(0), int(1), text("h:1")])]),
        list([list([int(0), int(1), list([text("h")])])]),
        list([list([int(0), int(1), list([text("h"), Value::Nil])])]),
        list([list([int(0), int(1), list([int(1), int(1)])])]),
        slots_of([Value::BulkString(vec![0xFF]), int(1)]),
        range(0, 16_384),
        range(16_384, 16_384),
        range(-1, 0),
        range(2, 1),
        range(5, 0),
        range(0, i64::MAX),
        range(i64::MIN, 1),
        list(vec![list([int(0), int(16_383), node()]); 5]),
    ] {
        let trouble = parse_slots(&answer, &asked(), &as_named()).expect_err("garbage");
        assert_eq!(trouble.kind, Kind::Protocol, "{answer:?}: {trouble}");
    }
    for answer in [
        Value::Nil,
        list([list([])]),
        list([map(true, [("slots", list([]))])]),
        list([map(false, [("slots", text("0-9")), ("nodes", list([]))])]),
        list([map(true, [("slots", list([int(0)])), ("nodes", list([]))])]),
        nodes(int(1)),
        nodes(list([int(1)])),
        nodes(list([map(true, [("port", text("x"))])])),
        nodes(list([map(true, [("port", int(1)), ("endpoint", int(1))])])),
        list([shard(true, &[0, 16_384], vec![plain("a", "master", "")])]),
    ] {
        let trouble = parse_shards(&answer, &asked(), &as_named()).expect_err("garbage");
        assert_eq!(trouble.kind, Kind::Protocol, "{answer:?}: {trouble}");
    }
}

#[test]
fn a_cluster_without_owners_or_with_too_many_nodes_is_told_so() {
    for answer in [list([]), slots_of([text("?"), int(7_000), text("a")]), list([list([int(0), int(9)])])] {
        let trouble = parse_slots(&answer, &asked(), &as_named()).expect_err("no owner");
        assert_eq!(trouble.kind, Kind::Cluster, "{answer:?}: {trouble}");
    }
    let of = |count: usize| {
        let node = |n: usize| list([text(&format!("h{n}")), int(1), text(&format!("id{n}"))]);
        let nodes = (0..count).map(node);
        parse_slots(&list([list([int(0), int(9)].into_iter().chain(nodes))]), &asked(), &as_named())
    };
    assert_eq!(of(MAX_NODES).map(|topology| topology.nodes().len()), Ok(MAX_NODES));
    assert_eq!(of(MAX_NODES + 1).map_err(|trouble| trouble.kind), Err(Kind::Cluster));
}

#[test]
fn a_refusal_is_told_as_what_it_is() {
    let denied = error("NOPERM this user has no permissions to run the 'cluster|slots' command");
    for (said, kind) in [
        (denied, Kind::Denied),
        (error("ERR This instance has cluster support disabled"), Kind::Server),
        (error("LOADING Redis is loading the dataset in memory"), Kind::Loading),
    ] {
        let answer = Value::ServerError(said);
        assert_eq!(parse_slots(&answer, &asked(), &as_named()).map_err(|t| t.kind), Err(kind));
        assert_eq!(parse_shards(&answer, &asked(), &as_named()).map_err(|t| t.kind), Err(kind));
    }
}
