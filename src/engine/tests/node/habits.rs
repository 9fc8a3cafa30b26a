//! Connections to servers that bill each command, or sleep while nobody is connected.

use std::time::Duration;

use crate::engine::cache::options::Given;
use crate::engine::cache::tell::status::Mode;
use crate::engine::net::target::{HEARTBEAT, REST};
use crate::engine::tests::node::world::{Server, World, found};

const HOUR: Duration = Duration::from_secs(3_600);

fn count(world: &World, name: &str) -> usize {
    world.server.commands.iter().filter(|command| *command == name).count()
}

#[test]
fn an_idle_connection_is_asked_as_often_as_was_said_or_never() {
    for (seconds, beats) in [(None, 3_600), (Some(10.0), 360), (Some(0.0), 0)] {
        let mut world = World::with(Given { heartbeat: seconds, ..Given::default() }, Server::default());
        world.settle();
        world.pass(HOUR);
        assert!(count(&world, "PING").abs_diff(beats) <= 1, "{seconds:?}: {}", count(&world, "PING"));
        assert_eq!(world.mode(), Mode::Redis);
    }
}

#[test]
fn without_a_heartbeat_the_next_call_finds_out_by_its_deadline() {
    let mut world = World::with(Given { heartbeat: Some(0.0), ..Given::default() }, Server::default());
    world.settle();
    world.stopped = true;
    world.pass(HOUR);
    assert_eq!(world.mode(), Mode::Redis, "nobody asked");
    world.call(1, "k", None);
    world.pass(world.cache.timeout * 2);
    assert_eq!(world.mode(), Mode::Memory);
    assert!(world.reply(1).is_some());
}

#[test]
fn what_is_held_is_vouched_for_as_long_as_the_heartbeat_takes() {
    for seconds in [0.0, 5.0] {
        let mut world = World::with(Given { heartbeat: Some(seconds), ..Given::default() }, Server::default());
        world.settle();
        world.call(1, "k", Some("1"));
        world.call(2, "k", None);
        world.settle();
        let held = |world: &World, after: Duration| {
            let ms = crate::engine::base::clock::millis_of(world.now + after);
            world.cache.shared().server("").near.get("app:k", u64::MAX, ms).is_some()
        };
        assert!(held(&world, HEARTBEAT));
        assert_eq!(held(&world, Duration::from_secs(4)), seconds > 0.0);
    }
}

#[test]
fn without_marks_no_pipeline_has_one() {
    for (marks, echoes) in [(None, true), (Some(true), true), (Some(false), false)] {
        let mut world = World::with(Given { marks, ..Given::default() }, Server::default());
        world.call(1, "k", Some("1"));
        world.call(2, "k", None);
        world.settle();
        assert_eq!(world.reply(2), found("1"));
        assert_eq!(count(&world, "ECHO") > 0, echoes, "{marks:?}");
    }
}

#[test]
fn a_lazy_connection_is_dialled_by_the_first_call_and_closed_after_a_rest() {
    let mut world = World::with(Given { lazy: Some(true), ..Given::default() }, Server::default());
    world.pass(HOUR);
    assert_eq!((world.dials, world.mode()), (0, Mode::Initializing));
    world.call(1, "k", Some("1"));
    world.settle();
    assert_eq!((world.dials, world.mode()), (1, Mode::Redis));
    world.pass(REST - HEARTBEAT);
    world.call(2, "k", None);
    world.settle();
    assert_eq!(world.reply(2), found("1"));
    world.pass(REST - HEARTBEAT);
    assert!(world.is_connected(), "it was used since");
    let since = world.cache.shared().status.health()["since"].as_u64();
    world.pass(HEARTBEAT * 2);
    assert!(!world.is_connected());
    assert_eq!(world.mode(), Mode::Redis, "a rest is no outage");
    assert!(world.cache.shared().status.health()["since"].as_u64() > since, "but another connection");
    assert!(!world.cache.shared().server("").near.is_armed(), "nobody vouches");
    let pings = count(&world, "PING");
    world.pass(HOUR);
    assert_eq!((world.dials, count(&world, "PING")), (1, pings));
    world.call(3, "k", None);
    world.settle();
    assert_eq!((world.dials, world.reply(3)), (2, found("1")));
}

#[test]
fn a_lazy_connection_without_a_heartbeat_rests_as_well() {
    let given = Given { lazy: Some(true), heartbeat: Some(0.0), ..Given::default() };
    let mut world = World::with(given, Server::default());
    world.call(1, "k", Some("1"));
    world.settle();
    world.pass(REST);
    assert!(!world.is_connected());
}

#[test]
fn the_first_call_waits_no_longer_than_any_other() {
    let mut world = World::with(Given { lazy: Some(true), ..Given::default() }, Server::default());
    world.stopped = true;
    world.call(1, "k", None);
    world.pass(world.cache.timeout * 2);
    assert!(world.reply(1).is_some());
    assert_eq!(world.mode(), Mode::Memory);
    world.stopped = false;
    world.pass(Duration::from_secs(10));
    assert_eq!(world.mode(), Mode::Redis, "once it was wanted it is tried for ever");
}
