//! What the store keeps, what it evicts, and what it weighs meanwhile.

use std::collections::HashMap;

use super::support::{Dice, get, never, remove, set, walked};
use crate::engine::store::entries::Store;
use crate::engine::store::record::Life;

fn value(i: u64, bytes: usize) -> String {
    format!(r#"{{"number":{i},"text":"{}"}}"#, "x".repeat(bytes))
}

#[test]
fn a_scan_of_keys_that_are_read_once_does_not_push_out_keys_that_are_read_often() {
    let mut store = Store::new(4 << 20);
    let often = |i: u64| format!("often:{i}");
    // Half of what fits.
    for i in 0..8_000 {
        set(&mut store, &often(i), &value(i, 200));
        get(&mut store, &often(i));
    }
    for i in 0..60_000 {
        let key = format!("scan:{i}");
        assert_eq!(get(&mut store, &key), None);
        set(&mut store, &key, &value(i, 200));
        get(&mut store, &often(i % 8_000));
    }
    let kept = (0..8_000).filter(|&i| get(&mut store, &often(i)).is_some()).count();
    assert!(kept >= 7_000, "{kept} of 8,000 are left");
}

#[test]
fn what_is_read_goes_as_well_where_everything_is_and_a_single_insertion_looks_at_a_bounded_part() {
    let mut store = Store::new(4 << 20);
    for i in 0..100_000 {
        let key = format!("{i}");
        set(&mut store, &key, &value(i, 100));
        (0..4).for_each(|_| _ = get(&mut store, &key));
        assert!(store.weight() <= store.max());
    }
    assert!(get(&mut store, "99999").is_some() && store.len() > 10_000, "{}", store.len());
}

#[test]
fn keys_that_were_evicted_a_short_while_ago_are_old_at_once() {
    let mut store = Store::new(1 << 20);
    let back: Vec<String> = (0..40).map(|n| format!("back:{n}")).collect();
    let bring = |store: &mut Store| back.iter().for_each(|key| _ = set(store, key, &value(0, 100)));
    // A walk is no read.
    let left = |store: &mut Store| {
        let there = walked(store);
        back.iter().filter(|key| there.contains_key(*key)).count()
    };
    bring(&mut store);
    let mut next = 0..;
    while left(&mut store) > 0 {
        next.by_ref().take(100).for_each(|n| _ = set(&mut store, &format!("{n}"), &value(n, 100)));
    }
    bring(&mut store);
    (0..20_000).for_each(|n| _ = set(&mut store, &format!("next:{n}"), &value(n, 100)));
    // Of some, another key's eviction has taken the place among those that are remembered.
    assert!(left(&mut store) >= 20, "{} of 40 are left: the young go first", left(&mut store));
}

#[test]
fn a_store_does_what_a_map_does_within_its_bound_whatever_comes() {
    for seed in 0..3 {
        let mut dice = Dice(seed);
        let mut store = Store::new(512 << 10);
        let mut model: HashMap<String, String> = HashMap::new();
        for step in 0..30_000 {
            let key = format!("key:{}", dice.below(3_000));
            match dice.below(100) {
                0..45 => {
                    // Of three sizes: among others, bulky, and now and then larger than the bound.
                    let bytes = [dice.below(200), dice.below(9_000), dice.below(700_000)];
                    let size = match dice.below(400) {
                        0 => bytes[2],
                        1..40 => bytes[1],
                        _ => bytes[0],
                    };
                    let text = value(step, size as usize);
                    set(&mut store, &key, &text);
                    model.insert(key, text);
                }
                45..85 => {
                    if let Some(found) = get(&mut store, &key) {
                        assert_eq!(Some(&found), model.get(&key), "seed {seed}, step {step}");
                    }
                }
                85..99 => {
                    remove(&mut store, &key);
                    model.remove(&key);
                }
                _ => {
                    let max = [512 << 10, 100 << 10, 256 << 10][dice.below(3) as usize];
                    store.bound(max, max, &never);
                }
            }
            assert!(store.weight() <= store.max(), "{} of {}: seed {seed}", store.weight(), store.max());
        }
        let met = walked(&mut store);
        assert_eq!(met.len(), store.len());
        assert!(met.iter().all(|(key, times)| *times == 1 && model.contains_key(key)));
        for key in met.keys() {
            assert!(remove(&mut store, key));
        }
        assert_eq!((store.len(), store.weight()), (0, 0), "an empty store has nothing");
    }
}

#[test]
fn what_is_removed_and_replaced_leaves_no_more_holes_than_a_quarter() {
    let mut store = Store::new(8 << 20);
    let mut dice = Dice(3);
    for step in 0..100_000 {
        set(&mut store, &format!("{}", dice.below(2_000)), &value(step, dice.below(800) as usize));
    }
    assert_eq!(store.len(), 2_000, "nothing is evicted for the holes of others");
    let full = store.weight();
    for i in 0..1_800 {
        remove(&mut store, &format!("{i}"));
    }
    assert_eq!(store.len(), 200);
    assert!(store.weight() < full / 3, "{} of {full}", store.weight());
}

#[test]
fn what_is_over_goes_where_it_would_be_moved() {
    let mut store = Store::new(1 << 20);
    for i in 0..1_000 {
        set(&mut store, &format!("over:{i}"), &value(i, 100));
        set(&mut store, &format!("hole:{i}"), &value(i, 100));
    }
    let asked = std::cell::Cell::new(0);
    let is_over = |key: &str, _: &_| {
        let is_over = key.starts_with("over:");
        asked.set(asked.get() + usize::from(is_over));
        is_over
    };
    for i in 0..1_000 {
        store.remove_if(&format!("hole:{i}"), |_| true, &is_over);
    }
    assert!(asked.get() > 100, "holes are filled by moving what lives");
    assert_eq!(store.len() + asked.get(), 1_000, "each is asked for once, and goes");
}

#[test]
fn a_small_bound_keeps_what_it_can_though_a_larger_one_was_said_before() {
    for max in [64 << 10, 128 << 10, 256 << 10, 640 << 10] {
        let mut store = Store::new(64 << 20);
        store.bound(max, max, &never);
        let text = |n: usize| format!(r#"{{"tenant":{n},"period":"week","text":"{}"}}"#, "x".repeat(150));
        for n in 0..5_000 {
            set(&mut store, &format!("{n}"), &text(n));
            assert!(store.weight() <= max, "{} of {max}", store.weight());
            assert_eq!(get(&mut store, &format!("{n}")), Some(text(n)), "the names of {n} within {max}");
        }
        assert!(store.weight() > max / 2, "{} of {max}", store.weight());
    }
}

#[test]
fn a_record_with_names_keeps_them_where_all_others_make_room_for_it() {
    // Segments that are large beside the bound, so that the whole store goes at once.
    let mut store = Store::new(64 << 20);
    let text = |n: usize| format!(r#"{{"tenant":{n},"period":"week","text":"{}"}}"#, "x".repeat(150));
    for n in 0..100 {
        set(&mut store, &format!("{n}"), &text(n));
    }
    store.bound(128 << 10, 64 << 20, &never);
    for n in 100..2_000 {
        set(&mut store, &format!("{n}"), &text(n));
        let found = get(&mut store, &format!("{n}"));
        assert!(found.is_none_or(|found| found == text(n)), "{n}");
    }
}

#[test]
fn a_walk_that_removes_much_leaves_no_more_holes_than_a_quarter() {
    let mut store = Store::new(8 << 20);
    for i in 0..20_000 {
        set(&mut store, &format!("{i}"), &value(i, 100));
    }
    let full = store.weight();
    let (mut cursor, mut nth) = (Default::default(), 0);
    // Nine of ten, evenly.
    let most = |_: &str, _: &Life| {
        nth += 1;
        nth % 10 != 0
    };
    store.walk(&mut cursor, usize::MAX, most, &never);
    assert_eq!(walked(&mut store).len(), 2_000);
    // A tenth lives, and of what the segments have at most a quarter is holes; the index does not shrink.
    assert!(store.weight() < full / 2, "{} of {full}", store.weight());
}
