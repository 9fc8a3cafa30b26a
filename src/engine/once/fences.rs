//! What ends the right of computations to store: a write of their key, of a key that a pattern covers, or of one of
//! their tags.
//!
//! A fenced flight runs on, and its result goes to those who wait for it, but nobody joins it any more and nothing is
//! stored. It gives up what it holds in Redis at once: its marker would keep the next caller, of this process or
//! another, waiting for a result that comes to nothing.

use std::ops::Bound;
use std::sync::atomic::Ordering;

use crate::engine::base::key;
use crate::engine::base::mutant;
use crate::engine::base::pattern::Pattern;
use crate::engine::call::sink::ReplyTo;
use crate::engine::once::flight::{Flights, Table};
use crate::engine::once::waiters::{Flight, Lease, Over};
use crate::engine::value::tag_list::Tag;

impl Flights {
    /// A write of `key`: nobody joins its flights any more, and none of them stores.
    ///
    /// Returns the flights of which one holds the key's lease in Redis, or may.
    pub fn fence(&self, key: &str) -> Vec<u32> {
        if self.keys.load(Ordering::SeqCst) == 0 || mutant::lacks("flight") {
            return Vec::new();
        }
        let mut table = self.table.lock();
        let Some(flights) = table.flights.get_mut(key) else { return Vec::new() };
        flights.iter_mut().for_each(|f| f.fence());
        flights.iter().filter(|f| f.lease == Lease::Key || f.asked).map(|f| f.token).collect()
    }

    /// Another client changed `key`, as the server pushed: who asks from here on does not get the old value of a
    /// refresh that began before, but reads for itself. The refresh goes on, as the push may tell of no change (the
    /// table of tracked keys is full); whether it may store is for the server to say.
    pub fn outdate(&self, key: &str) {
        if self.is_empty() {
            return;
        }
        let mut table = self.table.lock();
        table.flights.get_mut(key).into_iter().flatten().for_each(|f| f.outdated = true);
    }

    /// As `outdate`, for all keys.
    pub fn outdate_all(&self) {
        self.table.lock().flights.values_mut().flatten().for_each(|f| f.outdated = true);
    }

    /// As `fence`, for all that compute without a lease, of the keys of a server: they began while that was away, and
    /// others may have written their keys since.
    pub fn fence_unleased(&self, is_its: impl Fn(&str) -> bool) {
        for (key, flights) in &mut self.table.lock().flights {
            for flight in flights.iter_mut().filter(|flight| flight.lease == Lease::None && flight.is_computing()) {
                if is_its(key) {
                    flight.fence();
                }
            }
        }
    }

    /// As `fence`, for all keys that match: those behind the pattern's head are looked at.
    pub fn fence_matching(&self, pattern: &Pattern) {
        if self.is_empty() {
            return;
        }
        let head = pattern.head();
        let head = std::str::from_utf8(&head).unwrap_or_default();
        let mut table = self.table.lock();
        let behind = table.flights.range_mut::<str, _>((Bound::Included(head), Bound::Unbounded));
        for (key, flights) in behind.take_while(|(key, _)| key.starts_with(head)) {
            if pattern.matches(key.as_bytes()) {
                flights.iter_mut().for_each(|f| f.fence());
            }
        }
    }

    /// The tokens of the tags that its result will have.
    pub fn tag(&self, key: &str, token: u32, tags: Vec<Tag>) {
        let mut table = self.table.lock();
        let Some(flight) = table.find(key, token) else { return };
        flight.tags.extend(tags.iter().cloned());
        for tag in tags {
            table.tagged.entry(tag.name).or_default().insert(token, key.into());
        }
    }

    /// As `tag`, for a caller who waits, and may be the one that computes: its tags are not those of who came first.
    pub fn tag_waiting(&self, key: &str, to: &ReplyTo, tags: Vec<Tag>) {
        let mut table = self.table.lock();
        // It has just come: from behind, as there may be thousands.
        let waits =
            |f: &&mut Flight| f.waiters.iter().rev().any(|c| c.client() == to.sink.client() && c.to.id == to.id);
        let flight = table.flights.get_mut(key).and_then(|flights| flights.iter_mut().rev().find(waits));
        let Some(flight) = flight.filter(|flight| !flight.is_computing()) else { return };
        let is_new = |tag: &Tag| !flight.tags.iter().any(|other| other.name == tag.name);
        let (token, new) = (flight.token, tags.into_iter().filter(is_new).collect());
        drop(table);
        self.tag(key, token, new);
    }

    /// As `fence`, for the flights whose result would have the tag of this stored key; what has it and is to be
    /// replaced is not served any more.
    pub fn fence_tag(&self, key: &str) {
        if self.is_empty() || mutant::lacks("tagged") {
            return;
        }
        let Some((prefix, name)) = key.split_once(key::TAG) else { return };
        let mut table = self.table.lock();
        table.tag_ends += 1;
        let Table { flights, tagged, .. } = &mut *table;
        for (token, key) in tagged.get(name).into_iter().flatten().filter(|(_, key)| key.starts_with(prefix)) {
            let own = flights.get_mut(key).and_then(|flights| flights.iter_mut().find(|f| f.token == *token));
            let Some(flight) = own else { continue };
            if flight.tags.iter().any(|tag| &*tag.name == name) {
                flight.fence();
            } else if !mutant::lacks("old-tags") {
                flight.outdated = true;
            }
        }
    }
}

impl Flights {
    /// Whether this process ended a tag while this computation ran, whichever.
    pub fn outlived(&self, key: &str, token: u32) -> bool {
        let mut table = self.table.lock();
        let ends = table.tag_ends;
        table.find(key, token).is_some_and(|flight| flight.tag_ends != ends)
    }
}

impl Table {
    /// What a flight's read found is to be replaced. A tag of that may have ended since the read was sent: the token
    /// was asked for before that, and with those of other servers it was waited for.
    pub(super) fn replaces(&mut self, key: &str, token: u32, over: Option<Over>) -> Option<&mut Flight> {
        let ends = self.tag_ends;
        let tags = over.as_ref().map_or_else(Vec::new, |over| over.tags.clone());
        let flight = self.find(key, token)?;
        flight.outdated |= !tags.is_empty() && flight.tag_ends != ends && !mutant::lacks("old-tags");
        flight.over = over;
        for name in tags {
            self.tagged.entry(name).or_default().entry(token).or_insert_with(|| key.into());
        }
        self.find(key, token)
    }
}
