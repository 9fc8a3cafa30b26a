//! A signal between tasks and threads that knows no runtime: raised while nobody waits, it is not lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use event_listener::Event;

/// Raised by anybody, taken by one task.
#[derive(Debug, Default)]
pub struct Signal {
    raised: AtomicBool,
    event: Event,
}

impl Signal {
    pub fn raise(&self) {
        self.raised.store(true, Ordering::SeqCst);
        self.event.notify(usize::MAX);
    }

    /// Waits until it is raised, and takes it.
    pub async fn raised(&self) {
        loop {
            if self.take() {
                return;
            }
            let listener = self.event.listen();
            // It may have been raised before the listener was there.
            if self.take() {
                return;
            }
            listener.await;
        }
    }

    fn take(&self) -> bool {
        self.raised.swap(false, Ordering::SeqCst)
    }
}

/// Something that ends: all who watch it are told when it is dropped.
#[derive(Default)]
pub struct Ending(Arc<Over>);

#[derive(Default)]
struct Over {
    over: AtomicBool,
    event: Event,
}

/// Watches an [`Ending`].
pub struct Watched(Arc<Over>);

impl Ending {
    pub fn watch(&self) -> Watched {
        Watched(self.0.clone())
    }

    /// Whether anybody watches it.
    pub fn is_watched(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
        self.0.event.notify(usize::MAX);
    }
}

impl Watched {
    /// Waits until it is over.
    pub async fn over(&self) {
        while !self.0.over.load(Ordering::SeqCst) {
            let listener = self.0.event.listen();
            // It may have ended before the listener was there.
            if !self.0.over.load(Ordering::SeqCst) {
                listener.await;
            }
        }
    }
}
