//! What is done in one step: a value is read and removed, and whoever gets it is the only one; or it is stored where
//! there is none. Nobody gets what is not to be trusted.

use crate::engine::base::clock::Ttl;
use crate::engine::base::pattern::Pattern;
use crate::engine::call::batch::{Extras, NONE, Op};
use crate::engine::call::reply::Reply;
use crate::engine::tests::node::world::value;
use crate::engine::tests::support::{Calls, Client, Server, patient, until};

/// A user who may do all but this, from the first connection on.
fn without(server: &Server, commands: &[&str]) {
    let rules = commands.iter().map(|command| format!("-{command}"));
    acl(server, &rules.collect::<Vec<_>>());
}

fn acl(server: &Server, rules: &[String]) {
    let mut admin = server.connection();
    let () = redis::cmd("ACL").arg("SETUSER").arg("default").arg(rules).query(&mut admin).expect("acl");
}

#[test]
fn it_works_without_the_commands_that_do_it_best() {
    let lacks: [&[&str]; 8] = [
        &[],
        &["getdel"],
        &["exec"],
        &["multi"],
        &["pttl"],
        &["getdel", "exec"],
        &["getdel", "multi"],
        &["getdel", "unlink", "pttl"],
    ];
    for lacks in lacks {
        let server = Server::start();
        without(&server, lacks);
        let cache = patient(&server, "app", true);
        let client = Client::new();
        let batch = Calls::default().set("a", "1").take("a").get("a").take("a").set("a", "2").get("a").0;
        let replies = client.run(&cache, batch);
        let expected = [Reply::Done, value("1"), Reply::Miss, Reply::Miss, Reply::Done, value("2")];
        assert_eq!(replies, expected, "without {lacks:?}");
        assert_eq!(client.run(&cache, Calls::default().take("a").0), [value("2")], "without {lacks:?}");
        assert_eq!(client.run(&cache, Calls::default().get("a").0), [Reply::Miss], "without {lacks:?}");
    }
}

#[test]
fn what_a_refused_write_was_to_replace_is_nobodys() {
    let server = Server::start();
    let cache = patient(&server, "app", false);
    let client = Client::new();
    client.run(&cache, Calls::default().set("a", "1").0);
    let mut admin = server.connection();
    let () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(1).query(&mut admin).expect("config");
    let replies = client.run(&cache, Calls::default().set("a", "2").take("a").0);
    assert_eq!(replies, [Reply::Done, Reply::Miss]);
    let there: i64 = redis::cmd("EXISTS").arg("app:a").query(&mut admin).expect("exists");
    assert_eq!(there, 0);
    let () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(0).query(&mut admin).expect("config");
    let replies = client.run(&cache, Calls::default().set("a", "3").take("a").0);
    assert_eq!(replies, [Reply::Done, value("3")]);
}

#[test]
fn what_the_server_refuses_to_give_is_a_miss_until_it_is_replaced() {
    let server = Server::start();
    let cache = patient(&server, "app", true);
    let client = Client::new();
    client.run(&cache, Calls::default().set("a", "1").get("a").0);
    acl(&server, &["-getdel".into()]);
    assert_eq!(client.run(&cache, Calls::default().take("a").get("a").0), [Reply::Miss, Reply::Miss]);
    assert_eq!(client.run(&cache, Calls::default().set("a", "2").get("a").0), [Reply::Done, value("2")]);
}

#[test]
fn a_value_that_waits_for_the_token_of_its_tag_is_given_and_what_is_written_behind_it_stays() {
    let server = Server::start();
    let cache = patient(&server, "app", false);
    let client = Client::new();
    let mut tagged = Calls::default().set("a", "1");
    tagged.0.extras.push(Extras { tags: vec!["t".into()], ..NONE.clone() });
    if let Some(Op::Set { more, .. }) = tagged.0.ops.last_mut() {
        *more = Some(0);
    }
    client.run(&cache, tagged.0);
    // A push ends what the near cache had of the token.
    let mut admin = server.connection();
    let lives: i64 = redis::cmd("PEXPIRE").arg("app:\0tag\0t").arg(60_000_000).query(&mut admin).expect("pexpire");
    assert_eq!(lives, 1);
    server.signal("-STOP");
    cache.submit(Calls::default().take("a").0, &client.to(1));
    cache.submit(Calls::default().set("a", "2").get("a").0, &client.to(2));
    std::thread::sleep(std::time::Duration::from_millis(50));
    server.signal("-CONT");
    assert_eq!(until("the value", || client.reply(1)), [value("1")]);
    assert_eq!(until("what is behind it", || client.reply(2)), [Reply::Done, value("2")]);
    assert_eq!(client.run(&cache, Calls::default().get("a").0), [value("2")]);
}

