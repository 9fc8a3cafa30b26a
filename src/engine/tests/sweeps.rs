//! Sweeps: what is called behind one sees nothing of what it removes, and is not removed by it, however long its walk
//! takes.

use std::sync::Arc;

use redis::Value;

use super::support::{Calls, Client, Server, cache, in_mode, until};
use crate::engine::batch::{Json, Op, Reply, Task};
use crate::engine::cache::Cache;
use crate::engine::clock::{Ttl, now_ms};
use crate::engine::covers::{Covered, MAX_EXCEPTIONS};
use crate::engine::entry::Codec;
use crate::engine::extras::Extras;
use crate::engine::journal::Journal;
use crate::engine::key::Prefix;
use crate::engine::lease;
use crate::engine::memory::Memory;
use crate::engine::pattern::Pattern;
use crate::engine::status::Mode;

const FOREVER: Ttl = Ttl::Forever;
/// So many that a walk takes some hundred steps.
const FOREIGN: usize = 200_000;

fn pattern(glob: &str) -> Pattern {
    Pattern::new(&Prefix::new("app"), glob, false)
}

fn keys(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| Value::BulkString(name.as_bytes().to_vec())).collect()
}

fn picked(journal: &Journal, names: &[&str]) -> Vec<String> {
    let parts = journal.pick(keys(names));
    parts.into_iter().flat_map(|part| part.keys).map(|key| String::from_utf8_lossy(&key).into_owned()).collect()
}

fn value(text: &str) -> Reply {
    Reply::Value(Json::Owned(text.into()))
}

/// A server with many keys of others, and a cache on it.
fn crowded() -> (Server, Arc<Cache>, Arc<Client>) {
    let server = Server::start();
    let fill = format!("for i = 1, {FOREIGN} do redis.call('SET', 'foreign:' .. i, 1) end");
    let () = redis::cmd("EVAL").arg(fill).arg(0).query(&mut server.connection()).expect("filled");
    let cache = cache(server.url(), "app");
    in_mode(&cache, Mode::Redis);
    (server, cache, Client::new())
}

