//! What holds between processes: two engines on one Redis are two processes to each other, but for their numbers.

use std::sync::Arc;

use crate::engine::base::clock::Ttl;
use crate::engine::base::text::{Json, Span};
use crate::engine::cache::options::{Given, Options};
use crate::engine::cache::tell::status::Mode;
use crate::engine::call::batch::Extras;
use crate::engine::call::batch::{Batch, Op};
use crate::engine::call::reply::Reply;
use crate::engine::front::Front;
use crate::engine::once::lease::{self, Holder};
use crate::engine::registry;
use crate::engine::tests::support::{Calls, Client, Server, in_mode, until};
use crate::engine::value::codec;

/// An engine is found by its URL: two spellings are two engines.
pub(super) fn two(server: &Server) -> (Arc<Front>, Arc<Front>) {
    let open = |host: &str| {
        let url = Some(format!("redis://{host}:{}", server.port));
        let given = Given { url, near: true, timeout_ms: Some(5_000.0), ..Given::default() };
        let cache =
            Options::check(given).map(|options| Arc::new(registry::open(&options))).unwrap_or_else(|e| panic!("{e}"));
        in_mode(&cache, Mode::Redis);
        cache
    };
    (open("127.0.0.1"), open("localhost"))
}

pub(super) fn begin(key: &str, waiter: u32, extras: Extras) -> Batch {
    let mut calls = Calls::default().add(key, "", |key, _| Op::Begin {
        key,
        waiter,
        lock: true,
        many: false,
        early: false,
        more: Some(0),
    });
    calls.0.extras.push(extras);
    calls.0
}

pub(super) fn end(key: &str, value: &str, token: u32, ttl: Ttl, extras: Extras) -> Batch {
    let mut calls = Calls::default().add(key, value, |key, value| Op::End { key, value, ttl, token, more: Some(0) });
    calls.0.extras.push(extras);
    calls.0
}

/// What a caller of `getOrCompute` is told in the end.
pub(super) fn told(client: &Arc<Client>, cache: &Arc<Front>, key: &str, waiter: u32, extras: Extras) -> Reply {
    match client.run(cache, begin(key, waiter, extras)).remove(0) {
        Reply::Wait => until("the answer", || client.reply(waiter)).remove(0),
        reply => reply,
    }
}

pub(super) fn get(client: &Arc<Client>, cache: &Arc<Front>, key: &str) -> Reply {
    client.run(cache, Calls::default().get(key).0).remove(0)
}

pub(super) fn hit(text: &str) -> Reply {
    Reply::Hit(Json::Owned(text.into()))
}

pub(super) fn grace() -> Extras {
    Extras { window: 60_000, extra: 60_000, ..Extras::default() }
}

pub(super) fn tagged() -> Extras {
    Extras { tags: vec!["t".into()], ..Extras::default() }
}

pub(super) const MINUTE: Ttl = Ttl::Millis(60_000);

#[test]
fn one_process_computes_and_the_other_waits_for_its_value() {
    let server = Server::start();
    let (a, b) = two(&server);
    let client = Client::new();
    let Reply::Lead(token) = told(&client, &a, "k", 1, Extras::default()) else { panic!("nobody else asked") };
    assert_eq!(client.run(&b, begin("k", 2, Extras::default())), [Reply::Wait]);
    // Long enough to be told to compute, were there no lease.
    std::thread::sleep(std::time::Duration::from_millis(250));
    assert_eq!(client.reply(2), None);
    client.run(&a, end("k", "42", token, MINUTE, Extras::default()));
    assert_eq!(until("the value", || client.reply(2)), [hit("42")]);
}

#[test]
fn a_delete_by_anybody_keeps_a_result_out() {
    let server = Server::start();
    let (a, b) = two(&server);
    let client = Client::new();
    let Reply::Lead(token) = told(&client, &a, "k", 1, Extras::default()) else { panic!("nobody else asked") };
    client.run(&b, Calls::default().del("k").0);
    client.run(&a, end("k", "\"old\"", token, MINUTE, Extras::default()));
    assert_eq!(get(&client, &a, "k"), Reply::Miss);
    assert_eq!(get(&client, &b, "k"), Reply::Miss);
}