/// `setIfAbsent`.
fn absent(calls: Calls, key: &str, value: &str) -> Calls {
    calls.add(key, value, |key, value| Op::SetIfAbsent { key, value, ttl: Ttl::Millis(60_000), more: None })
}

#[test]
fn a_value_is_stored_at_its_place_among_the_calls_whatever_remainder_lies_there() {
    let server = Server::start();
    let cache = patient(&server, "app", true);
    let client = Client::new();
    let mut admin = server.connection();
    // The marker of another process, an entry of another version, and nothing.
    for there in [&b"\xFEholdfast:lease:0123456789abcdef:7"[..], &b"\xFF\x09\x00\x00"[..], b""] {
        let () = redis::cmd("SET").arg("app:a").arg(there).query(&mut admin).expect("set");
        if there.is_empty() {
            let () = redis::cmd("DEL").arg("app:a").query(&mut admin).expect("del");
        }
        let calls = absent(absent(Calls::default(), "a", "1").get("a"), "a", "2").get("a").take("a").get("a");
        let replies = client.run(&cache, calls.0);
        let (yes, no) = (Reply::Flag(true), Reply::Flag(false));
        assert_eq!(replies, [yes, value("1"), no, value("1"), value("1"), Reply::Miss], "{there:?}");
    }
}

#[test]
fn what_is_not_to_be_trusted_keeps_others_out_until_it_is_replaced_and_takes_no_write_away() {
    let server = Server::start();
    let cache = patient(&server, "app", false);
    let client = Client::new();
    client.run(&cache, Calls::default().set("a", "1").0);
    acl(&server, &["-set".into(), "-unlink".into(), "-del".into()]);
    client.run(&cache, Calls::default().set("a", "2").0);
    acl(&server, &["+@all".into()]);
    let no = Reply::Flag(false);
    assert_eq!(client.run(&cache, absent(Calls::default(), "a", "3").get("a").0), [no.clone(), Reply::Miss]);
    // The write in front of it is not confirmed yet.
    let replies = client.run(&cache, absent(Calls::default().set("a", "4"), "a", "5").get("a").0);
    assert_eq!(replies, [Reply::Done, no, value("4")]);
}

#[test]
fn what_is_to_go_for_two_reasons_goes_once_and_the_calls_behind_it_get_their_own_replies() {
    let server = Server::start();
    let cache = patient(&server, "app", false);
    let client = Client::new();
    client.run(&cache, Calls::default().set("a", "1").set("b", "2").0);
    server.signal("-STOP");
    // Refused to be replaced, and about to be swept.
    let journal = &cache.shared().server("app:a").journal;
    _ = journal.distrust("app:a");
    let _swept = journal.raise(Pattern::new(&cache.prefix, "a*", false));
    cache.submit(absent(Calls::default(), "a", "3").get("a").get("b").0, &client.to(1));
    std::thread::sleep(std::time::Duration::from_millis(50));
    server.signal("-CONT");
    assert_eq!(until("the replies", || client.reply(1)), [Reply::Flag(true), value("3"), value("2")]);
}

#[test]
fn what_a_sweep_is_about_to_remove_is_nobodys() {
    let server = Server::start();
    let cache = patient(&server, "app", false);
    let client = Client::new();
    client.run(&cache, Calls::default().set("a", "1").set("b", "2").0);
    server.signal("-STOP");
    let _swept = cache.shared().server("app:a").journal.raise(Pattern::new(&cache.prefix, "a*", false));
    cache.submit(Calls::default().take("a").take("b").0, &client.to(1));
    std::thread::sleep(std::time::Duration::from_millis(50));
    server.signal("-CONT");
    assert_eq!(until("the replies", || client.reply(1)), [Reply::Miss, value("2")]);
}
