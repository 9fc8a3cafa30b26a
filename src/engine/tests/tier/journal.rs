//! The journal: what it holds and bounds, and that a recovery undoes it in a real Redis before anything is read.

use std::sync::Arc;

use crate::engine::base::clock::Ttl;
use crate::engine::base::key::Prefix;
use crate::engine::base::pattern::Pattern;
use crate::engine::base::text::Json;
use crate::engine::cache::options::{Given, Options};
use crate::engine::cache::tell::status::Mode;
use crate::engine::call::batch::Op;
use crate::engine::call::reply::Reply;
use crate::engine::front::Front;
use crate::engine::registry;
use crate::engine::tests::now_ms;
use crate::engine::tests::support::{Calls, Client, Server, in_mode, until};
use crate::engine::tier::budget::Noted;
use crate::engine::tier::journal::{Journal, MAX_BYTES, MAX_KEYS, MAX_PATTERN_BYTES, MAX_PATTERNS};

fn open(server: &Server, namespace: &str) -> Arc<Front> {
    let given = Given { url: server.url(), namespace: namespace.into(), near: true, ..Given::default() };
    let cache =
        Options::check(given).map(|options| Arc::new(registry::open(&options))).unwrap_or_else(|e| panic!("{e}"));
    in_mode(&cache, Mode::Redis);
    cache
}

fn get(client: &Arc<Client>, cache: &Arc<Front>, key: &str) -> Reply {
    client.run(cache, Calls::default().get(key).0).remove(0)
}

fn exists(connection: &mut redis::Connection, key: &str) -> bool {
    redis::cmd("EXISTS").arg(key).query(connection).expect("the server is up")
}

#[test]
fn a_key_is_held_once_and_taken_out_once() {
    let journal = Journal::default();
    let prefix = Prefix::new("n");
    for _ in 0..3 {
        assert_eq!(journal.note(&prefix, "n:k"), Noted::Kept);
    }
    assert_eq!((journal.len(), journal.holds("n:k"), journal.holds("n:other")), (1, true, false));
    assert_eq!(journal.went(), 0);
    let keys = journal.take_keys(10);
    assert_eq!((keys.len(), journal.len(), journal.went()), (1, 0, 1));
    journal.put_back(keys);
    assert!(journal.holds("n:k"));
    journal.replaced("n:k");
    assert_eq!((journal.is_empty(), journal.went()), (true, 2));
}

#[test]
fn an_overflow_is_a_whole_namespace_and_leaves_the_others() {
    let journal = Journal::default();
    let (full, other) = (Prefix::new("full"), Prefix::new("other"));
    assert_eq!(journal.note(&other, "other:k"), Noted::Kept);
    for n in 0..MAX_KEYS {
        assert_eq!(journal.note(&full, &format!("full:{n}")), Noted::Kept);
    }
    assert!(journal.covers("full:anything") && journal.covers("full:\0tag\0t") && !journal.covers("other:k"));
    let walk = journal.walk(None).expect("the namespace is to be swept");
    assert_eq!((walk.glob.as_str(), journal.len()), ("full:*", 2));
    journal.walked(None);
    let keys = journal.take_keys(10);
    assert_eq!(keys.iter().map(|key| &**key).collect::<Vec<_>>(), ["other:k"]);
    for n in 0..=MAX_PATTERNS {
        assert_eq!(journal.note_pattern(&other, Pattern::new(&other, &format!("{n}*"), false), false), Noted::Kept);
    }
    assert_eq!(journal.len(), 1, "too many patterns are a namespace too");
}

#[test]
fn patterns_are_bounded_in_bytes_too() {
    let (journal, named, raw) = (Journal::default(), Prefix::new("n"), Prefix::new(""));
    let glob = |n: usize| format!("{n:05}{}", "x".repeat(60_000));
    let fit = MAX_PATTERN_BYTES / 60_005;
    for n in 0..fit {
        assert_eq!(journal.note_pattern(&raw, Pattern::new(&raw, &glob(n), false), false), Noted::Kept);
        assert_eq!(journal.note_pattern(&raw, Pattern::new(&raw, &glob(n), false), false), Noted::Kept, "it is there");
    }
    assert_eq!(journal.note_pattern(&raw, Pattern::new(&raw, &glob(fit), false), false), Noted::FirstLost);
    assert_eq!(journal.len(), fit);
    assert_eq!(
        journal.note_pattern(&named, Pattern::new(&named, &glob(fit), false), false),
        Noted::Kept,
        "its namespace in its place"
    );
    assert_eq!(journal.len(), fit + 1);
}