#[test]
fn one_process_refreshes_a_stale_entry_and_the_other_serves_it() {
    let server = Server::start();
    let (a, b) = two(&server);
    let client = Client::new();
    let Reply::Lead(token) = told(&client, &a, "k", 1, grace()) else { panic!("nobody else asked") };
    client.run(&a, end("k", "1", token, Ttl::Millis(40), grace()));
    until("the TTL's end", || (get(&client, &b, "k") == Reply::Miss).then_some(()));
    let Reply::LeadOver(token, age, stale) = told(&client, &a, "k", 2, grace()) else { panic!("it is stale") };
    assert!(age >= 0 && stale == "1".into());
    assert_eq!(told(&client, &b, "k", 3, grace()), Reply::Stale(Json::Shared("1".into())));
    client.run(&a, end("k", "2", token, MINUTE, grace()));
    assert_eq!(get(&client, &b, "k"), Reply::Value(Json::Owned("2".into())));
}

#[test]
fn the_old_value_of_a_refresh_is_not_served_once_another_process_has_deleted_it() {
    let server = Server::start();
    let (a, b) = two(&server);
    let [client, late] = [Client::new(), Client::new()];
    let Reply::Lead(token) = told(&client, &a, "k", 1, grace()) else { panic!("nobody else asked") };
    client.run(&a, end("k", "1", token, Ttl::Millis(40), grace()));
    until("the TTL's end", || (get(&client, &a, "k") == Reply::Miss).then_some(()));
    let Reply::LeadOver(refresh, ..) = told(&client, &a, "k", 2, grace()) else { panic!("it is stale") };
    assert_eq!(told(&late, &a, "k", 3, grace()), Reply::Stale(Json::Shared("1".into())));
    client.run(&b, Calls::default().del("k").0);
    let mut waiter = 3;
    until("the push", || {
        waiter += 1;
        matches!(told(&late, &a, "k", waiter, grace()), Reply::Lead(_)).then_some(())
    });
    client.run(&a, end("k", "2", refresh, MINUTE, grace()));
    assert_eq!(get(&client, &b, "k"), Reply::Miss, "nor is its result stored");
}

#[test]
fn a_refresh_that_has_just_ended_is_not_run_again_by_who_read_the_entry_before() {
    let server = Server::start();
    let (a, b) = two(&server);
    let client = Client::new();
    for round in 0..300_u32 {
        let key = format!("k{round}");
        let Reply::Lead(token) = told(&client, &a, &key, 1, grace()) else { panic!("nobody else asked") };
        client.run(&a, end(&key, "1", token, Ttl::Millis(1), grace()));
        until("the TTL's end", || (get(&client, &b, &key) == Reply::Miss).then_some(()));
        let Reply::LeadOver(token, ..) = told(&client, &a, &key, 2, grace()) else { panic!("it is stale") };
        let reader = {
            let (b, key) = (b.clone(), key.clone());
            std::thread::spawn(move || {
                let client = Client::new();
                (1..).find_map(|waiter| match told(&client, &b, &key, waiter, grace()) {
                    Reply::Stale(_) | Reply::Again => None,
                    reply => Some(reply),
                })
            })
        };
        std::thread::sleep(std::time::Duration::from_micros(u64::from(round % 10) * 100));
        client.run(&a, end(&key, "2", token, MINUTE, grace()));
        match reader.join().expect("no panic") {
            Some(Reply::Hit(json)) => assert_eq!(json.as_str(), "2"),
            reply => panic!("round {round}: {reply:?}"),
        }
        client.replies.lock().clear();
    }
}

