//! Which slots wait where they have left a server, and for how long.

use std::sync::Arc;

use crate::engine::fleet::slot::Slots;
use crate::engine::route::back::detours::Detours;
use crate::engine::route::counts::Counts;

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
