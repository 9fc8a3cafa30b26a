//! The connection to a real Redis: batches, fallback, recovery.

use std::sync::Arc;

use crate::engine::base::clock::Ttl;
use crate::engine::base::text::Json;
use crate::engine::cache::options::{Given, Options};
use crate::engine::cache::tell::status::Mode;
use crate::engine::call::batch::{Op, Task};
use crate::engine::call::reply::{Reply, Submitted};
use crate::engine::fleet::slot::slot_of;
use crate::engine::net::resp::{Message, Parser};
use crate::engine::registry;
use crate::engine::tests::node::world::value;
use crate::engine::tests::support::{Calls, Client, Server, cache, in_mode, patient, until};

#[test]
fn a_batch_comes_back_in_the_order_of_its_calls() {
    let server = Server::start();
    let cache = patient(&server, "", false);
    let client = Client::new();
    let calls = Calls::default()
        .get("a")
        .set("a", "1")
        .get("a")
        .get("a")
        .del("a")
        .get("a")
        .set("n", "41")
        .add("n", "", |key, _| Op::Increment { key, amount: 1, ttl: Some(Ttl::Millis(5_000)), more: None })
        .add("n", "", |key, _| Op::Exists { key })
        .add("n", "", |key, _| Op::Expire { key, ttl: Ttl::Forever })
        .add("n", "", |key, _| Op::Ttl { key })
        .add("", "", |key, _| Op::Get { key, early: true, hot: false })
        .get("n");
    let replies = client.run(&cache, calls.0);
    let expected = [
        Reply::Miss,
        Reply::Done,
        value("1"),
        value("1"),
        Reply::Number(1),
        Reply::Miss,
        Reply::Done,
        Reply::Number(42),
        Reply::Flag(true),
        Reply::Flag(true),
        Reply::Left(Ttl::Forever),
    ];
    assert_eq!(&replies[..11], &expected);
    assert!(matches!(&replies[11], Reply::Error(e) if e.code == "ERR_INVALID_KEY"), "{:?}", replies[11]);
    assert_eq!(replies[12], value("42"));
}

#[test]
fn foreign_bytes_are_a_miss_for_their_key_alone() {
    let server = Server::start();
    let mut foreign = server.connection();
    for (key, bytes) in [
        ("good", &b"{\"a\":1}"[..]),
        ("comma", b"1,2"),
        ("quote", b"\"a"),
        ("utf8", b"\"\xff\""),
        ("empty", b""),
        ("last", b"[2]"),
    ] {
        let () = redis::cmd("SET").arg(key).arg(bytes).query(&mut foreign).expect("set");
    }
    let () = redis::cmd("HSET").arg("hash").arg("f").arg(1).query(&mut foreign).expect("hset");
    let cache = patient(&server, "", false);
    let calls =
        ["good", "comma", "quote", "hash", "utf8", "empty", "last"].iter().fold(Calls::default(), |c, key| c.get(key));
    let replies = Client::new().run(&cache, calls.0);
    let miss = Reply::Miss;
    assert_eq!(
        replies,
        [value("{\"a\":1}"), miss.clone(), miss.clone(), miss.clone(), miss.clone(), miss, value("[2]")]
    );
    assert_eq!(crate::engine::cache::tell::counters::read(&cache.counters.decode_errors), 4);
}

#[test]
fn a_stopped_server_is_an_outage_by_the_deadline_and_its_return_needs_nobody() {
    let server = Server::start();
    let cache = cache(server.url(), "");
    let client = Client::new();
    assert_eq!(client.run(&cache, Calls::default().set("a", "1").0), [Reply::Done]);
    server.signal("-STOP");
    // In flight when the outage begins: answered by falling back, in order.
    let replies = client.run(&cache, Calls::default().set("b", "1").set("b", "2").get("b").0);
    assert_eq!(replies, [Reply::Done, Reply::Done, Reply::Value(Json::Shared("2".into()))]);
    assert_eq!(cache.shared().status.mode(), Mode::Memory);
    // Known now: answered on this thread, without the engine's.
    assert!(matches!(cache.submit(Calls::default().get("b").0, &client.to(1)), Submitted::Answered(_)));
    server.signal("-CONT");
    in_mode(&cache, Mode::Redis);
    assert_eq!(cache.shared().memory.usage().entries, 0, "the fallback tier is dropped");
}

