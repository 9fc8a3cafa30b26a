//! The store: entries by key, within a bound of bytes. See mod.rs for the approach. It knows no time and no sweeps:
//! whoever uses it says which entries are over.

use std::hash::BuildHasher;
use std::sync::Arc;

use crate::engine::base::text::{self, Kept};
use crate::engine::store::Hasher;
use crate::engine::store::bulky::Bulky;
use crate::engine::store::index::{Ghosts, Index};
use crate::engine::store::names::Names;
use crate::engine::store::record::{self, Form, Life, View};
use crate::engine::store::segments::{Cursor, Place, Queue, Segments};
use crate::engine::value::entry::Meta;

/// Bytes of a segment: a part of the bound, within limits.
const SEGMENTS: usize = 256;
const SMALLEST_SEGMENT: usize = 4 << 10;
const LARGEST_SEGMENT: usize = 64 << 10;
/// An entry larger than this part of a segment lies outside of it.
const BULKY: usize = 16;
/// Values are not looked at for names while there are fewer entries.
const FEW: usize = 16;
/// Names have this part of the bound at most.
const NAMES: usize = 64;
/// Shorter values are not packed.
const SHORT: usize = 24;

/// What is kept at a key.
pub struct Found {
    pub value: Kept,
    pub life: Life,
    pub meta: Option<Arc<Meta>>,
}

/// What is to be kept.
pub struct Given<'a> {
    pub key: &'a str,
    pub value: text::Given<'a>,
    pub meta: Option<Arc<Meta>>,
    pub life: Life,
}

/// Says whether an entry that the store would have to move is over. It goes then.
pub type IsOver<'a> = &'a dyn Fn(&str, &Life) -> bool;

/// What came of an insertion.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Inserted {
    pub replaced: Option<Life>,
    pub evicted: u64,
    /// Bytes that it takes.
    pub bytes: u64,
}

pub struct Store {
    pub(super) segments: Segments,
    pub(super) index: Index,
    pub(super) ghosts: Ghosts,
    pub(super) bulky: Bulky,
    names: Names,
    hasher: Hasher,
    pub(super) max: usize,
    /// The bound for which it is laid out.
    laid: usize,
    /// Bytes of the largest entry that is kept, as a part of the bound.
    parts: usize,
    record: Vec<u8>,
    pub(super) text: Vec<u8>,
}

