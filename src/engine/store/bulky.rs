//! Entries that are too large to lie among others: each has heap blocks of its own, and a stub in a segment, which
//! keeps its place in the order of eviction. A reader of such a value shares it, and copies nothing.

use std::sync::Arc;

use crate::engine::base::heap;
use crate::engine::base::text::Kept;
use crate::engine::store::segments::Queue;
use crate::engine::value::entry::Meta;

pub struct Bulk {
    pub key: Box<str>,
    pub value: Kept,
    pub meta: Option<Arc<Meta>>,
    queue: Queue,
}

impl Bulk {
    fn weight(&self) -> usize {
        let meta = self.meta.as_ref().map_or(0, |meta| heap::shared(size_of::<Meta>()) + meta.tags.weight());
        heap::block(self.key.len()) + weight(&self.value) + meta + size_of::<Option<Self>>()
    }
}

/// Bytes of the heap behind a value.
fn weight(value: &Kept) -> usize {
    match value {
        Kept::Json(text) => heap::shared(text.len()),
        Kept::Bytes(bytes) => heap::shared(size_of::<Vec<u8>>()) + heap::block(bytes.capacity()),
        Kept::Text(text) => heap::shared(size_of::<String>()) + heap::block(text.capacity()),
    }
}

/// By number.
#[derive(Default)]
pub struct Bulky {
    list: Vec<Option<Bulk>>,
    free: Vec<u32>,
    /// Of each queue.
    bytes: [usize; 2],
}

impl Bulky {
    pub fn add(&mut self, key: &str, value: Kept, meta: Option<Arc<Meta>>, queue: Queue) -> Option<u32> {
        let bulk = Bulk { key: key.into(), value, meta, queue };
        self.bytes[queue as usize] += bulk.weight();
        match self.free.pop() {
            Some(number) => {
                self.list[number as usize] = Some(bulk);
                Some(number)
            }
            None => {
                self.list.push(Some(bulk));
                u32::try_from(self.list.len() - 1).ok()
            }
        }
    }

    pub fn get(&self, number: u32) -> Option<&Bulk> {
        self.list.get(number as usize)?.as_ref()
    }

    pub fn remove(&mut self, number: u32) {
        if let Some(bulk) = self.list.get_mut(number as usize).and_then(Option::take) {
            self.bytes[bulk.queue as usize] -= bulk.weight();
            self.free.push(number);
            if self.free.len() == self.list.len() {
                (self.list, self.free) = (Vec::new(), Vec::new());
            }
        }
    }

    /// Its stub is in another queue from here on.
    pub fn enter(&mut self, number: u32, queue: Queue) {
        if let Some(bulk) = self.list.get_mut(number as usize).and_then(Option::as_mut) {
            let weight = bulk.weight();
            self.bytes[bulk.queue as usize] -= weight;
            self.bytes[queue as usize] += weight;
            bulk.queue = queue;
        }
    }

    pub fn bytes_of(&self, queue: Queue) -> usize {
        self.bytes[queue as usize]
    }

    pub fn bytes(&self) -> usize {
        self.bytes[0] + self.bytes[1]
    }
}
