//! Which slots wait where they have left a server, for how long, and in which order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::fleet::slot::Slots;
use crate::engine::route::back::detours::{Detours, Item};
use crate::engine::route::counts::Counts;
use crate::engine::route::joint::Joint;
use crate::engine::tests::route::joint::Bench;

#[test]
fn calls_of_a_slot_that_left_a_server_wait_for_what_is_under_way_there() {
    let counts = Arc::new(Counts::default());
    let mut detours = Detours::new(&counts);
    let (first, second) = (counts.sent(1), counts.sent(1));
    detours.left(vec![(1, Slots::from_iter([7])), (2, Slots::from_iter([8]))]);
    assert!(detours.has(7), "two parts are under way to the server that it left");
    assert!(!detours.has(8), "none is");
    assert!(!detours.has(9), "it has left nobody");
    counts.answered(1, second);
    assert!(detours.has(7), "the first may still come back");
    counts.answered(1, first);
    assert!(!detours.has(7));
    counts.sent(1);
    assert!(!detours.has(7), "what is sent there since is of other slots");
    assert!(detours.is_empty(), "and nobody waits");
}

#[test]
fn what_was_called_first_goes_first_though_it_comes_back_last() {
    let (bench, now) = (Bench::new(), Instant::now());
    let [first, second, third] = [1, 2, 3].map(|id| bench.batch(id, &[&[0, 1]], now).0);
    let item = |joint: &Arc<Joint>, place, hops| {
        let batch = Bench::calls(1);
        Item { joint: joint.clone(), place, batch, hops, asks: None, tokens: None }
    };
    let counts = Arc::new(Counts::default());
    let mut detours = Detours::new(&counts);
    let parts = [counts.sent(1), counts.sent(1)];
    // The reply of the first waits for the tokens of what it has read.
    detours.back(7, item(&second, 0, 1), 1, None);
    detours.behind(7, item(&third, 0, 0));
    assert!(detours.ready(now).is_none(), "the first is not there yet");
    detours.back(7, item(&first, 0, 1), 1, None);
    detours.back(7, item(&first, 1, 1), 1, None);
    parts.into_iter().for_each(|part| _ = counts.answered(1, part));
    let ready = detours.ready(now).map(|ready| ready.items).unwrap_or_default();
    let order: Vec<_> = ready.iter().map(|item| (item.joint.order(), item.place)).collect();
    let called = [(&first, 0), (&first, 1), (&second, 0), (&third, 0)].map(|(joint, place)| (joint.order(), place));
    assert_eq!(order, called);
}

#[test]
fn what_is_late_lets_those_in_front_of_it_be_answered_first_and_waits_for_them_for_a_moment() {
    for answers in [true, false] {
        let (bench, now) = (Bench::new(), Instant::now() + Duration::from_secs(60));
        let joint = bench.batch(1, &[&[0]], now).0;
        let counts = Arc::new(Counts::default());
        let mut detours = Detours::new(&counts);
        let part = counts.sent(1);
        let item = Item { joint, place: 0, batch: Bench::calls(1), hops: 1, asks: None, tokens: None };
        detours.back(7, item, 1, None);
        assert!(detours.late(now).is_empty(), "what is older may be answered in process just now");
        let next = detours.next_moment().expect("it is not forgotten");
        assert!(next > now);
        if answers {
            counts.answered(1, part);
            assert!(detours.next_moment().is_some_and(|moment| moment <= now));
            assert_eq!(detours.late(now).len(), 1);
        } else {
            assert_eq!(detours.late(next).len(), 1, "an answer that does not come holds up nobody");
        }
    }
}
