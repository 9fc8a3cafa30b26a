//! The near cache: each race of its essay, in the order that loses without the fence; then all of it on a real Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::engine::base::clock::Ttl;
use crate::engine::base::key::Prefix;
use crate::engine::base::pattern::Pattern;
use crate::engine::base::text::Json;
use crate::engine::cache::tell::counters::read;
use crate::engine::cache::tell::status::Mode;
use crate::engine::call::batch::Op;
use crate::engine::call::called::Called;
use crate::engine::call::reply::{Reply, Submitted};
use crate::engine::call::sink::{COUNTERS, Versions};
use crate::engine::call::vouched::Clock;
use crate::engine::exchange::plan::Came;
use crate::engine::exchange::plan::Line;
use crate::engine::exchange::planner;
use crate::engine::front::Front;
use crate::engine::net::denied::Denied;
use crate::engine::tests::now_ms;
use crate::engine::tests::support::{Calls, Client, Server, in_mode, patient, until};
use crate::engine::tier::budget::Budget;
use crate::engine::tier::near::Near;
use crate::engine::value::tags::Tokens;

const TTL: Ttl = Ttl::Millis(60_000);
/// Of what a cache takes from it, in milliseconds.
const AGE: u64 = 60_000;

fn unarmed() -> Near {
    Near::new(&Arc::new(Budget::new(1 << 20)), &Clock::new(0), &Arc::default())
}

#[test]
fn no_server_s_near_cache_is_filled_while_a_write_is_called_that_another_one_may_plan() {
    let (called, budget) = (Arc::new(Called::default()), Arc::new(Budget::new(1 << 20)));
    let near = [1, 2].map(|_| Near::new(&budget, &Clock::new(0), &called));
    near.iter().for_each(|near| near.arm(u64::MAX, 0));
    let [first, second] = near;
    let before = first.reserve("k");
    let write = called.add("k");
    first.own_write("k");
    before.into_iter().for_each(|ticket| first.fill("k", ticket, "1", None, TTL, 0));
    assert_eq!((value(&first, "k"), second.reserve("k")), (None, None));
    called.planned(write);
    assert!(second.reserve("k").is_some());
}

fn armed() -> Near {
    let near = unarmed();
    near.arm(u64::MAX, 0);
    near
}

fn lose(near: &Near) {
    near.disarm(0);
}

fn value(near: &Near, key: &str) -> Option<Arc<str>> {
    near.get(key, AGE, 1).and_then(|hit| hit.value.json())
}

#[test]
fn a_reply_fills_its_placeholder_and_nothing_else() {
    let near = armed();
    let ticket = near.reserve("k").expect("the first read fills");
    assert_eq!(near.reserve("k"), None, "the second one of the same key does not");
    near.fill("k", ticket, "1", None, TTL, 0);
    assert_eq!(value(&near, "k").as_deref(), Some("1"));
    near.fill("other", ticket, "2", None, TTL, 0);
    assert_eq!(value(&near, "other"), None, "nobody expected it");
}

#[test]
fn a_push_before_the_reply_keeps_the_reply_out() {
    let near = armed();
    let old = near.reserve("k").expect("fills");
    near.invalidate("k");
    let new = near.reserve("k").expect("a later read has a ticket of its own");
    near.fill("k", old, "\"old\"", None, TTL, 0);
    assert_eq!(value(&near, "k"), None);
    near.fill("k", new, "\"new\"", None, TTL, 0);
    assert_eq!(value(&near, "k").as_deref(), Some("\"new\""));
}

#[test]
fn a_null_push_and_a_lost_connection_end_entries_and_placeholders() {
    for end in [|near: &Near| near.flush(0), lose] {
        let near = armed();
        let ticket = near.reserve("kept").expect("fills");
        near.fill("kept", ticket, "1", None, TTL, 0);
        let under_way = near.reserve("under way").expect("fills");
        end(&near);
        near.fill("under way", under_way, "1", None, TTL, 0);
        assert_eq!((value(&near, "kept"), value(&near, "under way")), (None, None));
    }
}

#[test]
fn without_tracking_nothing_is_kept() {
    let near = unarmed();
    assert_eq!(near.reserve("k"), None);
    near.arm(u64::MAX, 0);
    let ticket = near.reserve("k").expect("fills");
    near.fill("k", ticket, "1", None, TTL, 0);
    near.disarm(0);
    assert_eq!(value(&near, "k"), None);
}

#[test]
fn the_deadline_counts_from_when_the_read_was_sent() {
    let near = armed();
    let ticket = near.reserve("k").expect("fills");
    near.fill("k", ticket, "1", None, Ttl::Millis(100), 1_000);
    assert!(near.get("k", AGE, 1_099).is_some());
    assert!(near.get("k", AGE, 1_100).is_none());
}

