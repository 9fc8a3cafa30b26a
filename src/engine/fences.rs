//! What ends the right of computations to store: a write of their key, of a key that a pattern covers, or of one of
//! their tags.
//!
//! A fenced flight runs on, and its result goes to those who wait for it, but nobody joins it any more and nothing is
//! stored. It gives up what it holds in Redis at once: its marker would keep the next caller, of this process or
//! another, waiting for a result that comes to nothing.

use std::sync::atomic::Ordering;

use super::flight::Flights;
use super::mutant;
use super::tags;
use super::waiters::Lease;

impl Flights {
    /// A write of `key`: nobody joins its flights any more, and none of them stores.
    ///
    /// Returns the flight that holds the key's lease in Redis, or may, if one of them does.
    pub fn fence(&self, key: &str) -> Option<u32> {
        if self.keys.load(Ordering::SeqCst) == 0 || mutant::lacks("flight") {
            return None;
        }
        let mut table = self.table.lock();
        let flights = table.flights.get_mut(key)?;
        flights.iter_mut().for_each(|f| f.fence());
        flights.iter().rev().find(|f| f.lease == Lease::Key || f.asked).map(|f| f.token)
    }

    /// As `fence`, for all that compute without a lease: they began while Redis was away, and others may have written
    /// their keys since.
    pub fn fence_unleased(&self) {
        for flight in self.table.lock().flights.values_mut().flatten() {
            if flight.lease == Lease::None && flight.is_computing() {
                flight.fence();
            }
        }
    }

    /// As `fence`, for all keys that satisfy `matches`.
    pub fn fence_matching(&self, matches: impl Fn(&str) -> bool) {
        for (key, flights) in &mut self.table.lock().flights {
            if matches(key) {
                flights.iter_mut().for_each(|f| f.fence());
            }
        }
    }

    /// As `fence`, for the flights whose result would have the tag of this stored key.
    pub fn fence_tag(&self, key: &str) {
        if self.is_empty() {
            return;
        }
        let Some((prefix, name)) = key.split_once(tags::TAG) else { return };
        for (key, flights) in &mut self.table.lock().flights {
            if key.starts_with(prefix) {
                flights.iter_mut().filter(|f| f.tags.iter().any(|tag| *tag.name == *name)).for_each(|f| f.fence());
            }
        }
    }
}
