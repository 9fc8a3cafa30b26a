//! The memory of a store: segments of one size, in which records lie one behind the other.
//!
//! An allocator rounds each block up to one of its sizes, and an entry of several blocks pays several times. Records of
//! a segment pay nothing, and the store weighs what its segments have: no more, and no less. What a record that went
//! leaves is a hole, until its segment is freed: all at once where nothing in it lives, or by moving what does.

use std::collections::VecDeque;

use crate::engine::base::heap;
use crate::engine::store::record::{self, UNIT, View};

/// In which order records are looked at for eviction: see mod.rs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    Young = 0,
    Old = 1,
}

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(u32);

/// The smallest segment, and the first of each store: it grows from there.
const LEAST: usize = 1 << 10;

struct Segment {
    bytes: Vec<u8>,
    queue: Queue,
    /// Tells it from another that had its number before.
    born: u64,
    records: u32,
    live: u32,
    /// Bytes of dead records.
    dead: u32,
    /// Up to here its records have been looked at for eviction.
    seen: u32,
}

pub struct Segments {
    list: Vec<Segment>,
    free: Vec<u32>,
    /// The oldest first; the last one is written to.
    order: [VecDeque<u32>; 2],
    /// Bytes of a segment, a power of two.
    size: usize,
    born: u64,
    /// Bytes of all segments, of each queue.
    bytes: [usize; 2],
    dead: usize,
    records: usize,
}

/// Where a walk over all records is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cursor {
    segment: usize,
    born: u64,
    at: usize,
}

impl Segments {
    pub fn new(size: usize) -> Self {
        Self {
            list: Vec::new(),
            free: Vec::new(),
            order: [VecDeque::new(), VecDeque::new()],
            size,
            born: 0,
            bytes: [0; 2],
            dead: 0,
            records: 0,
        }
    }

    /// None, of this size, in the place of these: a walk that is under way meets nothing that it takes for its own.
    pub fn anew(&self, size: usize) -> Self {
        Self { born: self.born, ..Self::new(size) }
    }

    /// Frees all; a walk that is under way finds nothing.
    pub fn reset(&mut self) {
        *self = self.anew(self.size);
    }

    /// The size of a segment.
    pub fn size(&self) -> usize {
        self.size
    }

    pub fn bytes(&self) -> usize {
        self.bytes[0] + self.bytes[1]
    }

    pub fn bytes_of(&self, queue: Queue) -> usize {
        self.bytes[queue as usize]
    }

    /// Bytes of holes.
    pub fn dead(&self) -> usize {
        self.dead
    }

    /// Records, dead ones too: what a walk passes over.
    pub fn records(&self) -> usize {
        self.records
    }

    fn place(&self, segment: u32, at: usize) -> Place {
        Place(segment * (self.size / UNIT) as u32 + (at / UNIT) as u32)
    }

    fn find(&self, place: Place) -> (usize, usize) {
        let units = self.size / UNIT;
        (place.0 as usize / units, place.0 as usize % units * UNIT)
    }

    /// The bytes from the record on.
    pub fn at(&self, place: Place) -> &[u8] {
        let (segment, at) = self.find(place);
        self.list.get(segment).and_then(|segment| segment.bytes.get(at..)).unwrap_or_default()
    }

    fn at_mut(&mut self, place: Place) -> &mut [u8] {
        let (segment, at) = self.find(place);
        self.list.get_mut(segment).and_then(|segment| segment.bytes.get_mut(at..)).unwrap_or_default()
    }

    pub fn flags(&mut self, place: Place) -> Option<&mut u8> {
        self.at_mut(place).first_mut()
    }

    pub fn queue(&self, place: Place) -> Queue {
        self.list.get(self.find(place).0).map_or(Queue::Young, |segment| segment.queue)
    }

    /// Bytes by which all segments grow if a record of `size` is appended.
    pub fn growth(&self, queue: Queue, size: usize) -> usize {
        match self.head(queue) {
            Some(head) if head.bytes.len() + size <= self.size => {
                self.room(head.bytes.capacity(), head.bytes.len() + size) - head.bytes.capacity()
            }
            _ => self.room(0, size),
        }
    }

    /// The capacity of a segment that is to hold so many bytes.
    fn room(&self, capacity: usize, bytes: usize) -> usize {
        if bytes <= capacity {
            return capacity;
        }
        // A store that has some has more to come.
        let least = if self.bytes() >= self.size { self.size } else { LEAST };
        bytes.next_power_of_two().max(least).min(self.size)
    }

    fn head(&self, queue: Queue) -> Option<&Segment> {
        self.list.get(*self.order[queue as usize].back()? as usize)
    }

