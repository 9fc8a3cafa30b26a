//! Computing once: who leads, who waits, what a write fences, and what becomes of waiters when an environment ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;

use crate::engine::base::clock::Ttl;
use crate::engine::base::key;
use crate::engine::base::key::Prefix;
use crate::engine::base::pattern::Pattern;
use crate::engine::base::text::Json;
use crate::engine::call::batch::{Op, Why};
use crate::engine::call::reply::Reply;
use crate::engine::call::sink::ReplyTo;
use crate::engine::once::flight::Flights;
use crate::engine::once::waiters::{Begin, Caller, Lease, Outcome};
use crate::engine::task::signal::Signal;
use crate::engine::tests::support::{Calls, Client, cache};
use crate::engine::value::codec::Codec;

fn begin(key: &str, waiter: u32) -> crate::engine::call::batch::Batch {
    Calls::default()
        .add(key, "", |key, _| Op::Begin { key, waiter, lock: true, many: false, early: false, more: None })
        .0
}

fn end(key: &str, value: &str, token: u32) -> crate::engine::call::batch::Batch {
    Calls::default().add(key, value, |key, value| Op::End { key, value, ttl: Ttl::Forever, token, more: None }).0
}

fn caller(to: ReplyTo) -> Caller {
    Caller { to, window: 0, many: false, codec: Codec::Json }
}

/// Ends an environment, as its bridge does.
fn end_environment(flights: &Flights, client: &Arc<Client>) {
    client.ended.store(true, Ordering::SeqCst);
    flights.forget(client.to(0).sink.client()).send();
}

/// Begins the read of `k`.
fn read(flights: &Flights, client: &Arc<Client>, waiter: u32) -> u32 {
    match flights.begin("k", caller(client.to(waiter)), 0) {
        Begin::Read(token) => token,
        other => panic!("expected to read, got {other:?}"),
    }
}

/// The only flight of `k` computes for `client`, whose callers wait under no id.
fn lead(flights: &Flights, client: &Arc<Client>, token: u32) {
    let led = flights.lead("k", token, &client.to(0), Lease::None, None, 0);
    assert!(led.leads);
    led.answers.send();
}

fn is_told(given_up: &Signal) -> bool {
    given_up.raised().now_or_never().is_some()
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
    one.run(&cache, Calls::default().add("k", "", |key, _| Op::Abandon { key, token: lead, why: Why::Failed }).0);
    assert_eq!((two.reply(2), two.reply(3)), (Some(vec![Reply::Again]), Some(vec![Reply::Again])));
    let next = token(&two.run(&cache, begin("k", 4)));
    assert_eq!(two.run(&cache, begin("k", 5)), [Reply::Follow(next)]);
}

#[test]
fn when_an_environment_ends_those_who_waited_for_it_ask_again() {
    let flights = Flights::default();
    let (one, two) = (Client::new(), Client::new());
    let token = read(&flights, &one, 1);
    lead(&flights, &one, token);
    assert_eq!(flights.begin("k", caller(two.to(2)), 0), Begin::Wait);
    end_environment(&flights, &one);
    assert_eq!(two.reply(2), Some(vec![Reply::Again]));
    assert!(flights.landing("k", token).is_none());
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
        let token = read(&flights, &one, id);
        lead(&flights, &one, token);
        flights.begin("k", caller(two.to(id)), 0);
        flights.end("k", token, outcome).send();
        assert_eq!(two.reply(id), Some(vec![expected]));
    }
}

#[test]
fn a_call_that_was_queued_when_its_environment_ended_begins_no_flight() {
    let flights = Flights::default();
    let (dead, alive) = (Client::new(), Client::new());
    end_environment(&flights, &dead);
    flights.begin("k", caller(dead.to(1)), 0);
    assert!(matches!(flights.begin("k", caller(alive.to(2)), 0), Begin::Read(_)), "nobody else has the key");
}

