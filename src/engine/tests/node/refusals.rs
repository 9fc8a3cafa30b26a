//! What a connected server refuses: the older value, and the older token of a tag, are not read for it.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::engine::base::clock::Ttl;
use crate::engine::cache::job::{Job, Work};
use crate::engine::cache::long::Called;
use crate::engine::cache::shared::Shared;
use crate::engine::cache::tell::status::Mode;
use crate::engine::call::batch::Batch;
use crate::engine::call::batch::{Extras, NONE, Op, Task};
use crate::engine::call::reply::Reply;
use crate::engine::call::sink::{ReplyTo, Sink, Versions};
use crate::engine::tests::node::world::{self, World, filled, value};
use crate::engine::tests::support::{Calls, Client, Server, patient, until};

#[test]
fn a_refused_write_does_not_leave_the_older_value() {
    let server = Server::start();
    let cache = patient(&server, "", false);
    let client = Client::new();
    client.run(&cache, Calls::default().set("a", "\"old\"").0);
    let mut admin = full(&server);
    assert_eq!(client.run(&cache, Calls::default().set("a", "\"new\"").0), [Reply::Done]);
    assert_eq!(client.run(&cache, Calls::default().get("a").0), [Reply::Miss]);
    let () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(0).query(&mut admin).expect("config");
    client.run(&cache, Calls::default().set("a", "\"old\"").0);
    let () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(1).query(&mut admin).expect("config");
    // On its way before the refusal is known here.
    let replies = client.run(&cache, Calls::default().set("a", "\"new\"").get("a").0);
    assert_eq!(replies, [Reply::Done, Reply::Miss]);
    until("the removal", || cache.shared().server("a").journal.is_empty().then_some(()));
    assert_eq!(cache.shared().status.mode(), Mode::Redis, "no outage");
    let oom = cache.shared().errors.iter().find(|(kind, _)| kind.name() == "oom").map(|(_, n)| n);
    assert_eq!(oom, Some(2));
}

/// The server has no memory left for a further write; who can say otherwise.
fn full(server: &Server) -> redis::Connection {
    let mut admin = server.connection();
    let () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(1).query(&mut admin).expect("config");
    admin
}

/// A `set` with the tag `t`.
fn tagged(key: &str, value: &str) -> Calls {
    let mut calls = Calls::default().set(key, value);
    calls.0.extras.push(Extras { tags: vec!["t".into()], ..NONE.clone() });
    if let Some(Op::Set { more, .. }) = calls.0.ops.last_mut() {
        *more = Some(0);
    }
    calls
}

#[test]
fn what_was_read_before_a_refused_write_was_replaced_is_a_miss_however_late_it_is_judged() {
    let server = Server::start();
    let cache = patient(&server, "app", false);
    let client = Client::new();
    client.run(&cache, tagged("b", "1").set("a", "1").0);
    let mut admin = server.connection();
    let () = redis::cmd("ACL").arg(&["SETUSER", "default", "-set", "-unlink", "-del"]).query(&mut admin).expect("acl");
    client.run(&cache, Calls::default().set("a", "2").0);
    assert_eq!(
        client.run(&cache, Calls::default().get("a").0),
        [Reply::Miss],
        "it can be neither replaced nor removed"
    );
    let () = redis::cmd("ACL").arg(&["SETUSER", "default", "+@all"]).query(&mut admin).expect("acl");
    // The token of `b` is asked for behind the write: a push has ended what the near cache had of it.
    let lives: i64 = redis::cmd("PEXPIRE").arg("app:\0tag\0t").arg(60_000_000).query(&mut admin).expect("pexpire");
    assert_eq!(lives, 1);
    server.signal("-STOP");
    cache.submit(Calls::default().get("a").get("b").0, &client.to(1));
    cache.submit(Calls::default().set("a", "3").0, &client.to(2));
    std::thread::sleep(std::time::Duration::from_millis(50));
    server.signal("-CONT");
    assert_eq!(until("the reads", || client.reply(1)), [Reply::Miss, value("1")]);
    assert_eq!(client.run(&cache, Calls::default().get("a").0), [value("3")]);
}

#[test]
fn a_refusal_counts_from_when_it_comes_though_its_batch_waits_for_a_token() {
    let server = Server::start();
    let cache = patient(&server, "app", false);
    let client = Client::new();
    client.run(&cache, tagged("b", "1").set("a", "1").0);
    let mut admin = full(&server);
    // The token of `b` is asked for once its value is there: a push has ended what the near cache had of it.
    let lives: i64 = redis::cmd("PEXPIRE").arg("app:\0tag\0t").arg(60_000_000).query(&mut admin).expect("pexpire");
    assert_eq!(lives, 1);
    server.signal("-STOP");
    cache.submit(Calls::default().set("a", "2").get("b").0, &client.to(1));
    cache.submit(Calls::default().get("a").0, &client.to(2));
    std::thread::sleep(std::time::Duration::from_millis(50));
    server.signal("-CONT");
    assert_eq!(until("the read behind it", || client.reply(2)), [Reply::Miss]);
    assert_eq!(until("the refused write", || client.reply(1)), [Reply::Done, value("1")]);
}

