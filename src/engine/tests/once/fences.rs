//! Tags of computations: those of whoever may compute count, and not only those of who came first.

use crate::engine::base::key::Prefix;
use crate::engine::once::flight::Flights;
use crate::engine::once::waiters::{Begin, Caller, Lease};
use crate::engine::tests::support::Client;
use crate::engine::value::codec::Codec;
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