fn stored(server: &Server, key: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> = redis::cmd("GET").arg(key).query(&mut server.connection()).expect("get");
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
fn what_a_sweep_hides_reads_as_missing_at_once_and_what_is_written_behind_it_stays() {
    let memory = Memory::new(1 << 20);
    for key in ["app:a", "app:b", "app:c", "app:n", "other"] {
        memory.set(key, "5", FOREVER, 0);
    }
    let mark = memory.raise(&pattern("*"), false);
    assert_eq!(memory.get("app:a", 0), None);
    assert!(!memory.expire("app:b", FOREVER, 0) && !memory.remove("app:b", 0));
    memory.set("app:c", "6", FOREVER, 0);
    assert_eq!(memory.increment(Codec::Json, "app:n", 1, Ttl::Forever, 0), Ok(1));
    assert_eq!(memory.get("other", 0).as_deref(), Some("5"));
    assert_eq!(memory.sweep_at_once(&mark), 4, "each counts once, whoever met it first");
    assert_eq!(memory.get("app:c", 0).as_deref(), Some("6"));
    assert_eq!(memory.usage().entries, 3);
}

#[tokio::test]
async fn one_walk_does_for_all_sweeps_that_wait_and_goes_in_steps() {
    let memory = Memory::new(64 << 20);
    for i in 0..20_000 {
        memory.set(&format!("app:{i}"), "1", FOREVER, now_ms());
    }
    let (odd, even) = (memory.raise(&pattern("*[13579]"), false), memory.raise(&pattern("*[02468]"), false));
    memory.set("app:1", "2", FOREVER, now_ms());
    assert_eq!(memory.count("app:").await, 1, "what is hidden does not count");
    let (odd, even) = tokio::join!(memory.swept(&odd), memory.swept(&even));
    assert_eq!((odd, even), (10_000, 10_000));
    assert_eq!(memory.usage().entries, 1);
}

#[tokio::test]
async fn a_store_that_is_dropped_is_empty_at_once_and_freed_in_the_background() {
    let memory = Arc::new(Memory::new(64 << 20));
    for i in 0..20_000 {
        memory.set(&format!("{i}"), "1", FOREVER, now_ms());
    }
    assert_eq!(memory.clear(), 20_000);
    assert!(!memory.contains("7", now_ms()));
    memory.set("7", "2", FOREVER, now_ms());
    let sweeper = tokio::spawn(Memory::sweep(Arc::downgrade(&memory)));
    while memory.usage().entries > 1 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    assert_eq!(memory.get("7", now_ms()).as_deref(), Some("2"));
    sweeper.abort();
}

#[test]
fn a_cover_hides_its_keys_but_those_that_lie_there_anew() {
    let journal = Journal::default();
    let mut told = journal.raise(pattern("k*"));
    assert!(journal.covers("app:k1") && !journal.covers("app:x") && !journal.covers("app:\0tag\0k"));
    assert!(matches!(journal.uncover("app:k1"), Covered::Excepted(_)));
    assert_eq!((journal.covers("app:k1"), journal.uncover("app:k1")), (false, Covered::No));
    assert_eq!(journal.walk(Some("server")).expect("a walk").glob, "app:k*");
    assert_eq!(picked(&journal, &["app:k1", "app:k2", "app:x", "xapp:k"]), ["app:k2"]);
    journal.walked(None);
    assert!(!journal.covers("app:k2") && told.try_recv().is_ok());
}

#[test]
fn beyond_its_bound_an_exception_is_none() {
    let journal = Journal::default();
    let _told = journal.raise(pattern("*"));
    for n in 0..MAX_EXCEPTIONS {
        assert!(matches!(journal.uncover(&format!("app:{n}")), Covered::Excepted(_)));
    }
    assert!(matches!(journal.uncover("app:more"), Covered::Still(_)));
    assert!(journal.covers("app:more") && !journal.covers("app:0"));
    journal.walk(None);
    journal.walked(None);
    let _told = journal.raise(pattern("*"));
    assert!(matches!(journal.uncover("app:more"), Covered::Excepted(_)), "the room is given back");
}

#[test]
fn a_pattern_that_is_called_again_during_a_walk_is_walked_for_again() {
    let (journal, prefix) = (Journal::default(), Prefix::new("app"));
    let _ = journal.note_pattern(&prefix, pattern("k*"), false);
    let _ = journal.note_pattern(&prefix, pattern("x*"), false);
    journal.walk(Some("server"));
    let _ = journal.note_pattern(&prefix, pattern("k*"), false);
    assert_eq!(picked(&journal, &["app:k", "app:x"]), ["app:x"]);
    journal.walked(None);
    assert!(journal.covers("app:k") && !journal.covers("app:x"));
    assert_eq!(journal.len(), 1);
}

#[test]
fn whoever_calls_the_same_pattern_before_its_walk_begins_shares_it() {
    let journal = Journal::default();
    let mut first = journal.raise(pattern("a*"));
    assert!(matches!(journal.uncover("app:a1"), Covered::Excepted(_)));
    let mut second = journal.raise(pattern("a*"));
    assert!(journal.covers("app:a1"), "what was written between the two is swept for the second");
    assert!(journal.walk(Some("s")).is_some());
    let mut third = journal.raise(pattern("a*"));
    assert_eq!(picked(&journal, &["app:a1", "b"]), ["app:a1"]);
    for part in journal.pick(keys(&["app:a1"])) {
        journal.removed(part.id, 1);
    }
    journal.walked(None);
    assert!(matches!(first.try_recv(), Ok(Ok(1))));
    assert!(matches!(second.try_recv(), Ok(Ok(0))), "what went is counted once");
    assert!(third.try_recv().is_err(), "its walk is the next one");
    assert!(journal.walk(Some("s")).is_some());
    journal.walked(None);
    assert!(matches!(third.try_recv(), Ok(Ok(0))));
    assert!(!journal.is_covering());
}

#[test]
fn a_walk_that_was_cut_off_goes_on_on_the_same_server_alone() {
    let (journal, prefix) = (Journal::default(), Prefix::new("app"));
    let cursor =
        |server: &str| journal.walk(Some(server)).map(|walk| String::from_utf8_lossy(&walk.cursor).into_owned());
    let _ = journal.note_pattern(&prefix, pattern("*"), false);
    assert_eq!(cursor("one").as_deref(), Some("0"));
    journal.turn(b"17".to_vec());
    journal.lose();
    assert_eq!(cursor("one").as_deref(), Some("17"));
    // What an exception passed over may be there still: its own removal need not have reached the server.
    journal.uncover("app:k");
    assert!(picked(&journal, &["app:k"]).is_empty());
    journal.turn(b"18".to_vec());
    journal.lose();
    assert!(journal.covers("app:k"));
    assert_eq!(cursor("one").as_deref(), Some("0"));
    journal.turn(b"19".to_vec());
    journal.lose();
    assert_eq!(cursor("another").as_deref(), Some("0"));
}

#[test]
fn a_key_is_noted_beside_its_whole_namespace_once_the_walk_for_that_has_begun() {
    let (journal, prefix) = (Journal::default(), Prefix::new("app"));
    let _ = journal.note_pattern(&prefix, Pattern::everything(&prefix), false);
    let _ = journal.note(&prefix, "app:before");
    assert_eq!((journal.keys(), journal.len()), (0, 1));
    journal.walk(Some("server"));
    let _ = journal.note(&prefix, "app:behind");
    assert_eq!((journal.keys(), journal.len()), (1, 2), "the walk may have passed it");
}

#[test]
fn what_a_server_refuses_to_search_for_hides_nothing_and_is_tried_again_on_the_next_one() {
    let (journal, prefix) = (Journal::default(), Prefix::new("app"));
    let _ = journal.note_pattern(&prefix, pattern("*"), true);
    assert!(!journal.covers("app:k") && journal.walk(None).is_none());
    journal.lose();
    assert!(journal.covers("app:k") && journal.walk(None).is_some());
}

#[test]
fn calls_behind_a_sweep_see_nothing_of_what_it_removes_and_stay() {
    let (server, cache, client) = crowded();
    let old = (0..500).fold(Calls::default(), |calls, n| calls.set(&format!("k{n}"), "\"old\""));
    client.run(&cache, old.set("n", "5").0);
    client.run(&cache, Calls::default().get("k1").get("k2").0);
    assert_eq!(cache.run(Task::DelPattern("*".into()), &client.to(1)), None);
    let calls = Calls::default()
        .get("k1")
        .add("k2", "", |key, _| Op::Exists { key })
        .add("k2", "", |key, _| Op::Ttl { key })
        .add("k2", "", |key, _| Op::Expire { key, ttl: Ttl::Millis(9_000) })
        .add("n", "", |key, _| Op::Increment { key, amount: 1, ttl: None, more: None })
        .set("k3", "\"new\"")
        .get("k3")
        .del("k4");
    let replies = client.run(&cache, calls.0);
    let want = [
        Reply::Miss,
        Reply::Flag(false),
        Reply::Miss,
        Reply::Flag(false),
        Reply::Number(1),
        Reply::Done,
        value("\"new\""),
        Reply::Number(0),
    ];
    assert_eq!(replies, want);
    assert_eq!(client.reply(1), None, "nobody waits for the walk");
    assert_eq!(until("the sweep", || client.reply(1)), [Reply::Number(501)]);
    assert_eq!(
        client.run(&cache, Calls::default().get("k3").get("n").get("k1").0),
        [value("\"new\""), value("1"), Reply::Miss]
    );
    let size: usize = redis::cmd("DBSIZE").query(&mut server.connection()).expect("dbsize");
    assert_eq!(size, FOREIGN + 2);
}

#[test]
fn a_computation_behind_a_sweep_has_its_lease_and_one_from_before_stores_nothing() {
    let (server, cache, client) = crowded();
    let begin = |waiter| {
        Calls::default()
            .add("k", "", move |key, _| Op::Begin { key, waiter, lock: true, many: false, early: false, more: None })
            .0
    };
    let lead = |waiter| match client.run(&cache, begin(waiter))[..] {
        [Reply::Lead(token)] => token,
        [Reply::Wait] => match until("its turn", || client.reply(waiter))[..] {
            [Reply::Lead(token)] => token,
            ref other => panic!("{other:?}"),
        },
        ref other => panic!("{other:?}"),
    };
    let end = |token, text: &str| {
        let end = move |key, value| Op::End { key, value, ttl: Ttl::Millis(60_000), token, more: None };
        client.run(&cache, Calls::default().add("k", text, end).0);
    };
    let before = lead(1);
    cache.run(Task::DelPattern("k*".into()), &client.to(2));
    let behind = lead(3);
    assert!(lease::is_marker(&redis::cmd("GET").arg("app:k").query::<Vec<u8>>(&mut server.connection()).expect("get")));
    assert_eq!(client.reply(2), None, "the sweep is under way");
    end(before, "\"before\"");
    end(behind, "\"behind\"");
    until("the sweep", || client.reply(2));
    assert_eq!(stored(&server, "app:k").as_deref(), Some("\"behind\""));
}

#[test]
fn what_is_stored_with_tags_while_everything_is_cleared_stays_valid() {
    let (_server, cache, client) = crowded();
    let tagged = |text: &str| {
        let mut batch = Calls::default()
            .add("k", text, |key, value| Op::Set { key, value, ttl: Ttl::Millis(60_000), more: Some(0) })
            .0;
        batch.extras.push(Extras { tags: vec!["t".into()], ..crate::engine::extras::NONE.clone() });
        batch
    };
    client.run(&cache, tagged("\"old\""));
    cache.run(Task::Clear { flush_db: false }, &client.to(1));
    client.run(&cache, tagged("\"new\""));
    assert_eq!(client.reply(1), None, "it is under way");
    let get = || client.run(&cache, Calls::default().get("k").0).remove(0);
    assert_eq!(get(), value("\"new\""));
    assert_eq!(until("the sweep", || client.reply(1)), [Reply::Number(1)]);
    assert_eq!(get(), value("\"new\""));
}

#[test]
fn an_outage_in_the_middle_of_a_sweep_is_undone_by_the_next_recovery() {
    let (server, cache, client) = crowded();
    client.run(&cache, Calls::default().set("k", "\"old\"").set("n", "5").0);
    cache.run(Task::DelPattern("*".into()), &client.to(1));
    client
        .run(&cache, Calls::default().add("n", "", |key, _| Op::Increment { key, amount: 1, ttl: None, more: None }).0);
    server.signal("-STOP");
    in_mode(&cache, Mode::Memory);
    until("the sweep", || client.reply(1));
    // And a sweep of the outage itself.
    client.run(&cache, Calls::default().set("mine", "1").0);
    cache.run(Task::DelPattern("m*".into()), &client.to(2));
    client.run(&cache, Calls::default().set("mine", "2").0);
    assert_eq!(
        client.run(&cache, Calls::default().get("mine").get("k").0),
        [Reply::Value(Json::Shared("2".into())), Reply::Miss]
    );
    server.signal("-CONT");
    in_mode(&cache, Mode::Redis);
    assert_eq!(client.run(&cache, Calls::default().get("k").get("mine").0), [Reply::Miss, Reply::Miss]);
    until("the journal to be empty", || cache.shared().journal.is_empty().then_some(()));
    assert_eq!((stored(&server, "app:k"), stored(&server, "foreign:1").as_deref()), (None, Some("1")));
}

#[test]
fn patterns_that_come_while_a_recovery_walks_do_not_keep_it_from_its_end() {
    let (server, cache, client) = crowded();
    let old = (0..50).fold(Calls::default(), |calls, n| calls.set(&format!("k{n}"), "\"old\""));
    client.run(&cache, old.0);
    server.signal("-STOP");
    in_mode(&cache, Mode::Memory);
    server.signal("-CONT");
    let mut id = 0;
    until("redis mode", || {
        cache.run(Task::DelPattern("k*".into()), &client.to(id));
        let got = client.run(&cache, Calls::default().get(&format!("k{}", id % 50)).0);
        assert_eq!(got, [Reply::Miss], "after {id} sweeps");
        id += 1;
        (id > 1 && cache.shared().status.mode() == Mode::Redis).then_some(())
    });
    for n in 0..50 {
        assert_eq!(client.run(&cache, Calls::default().get(&format!("k{n}")).0), [Reply::Miss]);
    }
    until("the last sweep", || client.reply(id - 1).or_else(|| cache.shared().journal.is_empty().then(Vec::new)));
}

#[test]
fn a_sweep_in_flight_keeps_its_place_among_the_calls_that_an_outage_answers() {
    let server = Server::start();
    let cache = cache(server.url(), "app");
    in_mode(&cache, Mode::Redis);
    let client = Client::new();
    server.signal("-STOP");
    cache.submit(Calls::default().set("k", "1").0, &client.to(1));
    cache.run(Task::DelPattern("*".into()), &client.to(2));
    cache.submit(Calls::default().get("k").0, &client.to(3));
    assert_eq!(until("the read", || client.reply(3)), [Reply::Miss]);
    assert_eq!(until("the write", || client.reply(1)), [Reply::Done]);
    until("the sweep", || client.reply(2));
}
