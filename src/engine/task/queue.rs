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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::Queue;

    proptest! {
        #[test]
        fn the_earliest_deadline_is_that_of_a_look_at_all(
            steps in prop::collection::vec(prop::option::of(0_u64..50), 1..200),
        ) {
            let now = Instant::now();
            let (mut queue, mut all) = (Queue::default(), std::collections::VecDeque::new());
            for step in steps {
                if let Some(ms) = step {
                    let deadline = now + Duration::from_millis(ms);
                    queue.push_back(ms, deadline);
                    all.push_back((ms, deadline));
                } else {
                    prop_assert_eq!(queue.pop_front(), all.pop_front().map(|(ms, _)| ms));
                }
                prop_assert_eq!(queue.earliest(), all.iter().map(|(_, deadline)| *deadline).min());
                prop_assert_eq!(queue.is_empty(), all.is_empty());
            }
        }
    }
}