#[test]
fn a_write_during_a_refresh_wins() {
    let server = Server::start();
    let (a, b) = two(&server);
    let client = Client::new();
    for (round, write) in [Calls::default().set("k", "9"), Calls::default().del("k")].into_iter().enumerate() {
        let id = u32::try_from(round).unwrap_or_default() * 10;
        let Reply::Lead(token) = told(&client, &a, "k", id + 1, grace()) else { panic!("nobody else asked") };
        client.run(&a, end("k", "1", token, Ttl::Millis(40), grace()));
        until("the TTL's end", || (get(&client, &a, "k") == Reply::Miss).then_some(()));
        let Reply::LeadOver(token, ..) = told(&client, &a, "k", id + 2, grace()) else { panic!("it is stale") };
        client.run(&b, write.0);
        client.run(&a, end("k", "2", token, MINUTE, grace()));
        let left = get(&client, &b, "k");
        assert!(left == Reply::Miss || left == Reply::Value(Json::Owned("9".into())), "{left:?}");
        client.run(&b, Calls::default().del("k").0);
    }
}

#[test]
fn a_tag_that_is_invalidated_anywhere_makes_its_entries_misses_everywhere() {
    let server = Server::start();
    let (a, b) = two(&server);
    let client = Client::new();
    let tag = [crate::engine::base::key::TAG, "t"].concat();
    let mut set = Calls::default().add("k", "1", |key, value| Op::Set { key, value, ttl: MINUTE, more: Some(0) });
    set.0.extras.push(tagged());
    client.run(&a, set.0);
    for cache in [&a, &b, &a, &b] {
        assert!(matches!(get(&client, cache, "k"), Reply::Value(_)));
    }
    client.run(&a, Calls::default().del(&tag).0);
    assert_eq!(get(&client, &a, "k"), Reply::Miss, "at once where it was invalidated");
    until("the push", || (get(&client, &b, "k") == Reply::Miss).then_some(()));
    // Computed from what was before: it is stored, and nobody's.
    let Reply::Lead(token) = told(&client, &a, "c", 1, tagged()) else { panic!("nobody else asked") };
    client.run(&b, Calls::default().del(&tag).0);
    client.run(&a, end("c", "1", token, MINUTE, tagged()));
    assert_eq!(get(&client, &b, "c"), Reply::Miss);
    until("the push", || (get(&client, &a, "c") == Reply::Miss).then_some(()));
}

/// Cold keys until leases are asked for along with the reads.
pub(super) fn miss_often(client: &Arc<Client>, cache: &Arc<Front>) {
    for id in 0..20 {
        let engine = cache.shared().status.id();
        let key = format!("cold{engine}:{id}");
        // Each waits under a name of its own, and none of those under which batches do.
        let waiter = 1_000_000 + engine * 100 + id;
        let Reply::Lead(token) = told(client, cache, &key, waiter, Extras::default()) else { panic!("it is cold") };
        client.run(cache, end(&key, "0", token, MINUTE, Extras::default()));
    }
    assert!(cache.shared().misses.prevail());
}

#[test]
fn a_lease_asked_for_along_with_the_read_is_one_like_another() {
    let server = Server::start();
    let (a, b) = two(&server);
    let client = Client::new();
    miss_often(&client, &a);
    miss_often(&client, &b);
    let Reply::Lead(token) = told(&client, &a, "k", 1, Extras::default()) else { panic!("nobody else asked") };
    assert_eq!(client.run(&b, begin("k", 2, Extras::default())), [Reply::Wait]);
    std::thread::sleep(std::time::Duration::from_millis(250));
    assert_eq!(client.reply(2), None);
    client.run(&a, end("k", "42", token, MINUTE, Extras::default()));
    assert_eq!(until("the value", || client.reply(2)), [hit("42")]);
    // What is there comes at once, and stays.
    assert_eq!(told(&client, &a, "k", 3, Extras::default()), hit("42"));
    assert_eq!(told(&client, &b, "k", 4, Extras::default()), hit("42"));
    assert_eq!(redis::cmd("GET").arg("k").query::<String>(&mut server.connection()), Ok("42".into()));
}

