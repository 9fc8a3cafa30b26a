//! What anyone may answer: nothing panics, and what is read keeps its bounds.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::{Value, VerbatimFormat};

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::fleet::endpoint::{AddressMap, MAX_NAME_BYTES, Redirect};
use crate::engine::fleet::parse::{parse_shards, parse_slots};
use crate::engine::fleet::slot::SLOTS;
use crate::engine::fleet::topology::{MAX_NODES, Role, Topology};
use crate::engine::tests::fleet::{asked, asked_at_a_file, asked_over_tls, at, error, text};

fn runner() -> TestRunner {
    TestRunner::new(Config { cases: 1_500, failure_persistence: None, ..Config::default() })
}

/// What stands in answers, and what might.
fn leaf() -> impl Strategy<Value = Value> {
    let words = [
        "slots", "nodes", "id", "port", "tls-port", "ip", "endpoint", "hostname", "role", "health", "master",
        "replica", "fail", "loading", "?", "", "::", "0.0.0.0", "h", "::1", "7000", "-1",
    ];
    let numbers = [-1, 0, 1, 5_460, 7_000, 16_383, 16_384, 65_535, 65_536];
    prop_oneof![
        8 => prop::sample::select(words.to_vec()).prop_map(text),
        6 => prop::sample::select(numbers.to_vec()).prop_map(Value::Int),
        1 => any::<i64>().prop_map(Value::Int),
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::BulkString),
        1 => ".{0,9}".prop_map(Value::SimpleString),
        1 => ".{0,9}".prop_map(|text| Value::VerbatimString { format: VerbatimFormat::Text, text }),
        1 => any::<f64>().prop_map(Value::Double),
        1 => any::<bool>().prop_map(Value::Boolean),
        1 => Just(Value::Nil),
        1 => Just(Value::Okay),
        1 => Just(Value::ServerError(error("CLUSTERDOWN no"))),
    ]
}

/// Any tree.
fn tree() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            4 => prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            1 => prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Set),
            2 => prop::collection::vec((leaf(), inner), 0..6).prop_map(Value::Map),
        ]
    })
}

/// Mostly the one, sometimes anything.
fn nearly(value: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    prop_oneof![100 => value.boxed(), 1 => tree().boxed()]
}

fn array(parts: impl Strategy<Value = Vec<Value>>) -> impl Strategy<Value = Value> {
    parts.prop_map(Value::Array)
}

fn host() -> impl Strategy<Value = Value> {
    let hosts = prop::sample::select(vec!["a", "b", "c", "10.0.0.1", "::1", "", "?"]).prop_map(text);
    nearly(prop_oneof![9 => hosts, 1 => Just(Value::Nil)])
}

fn number(most: i64) -> impl Strategy<Value = Value> {
    nearly((0..=most).prop_map(Value::Int))
}

/// An answer to CLUSTER SLOTS, with a hole here and there.
fn slots() -> impl Strategy<Value = Value> {
    let node = (host(), number(3), host()).prop_map(|(host, port, id)| Value::Array(vec![host, port, id]));
    let nodes = prop::collection::vec(nearly(node), 0..4);
    let range = (number(16_383), number(400), nodes).prop_map(|(first, more, nodes)| {
        let last = match (&first, more) {
            (Value::Int(first), Value::Int(more)) => Value::Int(first.saturating_add(more).min(16_383)),
            (_, more) => more,
        };
        Value::Array([first, last].into_iter().chain(nodes).collect())
    });
    nearly(array(prop::collection::vec(nearly(range), 0..9)))
}

