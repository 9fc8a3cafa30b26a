//! A primary that sentinels name: who is asked, what their word is worth, and what a hint does.

use std::time::Duration;

use crate::engine::base::error::Kind;
use crate::engine::cache::tell::status::Mode;
use crate::engine::tests::node::world::{Server, World, found};

const URL: &str = "redis+sentinel://s1,s2/main";

/// A world whose sentinels say that the primary is `p1`.
fn world() -> World {
    World::at(URL, Server { primary: ("p1".into(), 7), ..Server::default() })
}

fn passed_sentinels(world: &World) -> Vec<&str> {
    world.dialled.iter().map(String::as_str).filter(|host| !host.starts_with('p')).collect()
}

#[test]
fn the_primary_is_dialled_where_a_sentinel_says() {
    let mut world = world();
    world.call(1, "k", Some("1"));
    world.call(2, "k", None);
    world.settle();
    assert_eq!(world.mode(), Mode::Redis);
    assert_eq!(world.dials, 2, "one sentinel, and the primary");
    assert_eq!(world.dialled[1], "p1");
    assert_eq!(world.reply(2), found("1"));
    let hello = world.server.commands.iter().position(|name| name == "HELLO");
    assert!(hello > world.server.commands.iter().position(|name| name == "SENTINEL"), "the sentinel is asked in RESP2");
}

#[test]
fn a_sentinel_that_is_dead_or_says_nothing_costs_a_short_while() {
    for (dead, mute) in [(vec!["s1"], vec!["s2"]), (vec!["s2"], vec![])] {
        let mut world = world();
        (world.dead, world.mute) = (dead, mute.clone());
        world.pass(Duration::from_millis(501));
        let mode = if mute.is_empty() { Mode::Redis } else { Mode::Memory };
        assert_eq!(world.mode(), mode, "{:?}", world.dialled);
        world.mute.clear();
        world.pass(Duration::from_secs(3));
        assert_eq!(world.mode(), Mode::Redis, "{:?}", world.dialled);
    }
}

#[test]
fn those_that_a_sentinel_named_are_asked_when_those_that_were_given_are_gone() {
    let mut world = world();
    world.settle();
    world.dead = vec!["s1", "s2"];
    world.server.primary.0 = "p2".into();
    world.node.lost(crate::engine::net::wire::closed(), world.now);
    world.pass(Duration::from_secs(5));
    assert_eq!(world.mode(), Mode::Redis);
    assert!(passed_sentinels(&world).contains(&"s9"), "{:?}", world.dialled);
    assert_eq!(world.dialled.last().map(String::as_str), Some("p2"));
}

#[test]
fn a_server_that_is_no_primary_is_not_taken_though_a_sentinel_names_it() {
    let mut world = world();
    world.server.role = Some("slave");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.mode(), Mode::Memory);
    let dials = world.dials;
    assert!(passed_sentinels(&world).len() > 1, "they are asked anew");
    world.server.role = None;
    world.pass(Duration::from_millis(1_100));
    assert_eq!(world.mode(), Mode::Redis);
    assert!(world.dials > dials);
    let readonly = world.cache.shared().errors.iter().any(|(kind, count)| kind == Kind::Readonly && count > 0);
    assert!(readonly);
}

#[test]
fn a_hint_that_the_primary_is_elsewhere_has_the_sentinels_asked_soon() {
    let mut world = world();
    world.settle();
    let dials = world.dials;
    // What is no news changes nothing.
    world.cache.shared().fleet.hint(&("p1".into(), 7));
    world.pass(Duration::from_millis(200));
    assert_eq!((world.dials, world.mode()), (dials, Mode::Redis));
    world.server.primary.0 = "p2".into();
    world.cache.shared().fleet.hint(&("p2".into(), 7));
    world.settle();
    assert_eq!(world.mode(), Mode::Memory, "what the old one says is not believed any more");
    world.pass(Duration::from_millis(100));
    assert_eq!(world.mode(), Mode::Redis);
    assert_eq!(world.dialled.last().map(String::as_str), Some("p2"));
    // Within a pause, and while a stopped primary is dialled, it is asked soon as well.
    world.mute = vec!["p2"];
    world.node.lost(crate::engine::net::wire::closed(), world.now);
    world.pass(Duration::from_millis(300));
    assert_eq!(world.mode(), Mode::Memory);
    world.server.primary.0 = "p3".into();
    world.cache.shared().fleet.hint(&("p3".into(), 7));
    world.pass(Duration::from_millis(101));
    assert_eq!(world.mode(), Mode::Redis, "{:?}", world.dialled);
}

#[test]
fn what_a_recovery_was_undoing_is_still_to_be_undone_where_that_ends_in_the_middle() {
    let mut world = world();
    world.settle();
    world.node.lost(crate::engine::net::wire::closed(), world.now);
    world.settle();
    world.call(1, "k", Some("1"));
    let journal = |world: &World| world.cache.shared().server("app:k").journal.keys();
    assert_eq!((journal(&world), world.mode()), (1, Mode::Memory));
    // Its removal is sent, and never answered.
    world.server.hangs = Some("app:k");
    for _ in 0..1_000 {
        world.pass(Duration::from_millis(5));
        if journal(&world) == 0 {
            break;
        }
    }
    assert_eq!(journal(&world), 0, "it was taken, to be unlinked");
    // Another thread takes the node, say.
    world.dead = vec!["s1", "s2", "s9"];
    world.node.moved(world.now);
    world.settle();
    assert_eq!(journal(&world), 1);
    world.dead.clear();
    world.server.hangs = None;
    world.server.stored.insert("app:k".into(), "0".into());
    world.pass(Duration::from_secs(5));
    assert_eq!((journal(&world), world.mode()), (0, Mode::Redis));
    assert!(!world.server.stored.contains_key("app:k"));
}
