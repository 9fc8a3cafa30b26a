//! The bell by which other threads ask an event loop for a step: it rings once until that step is made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Wake;

use once_cell::sync::OnceCell;

/// Asks the owner for a step, from any thread.
pub type Poke = Box<dyn Fn() + Send + Sync>;

const RESTING: u8 = 0;
const STEPPING: u8 = 1;
/// Something came while a step is being made.
const AGAIN: u8 = 2;
const RUNG: u8 = 3;

/// Rings for a step, once.
#[derive(Default)]
pub struct Bell {
    state: AtomicU8,
    pub poke: OnceCell<Poke>,
}

impl Bell {
    /// A step is asked for.
    pub fn ring(self: &Arc<Self>) {
        self.wake_by_ref();
    }

    /// A step begins.
    pub fn begin(&self) {
        self.state.store(STEPPING, Ordering::SeqCst);
    }

    /// It is over, whatever came meanwhile.
    pub fn end(&self) {
        self.state.store(RESTING, Ordering::SeqCst);
    }

    /// Whether nothing came since the last look.
    pub fn rest(&self) -> bool {
        let rested = self.state.compare_exchange(STEPPING, RESTING, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if !rested {
            self.state.store(STEPPING, Ordering::SeqCst);
        }
        rested
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let next = |state| match state {
            RESTING => Some(RUNG),
            STEPPING => Some(AGAIN),
            _ => None,
        };
        let before = self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
        if let (Ok(RESTING), Some(poke)) = (before, self.poke.get()) {
            poke();
        }
    }
}