/// An answer to CLUSTER SHARDS, likewise.
fn shards() -> impl Strategy<Value = Value> {
    let map = |entries: Vec<(&str, Value)>, resp3: bool| {
        let entries = entries.into_iter().map(|(name, value)| (text(name), value));
        if resp3 {
            Value::Map(entries.collect())
        } else {
            Value::Array(entries.flat_map(|(name, value)| [name, value]).collect())
        }
    };
    let word = |words: &[&'static str]| nearly(prop::sample::select(words.to_vec()).prop_map(text));
    let role = word(&["master", "replica"]);
    let node = (host(), host(), number(3), number(3), role, word(&["online", "fail", "loading"]), any::<bool>());
    let node = node.prop_map(move |(id, endpoint, port, secure, role, health, resp3)| {
        let ports = [("port", port), ("tls-port", secure)];
        let more = [("id", id), ("endpoint", endpoint), ("role", role), ("health", health)];
        map(ports.into_iter().chain(more).collect(), resp3)
    });
    let slots = prop::collection::vec(0_i64..16_384, 0..3).prop_map(|mut ends| {
        ends.sort_unstable();
        Value::Array(ends.iter().flat_map(|end| [Value::Int(*end), Value::Int((end + 200).min(16_383))]).collect())
    });
    let nodes = array(prop::collection::vec(nearly(node), 0..4));
    let shard = (nearly(slots), nearly(nodes), any::<bool>());
    let shard = shard.prop_map(move |(slots, nodes, resp3)| map(vec![("slots", slots), ("nodes", nodes)], resp3));
    nearly(array(prop::collection::vec(nearly(shard), 0..6)))
}

/// What holds for all that was read.
fn check(read: Result<Topology, Trouble>) -> Result<bool, TestCaseError> {
    let topology = match read {
        Ok(topology) => topology,
        Err(trouble) => {
            prop_assert!(matches!(trouble.kind, Kind::Protocol | Kind::Cluster), "{}", trouble);
            return Ok(false);
        }
    };
    prop_assert!((1..=MAX_NODES).contains(&topology.nodes().len()));
    for node in topology.nodes() {
        prop_assert!(node.at.port() > 0 && (1..=MAX_NAME_BYTES).contains(&node.at.host().len()));
        // An address that stands for it has a port, and maybe brackets.
        prop_assert!((1..=MAX_NAME_BYTES + 8).contains(&node.id.len()));
        prop_assert_eq!(topology.nodes().iter().filter(|other| other.id == node.id).count(), 1);
    }
    let mut next = 0;
    for (slots, owner) in topology.ranges() {
        prop_assert!(*slots.start() == next && slots.start() <= slots.end());
        prop_assert!(owner.is_none_or(|owner| owner.role == Role::Primary && topology.nodes().contains(owner)));
        next = slots.end() + 1;
    }
    prop_assert_eq!(next, SLOTS);
    prop_assert!((0..SLOTS).any(|slot| topology.owner(slot).is_some()));
    prop_assert!(Topology::diff(&topology, &topology).is_empty());
    Ok(true)
}

#[test]
fn whatever_a_server_answers_is_a_topology_within_bounds_or_none() {
    let map = AddressMap::from([(at("a", 1), at("b", 1)), (at("::1", 1), at("asked", 2))]);
    let read = Cell::new(0);
    let answers = prop_oneof![1 => tree().boxed(), 3 => slots().boxed(), 3 => shards().boxed()];
    let result = runner().run(&(answers, 0_usize..3), |(answer, who)| {
        let by = [asked(), asked_over_tls(), asked_at_a_file()][who].clone();
        let any = check(parse_slots(&answer, &by, &map))? | check(parse_shards(&answer, &by, &map))?;
        read.set(read.get() + u32::from(any));
        Ok(())
    });
    result.unwrap_or_else(|e| panic!("{e}"));
    assert!(read.get() > 300, "the generators come near enough to be read: {}", read.get());
}

#[test]
fn whatever_a_server_redirects_to_is_an_address_or_none() {
    let pieces = vec!["MOVED ", "ASK ", "1 ", "16384 ", "h", ":", "::1", "[", "]", "7000", "-", "?", " ", "é", "\0"];
    let line = prop::collection::vec(prop::sample::select(pieces), 1..8).prop_map(|pieces| pieces.concat());
    let result = runner().run(&(prop::bool::ANY, line), |(moved, line)| {
        let line = format!("{}{line}", if moved { "MOVED 1 " } else { "" });
        if !line.trim().is_empty()
            && let Ok(Some(redirect)) = Redirect::of(&error(&line), &asked(), &AddressMap::new())
        {
            prop_assert!(redirect.slot < SLOTS && redirect.to.is_none_or(|to| to.port() > 0 && !to.host().is_empty()));
        }
        Ok(())
    });
    result.unwrap_or_else(|e| panic!("{e}"));
}