    /// None where there is no number left for another segment: 16 GiB are full.
    pub fn append(&mut self, queue: Queue, record: &[u8]) -> Option<Place> {
        let fits = self.head(queue).is_some_and(|head| head.bytes.len() + record.len() <= self.size);
        if !fits {
            self.open(queue)?;
        }
        let number = *self.order[queue as usize].back()?;
        let before = self.list.get(number as usize)?.bytes.capacity();
        let room = self.room(before, self.list[number as usize].bytes.len() + record.len());
        let segment = &mut self.list[number as usize];
        let at = segment.bytes.len();
        segment.bytes.reserve_exact(room - at);
        segment.bytes.extend_from_slice(record);
        segment.records += 1;
        segment.live += 1;
        self.records += 1;
        self.bytes[queue as usize] += room - before;
        Some(self.place(number, at))
    }

    fn open(&mut self, queue: Queue) -> Option<()> {
        self.born += 1;
        let segment = Segment { bytes: Vec::new(), queue, born: self.born, records: 0, live: 0, dead: 0, seen: 0 };
        let number = match self.free.pop() {
            Some(number) => {
                self.list[number as usize] = segment;
                number
            }
            None => {
                let number = u32::try_from(self.list.len()).ok()?;
                number.checked_add(1)?.checked_mul((self.size / UNIT) as u32)?;
                self.list.push(segment);
                number
            }
        };
        self.order[queue as usize].push_back(number);
        Some(())
    }

    /// Puts a record in the place of another of the same size.
    pub fn overwrite(&mut self, place: Place, record: &[u8]) -> bool {
        let there = self.at_mut(place);
        if record::size(there) != record.len() {
            return false;
        }
        let reads = View::of(there).reads();
        there[..record.len()].copy_from_slice(record);
        record::set_reads(&mut there[0], reads);
        true
    }

    /// The record is dead. Its segment is freed where nothing in it lives.
    pub fn bury(&mut self, place: Place) {
        let (number, at) = self.find(place);
        let Some(segment) = self.list.get_mut(number) else { return };
        let Some(rest) = segment.bytes.get_mut(at..) else { return };
        let size = record::size(rest);
        record::bury(&mut rest[0]);
        segment.live -= 1;
        segment.dead += size as u32;
        self.dead += size;
        if segment.live == 0 {
            self.release(number as u32);
        }
    }

    fn release(&mut self, number: u32) {
        let Some(segment) = self.list.get_mut(number as usize) else { return };
        let queue = segment.queue as usize;
        self.bytes[queue] -= segment.bytes.capacity();
        self.dead -= segment.dead as usize;
        self.records -= segment.records as usize;
        (segment.bytes, segment.born, segment.dead, segment.records) = (Vec::new(), 0, 0, 0);
        let order = &mut self.order[queue];
        if let Some(at) = order.iter().position(|&other| other == number) {
            order.remove(at);
        }
        self.free.push(number);
    }

    /// The oldest record of a queue that has not been looked at, which now has been. Where the last one of a segment
    /// lives, the segment is looked at again.
    pub fn oldest(&mut self, queue: Queue) -> Option<Place> {
        loop {
            let number = *self.order[queue as usize].front()?;
            let segment = self.list.get_mut(number as usize)?;
            let at = segment.seen as usize;
            if at >= segment.bytes.len() {
                segment.seen = 0;
                continue;
            }
            let rest = &segment.bytes[at..];
            segment.seen += record::size(rest).max(UNIT) as u32;
            if !View::of(rest).is_dead() {
                return Some(self.place(number, at));
            }
        }
    }

    /// The records that live in the segment with the most holes, of those that are not written to; none where it has
    /// few.
    pub fn holed(&self) -> Option<Vec<Place>> {
        let heads = [self.order[0].back(), self.order[1].back()];
        let numbers = self.order.iter().flatten().filter(|number| !heads.contains(&Some(number)));
        let &number = numbers.max_by_key(|&&number| self.list[number as usize].dead)?;
        let segment = &self.list[number as usize];
        if (segment.dead as usize) < self.size / 8 {
            return None;
        }
        let mut at = 0;
        let mut live = Vec::with_capacity(segment.live as usize);
        while at < segment.bytes.len() {
            let view = View::of(&segment.bytes[at..]);
            if !view.is_dead() {
                live.push(self.place(number, at));
            }
            at += view.size.max(UNIT);
        }
        Some(live)
    }

    /// The next record that lives, of a walk in the order of numbers. What moves meanwhile may be passed over.
    pub fn next(&self, cursor: &mut Cursor) -> Option<Place> {
        loop {
            let segment = self.list.get(cursor.segment)?;
            if cursor.at == 0 {
                cursor.born = segment.born;
            }
            match segment.bytes.get(cursor.at..).filter(|rest| !rest.is_empty() && segment.born == cursor.born) {
                None => *cursor = Cursor { segment: cursor.segment + 1, ..Cursor::default() },
                Some(rest) => {
                    let place = self.place(cursor.segment as u32, cursor.at);
                    let view = View::of(rest);
                    cursor.at += view.size.max(UNIT);
                    if !view.is_dead() {
                        return Some(place);
                    }
                }
            }
        }
    }

    /// Bytes of the lists themselves.
    pub fn overhead(&self) -> usize {
        heap::block(self.list.capacity() * size_of::<Segment>())
    }
}
