//! Which of the parts that were sent to each server have been answered: whoever sends a call once more must know when
//! all that was sent before it has been.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// The parts that were sent to each server, as far as they are not answered.
#[derive(Default)]
pub struct Counts {
    lines: Mutex<HashMap<u16, Line>>,
    /// Somebody waits for answers.
    watched: AtomicBool,
}

#[derive(Default)]
struct Line {
    /// Number of the first that is under way, and of each from there on whether it has been answered.
    first: u64,
    under_way: VecDeque<bool>,
}

impl Counts {
    /// Whether somebody waits for answers.
    pub fn watch(&self, watched: bool) {
        self.watched.store(watched, Ordering::SeqCst);
    }

    /// A part is sent; its number.
    pub fn sent(&self, place: u16) -> u64 {
        let mut lines = self.lines.lock();
        let line = lines.entry(place).or_default();
        line.under_way.push_back(false);
        line.first + line.under_way.len() as u64 - 1
    }

    /// It has been answered; whether somebody may wait for that.
    pub fn answered(&self, place: u16, number: u64) -> bool {
        let mut lines = self.lines.lock();
        let Some(line) = lines.get_mut(&place) else { return false };
        let at = number.checked_sub(line.first).and_then(|at| usize::try_from(at).ok());
        if let Some(done) = at.and_then(|at| line.under_way.get_mut(at)) {
            *done = true;
        }
        while line.under_way.front() == Some(&true) {
            line.under_way.pop_front();
            line.first += 1;
        }
        self.watched.load(Ordering::SeqCst)
    }

    /// The number that the next part will have.
    pub fn next(&self, place: u16) -> u64 {
        self.lines.lock().get(&place).map_or(0, |line| line.first + line.under_way.len() as u64)
    }

    /// Whether all parts in front of this number have been answered.
    pub fn reached(&self, place: u16, number: u64) -> bool {
        self.lines.lock().get(&place).is_none_or(|line| line.first >= number)
    }
}