#[test]
fn nor_does_what_is_inspected_in_front_of_it_hide_the_refusal() {
    let server = Server::start();
    let cache = patient(&server, "app", false);
    let client = Client::new();
    client.run(&cache, tagged("b", "1").set("a", "1").0);
    let mut admin = full(&server);
    // The token of `b` is asked for once its value is there: a push has ended what the near cache had of it.
    let lives: i64 = redis::cmd("PEXPIRE").arg("app:\0tag\0t").arg(60_000_000).query(&mut admin).expect("pexpire");
    assert_eq!(lives, 1);
    server.signal("-STOP");
    let inspected = Calls::default().add("none", "", |key, _| Op::Inspect { key });
    cache.submit(inspected.set("a", "2").get("b").0, &client.to(1));
    cache.submit(Calls::default().get("a").0, &client.to(2));
    std::thread::sleep(std::time::Duration::from_millis(50));
    server.signal("-CONT");
    assert_eq!(until("the read behind it", || client.reply(2)), [Reply::Miss]);
    assert_eq!(until("the refused write", || client.reply(1)), [Reply::Miss, Reply::Done, value("1")]);
}

#[test]
fn of_what_may_not_be_asked_nothing_is_told() {
    let server = Server::start();
    let cache = patient(&server, "app", false);
    let client = Client::new();
    client.run(&cache, Calls::default().set("a", "1").0);
    let mut admin = server.connection();
    for denied in ["-getrange", "-pttl"] {
        let () = redis::cmd("ACL").arg(&["SETUSER", "default", "+@all", denied]).query(&mut admin).expect("acl");
        let inspected = Calls::default().add("a", "", |key, _| Op::Inspect { key });
        assert_eq!(client.run(&cache, inspected.0), [Reply::Miss], "{denied}");
    }
}

#[test]
fn what_stands_between_a_refused_write_and_a_removal_is_a_miss_however_late_it_is_judged() {
    let server = Server::start();
    let cache = patient(&server, "app", false);
    let client = Client::new();
    client.run(&cache, tagged("b", "1").set("a", "1").0);
    let mut admin = full(&server);
    // The token of `b` is asked for once its value is there: the removal has been noted by then.
    let lives: i64 = redis::cmd("PEXPIRE").arg("app:\0tag\0t").arg(60_000_000).query(&mut admin).expect("pexpire");
    assert_eq!(lives, 1);
    let replies = client.run(&cache, Calls::default().set("a", "2").get("a").del("a").get("b").0);
    assert_eq!(replies, [Reply::Done, Reply::Miss, Reply::Number(1), value("1")]);
}

#[test]
fn an_invalidation_that_the_server_refuses_holds_in_this_process() {
    let server = Server::start();
    let cache = patient(&server, "app", false);
    let client = Client::new();
    let tagged = || tagged("a", "1").get("a").0;
    assert_eq!(client.run(&cache, tagged()), [Reply::Done, value("1")]);
    let mut admin = server.connection();
    let () = redis::cmd("ACL").arg(&["SETUSER", "default", "-unlink", "-del"]).query(&mut admin).expect("acl");
    let tag = "\0tag\0t";
    let before = Calls::default().get("a").del(tag).get("a").0;
    let replies = client.run(&cache, before);
    assert_eq!(replies[1..], [Reply::Number(0), Reply::Miss], "its token is asked for behind the refusal");
    assert_eq!(client.run(&cache, Calls::default().get("a").0), [Reply::Miss]);
    assert_eq!(client.run(&cache, tagged()), [Reply::Done, Reply::Miss], "its token is the old one");
    let () = redis::cmd("ACL").arg(&["SETUSER", "default", "+@all"]).query(&mut admin).expect("acl");
    assert_eq!(client.run(&cache, Calls::default().del(tag).0), [Reply::Number(1)]);
    assert_eq!(client.run(&cache, tagged()), [Reply::Done, value("1")]);
}

