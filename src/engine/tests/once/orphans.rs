//! What becomes of computations whose owner is gone, and of what they left in Redis: a marker, or the lock of a
//! refresh. Each is made to last for a minute here, so that only who gives it up, or takes it over, can end it in time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use redis::Connection;

use super::processes::MINUTE;
use super::processes::begin;
use super::processes::end;
use super::processes::get;
use super::processes::grace;
use super::processes::miss_often;
use super::processes::tagged;
use super::processes::told;
use super::processes::two;
use crate::engine::base::clock::Ttl;
use crate::engine::base::key;
use crate::engine::call::batch::Extras;
use crate::engine::call::batch::{Batch, Op, Why};
use crate::engine::call::reply::Reply;
use crate::engine::front::Front;
use crate::engine::tests::node::world::{self, World};
use crate::engine::tests::support::{Calls, Client, Server, until};
use crate::engine::value::tags;

/// Ends an environment, as its bridge does.
fn end_environment(client: &Arc<Client>, cache: &Arc<Front>) {
    client.ended.store(true, Ordering::SeqCst);
    cache.shared().flights.forget(client.to(0).sink.client()).send();
}

fn lasts(connection: &mut Connection, key: &str) {
    let set = redis::cmd("PEXPIRE").arg(key).arg(60_000).query::<u32>(connection);
    assert_eq!(set, Ok(1), "{key} is there");
}

fn goes(connection: &mut Connection, key: &str) {
    until("its end", || redis::cmd("EXISTS").arg(key).query::<u32>(connection).is_ok_and(|n| n == 0).then_some(()));
}

fn leads(reply: Reply) -> u32 {
    match reply {
        Reply::Lead(token) | Reply::LeadOver(token, ..) => token,
        other => panic!("expected to lead, got {other:?}"),
    }
}

fn without_lock(key: &str, waiter: u32) -> Batch {
    let mut batch = begin(key, waiter, Extras::default());
    if let Some(Op::Begin { lock, .. }) = batch.ops.first_mut() {
        *lock = false;
    }
    batch
}

/// A stale entry at `k`.
fn leave_old(client: &Arc<Client>, cache: &Arc<Front>) {
    let token = leads(told(client, cache, "k", 900, grace()));
    client.run(cache, end("k", "1", token, Ttl::Millis(40), grace()));
    until("the TTL's end", || (get(client, cache, "k") == Reply::Miss).then_some(()));
}

#[test]
fn an_environment_that_ends_while_redis_is_asked_leaves_its_key_to_who_waits() {
    for (along, lock) in [(false, true), (true, true), (false, false)] {
        let server = Server::start();
        let (a, _) = two(&server);
        let [dead, alive, late] = [Client::new(), Client::new(), Client::new()];
        if along {
            miss_often(&alive, &a);
        }
        let batch = |waiter| if lock { begin("k", waiter, Extras::default()) } else { without_lock("k", waiter) };
        server.signal("-STOP");
        a.submit(batch(1), &dead.to(10));
        until("its flight", || (!a.shared().flights.is_empty()).then_some(()));
        assert_eq!(alive.run(&a, batch(2)), [Reply::Wait]);
        end_environment(&dead, &a);
        server.signal("-CONT");
        // Behind a caller that wanted no lease another one may want it, and asks anew.
        let token = match until("the lead", || alive.reply(2)).remove(0) {
            Reply::Again if !lock => leads(told(&alive, &a, "k", 5, Extras::default())),
            first => leads(first),
        };
        let marker = redis::cmd("EXISTS").arg("k").query::<u32>(&mut server.connection());
        assert_eq!(marker, Ok(1), "under a lease: along {along}, lock {lock}");
        alive.run(&a, end("k", "42", token, MINUTE, Extras::default()));
        assert!(matches!(get(&alive, &a, "k"), Reply::Value(_)), "stored: along {along}, lock {lock}");
        // And where nobody waits, nothing is left.
        server.signal("-STOP");
        let gone = Client::new();
        a.submit(begin("gone", 3, Extras::default()), &gone.to(11));
        until("its flight", || (!a.shared().flights.is_empty()).then_some(()));
        end_environment(&gone, &a);
        server.signal("-CONT");
        until("the end of its flight", || a.shared().flights.is_empty().then_some(()));
        leads(told(&late, &a, "gone", 4, Extras::default()));
    }
}

#[test]
fn an_environment_that_ends_while_it_computes_gives_its_marker_up() {
    let server = Server::start();
    let (a, b) = two(&server);
    let mut redis = server.connection();
    let [dead, alive, other] = [Client::new(), Client::new(), Client::new()];
    leads(told(&dead, &a, "k", 1, Extras::default()));
    lasts(&mut redis, "k");
    assert_eq!(alive.run(&a, begin("k", 2, Extras::default())), [Reply::Wait]);
    assert_eq!(other.run(&b, begin("k", 3, Extras::default())), [Reply::Wait]);
    end_environment(&dead, &a);
    assert_eq!(until("the answer", || alive.reply(2)), [Reply::Again]);
    leads(until("the lead elsewhere", || other.reply(3)).remove(0));
}

#[test]
fn an_environment_that_ends_while_it_refreshes_gives_its_lock_up() {
    let server = Server::start();
    let (a, b) = two(&server);
    let mut redis = server.connection();
    let (dead, alive) = (Client::new(), Client::new());
    leave_old(&alive, &a);
    leads(told(&dead, &a, "k", 1, grace()));
    let lock = tags::refresh_key(&a.prefix, "k");
    lasts(&mut redis, &lock);
    assert!(matches!(told(&alive, &b, "k", 2, grace()), Reply::Stale(_)));
    end_environment(&dead, &a);
    goes(&mut redis, &lock);
    leads(told(&alive, &b, "k", 3, grace()));
}

