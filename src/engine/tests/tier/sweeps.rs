//! Sweeps: what is called behind one sees nothing of what it removes, and is not removed by it, however long its walk
//! takes.

use std::sync::Arc;

use crate::engine::base::clock::Ttl;
use crate::engine::base::key::Prefix;
use crate::engine::base::pattern::Pattern;
use crate::engine::base::text::Json;
use crate::engine::cache::tell::status::Mode;
use crate::engine::call::batch::Extras;
use crate::engine::call::batch::{Op, Task};
use crate::engine::call::reply::Reply;
use crate::engine::call::vouched::Clock;
use crate::engine::front::Front;
use crate::engine::tests::support::{Calls, Client, Server, cache, in_mode, until};
use crate::engine::tier::budget::Budget;
use crate::engine::tier::memory::Memory;
use crate::engine::tier::near::Near;
use crate::engine::value::codec;
use crate::engine::value::entry::Codec;

const FOREVER: Ttl = Ttl::Forever;
/// So many that a walk takes some hundred steps.
const FOREIGN: usize = 200_000;

fn pattern(glob: &str) -> Pattern {
    Pattern::new(&Prefix::new("app"), glob, false)
}

fn value(text: &str) -> Reply {
    Reply::Value(Json::Owned(text.into()))
}

#[test]
fn a_read_that_was_sent_before_a_sweep_took_its_place_fills_nothing_behind_it() {
    let near = Near::new(&Arc::new(Budget::new(1 << 20)), &Clock::new(0), &Arc::default());
    near.arm(u64::MAX, 0);
    let fills = |key| near.reserve(key).expect("the first read fills");
    let tickets = [fills("app:k"), fills("app:other")];
    let mark = near.cover(&pattern("k*"));
    near.uncover(&pattern("k*"), &mark);
    for (key, ticket) in ["app:k", "app:other"].into_iter().zip(tickets) {
        near.fill(key, ticket, "1", None, FOREVER, 0);
    }
    let is_held = |key| near.get(key, u64::MAX, 1).is_some();
    assert_eq!((is_held("app:k"), is_held("app:other")), (false, true));
}

/// A server with many keys of others, and a cache on it.
fn crowded() -> (Server, Arc<Front>, Arc<Client>) {
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
    assert_eq!(memory.get("other", 0), Some("5".into()));
    assert_eq!(memory.sweep_at_once(&mark, 0), 4, "each counts once, whoever met it first");
    assert_eq!(memory.get("app:c", 0), Some("6".into()));
    assert_eq!(memory.usage().entries, 3);
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
    assert!(codec::is_marker(&redis::cmd("GET").arg("app:k").query::<Vec<u8>>(&mut server.connection()).expect("get")));
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
        batch.extras.push(Extras { tags: vec!["t".into()], ..crate::engine::call::batch::NONE.clone() });
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
    until("the journal to be empty", || cache.shared().server("").journal.is_empty().then_some(()));
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
    until("the last sweep", || {
        client.reply(id - 1).or_else(|| cache.shared().server("").journal.is_empty().then(Vec::new))
    });
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
