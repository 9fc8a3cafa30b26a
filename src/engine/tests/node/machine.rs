//! The machine without I/O: one node through its states, on a time that leaps.

use std::time::Duration;

use crate::engine::base::clock::Ttl;
use crate::engine::base::text::{Json, Span};
use crate::engine::cache::tell::status::Mode;
use crate::engine::call::batch::{Batch, Extras, NONE, Op};
use crate::engine::call::reply::{Reply, Submitted};
use crate::engine::net::target::HEARTBEAT;
use crate::engine::net::wire::{HELD_UP, closed};
use crate::engine::tests::node::world::{Server, World, filled, found, value};

#[test]
fn a_node_serves_over_whatever_carries_its_bytes_in_any_pieces() {
    for piece in [usize::MAX, 1, 2, 7] {
        let mut world = World::new(Server::default());
        world.piece = piece;
        world.settle();
        assert_eq!(world.mode(), Mode::Redis, "pieces of {piece}");
        world.call(1, "k", Some("\"v\""));
        world.call(2, "k", None);
        world.settle();
        assert_eq!((world.reply(1), world.reply(2)), (Some(vec![Reply::Done]), found("\"v\"")), "pieces of {piece}");
        assert_eq!(world.server.stored["app:k"], "\"v\"");
    }
}

#[test]
fn a_write_whose_reply_waits_to_be_judged_is_not_made_again_behind_a_later_one() {
    let mut world = World::new(Server::default());
    world.settle();
    world.set_tagged(1, "tagged", "1");
    world.settle();
    // As for a process that has not met the tag yet.
    world.cache.shared().server("").near.invalidate("app:\0tag\0t");
    let to = world.to(2);
    let span = |start, end| Span { start, end };
    let set = Op::Set { key: span(0, 1), value: span(1, 2), ttl: Ttl::Millis(60_000), more: None };
    let get = Op::Get { key: span(2, 8), early: true, hot: false };
    let batch = |text: &str, ops| Batch { text: text.into(), ops, ..Batch::default() };
    world.submit_batch(batch("k2tagged", vec![set, get]), &to);
    world.submit_batch(batch("k", vec![Op::Del { key: span(0, 1) }]), &world.to(3));
    // All of it is answered, but for the token that the first batch asks for then.
    let replies = world.server.answer(&world.sent());
    world.node.read(&replies, world.now);
    assert_eq!((world.reply(2), world.reply(3)), (None, Some(vec![Reply::Number(1)])));
    world.node.lost(closed(), world.now);
    assert_eq!(world.reply(2), Some(vec![Reply::Done, Reply::Miss]));
    let read = filled("k", None, Batch::default());
    let Submitted::Answered(replies) = world.front.submit(read, &world.to(4)) else { panic!("it is away") };
    assert_eq!(replies, [Reply::Miss], "the del came later");
}

#[test]
fn a_token_that_leaves_the_near_cache_while_another_one_is_asked_for_makes_no_miss() {
    let mut world = World::new(Server::default());
    world.settle();
    for (id, tag) in [(1, "t"), (2, "u")] {
        let tagged = Extras { tags: vec![tag.into()], ..NONE.clone() };
        let to = world.to(id);
        world.submit_batch(filled(tag, Some("1"), Batch { extras: vec![tagged], ..Batch::default() }), &to);
        world.settle();
    }
    world.cache.shared().server("").near.invalidate("app:\0tag\0u");
    let get = |start, end| Op::Get { key: Span { start, end }, early: true, hot: false };
    let both = Batch { text: "tu".into(), ops: vec![get(0, 1), get(1, 2)], ..Batch::default() };
    let to = world.to(3);
    world.submit_batch(both, &to);
    let replies = world.server.answer(&world.sent());
    world.node.read(&replies, world.now);
    world.cache.shared().server("").near.invalidate("app:\0tag\0t");
    world.settle();
    assert_eq!(world.reply(3), Some(vec![value("1"), value("1")]));
}

