//! Which markers are to be renewed while nobody makes a step: those that lie in Redis or may, and no others.

use crate::engine::call::sink::ReplyTo;
use crate::engine::once::flight::Flights;
use crate::engine::once::held::Held;
use crate::engine::once::lease::LONGEST;
use crate::engine::once::waiters::{Begin, Caller, Lease, Outcome};
use crate::engine::tests::support::Client;
use crate::engine::value::codec::Codec;

fn caller(to: ReplyTo) -> Caller {
    Caller { to, window: 0, many: false, codec: Codec::Json }
}

/// A table with a flight that reads `k`, and its token.
fn reading() -> (Flights, u32, ReplyTo) {
    let (flights, to) = (Flights::default(), Client::new().to(1));
    let Begin::Read(token) = flights.begin("k", caller(to.clone()), 0) else { panic!("the first one reads") };
    (flights, token, to)
}

fn at(key: &str, token: u32) -> Vec<Held> {
    vec![Held { at: key.into(), token }]
}

#[test]
fn a_lease_counts_from_when_it_is_asked_for_as_nobody_may_read_that_it_is_had() {
    // Along with the read, or by itself.
    for along in [true, false] {
        let (flights, token, to) = reading();
        assert!(!flights.may_hold() && flights.held(0).is_empty(), "a read holds nothing");
        if along {
            flights.asked("k", token);
        } else {
            assert!(flights.hold("k", token, caller(to), None));
        }
        assert!(flights.may_hold() && flights.holds());
        assert_eq!(flights.held(0), at("k", token), "along {along}");
    }
}

#[test]
fn a_computation_without_a_lease_has_nothing_to_renew_though_it_asked_for_one() {
    let (flights, token, to) = reading();
    flights.asked("k", token);
    flights.lead("k", token, &to, Lease::None, None, 0).answers.send();
    assert!(flights.held(0).is_empty() && !flights.holds());
}

#[test]
fn a_refresh_holds_its_lock_and_not_the_key() {
    let (flights, token, to) = reading();
    assert!(flights.hold("k", token, caller(to), None));
    flights.locked("k", token, "lock of k");
    flights.lead_first("k", token, Lease::Refresh, 0).answers.send();
    assert_eq!(flights.held(0), at("lock of k", token));
}

#[test]
fn whatever_ends_the_right_to_store_ends_the_renewals_and_so_does_time() {
    type End = fn(&Flights, u32, u32);
    let ends: [(&str, End); 4] = [
        ("a write", |flights, _, _| _ = flights.fence("k")),
        ("its cache is closed", |flights, token, _| flights.end("k", token, Outcome::Left).send()),
        ("its end", |flights, token, _| flights.end("k", token, Outcome::Nothing).send()),
        ("the end of its environment", |flights, _, client| flights.forget(client).send()),
    ];
    for (name, end) in ends {
        let (flights, token, to) = reading();
        let client = to.sink.client();
        assert!(flights.hold("k", token, caller(to), None));
        flights.lead_first("k", token, Lease::Key, 1_000).answers.send();
        let longest = u64::try_from(LONGEST.as_millis()).expect("it is short");
        assert_eq!(flights.held(999 + longest), at("k", token));
        assert!(flights.held(1_000 + longest).is_empty(), "it is taken for one that never ends");
        end(&flights, token, client);
        assert!(flights.held(1_000).is_empty(), "{name}");
        assert!(flights.may_hold(), "nobody has looked");
        assert!(!flights.holds() && !flights.may_hold(), "{name}");
    }
}
