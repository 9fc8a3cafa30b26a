//! Who in this process waits for a computation of another one.

use std::collections::BTreeMap;
use std::sync::Arc;

use event_listener::{Event, EventListener};
use parking_lot::Mutex;

/// Those of this process who wait for another process's computation, by key, and how many they are.
#[derive(Default)]
pub struct Waiting(Mutex<BTreeMap<Box<str>, Watched>>);

#[derive(Default)]
struct Watched {
    changed: Arc<Event>,
    watches: usize,
}

impl Waiting {
    /// Waits for changes of `key`, from now on.
    pub fn on<'a>(&'a self, key: &'a str) -> Watch<'a> {
        let mut keys = self.0.lock();
        let watched = keys.entry(key.into()).or_default();
        watched.watches += 1;
        Watch { waiting: self, key, changed: watched.changed.clone() }
    }

    /// `key` changed.
    pub fn wake(&self, key: &str) {
        if let Some(watched) = self.0.lock().remove(key) {
            watched.changed.notify(usize::MAX);
        }
    }

    /// Everything may have changed.
    pub fn wake_all(&self) {
        for watched in std::mem::take(&mut *self.0.lock()).into_values() {
            watched.changed.notify(usize::MAX);
        }
    }

    /// How many keys are waited for.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One who waits for a key. The last to go takes the key's entry along: where nothing is pushed, nobody else does.
pub struct Watch<'a> {
    waiting: &'a Waiting,
    key: &'a str,
    changed: Arc<Event>,
}

impl Watch<'_> {
    /// Ends with the first change from now on.
    pub fn changed(&self) -> EventListener {
        self.changed.listen()
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut keys = self.waiting.0.lock();
        // Woken, its entry is gone; another may have come since.
        let own = keys.get_mut(self.key).filter(|watched| Arc::ptr_eq(&watched.changed, &self.changed));
        let Some(watched) = own else { return };
        watched.watches -= 1;
        if watched.watches == 0 {
            keys.remove(self.key);
        }
    }
}