#[test]
fn each_reader_takes_only_what_is_young_enough_for_it_whoever_had_it_put_away() {
    let near = armed();
    let ticket = near.reserve("k").expect("nothing is under way");
    near.fill("k", ticket, "1", None, TTL, 1_000);
    let until = |age, now| near.get("k", age, now).map(|hit| hit.deadline);
    assert_eq!(until(50, 1_049), Some(1_050), "a hot value made of it ends with its reader's patience");
    assert_eq!(until(50, 1_050), None);
    assert_eq!(until(AGE, 1_300), Some(61_000), "a reader with more patience still has it");
    near.disarm(1_300);
    assert!(near.get_frozen("k", 30_000, 50, 1_310).is_none(), "nor while Redis is away");
    assert!(near.get_frozen("k", 30_000, AGE, 1_310).is_some());
}

struct Counters(Vec<AtomicI32>);

impl Versions for Counters {
    fn counters(&self) -> &[AtomicI32] {
        &self.0
    }
}

#[test]
fn every_way_to_lose_an_entry_raises_its_version() {
    let near = armed();
    let versions: Arc<dyn Versions> = Arc::new(Counters((0..COUNTERS).map(|_| AtomicI32::new(0)).collect()));
    near.share(versions.clone());
    let noted = || near.note(&*versions, "k").1;
    near.invalidate("k");
    assert_eq!(noted(), 1);
    let pattern = Pattern::everything(&Prefix::new(""));
    let mark = near.cover(&pattern);
    assert_eq!(noted(), 2);
    near.uncover(&pattern, &mark);
    near.flush(0);
    assert_eq!(noted(), 3);
    near.disarm(0);
    assert_eq!(noted(), 4);
    near.unshare(&versions);
    near.flush(0);
    assert_eq!(noted(), 4, "an environment that has ended is left alone");
}

#[test]
fn sweeps_raise_versions_only_where_one_was_noted_since() {
    let near = armed();
    let versions: Arc<dyn Versions> = Arc::new(Counters((0..COUNTERS).map(|_| AtomicI32::new(0)).collect()));
    near.share(versions.clone());
    let version = || versions.counters()[near.slot("k")].load(Ordering::SeqCst);
    let pattern = Pattern::everything(&Prefix::new(""));
    near.note(&*versions, "other");
    for _ in 0..3 {
        near.cover(&pattern);
    }
    assert_eq!(version(), 1, "nothing was noted between the first and the last");
    near.note(&*versions, "k");
    near.cover(&pattern);
    assert_eq!(version(), 2);
}

fn get(client: &Arc<Client>, cache: &Arc<Front>, key: &str) -> Option<String> {
    match client.run(cache, Calls::default().get(key).0).as_slice() {
        [Reply::Value(json)] => Some(json.as_str().to_owned()),
        [Reply::Miss] => None,
        other => panic!("{other:?}"),
    }
}

fn near_cache(server: &Server) -> Arc<Front> {
    patient(server, "", true)
}

fn set(connection: &mut redis::Connection, key: &str, value: &str) {
    let () = redis::cmd("SET").arg(key).arg(value).query(connection).expect("set");
}

#[test]
fn the_second_read_is_a_near_hit_until_somebody_else_writes() {
    let server = Server::start();
    let cache = near_cache(&server);
    let client = Client::new();
    let mut other = server.connection();
    set(&mut other, "k", "1");
    assert_eq!(get(&client, &cache, "k").as_deref(), Some("1"));
    assert_eq!(get(&client, &cache, "k").as_deref(), Some("1"));
    assert_eq!((read(&cache.counters.hits_redis), read(&cache.counters.hits_near)), (1, 1));
    set(&mut other, "k", "2");
    until("the push", || (get(&client, &cache, "k").as_deref() == Some("2")).then_some(()));
    let () = redis::cmd("FLUSHALL").query(&mut other).expect("flushall");
    until("the null push", || get(&client, &cache, "k").is_none().then_some(()));
}

#[test]
fn own_writes_are_read_at_once_by_every_client_of_the_process() {
    let server = Server::start();
    let cache = near_cache(&server);
    let (one, two) = (Client::new(), Client::new());
    for round in 0..500 {
        one.run(&cache, Calls::default().set("k", &round.to_string()).0);
        for client in [&two, &one, &two] {
            assert_eq!(get(client, &cache, "k"), Some(round.to_string()));
        }
    }
    one.run(&cache, Calls::default().del("k").0);
    assert_eq!(get(&two, &cache, "k"), None);
    assert!(read(&cache.counters.hits_near) > 0, "some were near hits");
}

#[test]
fn a_read_behind_a_write_of_one_batch_is_no_near_hit() {
    let server = Server::start();
    let cache = near_cache(&server);
    let client = Client::new();
    client.run(&cache, Calls::default().set("k", "1").0);
    assert_eq!(get(&client, &cache, "k").as_deref(), Some("1"));
    let replies = client.run(&cache, Calls::default().get("k").set("k", "2").get("k").0);
    assert_eq!(replies[2], Reply::Value(Json::Owned("2".into())));
}

