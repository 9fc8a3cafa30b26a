//! A new TTL is for what a caller would find, and for nothing else that lies at the key, not even for a moment.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::{Connection, Value};

use crate::engine::base::clock::Ttl;
use crate::engine::base::key;
use crate::engine::cache::tell::status::Mode;
use crate::engine::call::batch::{Extras, Op};
use crate::engine::call::reply::Reply;
use crate::engine::exchange::plan::{Came, Line};
use crate::engine::exchange::planner;
use crate::engine::net::denied::Denied;
use crate::engine::once::lease::Holder;
use crate::engine::tests::node::world::value;
use crate::engine::tests::now_ms;
use crate::engine::tests::support::{Calls, Client, Server, cache, in_mode, patient, until};
use crate::engine::value::codec::Codec;
use crate::engine::value::entry::{Format, Meta};
use crate::engine::value::tag_list::{Tag, Tags};
use crate::engine::value::tags::Tokens;

const HOUR: u64 = 3_600_000;

fn put(server: &mut Connection, key: &str, bytes: &[u8], ms: u64) {
    let () = redis::cmd("SET").arg(key).arg(bytes).arg("PX").arg(ms).query(server).expect("set");
}

fn left(server: &mut Connection, key: &str) -> i64 {
    redis::cmd("PTTL").arg(key).query(server).expect("pttl")
}

