//! What is planned: events by their moments, and among those of one moment in the order in which they were planned.
//!
//! Most of what is planned is that somebody goes on, whose moment is put forward again and again. Each of them has one
//! moment at most, in a place of its own; the rest lies in a heap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::history::Nanos;

/// A moment, and how many events were planned before.
type At = (Nanos, u64);

const NEVER: At = (Nanos::MAX, u64::MAX);

pub struct Agenda<E, const PLACES: usize> {
    planned: u64,
    places: [(At, Option<E>); PLACES],
    others: BinaryHeap<Reverse<(At, E)>>,
}

impl<E: Copy + Ord, const PLACES: usize> Agenda<E, PLACES> {
    pub fn new() -> Self {
        Self { planned: 0, places: [(NEVER, None); PLACES], others: BinaryHeap::with_capacity(64) }
    }

    /// Plans an event. Where it has a place of its own and stands there for an earlier moment, that one stays.
    pub fn plan(&mut self, at: Nanos, place: Option<usize>, event: E) {
        let number = self.planned;
        match place {
            None => self.others.push(Reverse(((at, number), event))),
            Some(place) if self.places[place].0.0 > at => self.places[place] = ((at, number), Some(event)),
            Some(_) => return,
        }
        self.planned += 1;
    }

    /// Whether something stands in a place.
    pub fn has(&self, place: usize) -> bool {
        self.places[place].1.is_some()
    }

    /// Takes the next event.
    pub fn next(&mut self) -> Option<(Nanos, E)> {
        let mut first = self.others.peek().map_or(NEVER, |Reverse((at, _))| *at);
        let mut found = None;
        for (place, (at, _)) in self.places.iter().enumerate() {
            if *at < first {
                first = *at;
                found = Some(place);
            }
        }
        match found {
            Some(place) => {
                let (at, event) = std::mem::replace(&mut self.places[place], (NEVER, None));
                event.map(|event| (at.0, event))
            }
            None => self.others.pop().map(|Reverse((at, event))| (at.0, event)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Agenda;

    #[test]
    fn events_come_by_their_moments_then_by_their_order_and_a_place_has_one() {
        let mut agenda = Agenda::<char, 2>::new();
        for (at, place, event) in [
            (7, None, 'd'),
            (5, Some(1), 'x'),
            (3, None, 'a'),
            (3, Some(1), 'b'),
            (3, None, 'c'),
            (9, Some(1), 'x'),
            (9, Some(0), 'e'),
        ] {
            agenda.plan(at, place, event);
        }
        assert!(agenda.has(0) && agenda.has(1));
        let all: String = std::iter::from_fn(|| agenda.next()).map(|(_, event)| event).collect();
        assert_eq!(all, "abcde");
        assert!(!agenda.has(0) && !agenda.has(1));
    }
}
