//! Calls of a slot that is on its way to the server that they are sent to (ASK): each command stands behind an ASKING,
//! and no reply to one of these is taken for a call's.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::engine::base::clock::Ttl;
use crate::engine::cache::job::{Job, Part, Whole};
use crate::engine::cache::namespace::Cache;
use crate::engine::call::batch::{Batch, Op};
use crate::engine::call::reply::Reply;
use crate::engine::call::sink::ReplyTo;
use crate::engine::fleet::server::Server;
use crate::engine::tests::node::world::{World, value};
use crate::engine::tests::route::ending::world;
use crate::engine::tests::support::Calls;

/// A batch whose only part goes to one server.
struct Told {
    cache: Arc<Cache>,
    to: ReplyTo,
    since: Instant,
    replies: Mutex<Vec<Reply>>,
}

impl Whole for Told {
    fn fill(&self, _: &Server, _: &Part, _: &Batch, replies: &[Reply]) {
        self.replies.lock().extend_from_slice(replies);
    }

    fn common(&self) -> (Arc<Cache>, ReplyTo, Instant) {
        (self.cache.clone(), self.to.clone(), self.since)
    }
}

/// Sends calls to a server that is importing their slot, or that has it; the replies, and the commands that were sent.
fn sent(world: &mut World, server: &Arc<Server>, calls: Calls, asks: bool) -> (Vec<Reply>, Vec<String>) {
    world.server.commands.clear();
    let (cache, to, since) = (world.cache.clone(), world.to(1), world.now);
    let joint = Arc::new(Told { cache, to, since, replies: Mutex::default() });
    let places = (0..calls.0.ops.len() as u32).collect();
    let (number, hops, changes) = (0, 0, 0);
    let part = Part { joint: joint.clone(), places, number, hops, asks, changes, tokens: Arc::default() };
    world.node.call(Job::part(server.clone(), calls.0, part), world.now);
    world.settle();
    let replies = std::mem::take(&mut *joint.replies.lock());
    (replies, std::mem::take(&mut world.server.commands))
}

/// What was sent, without the marks at the ends of pipelines: each command had an ASKING in front of it.
fn behind_asking(sent: &[String]) -> Vec<&str> {
    let commands: Vec<&str> = sent.iter().map(String::as_str).filter(|name| *name != "ECHO").collect();
    let pairs = commands.chunks(2);
    pairs.map(|pair| if let ["ASKING", name] = *pair { name } else { panic!("{commands:?}") }).collect()
}

#[test]
fn each_command_stands_behind_an_asking_and_the_replies_are_those_of_the_commands() {
    let (mut world, server) = world();
    world.settle();
    world.server.stored.insert("app:a".into(), "\"v\"".into());
    let calls = || Calls::default().get("a").set("b", "1").get("b").del("a").get("a");
    let (replies, commands) = sent(&mut world, &server, calls(), true);
    assert_eq!(replies, [value("\"v\""), Reply::Done, value("1"), Reply::Number(1), Reply::Miss]);
    assert_eq!(behind_asking(&commands), ["GET", "SET", "GET", "UNLINK", "GET"]);
    // To a server that has the slot they go as they are.
    let (replies, commands) = sent(&mut world, &server, calls(), false);
    assert_eq!(replies, [Reply::Miss, Reply::Done, value("1"), Reply::Number(0), Reply::Miss]);
    assert!(!commands.contains(&"ASKING".to_owned()), "{commands:?}");
}

#[test]
fn so_does_what_is_sent_behind_the_first_replies() {
    let (mut world, server) = world();
    world.settle();
    world.server.stored.insert("app:a".into(), "\"v\"".into());
    let calls = Calls::default().add("a", "", |key, _| Op::Expire { key, ttl: Ttl::Millis(60_000) });
    let (replies, commands) = sent(&mut world, &server, calls, true);
    assert_eq!(replies, [Reply::Flag(true)]);
    assert_eq!(behind_asking(&commands), ["GETRANGE", "PTTL", "EVAL"]);
}
