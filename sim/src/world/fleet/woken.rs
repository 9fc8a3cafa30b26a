//! Who can go on: a flag for each node, which its tasks raise, and one for all of a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

/// Raised when a task can go on, and the one of all with it.
#[derive(Default)]
pub struct Woken {
    raised: AtomicBool,
    all: Option<Arc<Self>>,
}

impl Woken {
    /// One of these.
    pub fn one_of(all: &Arc<Self>) -> Arc<Self> {
        // Nothing of it has been polled yet.
        Arc::new(Self { raised: AtomicBool::new(true), all: Some(all.clone()) })
    }

    pub fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(self.clone())
    }

    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    /// Whether it was raised; it is no more.
    pub fn take(&self) -> bool {
        // Most are not, and a look costs less.
        self.is_raised() && self.raised.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.raised.store(true, Ordering::Release);
        if let Some(all) = &self.all {
            all.raised.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Woken;

    #[test]
    fn who_is_woken_raises_the_flag_of_all_and_no_other() {
        let all = Arc::new(Woken::default());
        let (one, other) = (Woken::one_of(&all), Woken::one_of(&all));
        assert!(one.take() && other.take() && !all.is_raised(), "each is polled once in any case");
        one.waker().wake_by_ref();
        assert!(all.take() && one.take() && !other.is_raised());
        assert!(!one.take(), "it was taken");
    }
}