#[test]
fn a_token_that_was_read_behind_its_refused_removal_is_not_kept() {
    let server = Server::start();
    let (cache, client) = (patient(&server, "app", true), Client::new());
    assert_eq!(client.run(&cache, tagged("a", "1").0), [Reply::Done]);
    // As for a process that has not met the tag yet.
    let tag = "\0tag\0t";
    cache.shared().server("").near.invalidate(&format!("app:{tag}"));
    let mut admin = server.connection();
    let () = redis::cmd("ACL").arg(&["SETUSER", "default", "-unlink", "-del"]).query(&mut admin).expect("acl");
    // The read needs the tag's token, which is asked for behind both.
    let both = Calls::default().get("a").del(tag).0;
    // What was refused counts from when that answer came, for what waits beside it as well.
    assert_eq!(client.run(&cache, both), [Reply::Miss, Reply::Number(0)]);
    assert_eq!(client.run(&cache, Calls::default().get("a").0), [Reply::Miss]);
}

#[test]
fn nor_is_one_that_another_read_asks_for_afterwards() {
    let server = Server::start();
    let (cache, client) = (patient(&server, "app", true), Client::new());
    client.run(&cache, tagged("a", "1").0);
    client.run(&cache, tagged("b", "2").0);
    // Into the near cache.
    assert_eq!(client.run(&cache, Calls::default().get("a").0), [value("1")]);
    let mut admin = server.connection();
    let () = redis::cmd("ACL").arg(&["SETUSER", "default", "-unlink", "-del"]).query(&mut admin).expect("acl");
    assert_eq!(client.run(&cache, Calls::default().del("\0tag\0t").0), [Reply::Number(0)]);
    assert_eq!(client.run(&cache, Calls::default().get("b").0), [Reply::Miss]);
    assert_eq!(client.run(&cache, Calls::default().get("a").0), [Reply::Miss]);
}

/// Notes in which mode it was told.
struct Witness {
    shared: Arc<Shared>,
    told: Mutex<Vec<(u32, Mode)>>,
}

impl Sink for Witness {
    fn client(&self) -> u32 {
        2
    }

    fn closed(&self) -> bool {
        false
    }

    fn complete(&self, id: u32, _: &[Reply]) {
        self.told.lock().push((id, self.shared.status.mode()));
    }

    fn complete_some(&self, id: u32, _: &[u32], _: &[Reply]) {
        unreachable!("one server answers a batch whole: {id}");
    }

    fn event(&self, _: String) {}

    fn versions(&self) -> Option<Arc<dyn Versions>> {
        None
    }
}

#[test]
fn what_is_answered_in_process_for_a_refusal_is_answered_once_that_is_an_outage() {
    let refusals = [
        "READONLY You can't write against a read only replica.",
        "CLUSTERDOWN The cluster is down",
        "LOADING Redis is loading the dataset in memory",
    ];
    for (refusal, needs_token) in refusals.iter().flat_map(|refusal| [(*refusal, false), (*refusal, true)]) {
        let mut world = World::new(world::Server::default());
        world.settle();
        assert_eq!(world.mode(), Mode::Redis, "{refusal}");
        world.server.refusal = Some(refusal);
        let witness = Arc::new(Witness { shared: world.cache.shared().clone(), told: Mutex::default() });
        let mut call = |id: u32, tag: bool| {
            let tagged = Extras { tags: vec!["t".into()], ..NONE.clone() };
            let batch = Batch { extras: if tag { vec![tagged] } else { Vec::new() }, ..Batch::default() };
            world.submit_batch(filled("a", Some("1"), batch), &ReplyTo { sink: witness.clone(), id });
        };
        // What is refused first, or the token that the first one needs before it is planned; and what waits behind it.
        call(1, needs_token);
        call(2, false);
        world.settle();
        let local = [(1, Mode::Memory), (2, Mode::Memory)];
        assert_eq!(*witness.told.lock(), local, "{refusal}, {needs_token}");
    }
}

#[test]
fn a_sweep_whose_node_ends_in_the_middle_is_answered_in_process() {
    for task in [Task::Clear { flush_db: false }, Task::DelPattern("*".into())] {
        let mut world = World::new(world::Server::default());
        world.settle();
        world.cache.shared().memory.set("app:k", "1", Ttl::Millis(60_000), world.cache.shared().clock.now_ms());
        world.stopped = true;
        let (cache, to) = (world.cache.clone(), world.to(1));
        let work = Work::Task(Called::new(&cache, task));
        world.node.call(Job::new(cache.clone(), cache.shared().server("").clone(), work, to), world.now);
        world.settle();
        let World { node, listener, .. } = world;
        assert_eq!(listener.reply(1), None, "it has its place, and waits for the server");
        drop(node);
        assert!(matches!(listener.reply(1).as_deref(), Some([Reply::Number(_)])), "{:?}", listener.reply(1));
        assert!(cache.shared().memory.get("app:k", cache.shared().clock.now_ms()).is_none());
    }
}