#[test]
fn of_a_read_whose_environment_has_ended_the_next_caller_that_lives_leads() {
    let flights = Flights::default();
    let [reader, dead, alive, other] = [Client::new(), Client::new(), Client::new(), Client::new()];
    let token = read(&flights, &reader, 1);
    for (client, waiter) in [(&dead, 2), (&alive, 3), (&other, 4), (&alive, 5)] {
        assert_eq!(flights.begin("k", caller(client.to(waiter)), 0), Begin::Wait);
    }
    end_environment(&flights, &reader);
    // This one's flights are not forgotten yet.
    dead.ended.store(true, Ordering::SeqCst);
    let led = flights.lead("k", token, &reader.to(0), Lease::Key, None, 0);
    assert!(led.leads);
    led.answers.send();
    assert_eq!(alive.reply(3), Some(vec![Reply::Lead(token)]));
    assert_eq!(alive.reply(5), Some(vec![Reply::Follow(token)]));
    assert_eq!((dead.reply(2), other.reply(4)), (None, None));
    end_environment(&flights, &alive);
    assert_eq!(other.reply(4), Some(vec![Reply::Again]));
    assert!(flights.is_empty());
}

#[test]
fn who_waits_behind_a_caller_without_a_lease_that_has_ended_asks_again() {
    let flights = Flights::default();
    let [reader, alive] = [Client::new(), Client::new()];
    let token = read(&flights, &reader, 1);
    assert_eq!(flights.begin("k", caller(alive.to(2)), 0), Begin::Wait);
    end_environment(&flights, &reader);
    let led = flights.lead("k", token, &reader.to(0), Lease::None, None, 0);
    assert!(!led.leads && flights.is_empty());
    led.answers.send();
    assert_eq!(alive.reply(2), Some(vec![Reply::Again]), "it may want the lease that the other one did not");
}

#[test]
fn a_read_that_nobody_alive_waits_for_leaves_no_flight_and_no_lease() {
    let flights = Flights::default();
    let (reader, dead) = (Client::new(), Client::new());
    let token = read(&flights, &reader, 1);
    flights.begin("k", caller(dead.to(2)), 0);
    for client in [&reader, &dead] {
        client.ended.store(true, Ordering::SeqCst);
    }
    let led = flights.lead("k", token, &reader.to(0), Lease::Key, None, 0);
    assert!(!led.leads && led.given_up.is_none() && flights.is_empty());
    led.answers.send();
    assert_eq!(dead.reply(2), None);
}

#[test]
fn who_has_ended_while_a_lease_was_asked_for_never_leads_under_it() {
    let flights = Flights::default();
    let [reader, dead, alive] = [Client::new(), Client::new(), Client::new()];
    let token = read(&flights, &reader, 1);
    flights.begin("k", caller(dead.to(2)), 0);
    flights.begin("k", caller(alive.to(3)), 0);
    end_environment(&flights, &reader);
    assert!(flights.hold("k", token, caller(reader.to(1)), None), "others wait");
    dead.ended.store(true, Ordering::SeqCst);
    let led = flights.lead_first("k", token, Lease::Key, 0);
    led.answers.send();
    assert_eq!(alive.reply(3), Some(vec![Reply::Lead(token)]));
    assert!(led.given_up.is_some());
    // And where nobody else waits there is nothing to ask a lease for.
    let (reader, flights) = (Client::new(), Flights::default());
    let token = read(&flights, &reader, 1);
    reader.ended.store(true, Ordering::SeqCst);
    assert!(!flights.hold("k", token, caller(reader.to(1)), None));
    assert!(flights.is_empty());
}