#[test]
fn an_idle_connection_that_dies_is_noticed_without_traffic() {
    let server = Server::start();
    let cache = cache(server.url(), "");
    in_mode(&cache, Mode::Redis);
    server.signal("-STOP");
    in_mode(&cache, Mode::Memory);
    server.signal("-CONT");
    in_mode(&cache, Mode::Redis);
    let port = server.end();
    in_mode(&cache, Mode::Memory);
    let _server = Server::on(port);
    in_mode(&cache, Mode::Redis);
    assert!(cache.shared().status.reconnects() >= 2);
}

#[test]
fn a_server_that_was_never_there_costs_no_call_its_patience_twice() {
    let port = Server::start().end();
    let cache = cache(Some(format!("redis://127.0.0.1:{port}")), "");
    let client = Client::new();
    assert_eq!(client.run(&cache, Calls::default().set("a", "1").0), [Reply::Done]);
    in_mode(&cache, Mode::Memory);
    for _ in 0..100 {
        assert!(matches!(cache.submit(Calls::default().get("a").0, &client.to(1)), Submitted::Answered(_)));
    }
}

#[test]
fn a_pattern_removes_keys_of_its_namespace_alone() {
    let server = Server::start();
    let ours = patient(&server, "ours", false);
    let client = Client::new();
    let mut foreign = server.connection();
    for key in ["ours", "ours2:a", "our", "other:a", "xours:a"] {
        let () = redis::cmd("SET").arg(key).arg(1).query(&mut foreign).expect("set");
    }
    let calls = (0..2_500).fold(Calls::default(), |c, i| c.set(&format!("k{i}"), "1"));
    client.run(&ours, calls.0);
    for (id, task, removed) in [(1, Task::DelPattern("k1?".into()), 10), (2, Task::Clear { flush_db: false }, 2_490)] {
        assert_eq!(ours.run(task, &client.to(id)), None, "Redis does it");
        assert_eq!(until("the task", || client.reply(id)), [Reply::Number(removed)]);
    }
    let left: usize = redis::cmd("DBSIZE").query(&mut foreign).expect("dbsize");
    assert_eq!(left, 5);
}

#[test]
fn dropping_the_last_cache_closes_the_connection() {
    let server = Server::start();
    let mut admin = server.connection();
    let mut clients = || -> usize {
        let list: String = redis::cmd("CLIENT").arg("LIST").query(&mut admin).expect("client list");
        list.lines().filter(|l| l.contains("name=holdfast")).count()
    };
    let (one, two) = (cache(server.url(), "one"), cache(server.url(), "two"));
    in_mode(&one, Mode::Redis);
    assert!(std::sync::Arc::ptr_eq(one.shared(), two.shared()));
    assert_eq!(clients(), 1, "shared");
    drop(one);
    drop(two);
    until("the connection to close", || (clients() == 0).then_some(()));
}

#[test]
fn what_the_socket_does_not_take_at_once_keeps_its_place() {
    let server = Server::start();
    let given = Given { url: server.url(), timeout_ms: Some(20_000.0), ..Given::default() };
    let cache =
        Options::check(given).map(|options| Arc::new(registry::open(&options))).unwrap_or_else(|e| panic!("{e}"));
    let client = Client::new();
    in_mode(&cache, Mode::Redis);
    let texts: Vec<String> =
        (0..90).map(|n| format!("\"{n}{}\"", "x".repeat(if n % 5 == 0 { 3_000_000 } else { 5 }))).collect();
    // None waits for the one before: what does not fit into the socket's buffer lies behind what did.
    for (id, text) in (1..).zip(&texts) {
        let sent = cache.submit(Calls::default().set("k", text).get("k").0, &client.to(id));
        assert!(matches!(sent, Submitted::Later));
        // Some come while what is before them is being written.
        std::thread::sleep(std::time::Duration::from_micros(300));
    }
    for (id, text) in (1..).zip(&texts) {
        let replies = until("the batch to be answered", || client.reply(id));
        assert_eq!(replies[0], Reply::Done);
        assert!(replies[1] == value(text), "batch {id} read another value");
    }
    assert_eq!(cache.shared().status.mode(), Mode::Redis);
}