#[test]
fn an_environment_that_ends_while_it_waits_for_a_lease_leaves_neither_marker_nor_waiter() {
    let server = Server::start();
    let (a, b) = two(&server);
    let mut redis = server.connection();
    let (dead, alive) = (Client::new(), Client::new());
    let token = leads(told(&alive, &a, "k", 1, Extras::default()));
    assert_eq!(dead.run(&b, begin("k", 2, Extras::default())), [Reply::Wait]);
    end_environment(&dead, &b);
    until("no waiter", || (b.shared().waiting.is_empty() && b.shared().flights.is_empty()).then_some(()));
    let abandon = Calls::default().add("k", "", |key, _| Op::Abandon { key, token, why: Why::Failed });
    alive.run(&a, abandon.0);
    goes(&mut redis, "k");
}

#[test]
fn a_computation_that_a_tag_fenced_holds_up_nobody() {
    let server = Server::start();
    let (a, b) = two(&server);
    let mut redis = server.connection();
    let client = Client::new();
    let tag = [key::TAG, "t"].concat();
    let old = leads(told(&client, &a, "k", 1, tagged()));
    lasts(&mut redis, "k");
    // Without the tag, which would fence it as well.
    assert_eq!(client.run(&b, begin("k", 2, Extras::default())), [Reply::Wait]);
    client.run(&a, Calls::default().del(&tag).0);
    // One of them leads at once, and the other as soon as that one is done.
    client.run(&a, begin("k", 3, tagged()));
    let first = until("a lead", || client.reply(2).map(|r| (2, r)).or_else(|| client.reply(3).map(|r| (3, r))));
    let (cache, token) = (if first.0 == 2 { &b } else { &a }, leads(first.1[0].clone()));
    client.run(cache, end("k", "\"new\"", token, MINUTE, Extras::default()));
    until("the value", || client.reply(2).and(client.reply(3)));
    client.run(&a, end("k", "\"old\"", old, MINUTE, tagged()));
    assert!(matches!(get(&client, cache, "k"), Reply::Value(json) if json.as_str() == "\"new\""));
}

#[test]
fn a_refresh_that_a_write_fenced_holds_up_nobody() {
    let server = Server::start();
    let (a, b) = two(&server);
    let mut redis = server.connection();
    let client = Client::new();
    let lock = tags::refresh_key(&a.prefix, "k");
    for (round, cache) in [&a, &b].into_iter().enumerate() {
        let id = u32::try_from(round).unwrap_or_default() * 10;
        let refresh = |waiter| told(&client, cache, "k", id + waiter, grace());
        client.replies.lock().remove(&900);
        leave_old(&client, &a);
        leads(told(&client, &a, "k", id + 1, grace()));
        lasts(&mut redis, &lock);
        client.run(&a, Calls::default().set("k", "9").0);
        client.run(&a, Calls::default().del("k").0);
        goes(&mut redis, &lock);
        leads(refresh(2));
        client.run(cache, Calls::default().del("k").0);
    }
}

#[test]
fn a_refresh_that_is_left_gives_its_lock_up_and_one_that_failed_keeps_it() {
    let server = Server::start();
    let (a, b) = two(&server);
    let mut redis = server.connection();
    let client = Client::new();
    let lock = tags::refresh_key(&a.prefix, "k");
    leave_old(&client, &a);
    for (waiter, why) in [(1, Why::Left), (3, Why::Failed)] {
        let token = leads(told(&client, &a, "k", waiter, grace()));
        lasts(&mut redis, &lock);
        client.run(&a, Calls::default().add("k", "", |key, _| Op::Abandon { key, token, why }).0);
        if why == Why::Left {
            goes(&mut redis, &lock);
        }
    }
    assert!(matches!(told(&client, &b, "k", 5, grace()), Reply::Stale(_)), "not tried again at once");
}

#[test]
fn where_nothing_is_pushed_keys_that_were_computed_leave_no_one_who_waits_for_them() {
    let server = Server::start();
    let denied = redis::cmd("ACL").arg(&["SETUSER", "default", "-client"]).exec(&mut server.connection());
    assert_eq!(denied, Ok(()), "without CLIENT there is no tracking");
    let (a, _) = two(&server);
    let client = Client::new();
    for id in 0..20 {
        let key = format!("k{id}");
        let token = leads(told(&client, &a, &key, id + 1, Extras::default()));
        client.run(&a, end(&key, "1", token, MINUTE, Extras::default()));
    }
    until("no waiter", || a.shared().waiting.is_empty().then_some(()));
    assert!(a.shared().flights.is_empty());
}

/// As nodes do whose servers have lost their slots.
#[test]
fn who_waits_for_a_lease_asks_anew_where_the_node_ends_that_asks_for_it() {
    let mut world = World::new(world::Server::default());
    world.settle();
    // The script that asks for leases is never answered.
    world.server.hangs = Some("EVALSHA");
    world.server.commands.clear();
    world.submit_batch(begin("k", 7, Extras::default()), &world.to(1));
    world.submit_batch(begin("k", 8, Extras::default()), &world.to(2));
    world.settle();
    assert_eq!((world.reply(1), world.reply(2)), (Some(vec![Reply::Wait]), Some(vec![Reply::Wait])));
    assert_eq!((world.reply(7), world.reply(8)), (None, None));
    assert!(world.server.commands.contains(&"EVALSHA".to_owned()));
    world.node.close(world.now);
    assert!(world.node.is_ended(), "no call is under way: these wait for whoever computes");
    assert_eq!((world.reply(7), world.reply(8)), (Some(vec![Reply::Again]), Some(vec![Reply::Again])));
}