#[test]
fn hits_end_the_asking_along() {
    let server = Server::start();
    let (a, _) = two(&server);
    let client = Client::new();
    miss_often(&client, &a);
    for id in 0..20 {
        let key = format!("there{id}");
        redis::cmd("SET").arg(&key).arg(id).exec(&mut server.connection()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(told(&client, &a, &key, 1 + id, Extras::default()), hit(&id.to_string()));
    }
    assert!(!a.shared().misses.prevail());
}

#[test]
fn writes_behind_a_read_with_its_lease_find_no_marker() {
    let server = Server::start();
    let (a, _) = two(&server);
    let client = Client::new();
    miss_often(&client, &a);
    let behind = |key: &str, waiter: u32, op: fn(Span) -> Op| {
        let mut batch = begin(key, waiter, Extras::default());
        let start = batch.text.len() as u32;
        batch.text.push_str(key);
        batch.ops.push(op(Span { start, end: batch.text.len() as u32 }));
        let reply = client.run(&a, batch).remove(1);
        (reply, until("the answer", || client.reply(waiter)).remove(0))
    };
    let increment = |key| Op::Increment { key, amount: 5, ttl: None, more: None };
    assert_eq!(behind("n", 1, increment), (Reply::Number(5), hit("5")));
    assert_eq!(behind("d", 2, |key| Op::Del { key }).1, Reply::Again);
    let mut connection = server.connection();
    until("the marker's end", || {
        redis::cmd("EXISTS").arg("d").query::<u32>(&mut connection).is_ok_and(|n| n == 0).then_some(())
    });
}

#[test]
fn the_lock_of_a_refresh_is_not_taken_once_the_entry_is_another_one() {
    let server = Server::start();
    let mut admin = server.connection();
    let holder = |token| Holder { engine: 1, token };
    let mut take = |identity: &[u8], token| -> i64 {
        lease::take(true, "k", "lock", identity, holder(token)).query(&mut admin).expect("the script runs")
    };
    let mut other = server.connection();
    let () = redis::cmd("SET").arg("k").arg("old entry").query(&mut other).expect("set");
    assert_eq!((take(b"old", 1), take(b"old", 2)), (1, 0), "one has it");
    // The refresh is done: another entry, and no lock.
    let () = redis::cmd("SET").arg("k").arg("new entry").query(&mut other).expect("set");
    let () = redis::cmd("DEL").arg("lock").query(&mut other).expect("del");
    assert_eq!(take(b"old", 3), -1);
    let locked: bool = redis::cmd("EXISTS").arg("lock").query(&mut other).expect("exists");
    assert!(!locked, "it keeps nobody from refreshing the new one");
    // What has no name of its own may be any.
    assert_eq!(take(b"", 4), 1);
}

#[test]
fn a_lease_counts_where_an_older_value_was_still_to_be_removed() {
    let server = Server::start();
    let (one, two) = two(&server);
    let client = Client::new();
    let _ = one.shared().server("k").journal.distrust("k");
    let token = match client.run(&one, begin("k", 1, Extras::default())).remove(0) {
        Reply::Lead(token) => token,
        Reply::Wait => match until("the lead", || client.reply(1)).remove(0) {
            Reply::Lead(token) => token,
            other => panic!("expected to lead, got {other:?}"),
        },
        other => panic!("expected to lead, got {other:?}"),
    };
    let mut admin = server.connection();
    let lies: Vec<u8> = redis::cmd("GET").arg("k").query(&mut admin).expect("get");
    assert!(codec::is_marker(&lies), "{lies:?}");
    // Another process ends what is computed.
    client.run(&two, Calls::default().del("k").0);
    client.run(&one, end("k", "1", token, MINUTE, Extras::default()));
    let lies: Option<Vec<u8>> = redis::cmd("GET").arg("k").query(&mut admin).expect("get");
    assert_eq!(lies, None);
}
