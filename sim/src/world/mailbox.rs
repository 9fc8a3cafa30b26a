//! Where an engine's replies go until their environment looks, who waits for them, and the counters that both share.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use holdfast::engine::call::reply::Reply;
use holdfast::engine::call::sink::{COUNTERS, Sink, Versions};
use parking_lot::Mutex;

/// The counters that an environment shares with its engine.
struct Counters(Vec<AtomicI32>);

impl Versions for Counters {
    fn counters(&self) -> &[AtomicI32] {
        &self.0
    }
}

/// Replies of a batch.
pub struct Came {
    pub id: u32,
    /// Of these operations, where the batch is not answered as a whole.
    pub places: Option<Vec<u32>>,
    pub replies: Vec<Reply>,
}

/// A batch under way: who waits, in the order of the operations, and how many replies are still to come.
pub struct Sent {
    waits: Vec<u64>,
    left: usize,
}

impl Sent {
    pub fn new(waits: Vec<u64>) -> Self {
        Self { left: waits.len(), waits }
    }

    /// What has come is for whom; how many replies that were.
    pub fn take(&mut self, places: Option<Vec<u32>>, replies: Vec<Reply>, to: &mut Vec<(u64, Reply)>) -> usize {
        let Some(places) = places else {
            // What was answered early stands there as `Later`.
            let there = self.waits.iter().copied().zip(replies).filter(|(_, reply)| *reply != Reply::Later);
            to.extend(there);
            return std::mem::take(&mut self.left);
        };
        let there = places.iter().zip(replies).filter(|(_, reply)| *reply != Reply::Later);
        to.extend(there.filter_map(|(place, reply)| Some((*self.waits.get(*place as usize)?, reply))));
        self.left -= places.len();
        places.len()
    }

    pub fn is_over(&self) -> bool {
        self.left == 0
    }
}

/// Where the engine's replies go, until the environment looks.
pub struct Mailbox {
    pub client: u32,
    pub closed: AtomicBool,
    replies: Mutex<Vec<Came>>,
    events: Mutex<Vec<String>>,
    /// Whether there are any: who looks after each event of the world is spared the locks.
    has_replies: AtomicBool,
    has_events: AtomicBool,
    pub versions: Arc<dyn Versions>,
}

impl Sink for Mailbox {
    fn client(&self) -> u32 {
        self.client
    }

    fn closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn complete(&self, id: u32, replies: &[Reply]) {
        self.came(id, None, replies);
    }

    fn complete_some(&self, id: u32, places: &[u32], replies: &[Reply]) {
        self.came(id, Some(places.to_vec()), replies);
    }

    fn event(&self, json: String) {
        self.events.lock().push(json);
        self.has_events.store(true, Ordering::Release);
    }

    fn versions(&self) -> Option<Arc<dyn Versions>> {
        Some(self.versions.clone())
    }
}

impl Mailbox {
    pub fn new() -> Self {
        // Environments are numbered, as each has its own number in its engine.
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Self {
            client: NEXT.fetch_add(1, Ordering::Relaxed),
            closed: AtomicBool::new(false),
            replies: Mutex::default(),
            events: Mutex::default(),
            has_replies: AtomicBool::new(false),
            has_events: AtomicBool::new(false),
            versions: Arc::new(Counters((0..COUNTERS).map(|_| AtomicI32::new(0)).collect())),
        }
    }

    /// Whether replies lie there.
    pub fn has_replies(&self) -> bool {
        self.has_replies.load(Ordering::Acquire)
    }

    fn came(&self, id: u32, places: Option<Vec<u32>>, replies: &[Reply]) {
        self.replies.lock().push(Came { id, places, replies: replies.to_vec() });
        self.has_replies.store(true, Ordering::Release);
    }

    pub fn take_replies(&self) -> Vec<Came> {
        if !self.has_replies() {
            return Vec::new();
        }
        self.has_replies.store(false, Ordering::Release);
        std::mem::take(&mut *self.replies.lock())
    }

    pub fn take_events(&self) -> Vec<String> {
        if !self.has_events.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.has_events.store(false, Ordering::Release);
        std::mem::take(&mut *self.events.lock())
    }
}

/// Who waits for a reply, by numbers that are given in their order, and taken nearly so.
pub struct Waiting<W> {
    /// The number of the front.
    first: u64,
    /// None where the reply has come.
    waits: VecDeque<Option<W>>,
}

impl<W> Waiting<W> {
    pub fn new() -> Self {
        Self { first: 0, waits: VecDeque::new() }
    }

    /// Somebody waits; under which number.
    pub fn add(&mut self, wait: W) -> u64 {
        self.waits.push_back(Some(wait));
        self.first + self.waits.len() as u64 - 1
    }

    /// The reply has come.
    pub fn take(&mut self, number: u64) -> Option<W> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let wait = self.waits.get_mut(at)?.take();
        while let Some(None) = self.waits.front() {
            self.waits.pop_front();
            self.first += 1;
        }
        wait
    }

    /// Who waits.
    pub fn iter(&self) -> impl Iterator<Item = &W> {
        self.waits.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::Waiting;

    #[test]
    fn a_wait_is_taken_once_in_any_order() {
        let mut waiting = Waiting::new();
        let numbers: Vec<_> = (0..3).map(|record| waiting.add(record)).collect();
        for at in [1, 0, 2] {
            assert_eq!(waiting.take(numbers[at]), Some(at));
            assert!(waiting.take(numbers[at]).is_none());
        }
        assert_eq!(waiting.iter().count(), 0);
        let next = waiting.add(3);
        assert!(!numbers.contains(&next));
    }
}