#[test]
fn jobs_that_waited_for_the_tokens_of_another_one_go_in_front_of_those_that_come_then() {
    let mut world = World::new(Server::default());
    world.settle();
    world.set_tagged(1, "tagged", "1");
    world.call(2, "k", Some("1"));
    world.call(3, "k", Some("2"));
    // The tokens come, and with them the next job, before those that waited were started.
    let sent = world.sent();
    let replies = world.server.answer(&sent);
    world.node.read(&replies, world.now);
    world.call(4, "k", Some("3"));
    world.settle();
    assert_eq!(world.server.stored["app:k"], "3", "the last call of a key is the last that is stored");
    assert_eq!(world.reply(4), Some(vec![Reply::Done]));
}

#[test]
fn nobody_overtakes_a_job_that_waits_for_tokens() {
    let mut world = World::new(Server::default());
    world.settle();
    world.set_tagged(1, "k", "1");
    world.call(2, "k", Some("2"));
    world.settle();
    assert_eq!(world.server.stored["app:k"], "2");
}

#[test]
fn a_read_behind_a_write_is_not_served_what_an_older_read_brings_before_the_write_is_planned() {
    let mut world = World::new(Server::default());
    world.server.stored.insert("app:k".into(), "\"old\"".into());
    world.settle();
    let read = || filled("k", None, Batch::default());
    let later = |world: &World, id, batch| matches!(world.front.submit(batch, &world.to(id)), Submitted::Later);
    assert!(later(&world, 1, read()));
    assert!(later(&world, 2, filled("k", Some("\"new\""), Batch::default())));
    let (older, write) = (world.jobs.try_recv().expect("the read"), world.jobs.try_recv().expect("the write"));
    // The read is answered while the write still waits.
    world.node.call(older, world.now);
    world.settle();
    assert_eq!(world.reply(1), found("\"old\""));
    assert!(world.front.peek("k", None).is_none() && later(&world, 3, read()), "it comes behind the write");
    let behind = world.jobs.try_recv().expect("the read behind the write");
    [write, behind].into_iter().for_each(|job| world.node.call(job, world.now));
    world.settle();
    assert_eq!(world.reply(3), found("\"new\""));
    // Nothing is called any more: what is read from here on is kept.
    world.call(4, "k", None);
    world.settle();
    assert!(world.front.peek("k", None).is_some());
}

#[test]
fn a_write_that_was_called_before_reads_are_tracked_keeps_older_reads_out_as_well() {
    let mut world = World::new(Server::default());
    world.server.stored.insert("app:k".into(), "\"old\"".into());
    let read = filled("k", None, Batch::default());
    assert!(matches!(world.front.submit(read, &world.to(1)), Submitted::Later));
    let write = filled("k", Some("\"new\""), Batch::default());
    assert!(matches!(world.front.submit(write, &world.to(2)), Submitted::Later));
    let (older, write) = (world.jobs.try_recv().expect("the read"), world.jobs.try_recv().expect("the write"));
    // The connection comes up, and the read is answered while the write still waits.
    world.node.call(older, world.now);
    world.settle();
    assert_eq!(world.reply(1), found("\"old\""));
    assert!(world.front.peek("k", None).is_none(), "it comes behind the write");
    world.node.call(write, world.now);
    world.settle();
    assert_eq!(world.server.stored["app:k"], "\"new\"");
}

#[test]
fn a_push_without_keys_ends_all_that_is_held_and_without_pushes_nothing_is() {
    for old in [false, true] {
        let mut world = World::new(Server { old, ..Server::default() });
        world.server.stored.insert("app:k".into(), "\"v\"".into());
        world.settle();
        world.call(1, "k", None);
        world.settle();
        assert_eq!(world.front.peek("k", None).is_some(), !old, "what is read is tracked where HELLO is known");
        world.node.read(b">2\r\n$10\r\ninvalidate\r\n_\r\n", world.now);
        assert!(world.front.peek("k", None).is_none());
    }
}