#[test]
fn a_caller_that_gives_up_leaves_no_waiter_and_no_flight_that_it_leads_unknowing() {
    let flights = Flights::default();
    let [one, two, three] = [Client::new(), Client::new(), Client::new()];
    let client = |client: &Arc<Client>| client.to(0).sink.client();
    let token = read(&flights, &one, 1);
    lead(&flights, &one, token);
    flights.begin("k", caller(two.to(2)), 0);
    flights.withdraw("k", client(&three), 2).send();
    assert!(flights.wanted("k", token), "another environment's id");
    flights.withdraw("k", client(&two), 2).send();
    assert!(!flights.wanted("k", token));
    flights.end("k", token, Outcome::Nothing).send();
    assert_eq!(two.reply(2), None);
    // It is told to lead, and gives up before it hears so.
    let token = read(&flights, &one, 3);
    assert!(flights.hold("k", token, caller(one.to(3)), None));
    flights.begin("k", caller(two.to(4)), 0);
    let led = flights.lead_first("k", token, Lease::Key, 0);
    led.answers.send();
    flights.withdraw("k", client(&one), 3).send();
    assert_eq!(two.reply(4), Some(vec![Reply::Again]));
    assert!(led.given_up.is_some_and(|given_up| is_told(&given_up)), "its lease goes");
    assert!(flights.is_empty());
}

#[test]
fn callers_of_another_codec_have_a_flight_of_their_own() {
    let flights = Flights::default();
    let (one, two) = (Client::new(), Client::new());
    let of = |to, codec| Caller { codec, ..caller(to) };
    let token = read(&flights, &one, 1);
    lead(&flights, &one, token);
    let Begin::Read(other) = flights.begin("k", of(one.to(2), Codec::Structured), 0) else { panic!("no value to it") };
    assert_eq!(flights.begin("k", caller(one.to(3)), 0), Begin::Follow(token));
    assert_eq!(flights.begin("k", of(two.to(4), Codec::Structured), 0), Begin::Wait);
    flights.end("k", token, Outcome::Value("1".into())).send();
    assert_eq!(two.reply(4), None);
    flights.end("k", other, Outcome::Value("\"Mg==\"".into())).send();
    assert_eq!(two.reply(4), Some(vec![Reply::Hit(Json::Shared("\"Mg==\"".into()))]));
    assert!(flights.is_empty());
}

#[test]
fn whatever_ends_the_right_to_store_gives_the_lease_up() {
    let one = Client::new();
    let client = one.to(0).sink.client();
    type End = fn(&Flights, u32, u32);
    let ends: [(&str, End); 6] = [
        ("a write", |flights, _, _| assert_eq!(flights.fence("k"), flights.fence("k"))),
        ("a pattern", |flights, _, _| flights.fence_matching(&Pattern::new(&Prefix::new(""), "k", false))),
        ("a tag", |flights, _, _| flights.fence_tag(&[key::TAG, "t"].concat())),
        ("the end of its environment", |flights, _, client| flights.forget(client).send()),
        ("its cache is closed", |flights, token, _| flights.end("k", token, Outcome::Left).send()),
        ("its failure", |flights, token, _| flights.end("k", token, Outcome::Failed).send()),
    ];
    for (name, end) in ends {
        let flights = Flights::default();
        let token = read(&flights, &one, 1);
        flights.tag("k", token, vec![crate::engine::value::tag_list::Tag { name: "t".into(), token: "1".into() }]);
        let led = flights.lead("k", token, &one.to(0), Lease::Refresh, None, 0);
        led.answers.send();
        let given_up = led.given_up.unwrap_or_default();
        end(&flights, token, client);
        // Who fails keeps the lock of a refresh: it is not tried again at once.
        assert_eq!(is_told(&given_up), name != "its failure", "{name}");
        assert!(!flights.runs("k", token));
    }
}

#[test]
fn a_tag_of_another_namespace_fences_nothing_here() {
    let flights = Flights::default();
    let one = Client::new();
    let Begin::Read(token) = flights.begin("a:k", caller(one.to(1)), 0) else { panic!("the first one reads") };
    flights.tag("a:k", token, vec![crate::engine::value::tag_list::Tag { name: "t".into(), token: "1".into() }]);
    flights.fence_tag(&["b:", key::TAG, "t"].concat());
    assert!(flights.alive("a:k", token));
    flights.fence_tag(&["a:", key::TAG, "t"].concat());
    assert!(!flights.alive("a:k", token));
}
