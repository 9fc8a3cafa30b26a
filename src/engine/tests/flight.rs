//! Computing once: who leads, who waits, what a write fences, and what becomes of waiters when an environment ends.

use std::sync::Arc;

use super::support::{Calls, Client, cache};
use crate::engine::batch::ReplyTo;
use crate::engine::batch::{Json, Op, Reply};
use crate::engine::clock::Ttl;
use crate::engine::flight::Flights;
use crate::engine::lease::{Holder, is_marker};
use crate::engine::waiters::{Begin, Caller, Lease, Outcome};

fn begin(key: &str, waiter: u32) -> crate::engine::batch::Batch {
    Calls::default()
        .add(key, "", |key, _| Op::Begin { key, waiter, lock: true, many: false, early: false, more: None })
        .0
}

fn end(key: &str, value: &str, token: u32) -> crate::engine::batch::Batch {
    Calls::default().add(key, value, |key, value| Op::End { key, value, ttl: Ttl::Forever, token, more: None }).0
}

fn caller(to: ReplyTo) -> Caller {
    Caller { to, window: 0, many: false }
}

fn token(replies: &[Reply]) -> u32 {
    match replies {
        [Reply::Lead(token)] => *token,
        other => panic!("expected to lead, got {other:?}"),
    }
}

#[test]
fn the_second_caller_of_an_environment_follows_and_another_environment_waits_for_the_value() {
    let cache = cache(None, "flight-join");
    let (one, two) = (Client::new(), Client::new());
    let lead = token(&one.run(&cache, begin("k", 1)));
    assert_eq!(one.run(&cache, begin("k", 2)), [Reply::Follow(lead)]);
    assert_eq!(two.run(&cache, begin("k", 3)), [Reply::Wait]);
    assert_eq!(one.run(&cache, end("k", "42", lead)), [Reply::Done]);
    assert_eq!(two.reply(3), Some(vec![Reply::Hit(Json::Shared("42".into()))]));
    assert_eq!(two.run(&cache, begin("k", 4)), [Reply::Hit(Json::Shared("42".into()))]);
    assert!(cache.shared().flights.landing("flight-join:k", lead).is_none(), "no flight is left");
}

#[test]
fn a_delete_fences_the_result_and_who_comes_after_it_computes_anew() {
    let cache = cache(None, "flight-fence");
    let client = Client::new();
    let old = token(&client.run(&cache, begin("k", 1)));
    client.run(&cache, Calls::default().del("k").0);
    let new = token(&client.run(&cache, begin("k", 2)));
    assert_ne!(old, new);
    client.run(&cache, end("k", "\"old\"", old));
    assert_eq!(client.run(&cache, Calls::default().get("k").0), [Reply::Miss], "computed before the delete");
    client.run(&cache, end("k", "\"new\"", new));
    assert_eq!(client.run(&cache, Calls::default().get("k").0), [Reply::Value(Json::Shared("\"new\"".into()))]);
}

#[test]
fn a_set_during_the_computation_wins() {
    let cache = cache(None, "flight-set");
    let client = Client::new();
    let lead = token(&client.run(&cache, begin("k", 1)));
    client.run(&cache, Calls::default().set("k", "1").0);
    client.run(&cache, end("k", "2", lead));
    assert_eq!(client.run(&cache, Calls::default().get("k").0), [Reply::Value(Json::Shared("1".into()))]);
}

#[test]
fn after_a_failure_those_who_waited_ask_again_and_one_of_them_leads() {
    let cache = cache(None, "flight-fail");
    let (one, two) = (Client::new(), Client::new());
    let lead = token(&one.run(&cache, begin("k", 1)));
    two.run(&cache, begin("k", 2));
    two.run(&cache, begin("k", 3));
    one.run(&cache, Calls::default().add("k", "", |key, _| Op::Abandon { key, token: lead, nothing: false }).0);
    assert_eq!((two.reply(2), two.reply(3)), (Some(vec![Reply::Again]), Some(vec![Reply::Again])));
    let next = token(&two.run(&cache, begin("k", 4)));
    assert_eq!(two.run(&cache, begin("k", 5)), [Reply::Follow(next)]);
}