#[test]
fn what_a_server_refuses_to_remove_is_bounded_in_bytes_and_what_does_not_fit_is_said() {
    let journal = Journal::default();
    let key = |n: usize| format!("{n:05}{}", "x".repeat(60_000));
    let fit = MAX_BYTES / 60_005;
    for n in 0..fit {
        assert_eq!(journal.distrust(&key(n)), Noted::Kept);
        assert_eq!(journal.distrust(&key(n)), Noted::Kept, "it is there");
    }
    assert_eq!(journal.distrust(&key(fit)), Noted::FirstLost);
    assert_eq!(journal.len(), fit);
    // What is put back and was noted meanwhile counts once: the room is the same after any number of rounds.
    for _ in 0..10 {
        let keys = journal.take_keys(1_000);
        keys.iter().for_each(|key| assert_eq!(journal.distrust(key), Noted::Kept));
        journal.put_back(keys);
    }
    journal.replaced(&key(0));
    assert_eq!(journal.distrust(&key(fit)), Noted::Kept);
}

#[test]
fn what_raw_caches_lose_is_said_once() {
    let journal = Journal::default();
    let raw = Prefix::new("");
    for n in 0..MAX_KEYS {
        assert_eq!(journal.note(&raw, &n.to_string()), Noted::Kept);
    }
    assert_eq!(journal.note(&raw, "one more"), Noted::FirstLost);
    assert_eq!(journal.note(&raw, "and another"), Noted::Lost);
    assert_eq!(journal.len(), MAX_KEYS, "nobody else's keys are touched for it");
}

#[test]
fn what_was_deleted_or_written_during_an_outage_is_gone_after_it() {
    let server = Server::start();
    let cache = open(&server, "app");
    let client = Client::new();
    let mut other = server.connection();
    let () = redis::cmd("SET").arg("foreign").arg(1).query(&mut other).expect("set");
    let keys = ["deleted", "written", "matched", "kept"];
    for key in keys {
        client.run(&cache, Calls::default().set(key, "\"old\"").0);
        get(&client, &cache, key);
    }
    server.signal("-STOP");
    in_mode(&cache, Mode::Memory);
    assert_eq!(get(&client, &cache, "kept"), Reply::Value(Json::Shared("\"old\"".into())), "held when Redis went");
    client.run(&cache, Calls::default().del("deleted").set("written", "\"new\"").0);
    assert_eq!(get(&client, &cache, "deleted"), Reply::Miss);
    assert_eq!(get(&client, &cache, "written"), Reply::Value(Json::Shared("\"new\"".into())));
    cache.run(crate::engine::call::batch::Task::DelPattern("matc*".into()), &client.to(1));
    assert_eq!(cache.shared().server("").journal.len(), 3);
    server.signal("-CONT");
    in_mode(&cache, Mode::Redis);
    for key in ["deleted", "written", "matched"] {
        assert_eq!(get(&client, &cache, key), Reply::Miss, "{key}");
    }
    assert_eq!(get(&client, &cache, "kept"), Reply::Value(Json::Owned("\"old\"".into())));
    let left = cache.shared().memory.entry("app:written", now_ms());
    assert!(left.is_none(), "what the outage stored does not wait for the next one");
    assert!(exists(&mut other, "foreign") && !exists(&mut other, "app:deleted"));
    let recovered = client.events.lock().iter().any(|event| event.contains("\"replayed\":3"));
    assert!(recovered || client.events.lock().is_empty(), "this client was not subscribed");
    assert!(cache.shared().server("").journal.is_empty());
}

