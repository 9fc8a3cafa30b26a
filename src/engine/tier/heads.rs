//! Finds, among many patterns, those that match a key, without trying each: an application that calls `delPattern` for
//! thousands of users at once has thousands of patterns, and each key is asked about while they stand.
//!
//! Patterns are kept by their head, the text that every key they match begins with. Heads have few lengths, so a key is
//! looked up once for each of these. Patterns without a head of their own (`*:42`) are tried one by one.

use std::collections::{BTreeMap, HashMap};

use crate::engine::base::pattern::Pattern;

/// Items, each of a pattern.
pub struct Heads<T> {
    heads: HashMap<Box<[u8]>, HashMap<Pattern, Vec<T>>>,
    /// How many heads there are of each length.
    lengths: BTreeMap<usize, usize>,
}

impl<T> Default for Heads<T> {
    fn default() -> Self {
        Self { heads: HashMap::new(), lengths: BTreeMap::new() }
    }
}

impl<T> Heads<T> {
    pub fn insert(&mut self, pattern: &Pattern, item: T) {
        let head = pattern.head();
        if !self.heads.contains_key(&*head) {
            *self.lengths.entry(head.len()).or_default() += 1;
        }
        let patterns = self.heads.entry(head.into()).or_default();
        match patterns.get_mut(pattern) {
            Some(items) => items.push(item),
            None => _ = patterns.insert(pattern.unsparing(), vec![item]),
        }
    }

    /// Removes the items of a pattern that are such.
    pub fn remove(&mut self, pattern: &Pattern, such: impl Fn(&T) -> bool) {
        let head = pattern.head();
        let Some(patterns) = self.heads.get_mut(&*head) else { return };
        let Some(items) = patterns.get_mut(pattern) else { return };
        items.retain(|item| !such(item));
        if items.is_empty() {
            patterns.remove(pattern);
        }
        if patterns.is_empty() {
            self.heads.remove(&*head);
            let length = self.lengths.entry(head.len()).or_default();
            *length = length.saturating_sub(1);
            if *length == 0 {
                self.lengths.remove(&head.len());
            }
        }
    }

    /// The items of one pattern, in the order in which they came.
    pub fn of(&self, pattern: &Pattern) -> &[T] {
        self.heads.get(&*pattern.head()).and_then(|patterns| patterns.get(pattern)).map_or(&[], Vec::as_slice)
    }

    /// The items of all patterns that match a key, in no order.
    pub fn matching<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = &'a T> {
        self.behind(key).filter(|(pattern, _)| pattern.matches(key)).flat_map(|(_, items)| items)
    }

    /// Those whose head the key begins with: the only ones that are tried.
    pub fn behind<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = (&'a Pattern, &'a Vec<T>)> {
        let lengths = self.lengths.keys().take_while(|&&length| length <= key.len());
        lengths.filter_map(|&length| self.heads.get(&key[..length])).flatten()
    }
}
