//! The one bound: who gives way to whom, and that the sum stays within it.

use std::sync::Arc;
use std::time::Instant;

use crate::engine::base::clock::Ttl;
use crate::engine::task::executor::Tasks;
use crate::engine::tests::leaps::run_until;
use crate::engine::tier::budget::{Bounded, Budget, Held};
use crate::engine::tier::memory::Memory;

const MAX: u64 = 8 << 20;

struct Tiers {
    budget: Arc<Budget>,
    fallback: Arc<Memory>,
    near: Arc<Memory>,
}

impl Tiers {
    fn new() -> Self {
        let budget = Arc::new(Budget::new(MAX));
        let (fallback, near) = (Arc::new(Memory::within(&budget)), Arc::new(Memory::within(&budget)));
        budget.share(&fallback, &near);
        Self { budget, fallback, near }
    }

    fn sum(&self) -> u64 {
        self.fallback.weight() + self.near.weight() + self.budget.hot()
    }

    /// Fills a tier far beyond the bound; the sum never is.
    fn fill(&self, tier: &Memory) {
        let value = "\"v\"".repeat(300);
        for i in 0..20_000 {
            tier.set(&format!("key:{i}"), &value, Ttl::Forever, 0);
            assert!(self.sum() <= self.budget.max(), "{} of {} after {i} entries", self.sum(), self.budget.max());
        }
    }
}

#[test]
fn the_near_cache_gives_way_to_the_fallback_tier_and_comes_back() {
    let tiers = Tiers::new();
    tiers.fill(&tiers.near);
    assert!(tiers.near.weight() > MAX * 9 / 10);
    tiers.fill(&tiers.fallback);
    assert!(tiers.fallback.weight() > MAX * 9 / 10, "what is written in an outage has the room");
    // What is dropped is freed in the background.
    let mut tasks = Tasks::new(Instant::now());
    let timers = tasks.spawner().timers().clone();
    tasks.spawner().spawn(Memory::sweep(Arc::downgrade(&tiers.fallback), timers));
    tiers.fallback.clear(0);
    run_until(&mut tasks, || tiers.fallback.weight() == 0);
    assert_eq!(tiers.fallback.weight(), 0);
    tiers.fill(&tiers.near);
    assert!(tiers.near.weight() > MAX * 9 / 10);
}

#[test]
fn both_tiers_give_way_to_hot_values_which_have_half_of_it_at_most() {
    let tiers = Tiers::new();
    tiers.fill(&tiers.near);
    let held = Held::new(tiers.budget.clone());
    assert_eq!(held.hold(1 << 20), 1 << 20);
    assert!(tiers.sum() <= MAX);
    assert_eq!(held.hold(MAX), MAX / 2, "half is granted of more");
    assert!(tiers.sum() <= MAX);
    tiers.fill(&tiers.near);
    tiers.fill(&tiers.fallback);
    drop(held);
    assert_eq!(tiers.budget.hot(), 0, "what ends holds nothing");
    tiers.fill(&tiers.fallback);
    assert!(tiers.fallback.weight() > MAX * 9 / 10);
}

#[test]
fn threads_share_what_hot_values_may_hold() {
    let budget = Arc::new(Budget::new(MAX));
    let (first, second) = (Held::new(budget.clone()), Held::new(budget.clone()));
    assert_eq!(first.hold(MAX), MAX / 2);
    assert_eq!(second.hold(MAX), 0, "there is nothing left");
    assert_eq!(first.hold(MAX), MAX / 4, "whoever holds more than a share gives it up when it asks again");
    assert_eq!(second.hold(MAX), MAX / 4);
    assert_eq!(first.hold(MAX), MAX / 4);
    assert_eq!(budget.hot(), MAX / 2);
    second.hold(0);
    assert_eq!(first.hold(MAX), MAX / 2);
}

#[test]
fn what_a_cache_says_holds_over_the_default_in_any_order_and_the_largest_of_it() {
    for order in [[None, Some(1), Some(2)], [Some(2), None, Some(1)], [Some(1), Some(2), None]] {
        let tiers = Tiers::new();
        order.iter().for_each(|said: &Option<u64>| tiers.budget.allow(said.map(|mb| mb << 20), None));
        assert_eq!(tiers.budget.max(), 2 << 20, "{order:?}");
        tiers.fill(&tiers.fallback);
    }
    let tiers = Tiers::new();
    tiers.budget.allow(None, None);
    assert_eq!(tiers.budget.max(), MAX, "the default, while nobody says anything");
    tiers.budget.allow(None, Some(1 << 20));
    tiers.budget.allow(None, None);
    tiers.fill(&tiers.near);
    assert!(tiers.near.weight() <= 1 << 20, "nearCache.maxMemory holds for the near cache alone");
    tiers.fill(&tiers.fallback);
    assert!(tiers.fallback.weight() > MAX * 9 / 10);
}

#[test]
fn a_near_cache_of_a_small_bound_keeps_what_is_within_it() {
    let budget = Arc::new(Budget::new(1 << 20));
    let (fallback, near) = (Arc::new(Memory::within(&budget)), Arc::new(Memory::within(&budget)));
    budget.share(&fallback, &near);
    let value = "\"v\"".repeat(60);
    // About a quarter of the bound.
    let keys: Vec<String> = (0..1_000).map(|i| format!("key:{i}")).collect();
    keys.iter().for_each(|key| near.set(key, &value, Ttl::Forever, 0));
    let kept = keys.iter().filter(|key| near.get(key, 0).is_some()).count();
    assert_eq!(kept, keys.len());
}