fn calls(server: &mut Connection, command: &str) -> usize {
    let info: String = redis::cmd("INFO").arg("commandstats").query(server).expect("info");
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

fn entry(meta: &Meta, compress: bool) -> Vec<u8> {
    let format = Format { codec: Codec::Json, compress_above: compress.then_some(10), max_bytes: 1 << 20 };
    format.encode(&format!("\"{}\"", "value ".repeat(20)), Some(meta)).into_owned()
}

fn tag(name: &str, token: &str) -> Tag {
    Tag { name: name.into(), token: token.into() }
}

/// The two ways: with scripts, and where the user may run none.
fn users(server: &Server) -> [String; 2] {
    let () = redis::cmd("ACL")
        .arg(&["SETUSER", "scriptless", "on", ">pass", "~*", "&*", "+@all", "-eval", "-evalsha"])
        .query(&mut server.connection())
        .expect("acl");
    let port = server.port;
    [format!("redis://127.0.0.1:{port}"), format!("redis://scriptless:pass@127.0.0.1:{port}")]
}

fn expire(key: &str, ttl: Ttl) -> Calls {
    Calls::default().add(key, "", |key, _| Op::Expire { key, ttl })
}

#[test]
fn what_reads_as_a_miss_keeps_its_time_and_nothing_is_set_and_taken_back() {
    let server = Server::start();
    let mut admin = server.connection();
    for url in users(&server) {
        let (cache, client) = (cache(Some(url.clone()), "n"), Client::new());
        in_mode(&cache, Mode::Redis);
        let marker = Holder { engine: 1, token: 1 }.marker();
        let tagged = Meta { nonce: 7, tags: Tags::from(&[tag("t", "\"gone\"")][..]), ..Meta::default() };
        let stale = Meta { nonce: 7, extra_ms: 2 * HOUR, ..Meta::default() };
        for (key, bytes) in [
            ("marker", marker),
            ("tagged", entry(&tagged, false)),
            ("packed", entry(&tagged, true)),
            ("stale", entry(&stale, false)),
            ("version", b"\xff\x02\0\0null".to_vec()),
            ("flags", b"\xff\x01\0\x08null".to_vec()),
            ("broken", b"\xff\x01\0\x02".to_vec()),
        ] {
            put(&mut admin, &format!("n:{key}"), &bytes, HOUR);
            let before = calls(&mut admin, "pexpire");
            for ttl in [Ttl::Millis(1_000), Ttl::Forever] {
                assert_eq!(client.run(&cache, expire(key, ttl).0), [Reply::Flag(false)], "{key}, {url}");
                let now = left(&mut admin, &format!("n:{key}"));
                assert!((HOUR as i64 - 60_000..=HOUR as i64).contains(&now), "{key}, {url}: {now}");
            }
            assert_eq!(calls(&mut admin, "pexpire"), before, "{key}, {url}");
        }
        assert_eq!(client.run(&cache, expire("nothing", Ttl::Millis(1_000)).0), [Reply::Flag(false)]);
    }
}

#[test]
fn what_a_caller_finds_lives_for_the_new_time_and_for_its_grace_beyond_it() {
    let server = Server::start();
    let mut admin = server.connection();
    for url in users(&server) {
        let (cache, client) = (cache(Some(url.clone()), "n"), Client::new());
        in_mode(&cache, Mode::Redis);
        let () = redis::cmd("SET").arg("n:\0tag\0t").arg("\"there\"").query(&mut admin).expect("set");
        let grace = Meta { nonce: 7, extra_ms: 500_000, delta_ms: 3, tags: Tags::from(&[tag("t", "\"there\"")][..]) };
        let () = redis::cmd("HSET").arg("n:hash").arg("f").arg(1).query(&mut admin).expect("hset");
        for (key, bytes, extra) in [
            ("plain", b"1".to_vec(), 0),
            ("foreign", b"no JSON".to_vec(), 0),
            ("empty", Vec::new(), 0),
            ("grace", entry(&grace, false), 500_000),
            ("packed", entry(&grace, true), 500_000),
            ("hash", Vec::new(), 0),
        ] {
            if key != "hash" {
                put(&mut admin, &format!("n:{key}"), &bytes, HOUR);
            }
            // All in one batch: the script is known by its hash from the second on.
            let replies = client.run(&cache, expire(key, Ttl::Forever).add(key, "", |key, _| Op::Exists { key }).0);
            assert_eq!(replies, [Reply::Flag(true), Reply::Flag(true)], "{key}, {url}");
            assert_eq!(client.run(&cache, expire(key, Ttl::Forever).0), [Reply::Flag(true)], "{key}, {url}");
            assert_eq!(left(&mut admin, &format!("n:{key}")), -1, "{key}, {url}");
            let calls =
                expire(key, Ttl::Millis(50_000)).add(key, "", |key, _| Op::Expire { key, ttl: Ttl::Millis(90_000) });
            assert_eq!(client.run(&cache, calls.0), [Reply::Flag(true), Reply::Flag(true)], "{key}, {url}");
            let reply = client.run(&cache, Calls::default().add(key, "", |key, _| Op::Ttl { key }).0);
            assert!(matches!(reply[0], Reply::Left(Ttl::Millis(30_000..=90_000))), "{key}, {url}: {reply:?}");
            let now = left(&mut admin, &format!("n:{key}"));
            assert!((extra + 30_000..=extra + 90_000).contains(&now), "{key}, {url}: {now}");
        }
    }
}

#[test]
fn the_script_and_the_engine_agree_about_every_header() {
    let server = Server::start();
    let admin = RefCell::new(server.connection());
    let [scripts, none] = users(&server);
    let caches = [cache(Some(scripts), "n"), cache(Some(none), "n")];
    caches.iter().for_each(|cache| in_mode(cache, Mode::Redis));
    let client = Client::new();
    let header = (
        any::<bool>(),
        0..3_u64,
        0..3_u32,
        prop::collection::vec((1..600_usize, any::<bool>()), 0..40),
        any::<bool>(),
        any::<usize>(),
    );
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let result = runner.run(&header, |(nonce, extra, delta, names, pack, cut)| {
        let tags: Vec<Tag> = names
            .iter()
            .enumerate()
            .map(|(n, (length, stands))| {
                let name = format!("{n}{}", "x".repeat(*length));
                let token = if *stands || n > 0 { "\"there\"" } else { "\"gone\"" };
                let () = redis::cmd("SET")
                    .arg(format!("n:{}{name}", key::TAG))
                    .arg("\"there\"")
                    .query(&mut *admin.borrow_mut())
                    .expect("set");
                tag(&name, token)
            })
            .collect();
        let meta =
            Meta { nonce: u64::from(nonce), extra_ms: extra * HOUR, delta_ms: delta, tags: Tags::from(&tags[..]) };
        let mut bytes = entry(&meta, pack);
        if cut % 3 == 0 {
            bytes.truncate(cut % bytes.len());
        }
        let mut said = Vec::new();
        for cache in &caches {
            put(&mut admin.borrow_mut(), "n:k", &bytes, HOUR);
            let expired = client.run(cache, expire("k", Ttl::Millis(7_200_000)).0);
            // Where scripts are denied the TTL is set behind the answer, and in front of what is called next.
            client.run(cache, Calls::default().add("k", "", |key, _| Op::Exists { key }).0);
            said.push((expired, left(&mut admin.borrow_mut(), "n:k") / 1_000_000));
        }
        prop_assert_eq!(&said[0], &said[1]);
        Ok(())
    });
    result.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn a_script_that_the_server_has_forgotten_is_called_once_more_before_its_call_is_answered() {
    let (cache, client) = (cache(None, "n"), Client::new());
    let (ttl, to, now) = (Ttl::Millis(1_000), client.to(1), now_ms());
    let expire = |calls: Calls, name: &str| calls.add(name, "", |key, _| Op::Expire { key, ttl });
    let calls = ["a", "b", "c"].into_iter().fold(Calls::default(), expire).0;
    let line = Line { server: cache.shared().server(""), denied: Denied::default(), asks: false, strays: false };
    let plan = planner::plan(&cache, &line, &calls, &to, Tokens::new(), now);
    let forgotten = redis::parse_redis_value(b"-NOSCRIPT No matching script.\r\n").expect("an error");
    let mut values = vec![Value::Int(1), forgotten, Value::Int(1)];
    let (places, again) = plan.renewals(&cache, &mut values, now).expect("one is called once more");
    assert_eq!((places, again.len()), (vec![1], 1));
    values[1] = Value::Int(0);
    let (replies, _) = plan.settle(&cache, &calls, &to, Came::All(values), now);
    assert_eq!(replies, [Reply::Flag(true), Reply::Flag(false), Reply::Flag(true)]);
}

fn soften(calls: Calls, key: &str) -> Calls {
    calls.add(key, "", |key, _| Op::Soften { key, stale_ms: 60_000 })
}

#[test]
fn a_soft_end_leaves_nothing_of_what_is_not_to_be_trusted() {
    let server = Server::start();
    let cache = patient(&server, "app", true);
    let client = Client::new();
    let mut admin = server.connection();
    let mut config = |bytes: u64| {
        let () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).query(&mut admin).expect("config");
    };
    // A write in front of it is refused: what that was to replace is of use to nobody.
    client.run(&cache, Calls::default().set("a", "1").0);
    config(1);
    client.run(&cache, soften(Calls::default().set("a", "2"), "a").get("a").0);
    config(0);
    let mut there = || redis::cmd("EXISTS").arg("app:a").query::<i64>(&mut admin).expect("exists") == 1;
    until("what was not replaced is removed", || (!there()).then_some(()));
}

#[test]
fn a_soft_end_that_the_server_refuses_is_a_delete() {
    let server = Server::start();
    let cache = patient(&server, "app", true);
    let client = Client::new();
    client.run(&cache, Calls::default().set("a", "1").0);
    let mut admin = server.connection();
    let () = redis::cmd("ACL").arg("SETUSER").arg("default").arg("-eval").query(&mut admin).expect("acl");
    let replies = client.run(&cache, soften(Calls::default(), "a").get("a").0);
    assert_eq!(replies, [Reply::Number(0), Reply::Miss]);
    let mut there = |key| redis::cmd("EXISTS").arg(key).query::<i64>(&mut admin).expect("exists") == 1;
    until("what was to end is removed", || (!there("app:a")).then_some(()));
}

#[test]
fn entries_of_a_tag_that_was_softly_ended_are_of_use_to_who_takes_old_values_alone() {
    let server = Server::start();
    let cache = patient(&server, "app", true);
    let client = Client::new();
    let tagged = |calls: Calls| {
        let mut calls = calls.set("a", "1");
        calls.0.extras.push(Extras { tags: vec!["t".into()], ..Extras::default() });
        if let Some(Op::Set { more, .. }) = calls.0.ops.last_mut() {
            *more = Some(0);
        }
        calls.0
    };
    let end = || Calls::default().add("\0tag\0t", "", |key, _| Op::EndTag { key, stale_ms: 60_000 });
    let asks = |window| {
        let begin = |key, _| Op::Begin { key, waiter: 0, lock: false, many: false, early: false, more: Some(0) };
        let mut calls = Calls::default().add("a", "", begin);
        calls.0.extras.push(Extras { window, extra: window, ..Extras::default() });
        calls.0
    };
    client.run(&cache, tagged(Calls::default()));
    assert_eq!(client.run(&cache, Calls::default().get("a").0), [value("1")]);
    assert_eq!(client.run(&cache, end().0), [Reply::Number(1)]);
    assert_eq!(client.run(&cache, Calls::default().get("a").0), [Reply::Miss]);
    let of_use = &client.run(&cache, asks(60_000))[0];
    assert!(matches!(of_use, Reply::LeadOver(_, age, json) if *age < 60_000 && *json == "1".into()), "{of_use:?}");
    client.run(&cache, Calls::default().del("a").0);
    client.run(&cache, tagged(Calls::default()));
    client.run(&cache, end().0);
    let of_no_use = &client.run(&cache, asks(0))[0];
    assert!(matches!(of_no_use, Reply::Lead(_)), "{of_no_use:?}");
}

#[test]
fn what_was_ended_for_good_is_of_use_to_nobody_though_its_removal_is_still_to_come() {
    let server = Server::start();
    let cache = patient(&server, "app", true);
    let client = Client::new();
    let key = "app:\0tag\0t";
    let mut admin = server.connection();
    let () = redis::cmd("SET").arg(key).arg("\"00000000000000aa\"").query(&mut admin).expect("set");
    let end = || Calls::default().add("\0tag\0t", "", |key, _| Op::EndTag { key, stale_ms: 60_000 }).0;
    let mut record = || redis::cmd("GET").arg(key).query::<String>(&mut admin).expect("get");
    client.run(&cache, end());
    assert!(record().contains(";00000000000000aa+0/60000"), "{}", record());
    // As an outage leaves it, in which the tag was ended.
    let _ = cache.shared().server(key).journal.note(&cache.prefix, key);
    client.run(&cache, end());
    assert!(!record().contains(';'), "{}", record());
}

#[test]
fn a_read_without_a_near_cache_gives_what_is_kept_for_grace_once_such_an_entry_was_seen() {
    let server = Server::start();
    let (cache, client) = (patient(&server, "n", false), Client::new());
    let kept = Meta { nonce: 7, extra_ms: HOUR, ..Meta::default() };
    put(&mut server.connection(), "n:k", &entry(&kept, false), 2 * HOUR);
    let get = || client.run(&cache, Calls::default().add("k", "", |key, _| Op::Get { key, early: true, hot: false }).0);
    until("its time is asked for", || matches!(get()[..], [Reply::Value(_)]).then_some(()));
}
