//! A server of a cluster that is let go and taken again, before its last node has ended.

use std::time::Duration;

use crate::engine::node::machine::Node;
use crate::engine::task::executor::Tasks;
use crate::engine::tests::node::world::{Server, World, found};

#[test]
fn a_node_that_ends_late_takes_nothing_from_the_one_that_has_its_server_now() {
    let mut world = World::new(Server::default());
    world.call(1, "k", Some("\"v\""));
    world.settle();
    world.stopped = true;
    world.call(2, "k", None);
    world.settle();
    world.node.close(world.now);
    assert!(!world.node.is_ended(), "a call is under way");
    let (shared, now) = (world.cache.shared().clone(), world.now);
    let server = shared.server("").clone();
    server.begins();
    let mut last = std::mem::replace(&mut world.node, Node::new(shared, server.clone(), Tasks::new(now), now));
    world.stopped = false;
    world.settle();
    assert!(server.in_use.lock().is_some());
    last.tick(now + Duration::from_millis(260));
    assert!(last.is_ended() && world.reply(2).is_some(), "its call is answered in process");
    assert!(!server.is_local() && server.in_use.lock().is_some(), "the next one serves still");
    world.call(3, "k", None);
    world.settle();
    assert_eq!(world.reply(3), found("\"v\""));
    world.node.close(world.now);
    assert!(server.is_local() && server.in_use.lock().is_none(), "nobody serves any more");
}
