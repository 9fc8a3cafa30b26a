//! A store whose entries last for ever.

use std::collections::HashMap;

use crate::engine::store::entries::{Given, Inserted, Store};
use crate::engine::store::record::Life;

pub const FOREVER: Life = Life { deadline: u64::MAX, since: 7, stamp: 0, extra: 0 };

pub fn never(_: &str, _: &Life) -> bool {
    false
}

pub fn set(store: &mut Store, key: &str, value: &str) -> Inserted {
    store.insert(Given { key, value: value.into(), meta: None, life: FOREVER }, &never)
}

pub fn get(store: &mut Store, key: &str) -> Option<String> {
    store.read(key).and_then(|found| found.value.json()).map(|text| String::from(&*text))
}

pub fn remove(store: &mut Store, key: &str) -> bool {
    store.remove_if(key, |_| true, &never).is_some()
}

/// Everything that a walk meets.
pub fn walked(store: &mut Store) -> HashMap<String, u32> {
    let (mut met, mut cursor) = (HashMap::new(), Default::default());
    let count = |key: &str, _: &Life| {
        *met.entry(key.to_owned()).or_default() += 1;
        false
    };
    store.walk(&mut cursor, usize::MAX, count, &never);
    met
}

/// Numbers that look random and are the same each time.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