#[test]
fn what_is_near_is_answered_before_the_rest_of_its_batch() {
    let server = Server::start();
    let cache = near_cache(&server);
    let client = Client::new();
    client.run(&cache, Calls::default().set("near", "1").set("far", "2").0);
    get(&client, &cache, "near");
    let together =
        Calls::default().get("near").get("far").add("near", "", |key, _| Op::Get { key, early: false, hot: false });
    match cache.submit(together.0, &client.to(1)) {
        Submitted::Partly(early) => {
            assert_eq!(early, [Reply::Value(Json::Shared("1".into())), Reply::Later, Reply::Later])
        }
        _ => panic!("the far one needs Redis"),
    }
    let late = until("the rest", || client.reply(1));
    assert_eq!(late[1..], [Reply::Value(Json::Owned("2".into())), Reply::Value(Json::Shared("1".into()))]);
}

#[test]
fn nothing_near_is_served_after_its_ttl_although_redis_expires_lazily() {
    let server = Server::start();
    let cache = near_cache(&server);
    let client = Client::new();
    let mut other = server.connection();
    // A slow machine lets it expire before it is read.
    until("it to be near", || {
        let () = redis::cmd("SET").arg("k").arg(1).arg("PX").arg(150).query(&mut other).expect("set");
        get(&client, &cache, "k")
    });
    let until_when = std::time::Instant::now() + std::time::Duration::from_millis(200);
    while std::time::Instant::now() < until_when {
        get(&client, &cache, "k");
    }
    assert_eq!(get(&client, &cache, "k"), None);
}

#[test]
fn a_connection_that_is_killed_ends_what_it_vouched_for() {
    let server = Server::start();
    let cache = near_cache(&server);
    let client = Client::new();
    let mut other = server.connection();
    set(&mut other, "k", "1");
    get(&client, &cache, "k");
    let () = redis::cmd("CLIENT")
        .arg("KILL")
        .arg("TYPE")
        .arg("normal")
        .arg("SKIPME")
        .arg("yes")
        .query(&mut other)
        .expect("kill");
    set(&mut other, "k", "2");
    until("the new value", || {
        in_mode(&cache, Mode::Redis);
        (get(&client, &cache, "k").as_deref() == Some("2")).then_some(())
    });
    for _ in 0..100 {
        assert_ne!(get(&client, &cache, "k").as_deref(), Some("1"));
    }
}

#[test]
fn a_tracking_table_that_overflows_costs_hits_and_no_truth() {
    let server = Server::start();
    let mut other = server.connection();
    let () = redis::cmd("CONFIG").arg("SET").arg("tracking-table-max-keys").arg(10).query(&mut other).expect("config");
    let cache = near_cache(&server);
    let client = Client::new();
    let keys: Vec<String> = (0..100).map(|i| format!("k{i}")).collect();
    for round in 0..5 {
        for key in &keys {
            set(&mut other, key, &round.to_string());
        }
        until("all pushes", || keys.iter().all(|k| get(&client, &cache, k) == Some(round.to_string())).then_some(()));
    }
}

#[test]
fn without_the_near_cache_every_read_goes_to_redis() {
    let server = Server::start();
    let cache = patient(&server, "", false);
    let client = Client::new();
    client.run(&cache, Calls::default().set("k", "1").0);
    for _ in 0..3 {
        get(&client, &cache, "k");
    }
    assert_eq!((read(&cache.counters.hits_redis), read(&cache.counters.hits_near)), (3, 0));
}

#[test]
fn a_read_that_was_queued_before_a_write_and_planned_after_its_first_fence_fills_nothing() {
    let server = Server::start();
    let cache = near_cache(&server);
    let client = Client::new();
    let line = Line { server: cache.shared().server(""), denied: Denied::default(), asks: false, strays: false };
    let near = &line.server.near;
    let (read, write) = (Calls::default().get("k").0, Calls::default().set("k", "2").0);
    // The write is submitted while the read is queued, …
    near.invalidate("k");
    let plan = planner::plan(&cache, &line, &read, &client.to(1), Tokens::new(), now_ms());
    // … and planned behind it, before the read's reply is in.
    drop(planner::plan(&cache, &line, &write, &client.to(2), Tokens::new(), now_ms()));
    let old = vec![redis::Value::Array(vec![redis::Value::BulkString(b"1".to_vec())]), redis::Value::Int(60_000)];
    let (replies, _) = plan.settle(&cache, &read, &client.to(1), Came::All(old), now_ms());
    assert_eq!(replies, [Reply::Value(Json::Owned("1".into()))], "the read itself was before the write");
    assert!(near.get("k", AGE, 1).is_none());
}

#[test]
fn nothing_is_served_that_nobody_vouched_for_lately() {
    let near = unarmed();
    near.arm(1_000, 0);
    let ticket = near.reserve("k").expect("fills");
    near.fill("k", ticket, "1", None, TTL, 0);
    let served = |now| near.get("k", AGE, now).is_some();
    assert!(served(1_000) && !served(1_001), "the process may have been stopped since");
    near.vouch(3_000);
    assert!(served(3_000) && !served(3_001));
    near.vouch(2_000);
    assert!(served(3_000), "a late reply takes nothing back");
}