impl Store {
    pub fn new(max: u64) -> Self {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let segment = (max / SEGMENTS).clamp(SMALLEST_SEGMENT, LARGEST_SEGMENT).next_power_of_two();
        Self {
            segments: Segments::new(segment),
            index: Index::new((max >> 16).clamp(16, 1 << 10).next_power_of_two()),
            ghosts: Ghosts::default(),
            bulky: Bulky::default(),
            names: Names::new(max / NAMES),
            hasher: Hasher::default(),
            max,
            laid: max,
            parts: (max >> 23).clamp(1, 4),
            record: Vec::new(),
            text: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.index.count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all that it has.
    pub fn weight(&self) -> usize {
        if self.is_empty() {
            return 0;
        }
        let tables = self.index.bytes() + self.ghosts.bytes() + self.segments.overhead();
        self.segments.bytes() + self.bulky.bytes() + tables + self.names.weight()
    }

    pub fn max(&self) -> usize {
        self.max
    }

    /// Records that a walk passes over.
    pub fn records(&self) -> usize {
        self.segments.records()
    }

    /// Sets the bound, and evicts what is beyond it. `most`: the bound that was said, of which this may be a share for
    /// now; an empty store is laid out for that.
    pub fn bound(&mut self, max: usize, most: usize, is_over: IsOver<'_>) {
        self.max = max;
        if most != self.laid && self.is_empty() {
            let anew = Self::new(most as u64);
            let segments = self.segments.anew(anew.segments.size());
            *self = Self { segments, max, ..anew };
        }
        self.fit(0, &mut Inserted::default(), is_over);
    }

    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    fn find(&self, hash: u64, key: &str) -> Option<Place> {
        self.index.find(hash, |&place| {
            let bytes = self.segments.at(place);
            record::is_of(bytes, key.as_bytes())
                || record::stub(bytes).and_then(|number| self.bulky.get(number)).is_some_and(|bulk| *bulk.key == *key)
        })
    }

    /// The entry at a key, which is read.
    pub fn read(&mut self, key: &str) -> Option<Found> {
        let place = self.find(self.hash(key.as_bytes()), key)?;
        record::note_read(self.segments.flags(place)?);
        let view = View::of(self.segments.at(place));
        let life = view.life;
        let value = match view.form {
            Form::Plain => std::str::from_utf8(view.value).ok()?,
            Form::Packed => {
                self.text.clear();
                self.names.unpack(view.value, &mut self.text);
                std::str::from_utf8(&self.text).ok()?
            }
            Form::Stub => {
                let bulk = self.bulky.get(record::stub(self.segments.at(place))?)?;
                return Some(Found { value: bulk.value.clone(), life, meta: bulk.meta.clone() });
            }
        };
        Some(Found { value: value.into(), life, meta: view.meta() })
    }

    pub(super) fn life(&self, place: Place) -> Life {
        let view = View::of(self.segments.at(place));
        let bulk = record::stub(self.segments.at(place)).and_then(|number| self.bulky.get(number));
        let extra = bulk.and_then(|bulk| bulk.meta.as_ref()).map_or(view.life.extra, |meta| meta.extra_ms);
        Life { extra, ..view.life }
    }

    /// What it is, without its value. It counts as read.
    pub fn peek(&mut self, key: &str) -> Option<Life> {
        let place = self.find(self.hash(key.as_bytes()), key)?;
        record::note_read(self.segments.flags(place)?);
        Some(self.life(place))
    }

    /// Removes the entry at a key if it is such.
    pub fn remove_if(&mut self, key: &str, is_such: impl FnOnce(&Life) -> bool, is_over: IsOver<'_>) -> Option<Life> {
        let hash = self.hash(key.as_bytes());
        let place = self.find(hash, key)?;
        let life = self.life(place);
        if !is_such(&life) {
            return None;
        }
        self.drop(hash, place);
        self.tidy(is_over);
        Some(life)
    }

    pub(super) fn drop(&mut self, hash: u64, place: Place) {
        self.index.remove(hash, |&other| other == place);
        if let Some(number) = record::stub(self.segments.at(place)) {
            self.bulky.remove(number);
        }
        self.segments.bury(place);
        if self.is_empty() {
            self.segments.reset();
            self.index.reset();
            self.ghosts.reset();
        }
    }

    /// Keeps an entry; what is larger than its part of the bound is not kept, and neither is what lay at its key.
    pub fn insert(&mut self, given: Given<'_>, is_over: IsOver<'_>) -> Inserted {
        let Given { key, value, meta, life } = given;
        let hash = self.hash(key.as_bytes());
        let old = self.find(hash, key);
        let mut done = Inserted { replaced: old.map(|place| self.life(place)), ..Inserted::default() };
        // Here, and not when the last entry goes: that may be while a record with their codes waits for its room.
        if self.is_empty() {
            self.names.reset();
        }
        let fits = self.encode(key, value, meta.as_deref(), &life);
        if let Some(place) = old.filter(|&place| fits && record::stub(self.segments.at(place)).is_none())
            && self.segments.overwrite(place, &self.record)
        {
            done.bytes = self.record.len() as u64;
            return done;
        }
        let queue = match old {
            Some(place) => self.segments.queue(place),
            None if self.ghosts.take(hash) => Queue::Old,
            None => Queue::Young,
        };
        let reads = old.map_or(0, |place| View::of(self.segments.at(place)).reads());
        if let Some(place) = old {
            self.drop(hash, place);
        }
        let mut number = None;
        if !fits {
            if key.len() + value.size() > self.max / self.parts {
                return done;
            }
            let before = self.bulky.bytes();
            number = self.bulky.add(key, value.keep(), meta, queue);
            let bytes = self.bulky.bytes() - before;
            if bytes + self.segments.size() * 2 > self.max {
                number.into_iter().for_each(|number| self.bulky.remove(number));
                return done;
            }
            done.bytes = bytes as u64;
            self.record.clear();
            let number = number.unwrap_or(u32::MAX).to_le_bytes();
            record::write(&mut self.record, &[], &life, None, Form::Stub, &number);
        }
        record::set_reads(&mut self.record[0], reads);
        done.bytes += self.record.len() as u64;
        let record = std::mem::take(&mut self.record);
        self.fit(self.segments.growth(queue, record.len()), &mut done, is_over);
        let taken = self.bulky.bytes() + self.segments.growth(queue, record.len());
        let place = if taken + self.segments.size() > self.max { None } else { self.segments.append(queue, &record) };
        match (place, number) {
            (Some(place), _) => {
                let (segments, bulky, hasher) = (&self.segments, &self.bulky, &self.hasher);
                self.index.insert(hash, place, |&place| hasher.hash_one(key_at(segments, bulky, place)));
            }
            (None, Some(number)) => self.bulky.remove(number),
            (None, None) => {}
        }
        self.record = record;
        // The tables have grown with it.
        self.fit(0, &mut done, is_over);
        self.tidy(is_over);
        done
    }

    /// Writes the record of an entry; false where it is too large for a segment.
    fn encode(&mut self, key: &str, value: text::Given<'_>, meta: Option<&Meta>, life: &Life) -> bool {
        self.record.clear();
        // What is whole is too long.
        let Some(value) = value.json() else { return false };
        let (most, tags) = (self.segments.size() / BULKY, meta.map_or(0, |meta| meta.tags.weight()));
        if key.len() + value.len() + tags > most {
            return false;
        }
        self.text.clear();
        let packed =
            value.len() > SHORT && self.len() >= FEW && self.names.pack(value.as_bytes(), &self.hasher, &mut self.text);
        let (form, bytes) = if packed { (Form::Packed, &*self.text) } else { (Form::Plain, value.as_bytes()) };
        record::write(&mut self.record, key.as_bytes(), life, meta, form, bytes) && self.record.len() <= 2 * most
    }

    /// How many parts its keys lie in. A key stays in its part until the store is empty.
    pub fn parts_of_keys(&self) -> usize {
        self.index.tables()
    }

    /// The keys of one of these parts.
    pub fn keys_of(&self, part: usize) -> impl Iterator<Item = (&str, Life)> {
        let key = |place| std::str::from_utf8(key_at(&self.segments, &self.bulky, place)).ok();
        self.index.of_table(part).filter_map(move |&place| Some((key(place)?, self.life(place))))
    }

    /// Goes on with a walk over the next `count` entries, and removes those for which `visit` says so; how many there
    /// were and how many of them it removed.
    pub fn walk(
        &mut self,
        cursor: &mut Cursor,
        count: usize,
        mut visit: impl FnMut(&str, &Life) -> bool,
        is_over: IsOver<'_>,
    ) -> (usize, usize) {
        let (mut seen, mut removed) = (0, 0);
        while seen < count
            && let Some(place) = self.segments.next(cursor)
        {
            seen += 1;
            let key = key_at(&self.segments, &self.bulky, place);
            let hash = self.hash(key);
            if std::str::from_utf8(key).is_ok_and(|key| visit(key, &self.life(place))) {
                removed += 1;
                self.drop(hash, place);
            }
        }
        if removed > 0 {
            self.tidy(is_over);
        }
        (seen, removed)
    }
}

pub(super) fn key_at<'a>(segments: &'a Segments, bulky: &'a Bulky, place: Place) -> &'a [u8] {
    let bytes = segments.at(place);
    match record::stub(bytes).and_then(|number| bulky.get(number)) {
        Some(bulk) => bulk.key.as_bytes(),
        None => View::of(bytes).key,
    }
}
