//! What waits in order, each with a deadline of its own; and the earliest of these.
//!
//! The connection asks for the earliest deadline at each step. With many caches thousands of pipelines are under way,
//! and each cache has its own patience, so neither a look at all of them nor one at the front
//! alone will do.

use std::collections::VecDeque;
use std::time::Instant;

pub struct Queue<T> {
    items: VecDeque<T>,
    /// Deadlines that are earlier than all behind them, each with the number of what has it.
    earliest: VecDeque<(u64, Instant)>,
    /// The number of the front.
    first: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), earliest: VecDeque::new(), first: 0 }
    }
}

impl<T> Queue<T> {
    pub fn push_back(&mut self, item: T, deadline: Instant) {
        while self.earliest.back().is_some_and(|(_, later)| *later >= deadline) {
            self.earliest.pop_back();
        }
        self.earliest.push_back((self.first + self.items.len() as u64, deadline));
        self.items.push_back(item);
    }

    pub fn pop_front(&mut self) -> Option<T> {
        let item = self.items.pop_front()?;
        if self.earliest.front().is_some_and(|(number, _)| *number == self.first) {
            self.earliest.pop_front();
        }
        self.first += 1;
        Some(item)
    }

    pub fn front(&self) -> Option<&T> {
        self.items.front()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn earliest(&self) -> Option<Instant> {
        self.earliest.front().map(|(_, deadline)| *deadline)
    }
}
