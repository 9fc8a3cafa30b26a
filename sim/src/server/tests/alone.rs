//! What the model does at the word of its world, and a real server at its own time: tests of the model alone.

use std::collections::BTreeSet;

use crate::server::{Id, PROBE, Reply, Server, Snapshot};

fn say(server: &mut Server, id: Id, command: &str, now: u64) -> String {
    server.receive(id, format!("{command}\r\n").as_bytes(), now);
    String::from_utf8(server.output(id)).expect("text")
}

fn greeted(server: &mut Server) -> Id {
    let id = server.connect(1);
    say(server, id, "HELLO 3", 1);
    say(server, id, "CLIENT TRACKING ON", 1);
    id
}

fn push(key: &str) -> String {
    format!(">2\r\n$10\r\ninvalidate\r\n*1\r\n${}\r\n{key}\r\n", key.len())
}

fn field(server: &mut Server, name: &str) -> String {
    let Reply::Verbatim(info) = server.execute(&[b"INFO"], 1) else { panic!("text") };
    info.lines().find_map(|line| line.strip_prefix(name)).expect("a field").to_owned()
}

#[test]
fn a_restart_closes_connections_and_keeps_what_a_snapshot_holds() {
    let mut server = Server::new(1);
    let id = greeted(&mut server);
    say(&mut server, id, "SET a 1", 1);
    say(&mut server, id, "SET b 1 PX 10", 1);
    server.execute(&[b"EVAL", b"return 1", b"0"], 1);
    let exists: [&[u8]; 3] = [b"SCRIPT", b"EXISTS", b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db"];
    assert_eq!(server.execute(&exists, 1), Reply::Array(vec![Reply::Int(1)]));
    let (snapshot, run_id) = (server.snapshot(), field(&mut server, "run_id"));
    say(&mut server, id, "SET a 2", 1);
    say(&mut server, id, "GET a", 1);
    server.restart(snapshot, 50);
    assert!(!server.is_open(id) && server.tracked() == 0);
    assert_ne!(field(&mut server, "run_id"), run_id);
    let next = server.connect(51);
    assert_ne!(next, id);
    assert_eq!(say(&mut server, next, "CLIENT ID", 51), ":3\r\n");
    assert_eq!(say(&mut server, next, "GET a", 51), "$1\r\n1\r\n");
    assert_eq!(say(&mut server, next, "DBSIZE", 51), ":1\r\n");
    assert_eq!(server.execute(&exists, 51), Reply::Array(vec![Reply::Int(0)]));
    server.receive(id, b"PING\r\n", 51);
    assert!(!server.has_output(id));
    server.restart(Snapshot::default(), 52);
    let last = server.connect(53);
    assert_eq!(say(&mut server, last, "DBSIZE", 53), ":0\r\n");
}

#[test]
fn what_is_due_lies_there_until_it_is_touched_or_the_cycle_meets_it() {
    let mut server = Server::new(1);
    let id = greeted(&mut server);
    for key in 0..20 {
        say(&mut server, id, &format!("SET k{key} 1 PX 10"), 1);
        say(&mut server, id, &format!("GET k{key}"), 1);
    }
    server.cycle(11);
    assert!(!server.has_output(id), "at the very moment it is there still");
    server.cycle(12);
    let gone = String::from_utf8(server.output(id)).expect("text").matches("invalidate").count();
    assert!((1..20).contains(&gone), "{gone}");
    assert_eq!(say(&mut server, id, "DBSIZE", 12), format!(":{}\r\n", 20 - gone));
    let left = (0..20).find(|key| server.look(0, format!("k{key}").as_bytes()).is_some()).expect("one is left");
    assert_eq!(say(&mut server, id, &format!("GET k{left}"), 12), format!("_\r\n{}", push(&format!("k{left}"))));
}

#[test]
fn an_eviction_tells_who_read_the_key() {
    let mut server = Server::new(1);
    let id = greeted(&mut server);
    assert_eq!(server.evict(0, 1), None);
    say(&mut server, id, "SET k 1", 1);
    say(&mut server, id, "GET k", 1);
    assert_eq!(server.evict(0, 2), Some(b"k".to_vec()));
    assert_eq!(server.output(id), push("k").into_bytes());
    assert_eq!(say(&mut server, id, "GET k", 2), "_\r\n");
}

#[test]
fn the_tracking_table_is_bounded_before_the_next_command() {
    let mut server = Server::new(1);
    let id = greeted(&mut server);
    server.faults.tracked_keys = Some(2);
    assert_eq!(say(&mut server, id, "MGET a b c", 1), "*3\r\n_\r\n_\r\n_\r\n");
    let reply = say(&mut server, id, "PING", 1);
    assert!(["a", "b", "c"].iter().any(|key| reply == format!("{}+PONG\r\n", push(key))), "{reply}");
    assert_eq!(server.tracked(), 2);
}

#[test]
fn scan_meets_each_key_that_is_there_throughout_whatever_comes_and_goes() {
    for seed in 0..200 {
        let mut server = Server::new(seed);
        let keys = 1 + seed % 40;
        let set = |server: &mut Server, key: String| server.execute(&[b"SET", key.as_bytes(), b"1"], 1);
        for key in 0..keys {
            set(&mut server, format!("stays{key}"));
        }
        let (mut met, mut cursor, mut turn) = (BTreeSet::new(), b"0".to_vec(), 0);
        loop {
            let Reply::Array(page) = server.execute(&[b"SCAN", &cursor, b"COUNT", b"2"], 1) else { panic!("a page") };
            let [Reply::Bulk(next), Reply::Array(found)] = page.as_slice() else { panic!("a page") };
            met.extend(found.iter().map(|key| if let Reply::Bulk(key) = key { key.clone() } else { Vec::new() }));
            cursor.clone_from(next);
            if cursor == b"0" {
                break;
            }
            // The table grows, and shrinks again, in the middle of the walk.
            for key in 0..20 {
                if seed.wrapping_add(turn) % 3 == 0 {
                    set(&mut server, format!("comes{turn}:{key}"));
                } else {
                    server.execute(&[b"DEL", format!("comes{}:{key}", turn / 2).as_bytes()], 1);
                }
            }
            turn += 1;
            assert!(turn < 10_000, "it ends");
        }
        assert!((0..keys).all(|key| met.contains(format!("stays{key}").as_bytes())), "{seed}");
    }
}

#[test]
fn the_same_seed_and_calls_give_the_same_bytes() {
    let run = || {
        let mut server = Server::new(9);
        let id = greeted(&mut server);
        let mut all = String::new();
        for key in 0..30 {
            all += &say(&mut server, id, &format!("SET k{key} 1 PX {}", 10 + key), 1);
            all += &say(&mut server, id, &format!("GET k{key}"), 1);
        }
        server.cycle(25);
        server.evict(0, 26);
        server.restart(server.snapshot(), 27);
        let id = server.connect(28);
        all + &say(&mut server, id, "SCAN 0 COUNT 5", 28) + &say(&mut server, id, "INFO", 28)
    };
    assert_eq!(run(), run());
}

#[test]
fn newer_servers_remember_what_a_script_reads_and_older_ones_what_it_was_called_with() {
    for newer in [false, true] {
        let mut server = Server::new(1);
        server.tracks_script_reads = newer;
        let id = greeted(&mut server);
        // It reads its first key alone.
        let words: [&[u8]; 5] = [b"EVAL", PROBE.as_bytes(), b"2", b"k", b"lock"];
        server.receive(id, &redis::pack_command(&words.map(<[u8]>::to_vec)), 1);
        server.output(id);
        for key in ["k", "lock"] {
            server.execute(&[b"SET", key.as_bytes(), b"1"], 1);
        }
        let told = String::from_utf8(server.output(id)).expect("text");
        assert_eq!(told, if newer { push("k") } else { push("k") + &push("lock") });
    }
}
