//! How the store makes room: what it evicts, what it spares, and how it fills its holes. See mod.rs for the approach.

use crate::engine::store::entries::{Inserted, IsOver, Store, key_at};
use crate::engine::store::record::{self, View};
use crate::engine::store::segments::{Place, Queue};

/// The young have this part of the bound.
const YOUNG: usize = 10;
/// An insertion spares as many bytes of what was read, in segments: a millisecond or two at the most.
pub const SPARED: usize = 64;
/// Holes of this part are filled before anything is evicted, and of that part at once.
const HOLED: usize = 8;
const RIDDLED: usize = 4;

impl Store {
    /// Evicts until so many bytes more are within the bound, less a segment for what is moved meanwhile.
    pub(super) fn fit(&mut self, more: usize, done: &mut Inserted, is_over: IsOver<'_>) {
        let mut spared = SPARED * self.segments.size();
        while !self.is_empty() && self.weight() + self.segments.size() + more > self.max {
            if self.segments.dead() * HOLED > self.segments.bytes() && self.fill_holes(is_over) {
                continue;
            }
            if !self.evict(&mut spared, done, is_over) {
                break;
            }
        }
    }

    /// Looks at the oldest entry; false where there is none.
    fn evict(&mut self, spared: &mut usize, done: &mut Inserted, is_over: IsOver<'_>) -> bool {
        let young = self.segments.bytes_of(Queue::Young) + self.bulky.bytes_of(Queue::Young);
        let queues = if young > self.max / YOUNG { [Queue::Young, Queue::Old] } else { [Queue::Old, Queue::Young] };
        let oldest = queues.into_iter().find_map(|queue| Some((queue, self.segments.oldest(queue)?)));
        let Some((queue, place)) = oldest else { return false };
        let reads = View::of(self.segments.at(place)).reads();
        let size = record::size(self.segments.at(place));
        if reads > 0 && *spared >= size {
            *spared -= size;
            let reads = if queue == Queue::Young { 0 } else { reads - 1 };
            self.move_to(Queue::Old, place, reads, is_over);
            return true;
        }
        let hash = self.hash(key_at(&self.segments, &self.bulky, place));
        if !self.is_over(place, is_over) {
            done.evicted += 1;
            if queue == Queue::Young {
                self.ghosts.add(hash, self.index.count());
            }
        }
        self.drop(hash, place);
        true
    }

    fn is_over(&self, place: Place, is_over: IsOver<'_>) -> bool {
        let key = std::str::from_utf8(key_at(&self.segments, &self.bulky, place));
        key.is_ok_and(|key| is_over(key, &self.life(place)))
    }

    /// Moves a record behind the others of a queue, unless it is over: no walk needs to find it where it was.
    fn move_to(&mut self, queue: Queue, place: Place, reads: u8, is_over: IsOver<'_>) {
        let hash = self.hash(key_at(&self.segments, &self.bulky, place));
        if self.is_over(place, is_over) {
            return self.drop(hash, place);
        }
        let bytes = self.segments.at(place);
        let mut record = std::mem::take(&mut self.text);
        record.clear();
        record.extend_from_slice(&bytes[..record::size(bytes)]);
        record::set_reads(&mut record[0], reads);
        match self.segments.append(queue, &record) {
            None => self.drop(hash, place),
            Some(to) => {
                self.index.replace(hash, to, |&other| other == place);
                if let Some(number) = record::stub(&record) {
                    self.bulky.enter(number, queue);
                }
                self.segments.bury(place);
            }
        }
        self.text = record;
    }

    /// Frees the segment with the most holes; false where none has many.
    fn fill_holes(&mut self, is_over: IsOver<'_>) -> bool {
        let Some(live) = self.segments.holed() else { return false };
        for place in live {
            let reads = View::of(self.segments.at(place)).reads();
            self.move_to(self.segments.queue(place), place, reads, is_over);
        }
        true
    }

    pub(super) fn tidy(&mut self, is_over: IsOver<'_>) {
        while self.segments.dead() * RIDDLED > self.segments.bytes() && self.fill_holes(is_over) {}
    }
}
