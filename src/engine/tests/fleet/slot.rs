//! Slots: what the servers compute, and that a companion lies where its key does.

use std::collections::HashSet;

use proptest::prelude::*;

use crate::engine::base::key::{self, Prefix};
use crate::engine::fleet::slot::{SLOTS, Slots, companion, slot_of, tag_for};

/// The definition, one bit after another, of bytes without a tag.
fn slot_by_bits(bytes: &[u8]) -> u16 {
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from((byte >> bit) & 1)));
    bits.fold(0_u16, |crc, bit| (crc << 1) ^ if (crc >> 15) ^ bit == 1 { 0x1021 } else { 0 }) % 16_384
}

/// The definition of tags, as the servers' documentation has it.
fn slot_by_definition(key: &[u8]) -> u16 {
    if let Some(open) = key.iter().position(|byte| *byte == b'{')
        && let Some(length) = key[open + 1..].iter().position(|byte| *byte == b'}')
        && length > 0
    {
        return slot_by_bits(&key[open + 1..open + 1 + length]);
    }
    slot_by_bits(key)
}

/// Keys of what the rule may get wrong, among plain ones.
fn keys() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => prop::sample::select(vec!["{", "}", "{}", "a", "foo", ":", "\0", "é", "{a}"]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => (0_usize..40).prop_map(|length| "x".repeat(length)),
    ];
    prop::collection::vec(piece, 1..10).prop_map(|pieces| pieces.concat())
}

#[test]
fn slots_are_those_that_the_servers_compute() {
    // What CLUSTER KEYSLOT of Redis 7.0 says.
    for (key, slot) in [
        ("", 0),
        ("123456789", 12_739),
        ("foo", 12_182),
        ("bar", 5_061),
        ("user:7", 2_780),
        ("foo{}{bar}", 8_363),
        ("foo{{bar}}zap", 4_015),
        ("foo{bar}{zap}", 5_061),
    ] {
        assert_eq!(slot_of(key.as_bytes()), slot, "{key}");
    }
}

#[test]
fn a_tag_is_what_stands_between_the_first_brace_and_the_next_that_closes() {
    for (key, hashed) in [
        ("{a}b", "a"),
        ("b{a}", "a"),
        ("{a}{b}", "a"),
        ("x{a}y{b}z", "a"),
        ("foo{{bar}}zap", "{bar"),
        ("a}{b}", "b"),
        ("{ }", " "),
    ] {
        assert_eq!(slot_of(key.as_bytes()), slot_by_bits(hashed.as_bytes()), "{key}");
    }
    for key in ["{}", "{}a", "foo{}{bar}", "a}b", "a{b", "}{", "a}b{c", "{", "}"] {
        assert_eq!(slot_of(key.as_bytes()), slot_by_bits(key.as_bytes()), "{key} is hashed whole");
    }
}

#[test]
fn every_slot_has_a_tag_of_three_letters_that_is_its_own() {
    // A key for each slot, whichever it is.
    let mut found = vec![None; usize::from(SLOTS)];
    for key in (0..400_000).map(|n| format!("key:{n}")) {
        found[usize::from(slot_of(key.as_bytes()))].get_or_insert(key);
    }
    let mut tags = HashSet::new();
    for (slot, key) in (0..).zip(found) {
        let tag = tag_for(key.expect("some key lies there").as_bytes());
        assert!(tag.len() == 3 && tag.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{slot}: {tag}");
        assert_eq!(slot_of(tag.as_bytes()), slot, "{tag}");
        assert_eq!(tag_for(tag.as_bytes()), tag, "it depends on the slot alone");
        tags.insert(tag);
    }
    assert_eq!(tags.len(), usize::from(SLOTS));
}

#[test]
fn a_lock_is_named_the_same_for_ever() {
    let named = |namespace: &str, key: &str| companion(&Prefix::new(namespace), key::REFRESH, key);
    // Another name would let two versions refresh the same key at a time.
    assert_eq!(named("app", "app:user:7"), "app:\0refresh\0{4PD}user:7");
    assert_eq!(named("", "{user}:7"), "\0refresh\0{0bi}{user}:7");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_table_finds_what_the_definition_finds(bytes in prop::collection::vec(any::<u8>(), 0..80), key in keys()) {
        prop_assert_eq!(slot_of(&bytes), slot_by_definition(&bytes));
        prop_assert_eq!(slot_of(key.as_bytes()), slot_by_definition(key.as_bytes()));
    }

    #[test]
    fn a_companion_lies_in_the_slot_of_its_key_and_is_its_own(one in keys(), other in keys(), raw in any::<bool>()) {
        let prefix = Prefix::new(if raw { "" } else { "app" });
        let stored = |key: &str| [prefix.as_str(), key].concat();
        let lock = |key: &str| companion(&prefix, key::REFRESH, &stored(key));
        prop_assert_eq!(slot_of(lock(&one).as_bytes()), slot_of(stored(&one).as_bytes()));
        let rest = lock(&one);
        prop_assert!(key::is_internal(rest.strip_prefix(prefix.as_str()).unwrap_or_default().as_bytes()));
        prop_assert_eq!(lock(&one) == lock(&other), one == other);
    }
}

proptest! {
    #[test]
    fn a_set_of_slots_is_a_set(slots in prop::collection::vec(0..SLOTS, 0..64), other in 0..u16::MAX) {
        let known: HashSet<u16> = slots.iter().copied().collect();
        let mut set = Slots::default();
        prop_assert_eq!((set.is_empty(), set.contains(other)), (true, false));
        let mut before = HashSet::new();
        for slot in &slots {
            prop_assert_eq!(set.insert(*slot), before.insert(*slot));
        }
        prop_assert_eq!(set.is_empty(), known.is_empty());
        prop_assert_eq!(set.contains(other), known.contains(&other));
        prop_assert!((0..SLOTS).all(|slot| set.contains(slot) == known.contains(&slot)));
        prop_assert!(!set.insert(SLOTS), "it is none");
    }

    #[test]
    fn a_run_of_slots_is_each_of_them(
        before in prop::collection::vec(0..SLOTS, 0..8),
        first in 0..SLOTS,
        more in 0..300_u16,
    ) {
        let last = (first + more).min(SLOTS - 1);
        let (mut at_once, mut each) = (Slots::from_iter(before.clone()), Slots::from_iter(before));
        let there = (first..=last).filter(|slot| !each.insert(*slot)).count();
        prop_assert_eq!(at_once.insert_run(first..=last), there > 0);
        prop_assert_eq!(at_once, each);
    }
}
