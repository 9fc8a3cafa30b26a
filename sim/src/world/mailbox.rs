//! Where an engine's replies go until their environment looks, and the counters that both share.

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

/// Where the engine's replies go, until the environment looks.
pub struct Mailbox {
    pub client: u32,
    pub closed: AtomicBool,
    pub replies: Mutex<Vec<(u32, Vec<Reply>)>>,
    pub events: Mutex<Vec<String>>,
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
        self.replies.lock().push((id, replies.to_vec()));
    }

    fn event(&self, json: String) {
        self.events.lock().push(json);
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
            versions: Arc::new(Counters((0..COUNTERS).map(|_| AtomicI32::new(0)).collect())),
        }
    }
}
