//! Whose tags count for a computation, and who shares its read.

use crate::engine::base::key::Prefix;
use crate::engine::once::flight::Flights;
use crate::engine::once::waiters::{Begin, Caller, Lease, Outcome, Over};
use crate::engine::tests::support::Client;
use crate::engine::value::codec::Codec;
use crate::engine::value::life::{Life, Stale};
use crate::engine::value::tag_list::Tag;
use crate::engine::value::tags;

fn tag(name: &str, token: &str) -> Tag {
    Tag { name: name.into(), token: token.into() }
}

#[test]
fn the_tags_of_a_caller_who_waits_for_the_read_end_its_computation_too() {
    for invalidated in ["first", "second", "late"] {
        let flights = Flights::default();
        let (one, two, three) = (Client::new(), Client::new(), Client::new());
        let caller = |to| Caller { to, window: 0, many: false, codec: Codec::Json };
        let Begin::Read(token) = flights.begin("app:k", caller(one.to(1)), 0) else { panic!("nobody else asked") };
        flights.tag("app:k", token, vec![tag("first", "1")]);
        assert_eq!(flights.begin("app:k", caller(two.to(2)), 0), Begin::Wait);
        flights.tag_waiting("app:k", &two.to(2), vec![tag("first", "of later"), tag("second", "2")]);
        assert!(flights.lead("app:k", token, &one.to(0), Lease::None, None, 0).leads);
        // Whoever comes now computes nothing by this flight.
        assert_eq!(flights.begin("app:k", caller(three.to(3)), 0), Begin::Wait);
        flights.tag_waiting("app:k", &three.to(3), vec![tag("late", "3")]);
        let landing = flights.landing("app:k", token).expect("it may store");
        assert_eq!(landing.tags, [tag("first", "1"), tag("second", "2")]);
        flights.fence_tag(&tags::key(&Prefix::new("app"), invalidated));
        assert_eq!(flights.landing("app:k", token).is_none(), invalidated != "late", "{invalidated}");
    }
}

#[test]
fn a_read_that_was_answered_and_waits_to_be_judged_is_not_shared_any_more() {
    let flights = Flights::default();
    let client = Client::new();
    let begin = |waiter| {
        let caller = Caller { to: client.to(waiter), window: 0, many: false, codec: Codec::Json };
        flights.begin("k", caller, 0)
    };
    let Begin::Read(token) = begin(1) else { panic!("nobody else asked") };
    assert_eq!(begin(2), Begin::Wait);
    flights.answered("k", token);
    let Begin::Read(later) = begin(3) else { panic!("it reads for itself") };
    assert_eq!(begin(4), Begin::Wait, "of the later one");
    assert!(flights.lead("k", later, &client.to(0), Lease::None, None, 0).leads);
    assert_eq!(begin(5), Begin::Follow(later));
    flights.end("k", later, Outcome::Nothing).send();
    // The first one has found nothing either: its computation is as new as any.
    let first = Caller { to: client.to(1), window: 0, many: false, codec: Codec::Json };
    assert!(flights.hold("k", token, first, None));
    assert_eq!(begin(6), Begin::Wait);
}

#[test]
fn a_write_hears_of_every_flight_that_may_have_the_lease() {
    let flights = Flights::default();
    let client = Client::new();
    let begin = |waiter| {
        let caller = Caller { to: client.to(waiter), window: 0, many: false, codec: Codec::Json };
        let Begin::Read(token) = flights.begin("k", caller, 0) else { panic!("it reads for itself") };
        flights.asked("k", token);
        flights.answered("k", token);
        token
    };
    // An increment in front of which only one of them gave its marker up would meet the other's.
    assert_eq!([begin(1), begin(2)], flights.fence("k")[..]);
}

#[test]
fn the_old_value_of_a_refresh_is_not_served_once_one_of_its_tags_has_ended() {
    let end = |flights: &Flights, tag: &str| flights.fence_tag(&tags::key(&Prefix::new("app"), tag));
    // The tag of the old value, or another one; while it was read, or while it is refreshed; asked for at once, or not.
    for (tag, reading, leads) in
        [("old", true, true), ("old", false, true), ("old", true, false), ("old", false, false), ("other", false, true)]
    {
        let flights = Flights::default();
        let (one, two) = (Client::new(), Client::new());
        let caller = |to| Caller { to, window: 60_000, many: false, codec: Codec::Json };
        let Begin::Read(token) = flights.begin("app:k", caller(one.to(1)), 0) else { panic!("nobody else asked") };
        if reading {
            end(&flights, tag);
        }
        let stale = Stale::new("1".into(), Life::Stale(10), 100).expect("it is of use");
        let over = Some(Over { stale, identity: Box::default(), tags: vec!["old".into()] });
        if leads {
            assert!(flights.lead("app:k", token, &one.to(0), Lease::None, over, 100).leads);
        } else {
            assert!(flights.hold("app:k", token, caller(one.to(1)), over));
        }
        if !reading {
            assert!(!matches!(flights.begin("app:k", caller(two.to(2)), 100), Begin::Read(_)));
            end(&flights, tag);
        }
        let reads = matches!(flights.begin("app:k", caller(two.to(3)), 100), Begin::Read(_));
        assert_eq!(reads, tag == "old", "{tag}, {reading}, {leads}");
        assert!(flights.landing("app:k", token).is_some(), "what it computes has no such tag");
    }
}
