//! A node of a cluster's server that is let go: what was sent there before has its answer from there, where it can.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::call::reply::Reply;
use crate::engine::fleet::parse::parse_slots;
use crate::engine::fleet::server;
use crate::engine::node::machine::Node;
use crate::engine::task::executor::Tasks;
use crate::engine::tests::fleet::{as_named, asked, slots};
use crate::engine::tests::node::world::{Server, World, filled, found};

/// A world whose node is that of a cluster's only server, and about to dial it.
pub(super) fn world() -> (World, Arc<server::Server>) {
    let mut world = World::new(Server::default());
    let shared = world.cache.shared().clone();
    let all = slots(&[(0, 16_383, &["a"])]);
    let topology = parse_slots(&all, &asked(), &as_named()).expect("an answer");
    shared.fleet.becomes(&topology, &shared.memory, false).expect("a cluster");
    let server = shared.server("app:k").clone();
    assert!(server.place > 0);
    server.begins();
    world.node = Node::new(shared, server.clone(), Tasks::new(world.now), world.now);
    (world, server)
}

#[test]
fn calls_that_wait_for_its_connection_are_answered_by_the_server_before_it_ends() {
    let (mut world, server) = world();
    world.server.stored.insert("app:k".into(), "\"v\"".into());
    world.submit_to(&server, filled("k", None, Default::default()), 1);
    world.node.close(world.now);
    assert!(!world.node.is_ended() && world.reply(1).is_none(), "its slot may be there by the time it is connected");
    world.settle();
    assert_eq!(world.reply(1), found("\"v\""));
    assert!(world.node.is_ended(), "and nothing is left to wait for");
}

#[test]
fn where_it_does_not_come_up_they_are_answered_in_process_by_their_deadline() {
    let (mut world, server) = world();
    world.stopped = true;
    world.submit_to(&server, filled("k", None, Default::default()), 1);
    world.node.close(world.now);
    world.pass(world.cache.timeout * 2);
    assert_eq!(world.reply(1), Some(vec![Reply::Miss]));
    world.pass(Duration::from_secs(10));
    assert!(world.node.is_ended(), "nobody dials for a server that has no slots");
}

#[test]
fn with_nothing_to_wait_for_it_ends_at_once() {
    let (mut world, _) = world();
    world.node.close(world.now);
    assert!(world.node.is_ended());
}