/// Answers as a server did that knew passwords and no users: what nobody here can start any more. Says to each command
/// what `said` makes of its words.
fn old_server(said: impl Fn(&[String]) -> String + Send + 'static) -> u16 {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        // One dial for each protocol.
        for stream in listener.incoming().take(2) {
            let (mut stream, mut parser, mut held) = (stream.expect("a connection"), Parser::default(), Vec::new());
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut chunk) {
                held.extend(&chunk[..count]);
                let mut at = 0;
                while let Ok(Some(Message::Reply(redis::Value::Array(words)))) = parser.next(&held, &mut at) {
                    let words: Vec<String> = words.iter().filter_map(crate::engine::net::reply::text).collect();
                    let _ = stream.write_all(said(&words).as_bytes());
                }
                held.drain(..at);
            }
        }
    });
    port
}

#[test]
fn a_server_that_wants_its_password_before_it_says_that_it_knows_no_hello_is_given_it() {
    let known = std::sync::atomic::AtomicBool::new(false);
    let port = old_server(move |words| match (words[0].as_str(), &words[1..]) {
        ("AUTH", [_, password]) if password == "secret" => {
            known.store(true, std::sync::atomic::Ordering::SeqCst);
            "+OK\r\n".to_owned()
        }
        _ if !known.load(std::sync::atomic::Ordering::SeqCst) => "-NOAUTH Authentication required.\r\n".to_owned(),
        ("HELLO", _) => "-ERR unknown command 'HELLO'\r\n".to_owned(),
        ("ECHO", [mark]) => format!("${}\r\n{mark}\r\n", mark.len()),
        _ => "+OK\r\n".to_owned(),
    });
    let cache = cache(Some(format!("redis://somebody:secret@127.0.0.1:{port}")), "");
    in_mode(&cache, Mode::Redis);
}

#[test]
fn a_server_without_users_is_given_the_password_alone() {
    let port = old_server(|words| match (words[0].as_str(), &words[1..]) {
        ("HELLO", _) => "-ERR unknown command `HELLO`\r\n".to_owned(),
        ("AUTH", [password]) if password == "secret" => "+OK\r\n".to_owned(),
        ("AUTH", _) => "-ERR wrong number of arguments for 'auth' command\r\n".to_owned(),
        ("ECHO", [mark]) => format!("${}\r\n{mark}\r\n", mark.len()),
        _ => "+OK\r\n".to_owned(),
    });
    let cache = cache(Some(format!("redis://somebody:secret@127.0.0.1:{port}")), "");
    in_mode(&cache, Mode::Redis);
}

#[test]
fn a_server_of_a_cluster_is_used_though_nobody_serves_the_slot_at_which_it_is_tried() {
    let server = Server::cluster(8_192);
    let is_unserved = |name: &String| slot_of(format!("{name}:\0holdfast\0probe\0a").as_bytes()) >= 8_192;
    let namespace = (0..).map(|n| format!("n{n}")).find(is_unserved).unwrap_or_default();
    let cache = patient(&server, &namespace, false);
    let is_served = |key: &String| slot_of(format!("{namespace}:{key}").as_bytes()) < 8_192;
    let key = (0..).map(|n| format!("k{n}")).find(is_served).unwrap_or_default();
    assert_eq!(Client::new().run(&cache, Calls::default().set(&key, "1").0), [Reply::Done]);
    let lies = redis::cmd("GET").arg(format!("{namespace}:{key}")).query::<String>(&mut server.connection());
    assert_eq!(lies, Ok("1".into()));
}