#[test]
fn in_an_outage_nobody_overtakes_the_calls_that_were_handed_over_before_it() {
    let mut world = World::new(Server::default());
    world.settle();
    let submit = |world: &World, id, value| world.front.submit(filled("k", value, Batch::default()), &world.to(id));
    assert!(matches!(submit(&world, 1, Some("\"new\"")), Submitted::Later));
    world.node.lost(closed(), world.now);
    assert_eq!(world.mode(), Mode::Memory);
    assert!(matches!(submit(&world, 2, None), Submitted::Later), "the write is still under way");
    while let Ok(job) = world.jobs.try_recv() {
        world.node.call(job, world.now);
    }
    assert_eq!(world.reply(2), Some(vec![Reply::Value(Json::Shared("\"new\"".into()))]));
    assert!(matches!(submit(&world, 3, None), Submitted::Answered(_)));
}

#[test]
fn a_server_that_says_nothing_is_an_outage_at_the_deadline_and_its_calls_are_answered_in_order() {
    let mut world = World::new(Server::default());
    world.settle();
    world.stopped = true;
    world.call(1, "k", Some("1"));
    world.call(2, "k", None);
    world.settle();
    assert_eq!(world.reply(1), None);
    world.pass(world.cache.timeout + HELD_UP);
    assert_eq!(world.mode(), Mode::Memory);
    assert_eq!(
        (world.reply(1), world.reply(2)),
        (Some(vec![Reply::Done]), Some(vec![Reply::Value(Json::Shared("1".into()))]))
    );
    // Dialling goes on; behind it, what the outage wrote is removed first.
    let dials = world.dials;
    world.server.stored.insert("app:k".into(), "\"old\"".into());
    world.stopped = false;
    world.pass(Duration::from_secs(10));
    assert!(world.dials > dials);
    assert_eq!(world.mode(), Mode::Redis);
    assert!(!world.server.stored.contains_key("app:k"), "{:?}", world.server.stored);
}

#[test]
fn an_idle_connection_is_asked_each_second_whether_it_lives() {
    let mut world = World::new(Server::default());
    world.settle();
    world.server.commands.clear();
    world.pass(HEARTBEAT * 60 + HEARTBEAT / 2);
    assert_eq!(world.server.commands.iter().filter(|name| *name == "PING").count(), 60);
    world.stopped = true;
    world.pass(HEARTBEAT + world.cache.timeout * 2);
    assert_eq!(world.mode(), Mode::Memory);
}

#[test]
fn a_process_that_was_stopped_takes_the_replies_that_lie_there_for_no_outage() {
    let mut world = World::new(Server::default());
    world.settle();
    world.call(1, "k", None);
    // The moment comes a minute too late: the clock went on, and nobody looked into the socket.
    world.now += Duration::from_secs(60);
    world.node.tick(world.now);
    world.settle();
    assert_eq!((world.mode(), world.reply(1)), (Mode::Redis, Some(vec![Reply::Miss])));
    // But nothing comes either: then it is one.
    world.stopped = true;
    world.call(2, "k", None);
    world.now += Duration::from_secs(60);
    world.node.tick(world.now);
    world.settle();
    assert_eq!(world.mode(), Mode::Redis);
    world.pass(HELD_UP);
    assert_eq!((world.mode(), world.reply(2)), (Mode::Memory, Some(vec![Reply::Miss])));
}

#[test]
fn a_server_that_knows_no_hello_is_dialled_again_and_spoken_to_in_the_older_protocol() {
    let mut world = World::new(Server { old: true, ..Server::default() });
    world.settle();
    assert_eq!((world.mode(), world.dials), (Mode::Redis, 2));
    assert!(!world.cache.shared().server("").near.is_armed(), "nothing is pushed");
}

#[test]
fn calls_wait_for_the_first_connection_no_longer_than_their_own_deadline() {
    let mut world = World::new(Server::default());
    world.stopped = true;
    world.settle();
    world.call(1, "k", None);
    assert_eq!(world.reply(1), None);
    world.pass(world.cache.timeout * 2);
    assert_eq!((world.mode(), world.reply(1)), (Mode::Memory, Some(vec![Reply::Miss])));
}

