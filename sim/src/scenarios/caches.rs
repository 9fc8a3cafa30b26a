//! Several caches on one connection, more calls than the window takes, and journals that are full.

use super::{A, A_THREAD, B, K0, K1, MILLI, MORE, SLACK, Scene, TIMEOUT, del, get, scene, set};
use crate::history::{Key, Mishap, Outcome, Place, Record, Verb};
use crate::schedule::{Kind, PART, WINDOW};

const VALUE: Outcome = Outcome::Value(Some(77));
const NOTHING: Outcome = Outcome::Value(None);
/// More keys than the journal holds in a simulation.
const MANY: usize = 20;

fn sweep(pattern: Option<&str>) -> Verb {
    Verb::Sweep { pattern: pattern.map(str::to_owned) }
}

fn tagged(key: Key, value: i64) -> Verb {
    Verb::Set { key, value, ttl: Some(20_000), tag: Some(0) }
}

/// What the last read of a key at a place found.
fn last<'a>(calls: impl Iterator<Item = &'a Record>, place: Place, key: Key) -> Option<Outcome> {
    calls.filter(|call| call.place == place && call.verb == get(key)).last().map(|call| call.outcome.clone())
}

#[test]
fn a_sweep_of_one_namespace_leaves_the_other_one_alone() {
    for pattern in [None, Some("*"), Some("k*")] {
        let beside = scene().caches([(0, false), (1, false)]).key("k0", 1, false);
        let one = [(1, set(K0, 10)), (10, sweep(pattern)), (1, get(K0)), (30, get(K0))];
        let other = [(1, set(MORE, 77)), (20, get(MORE)), (1, get(MORE)), (20, get(MORE))];
        beside.client(A, one).client(A_THREAD, other).play(|played| {
            assert_eq!(last(played.calls(), A, K0), Some(NOTHING));
            let reads = played.calls().filter(|call| call.verb == get(MORE));
            reads.for_each(|read| assert_eq!(read.outcome, VALUE, "{pattern:?}"));
        });
    }
}

#[test]
fn a_tag_of_one_namespace_is_not_that_of_the_other() {
    let beside = scene().caches([(0, false), (1, false)]).key("k0", 1, false);
    let one = [(1, tagged(K0, 10)), (10, Verb::Invalidate { tag: 0 }), (1, get(K0))];
    let other = [(1, tagged(MORE, 77)), (20, get(MORE)), (1, get(MORE))];
    beside.client(A, one).client(A_THREAD, other).play(|played| {
        assert_eq!(last(played.calls(), A, K0), Some(NOTHING));
        assert_eq!(last(played.calls(), A_THREAD, MORE), Some(VALUE));
    });
}

#[test]
fn a_sweep_ends_the_keys_of_another_codec_in_its_namespace() {
    let beside = scene().caches([(0, false), (0, true)]).key("kr0", 0, true);
    let other = [(1, set(MORE, 77)), (1, get(MORE)), (40, get(MORE)), (1, set(MORE, 78)), (1, get(MORE))];
    beside.client(A, [(20, sweep(None))]).client(A_THREAD, other).play(|played| {
        let reads: Vec<_> = played.calls().filter(|call| call.verb == get(MORE)).map(|call| &call.outcome).collect();
        assert_eq!(reads, [&VALUE, &NOTHING, &Outcome::Value(Some(78))]);
    });
}

#[test]
fn raw_keys_beside_a_namespace_stay_when_that_is_cleared() {
    let beside = scene().caches([(0, false), (2, false)]).key("r0", 2, false);
    let other = [(1, set(MORE, 77)), (40, get(MORE)), (1, get(MORE))];
    beside.client(A, [(20, sweep(None)), (1, get(K0))]).client(A_THREAD, other).play(|played| {
        assert_eq!(last(played.calls(), A_THREAD, MORE), Some(VALUE));
    });
}

#[test]
fn calls_beyond_the_window_wait_for_it_and_settle() {
    let count = WINDOW + 2 * PART;
    let calls = (0..count).map(|n| if n % 8_192 == 0 { set(K0, 10 + n as i64 * 10) } else { get(K0) }).collect();
    scene().burst(B, 5, calls).play_often(1, |played| {
        let calls: Vec<_> = played.calls().collect();
        assert_eq!(calls.len(), count);
        assert!(calls.iter().all(|call| call.end.is_some()));
        let first = calls[0].end.unwrap_or(0);
        assert!(calls[count - 1].end.is_some_and(|end| end > first), "the last ones wait for the first ones");
    });
    // A server that stands still: those that wait are released by the outage.
    let calls = (0..count).map(|_| get(K0)).collect();
    scene().fault(Kind::Stop, 5, 100).burst(A, 7, calls).play_often(1, |played| {
        assert!(played.slowest() <= TIMEOUT * MILLI + SLACK, "{}", played.slowest());
    });
}

/// An outage of both kinds of keys: K1 is not touched in it, and so many further keys are deleted.
fn full(scene: Scene) -> Scene {
    let before = (0..MANY).map(|n| (0, set(MORE + n, 100 + n as i64))).chain([(1, set(K1, 77))]);
    let away = (0..MANY).map(|n| (0, del(MORE + n))).chain([(0, get(K1))]);
    let after = (0..MANY).map(|n| (0, get(MORE + n))).chain([(0, get(K1))]);
    let pause = |calls: Vec<(u64, Verb)>, ms| {
        calls.into_iter().enumerate().map(move |(at, (pause, call))| (if at == 0 { ms } else { pause }, call))
    };
    let calls = pause(before.collect(), 1).chain(pause(away.collect(), 100)).chain(pause(after.collect(), 3_000));
    scene.fault(Kind::Blackhole, 50, 300).client(A, calls)
}

#[test]
fn a_journal_that_is_full_clears_the_namespace_and_nothing_else() {
    let keys = (0..MANY).fold(scene(), |scene, n| scene.key(&format!("f{n}"), 0, false));
    let beside = keys.caches([(0, false), (1, false)]).key("k1", 1, false);
    let other = [(1, set(MORE + MANY, 77)), (3_500, get(MORE + MANY))];
    full(beside).client(A_THREAD, other).play(|played| {
        assert!(played.outage().is_some_and(|(_, until)| until < 3_000 * MILLI));
        let reads = played.calls().filter(|call| call.start > 3_000 * MILLI && call.place == A);
        assert_eq!(reads.filter(|call| call.outcome == NOTHING).count(), MANY + 1, "none of them is back");
        assert_eq!(last(played.calls(), A_THREAD, MORE + MANY), Some(VALUE));
    });
}

#[test]
fn a_journal_that_is_full_of_raw_keys_says_so_and_loses_the_rest() {
    let keys = (0..MANY).fold(scene(), |scene, n| scene.key(&format!("r{n}"), 2, false));
    let own = keys.caches([(2, false), (0, false)]);
    let before = (0..MANY).map(|n| (0, set(MORE + n, 100 + n as i64)));
    let away = (0..MANY).map(|n| (if n == 0 { 100 } else { 0 }, del(MORE + n)));
    let after = (0..MANY).map(|n| (if n == 0 { 3_000 } else { 0 }, get(MORE + n)));
    own.fault(Kind::Blackhole, 50, 300).client(A, before.chain(away).chain(after)).play(|played| {
        let full = played.history.mishaps.iter().any(|mishap| matches!(mishap, Mishap::Overflow { process: 0, .. }));
        assert!(full, "it says so");
        let back = played.calls().filter(|call| call.start > 3_000 * MILLI && call.outcome != NOTHING).count();
        assert!((1..MANY).contains(&back), "{back} are back, and those that fitted are not");
    });
}