#[test]
fn when_an_environment_ends_those_who_waited_for_it_ask_again() {
    let flights = Flights::default();
    let (one, two) = (Client::new(), Client::new());
    let Begin::Read(lead) = flights.begin("k", caller(one.to(1)), 0) else { panic!("the first one reads") };
    flights.lead("k", lead, Lease::None, None, 0).send();
    assert_eq!(flights.begin("k", caller(two.to(2)), 0), Begin::Wait);
    flights.forget(one.to(0).sink.client()).send();
    assert_eq!(two.reply(2), Some(vec![Reply::Again]));
    assert!(flights.landing("k", lead).is_none());
    assert!(flights.is_empty());
}

#[test]
fn an_overdue_computation_may_still_store_while_the_next_one_runs() {
    let cache = cache(None, "flight-overdue");
    let client = Client::new();
    let slow = token(&client.run(&cache, begin("k", 1)));
    client.run(&cache, Calls::default().add("k", "", |key, _| Op::Overdue { key, token: slow }).0);
    let second = token(&client.run(&cache, begin("k", 2)));
    client.run(&cache, end("k", "\"slow\"", slow));
    assert_eq!(client.run(&cache, Calls::default().get("k").0), [Reply::Value(Json::Shared("\"slow\"".into()))]);
    client.run(&cache, end("k", "\"second\"", second));
    assert!(cache.shared().flights.landing("flight-overdue:k", second).is_none(), "no flight is left");
}

#[test]
fn a_result_and_a_delete_on_two_threads_never_leave_the_result_behind() {
    let cache = cache(None, "flight-race");
    for round in 0..2_000 {
        let key = format!("k{round}");
        let client = Client::new();
        let lead = token(&client.run(&cache, begin(&key, 1)));
        let barrier = Arc::new(std::sync::Barrier::new(2));
        let other = {
            let (cache, key, barrier) = (cache.clone(), key.clone(), barrier.clone());
            std::thread::spawn(move || {
                barrier.wait();
                Client::new().run(&cache, Calls::default().del(&key).0)
            })
        };
        barrier.wait();
        client.run(&cache, end(&key, "1", lead));
        other.join().expect("no panic");
        assert_eq!(client.run(&cache, Calls::default().get(&key).0), [Reply::Miss], "round {round}");
    }
}

#[test]
fn nothing_and_values_reach_waiters_as_what_they_are() {
    let flights = Flights::default();
    let (one, two) = (Client::new(), Client::new());
    for (id, outcome, expected) in [
        (1, Outcome::Nothing, Reply::Nothing),
        (2, Outcome::Value("null".into()), Reply::Hit(Json::Shared("null".into()))),
    ] {
        let Begin::Read(lead) = flights.begin("k", caller(one.to(id)), 0) else { panic!("the first one reads") };
        flights.lead("k", lead, Lease::None, None, 0).send();
        flights.begin("k", caller(two.to(id)), 0);
        flights.end("k", lead, outcome).send();
        assert_eq!(two.reply(id), Some(vec![expected]));
    }
}

#[test]
fn a_call_that_was_queued_when_its_environment_ended_begins_no_flight() {
    let flights = Flights::default();
    let (dead, alive) = (Client::new(), Client::new());
    dead.ended.store(true, std::sync::atomic::Ordering::SeqCst);
    flights.forget(dead.to(0).sink.client()).send();
    flights.begin("k", caller(dead.to(1)), 0);
    assert!(matches!(flights.begin("k", caller(alive.to(2)), 0), Begin::Read(_)), "nobody else has the key");
}

#[test]
fn a_marker_names_its_holder_to_flights_of_the_same_engine_alone() {
    let holder = Holder { engine: 3, token: 7 };
    let marker = holder.marker();
    assert!(is_marker(&marker) && std::str::from_utf8(&marker).is_err(), "no text begins so");
    assert_eq!(Holder { engine: 3, token: 1 }.sibling(&marker), Some(holder));
    assert_eq!(Holder { engine: 33, token: 1 }.sibling(&marker), None);
    assert_eq!(holder.sibling(b"\xfeholdfast:lease:0000000000000000:3:7"), None, "another process");
}
