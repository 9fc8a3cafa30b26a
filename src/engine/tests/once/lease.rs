//! Leases without a server: what a marker says, and who is woken when a key changes.

use futures_util::FutureExt;

use crate::engine::once::lease::Holder;
use crate::engine::once::waiting::Waiting;
use crate::engine::value::codec::is_marker;

#[test]
fn a_marker_names_its_holder_to_flights_of_the_same_engine_alone() {
    let holder = Holder { engine: 3, token: 7 };
    let marker = holder.marker();
    assert!(is_marker(&marker) && std::str::from_utf8(&marker).is_err(), "no text begins so");
    assert_eq!(Holder { engine: 3, token: 1 }.sibling(&marker), Some(holder));
    assert_eq!(Holder { engine: 33, token: 1 }.sibling(&marker), None);
    assert_eq!(holder.sibling(b"\xfeholdfast:lease:0000000000000000:7"), None, "another process");
}

#[test]
fn those_who_wait_for_a_key_leave_nothing_when_they_go() {
    let waiting = Waiting::default();
    let (one, two) = (waiting.on("k"), waiting.on("k"));
    assert_eq!(waiting.len(), 1);
    drop(one);
    let mut woken = two.changed();
    assert!((&mut woken).now_or_never().is_none());
    waiting.wake("k");
    // Who comes behind a change waits for the next one, and is not taken along by those who were woken.
    let next = waiting.on("k");
    assert!((&mut woken).now_or_never().is_some());
    drop(woken);
    drop(two);
    assert_eq!(waiting.len(), 1);
    drop(next);
    assert!(waiting.is_empty());
}
