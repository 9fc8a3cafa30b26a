//! Which calls go to which server, in which order, and where a tag that ends cuts a batch.

use std::sync::Arc;

use crate::engine::base::key;
use crate::engine::base::text::Json;
use crate::engine::cache::local;
use crate::engine::call::batch::{Batch, Extras, NONE, Op};
use crate::engine::call::reply::Reply;
use crate::engine::call::vouched::Clock;
use crate::engine::fleet::cluster::Cluster;
use crate::engine::fleet::endpoint::{AddressMap, Endpoint};
use crate::engine::fleet::server::{Gate, Server};
use crate::engine::fleet::slot::{SLOTS, slot_of};
use crate::engine::front::Front;
use crate::engine::net::target::{Target, Trust};
use crate::engine::route::split::{Split, split};
use crate::engine::tests::support::{Calls, Client, cache};
use crate::engine::tier::budget::Budget;

/// Two servers: one has the slots below the middle, the other the rest.
fn two_servers() -> Cluster {
    let cluster =
        Cluster::new(Target::parse("redis://h", Trust::default()).expect("a URL"), AddressMap::default(), false);
    let (budget, clock) = (Arc::new(Budget::new(1 << 20)), Clock::new(1));
    let servers = [1, 2].map(|port| {
        let at = Endpoint::new("h", port).expect("an address");
        let make = |place| Server::new(place, Some(at.clone()), Gate::Connection, &budget, &clock, &Arc::default());
        cluster.at(&at, make).expect("room for two")
    });
    (0..SLOTS).for_each(|slot| _ = cluster.moved(slot, &servers[usize::from(slot >= SLOTS / 2)]));
    cluster
}

/// A key whose slot is below the middle, or one above it.
fn key_of(server: u16, nth: usize) -> String {
    let is_its = |key: &String| (slot_of(format!("ns:{key}").as_bytes()) >= SLOTS / 2) == (server == 2);
    (0..).map(|n| format!("k{n}")).filter(is_its).nth(nth).unwrap_or_default()
}

fn taken_apart(cache: &Front, calls: Calls, on_detour: &[u16]) -> (Split, Vec<(u16, Vec<u32>)>) {
    let mut batch = calls.0;
    let split = split(cache, &mut batch, &two_servers(), None, |slot| on_detour.contains(&slot));
    let parts = split.parts.iter().map(|part| (part.server, part.places.clone())).collect();
    (split, parts)
}

#[test]
fn each_server_gets_its_calls_in_their_order() {
    let cache = cache(None, "ns");
    let [a, b, c] = [key_of(1, 0), key_of(2, 0), key_of(1, 1)];
    let (split, parts) = taken_apart(&cache, Calls::default().set(&a, "1").get(&b).get(&c).get(&a), &[]);
    assert_eq!(parts, [(1, vec![0, 2, 3]), (2, vec![1])]);
    assert_eq!(split.replies, vec![Reply::Later; 4]);
    let keys = |batch: &Batch| batch.ops.iter().map(|op| batch.str(op.key().expect("a key")).to_owned()).collect();
    let given: Vec<Vec<String>> = split.parts.iter().map(|part| keys(&part.batch)).collect();
    assert_eq!(given, [vec![a.clone(), c, a], vec![b]]);
}

#[test]
fn the_end_of_a_tag_stands_between_what_was_called_before_and_behind_it() {
    let cache = cache(None, "ns");
    let (a, b) = (key_of(1, 0), key_of(2, 0));
    let mark =
        (0..).map(|n| format!("{}tag{n}", key::TAG)).find(|mark| slot_of(format!("ns:{mark}").as_bytes()) >= SLOTS / 2);
    let mark = mark.unwrap_or_default();
    let calls = Calls::default().set(&a, "1").get(&b).del(&mark).get(&a).get(&b);
    let (_, parts) = taken_apart(&cache, calls, &[]);
    assert_eq!(parts, [(1, vec![0]), (2, vec![1]), (2, vec![2]), (1, vec![3]), (2, vec![4])]);
}

/// Servers come to their calls in an order of their own: here the one that is away answers in process, behind the end
/// of a tag on another one.
#[test]
fn what_is_stored_in_process_behind_the_end_of_its_tag_but_was_called_before_is_a_miss() {
    let cache = cache(None, "ns");
    let to = Client::new().to(1);
    let tag = (0..).map(|n| format!("t{n}")).find(|tag| {
        let stored = format!("ns:{}{tag}", key::TAG);
        slot_of(stored.as_bytes()) >= SLOTS / 2
    });
    let tag = tag.unwrap_or_default();
    let mark = format!("{}{tag}", key::TAG);
    let (before, behind, plain) = (key_of(1, 0), key_of(1, 1), key_of(1, 2));
    let mut calls = Calls::default().set(&before, "1").set(&plain, "2").del(&mark).set(&behind, "3");
    calls.0.extras.push(Extras { tags: vec![tag.into()], ..NONE.clone() });
    for at in [0, 3] {
        let Op::Set { more, .. } = &mut calls.0.ops[at] else { panic!("a set") };
        *more = Some(0);
    }
    let (mut split, parts) = taken_apart(&cache, calls, &[]);
    assert_eq!(parts, [(1, vec![0, 1]), (2, vec![2]), (1, vec![3])]);
    let [first, end, last] = &mut split.parts[..] else { panic!("three parts") };
    for part in [end, first, last] {
        local::run(&cache.cache, &mut part.batch, &to);
    }
    let mut reads = Calls::default().get(&before).get(&plain).get(&behind).0;
    let value = |text: &str| Reply::Value(Json::Shared(text.into()));
    assert_eq!(local::run(&cache.cache, &mut reads, &to), [Reply::Miss, value("2"), value("3")]);
}

#[test]
fn what_was_answered_at_once_is_not_waited_for_and_what_is_on_a_detour_waits() {
    let cache = cache(None, "ns");
    let (a, b) = (key_of(1, 0), key_of(2, 0));
    let mut calls = Calls::default().get(&a).set(&a, "1").get(&b);
    calls.0.ops[0] = Op::Answered;
    calls.0.called = vec![77];
    let (split, parts) = taken_apart(&cache, calls, &[slot_of(format!("ns:{a}").as_bytes())]);
    assert_eq!(parts, [(2, vec![2])]);
    assert_eq!(split.replies, [Reply::Done, Reply::Later, Reply::Later]);
    let waiting: Vec<_> = split.waiting.iter().map(|(slot, place, batch)| (*slot, *place, batch.ops.len())).collect();
    assert_eq!(waiting, [(slot_of(format!("ns:{a}").as_bytes()), 1, 1)]);
    let called: Vec<_> = split.waiting.iter().map(|(.., batch)| batch.called.clone()).collect();
    assert_eq!((called, split.planned), (vec![vec![77]], Vec::new()), "a write that waits is not planned");
}