#[test]
fn a_write_that_a_stopped_server_still_has_in_its_buffers_does_not_undo_a_later_delete() {
    let server = Server::start();
    let cache = open(&server, "app");
    let client = Client::new();
    let mut other = server.connection();
    server.signal("-STOP");
    // Sent, and never answered.
    client.run(&cache, Calls::default().set("k", "\"buffered\"").0);
    in_mode(&cache, Mode::Memory);
    client.run(&cache, Calls::default().del("k").0);
    server.signal("-CONT");
    in_mode(&cache, Mode::Redis);
    for _ in 0..50 {
        assert_eq!(get(&client, &cache, "k"), Reply::Miss);
        assert!(!exists(&mut other, "app:k"));
        std::thread::sleep(std::time::Duration::from_millis(4));
    }
}

#[test]
fn a_namespace_whose_journal_overflowed_is_cleared_and_nobody_elses_keys() {
    let server = Server::start();
    let cache = open(&server, "app");
    let neighbour = open(&server, "app2");
    let client = Client::new();
    let mut other = server.connection();
    let () = redis::cmd("SET").arg("foreign").arg(1).query(&mut other).expect("set");
    client.run(&cache, Calls::default().set("old", "1").0);
    client.run(&neighbour, Calls::default().set("old", "1").0);
    server.signal("-STOP");
    in_mode(&cache, Mode::Memory);
    for chunk in 0..=MAX_KEYS / 1_000 {
        let calls = (0..1_000).fold(Calls::default(), |calls, n| calls.del(&format!("{chunk}:{n}")));
        client.run(&cache, calls.0);
    }
    // The namespace, which took the place of all keys until then, and the keys behind that.
    assert_eq!((cache.shared().server("").journal.len(), cache.shared().server("").journal.widened()), (1_000, 1));
    server.signal("-CONT");
    in_mode(&cache, Mode::Redis);
    assert_eq!(get(&client, &cache, "old"), Reply::Miss);
    assert_eq!(get(&client, &neighbour, "old"), Reply::Value(Json::Owned("1".into())));
    until("the foreign key", || exists(&mut other, "foreign").then_some(()));
}

#[test]
fn long_work_that_misses_its_deadline_is_an_outage_and_done_on_recovery() {
    let server = Server::start();
    let given = Given { url: server.url(), namespace: "app".into(), timeout_ms: Some(50.0), ..Given::default() };
    let cache =
        Options::check(given).map(|options| Arc::new(registry::open(&options))).unwrap_or_else(|e| panic!("{e}"));
    in_mode(&cache, Mode::Redis);
    let client = Client::new();
    client.run(&cache, Calls::default().set("k", "\"old\"").0);
    let () = redis::cmd("CLIENT").arg("PAUSE").arg(600).query(&mut server.connection()).expect("pause");
    cache.run(crate::engine::call::batch::Task::DelPattern("k*".into()), &client.to(1));
    until("its answer", || client.reply(1));
    // Nothing else is asked until the server answers again: a call would miss its deadline, too.
    std::thread::sleep(std::time::Duration::from_millis(700));
    until("the pattern to be done", || {
        (get(&client, &cache, "k") == Reply::Miss && cache.shared().server("").journal.is_empty()).then_some(())
    });
}

#[test]
fn what_was_begun_in_an_outage_stores_nothing_after_it() {
    let server = Server::start();
    let cache = open(&server, "app");
    let client = Client::new();
    server.signal("-STOP");
    in_mode(&cache, Mode::Memory);
    let begin = Calls::default().add("k", "", |key, _| Op::Begin {
        key,
        waiter: 1,
        lock: true,
        many: false,
        early: false,
        more: None,
    });
    let [Reply::Lead(token)] = client.run(&cache, begin.0)[..] else { panic!("it is nowhere") };
    server.signal("-CONT");
    in_mode(&cache, Mode::Redis);
    let () = redis::cmd("SET").arg("app:k").arg("\"newer\"").query(&mut server.connection()).expect("set");
    let ttl = Ttl::Millis(60_000);
    client.run(
        &cache,
        Calls::default().add("k", "\"older\"", |key, value| Op::End { key, value, ttl, token, more: None }).0,
    );
    let stored: String = redis::cmd("GET").arg("app:k").query(&mut server.connection()).expect("get");
    assert_eq!(stored, "\"newer\"");
}
