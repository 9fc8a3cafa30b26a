//! What the random commands do not meet: passwords, a full server, a busy one, what is no command.

use std::time::Duration;

use crate::server::tests::pair::{Pair, words};
use crate::server::tests::real::packed;
use crate::server::{Faults, Server};

const HELLO_AUTH: [&str; 5] = ["HELLO", "3", "AUTH", "default", "secret"];

#[test]
fn a_password_is_asked_for_and_heard_as_redis_does() {
    let mut pair = Pair::new(1);
    pair.connect(0);
    let password = Some(b"secret".to_vec());
    pair.faulty(Faults { password, ..Faults::default() }, &["CONFIG SET requirepass secret"]);
    // The connection that was there goes on.
    pair.send(0, &[words(&["GET", "k"])]);
    for (name, right) in [(1, &HELLO_AUTH[..]), (2, &["AUTH", "secret"]), (3, &["AUTH", "default", "secret"])] {
        pair.connect_unasked(name);
        for command in [
            &["GET", "k"][..],
            &["NOTHING"],
            &["GET"],
            &["MULTI"],
            &["HELLO", "3"],
            &["HELLO", "x"],
            &["HELLO", "3", "AUTH", "default", "wrong"],
            &["AUTH", "wrong"],
            &["AUTH", "nobody", "secret"],
            &["AUTH", "a", "b", "c"],
            &["CLIENT", "TRACKING", "ON"],
            right,
            &["GET", "k"],
        ] {
            pair.send_alone(name, &words(command));
        }
        pair.send(name, &[words(&["CLIENT", "ID"])]);
    }
}

#[test]
fn a_full_server_says_so_and_closes_the_connection() {
    let mut pair = Pair::new(1);
    pair.connect(0);
    pair.faulty(Faults { full: true, ..Faults::default() }, &["CONFIG SET maxclients 2"]);
    let mut wire = pair.real.connect();
    let real: Vec<u8> = wire.hear(usize::MAX).into_iter().flat_map(|heard| heard.bytes).collect();
    let id = pair.model.connect(0);
    assert!(!pair.model.is_open(id));
    assert_eq!(pair.model.output(id), real);
    // A client that is turned away takes no number.
    pair.faulty(Faults::default(), &["CONFIG SET maxclients 100"]);
    pair.connect_unasked(1);
    pair.send(1, &[words(&["CLIENT", "ID"])]);
}

#[test]
fn a_busy_server_knows_few_commands() {
    let mut pair = Pair::new(1);
    pair.connect(0);
    let busy = Faults { busy: true, ..Faults::default() };
    pair.faulty(busy, &["CONFIG SET busy-reply-threshold 10"]);
    let mut other = pair.real.connect();
    other.send(&packed(&words(&["EVAL", "while true do end", "0"])));
    std::thread::sleep(Duration::from_millis(100));
    for command in [
        &["GET", "k"][..],
        &["PING"],
        &["HELLO", "3"],
        &["CLIENT", "ID"],
        &["EVAL", "return 1", "0"],
        &["AUTH", "x"],
        &["MULTI"],
        &["GET", "k"],
        &["EXEC"],
        &["DISCARD"],
        &["MULTI"],
        &["DISCARD"],
    ] {
        pair.send_alone(0, &words(command));
    }
}

#[test]
fn what_is_no_command_is_refused_and_the_connection_closed() {
    let mut pair = Pair::new(1);
    for bytes in [
        &b"*1\r\n!3\r\n"[..],
        b"*x\r\n",
        b"*1\r\n$x\r\n",
        b"*1\r\n$-1\r\n",
        b"*2\r\n$4\r\nPING\r\n:1\r\n",
        b"*1\r\n$4\r\nQUIT\r\n*1\r\n$4\r\nPING\r\n",
    ] {
        pair.connect(0);
        pair.send_raw(0, bytes, 1);
        assert!(!pair.is_open(0));
    }
    pair.connect(0);
    pair.send_raw(0, b"PING\r\n\r\n*0\r\n*-1\r\nECHO x\nGET\r\n", 3);
    assert!(pair.is_open(0));
}

#[test]
fn a_server_that_loads_its_data_says_so_to_all_but_the_handshake() {
    let mut server = Server::new(1);
    server.faults.loading = true;
    let id = server.connect(1);
    server.receive(id, b"HELLO 3\r\n", 1);
    assert!(server.output(id).starts_with(b"%7\r\n"));
    for (command, refused) in [("GET k", true), ("PING", true), ("INFO server", false), ("CLIENT ID", false)] {
        server.receive(id, format!("{command}\r\n").as_bytes(), 1);
        assert_eq!(server.output(id).starts_with(b"-LOADING "), refused, "{command}");
    }
}