#[test]
fn what_breaks_the_stream_ends_the_connection_and_nothing_of_it_is_believed() {
    for bytes in ["$2\r\nno\r\n", "what is this", "-ERR\r\n+OK\r\n"] {
        let mut world = World::new(Server::default());
        world.settle();
        world.stopped = true;
        world.call(1, "k", Some("1"));
        world.settle();
        world.node.read(bytes.as_bytes(), world.now);
        world.node.read(b"+OK\r\n+OK\r\n", world.now);
        world.settle();
        assert_eq!((world.mode(), world.reply(1)), (Mode::Memory, Some(vec![Reply::Done])), "{bytes:?}");
    }
}

#[test]
fn what_a_lost_connection_left_of_a_reply_is_no_part_of_the_next_one() {
    let mut world = World::new(Server::default());
    world.settle();
    world.stopped = true;
    world.call(1, "k", None);
    world.settle();
    world.node.read(b"*1\r\n$10", world.now);
    world.node.lost(closed(), world.now);
    world.stopped = false;
    world.pass(HEARTBEAT);
    assert_eq!((world.mode(), world.dials), (Mode::Redis, 2));
}

#[test]
fn a_reply_that_nobody_asked_for_ends_the_connection() {
    let mut world = World::new(Server::default());
    world.settle();
    world.node.read(b"+OK\r\n", world.now);
    world.settle();
    assert_eq!(world.mode(), Mode::Memory);
}

#[test]
fn what_a_server_said_before_it_hung_up_is_the_reason() {
    let mut world = World::new(Server::default());
    world.stopped = true;
    world.settle();
    world.node.read(b"-ERR max number of clients reached\r\n", world.now);
    world.node.lost(closed(), world.now);
    world.settle();
    let health = world.cache.shared().status.health();
    assert_eq!(health["lastError"]["kind"], "connect", "{health}");
}

#[test]
fn a_node_that_nobody_calls_any_more_ends_when_what_is_under_way_is_answered() {
    let mut world = World::new(Server::default());
    world.settle();
    world.call(1, "k", None);
    world.node.close(world.now);
    assert!(!world.node.is_ended());
    world.settle();
    assert_eq!(world.reply(1), Some(vec![Reply::Miss]));
    assert!(world.node.is_ended());
}

#[test]
fn a_node_that_failed_within_answers_what_it_held_and_begins_anew() {
    let mut world = World::new(Server::default());
    world.settle();
    world.stopped = true;
    let ids = [1, 2, 3];
    ids.iter().for_each(|id| world.call(*id, "k", None));
    world.node = world.node.replaced(world.now);
    assert!(ids.iter().all(|id| world.reply(*id) == Some(vec![Reply::Miss])));
    assert_eq!(world.mode(), Mode::Memory);
    world.stopped = false;
    world.pass(Duration::from_secs(10));
    assert_eq!(world.mode(), Mode::Redis);
}

#[test]
fn a_reply_that_no_mget_has_is_no_value_of_its_keys() {
    for odd in [":777\r\n", "$3\r\n777\r\n", "*2\r\n$3\r\n777\r\n$3\r\n778\r\n"] {
        let mut world = World::new(Server::default());
        world.settle();
        world.call(1, "k", None);
        // As where a reply was lost on its way, and another one came in its place.
        let asked = world.server.answer(&world.sent());
        let asked = String::from_utf8(asked).expect("text").replace("*1\r\n$-1\r\n", odd).replace("*1\r\n_\r\n", odd);
        assert!(asked.contains(odd), "{asked:?}");
        world.node.read(asked.as_bytes(), world.now);
        assert_eq!(world.reply(1), Some(vec![Reply::Miss]), "{odd:?}");
        assert_eq!(world.mode(), Mode::Memory, "its connection is given up");
    }
}
