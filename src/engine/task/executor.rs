//! Runs the tasks of one engine wherever its driver polls them: on a thread, on the event loop, in a simulator.
//!
//! Conversations of several steps (leases, refreshes, sweeps, recovery) read well as async functions. They run here,
//! over moments that the driver names and replies that the machine is handed, and need no runtime behind them.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use futures_util::task::AtomicWaker;
use futures_util::{FutureExt, StreamExt};
use parking_lot::Mutex;

use crate::engine::task::timers::Timers;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Begins tasks, on any thread. Cheap to clone.
#[derive(Clone)]
pub struct Spawner(Arc<Begun>);

struct Begun {
    /// None once nobody polls them any more.
    tasks: Mutex<Option<Vec<Task>>>,
    waker: AtomicWaker,
    /// Somebody polls them.
    driven: AtomicBool,
    timers: Timers,
}

impl Spawner {
    /// Where nobody will poll it any more it is dropped at once, as those are that were under way: whoever waits for
    /// it is told.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // What panics in one ends that one: what it held is dropped, and so answered.
        let task = AssertUnwindSafe(task).catch_unwind().map(|_| ());
        let late = {
            let mut tasks = self.0.tasks.lock();
            match &mut *tasks {
                Some(tasks) => {
                    tasks.push(Box::pin(task));
                    None
                }
                None => Some(task),
            }
        };
        drop(late);
        self.0.waker.wake();
    }

    /// As `spawn`; the task ends when what is returned is dropped.
    pub fn spawn_for(&self, task: impl Future<Output = ()> + Send + 'static) -> Kept {
        let (handle, registration) = AbortHandle::new_pair();
        let task = Abortable::new(task, registration);
        self.spawn(async move {
            // Ended early or late: nobody asks.
            let _ = task.await;
        });
        Kept(handle)
    }

    pub fn timers(&self) -> &Timers {
        &self.0.timers
    }

    /// Whether somebody polls what is begun. Where the thread could not be started, nobody does.
    pub fn is_driven(&self) -> bool {
        self.0.driven.load(Ordering::SeqCst)
    }

    /// Tells that somebody will.
    pub fn drive(&self) {
        self.0.driven.store(true, Ordering::SeqCst);
    }

    /// Whether none waits to be polled for the first time.
    fn has_none(&self) -> bool {
        self.0.tasks.lock().as_ref().is_none_or(Vec::is_empty)
    }
}

/// Keeps a task going.
pub struct Kept(AbortHandle);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The tasks of one engine.
pub struct Tasks {
    running: FuturesUnordered<Task>,
    spawner: Spawner,
}

impl Tasks {
    pub fn new(now: Instant) -> Self {
        let begun = Begun {
            tasks: Mutex::new(Some(Vec::new())),
            waker: AtomicWaker::new(),
            driven: AtomicBool::new(false),
            timers: Timers::new(now),
        };
        Self { running: FuturesUnordered::new(), spawner: Spawner(Arc::new(begun)) }
    }

    pub fn spawner(&self) -> &Spawner {
        &self.spawner
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty() && self.spawner.has_none()
    }

    /// Runs all tasks that can go on; whether any did. The waker is told when one can again.
    pub fn poll(&mut self, context: &mut Context<'_>) -> bool {
        let mut went_on = false;
        loop {
            self.spawner.0.waker.register(context.waker());
            self.running.extend(self.spawner.0.tasks.lock().as_mut().map(std::mem::take).unwrap_or_default());
            match self.running.poll_next_unpin(context) {
                Poll::Ready(Some(())) => went_on = true,
                Poll::Ready(None) | Poll::Pending => {
                    if self.spawner.has_none() {
                        return went_on;
                    }
                    went_on = true;
                }
            }
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        // First: what a task begins while it is dropped would be polled by nobody.
        self.spawner.0.driven.store(false, Ordering::SeqCst);
        let begun = self.spawner.0.tasks.lock().take();
        drop(begun);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Waker};
    use std::time::Instant;

    use futures_channel::oneshot;

    use super::Tasks;

    #[test]
    fn who_waits_for_a_task_that_nobody_polls_any_more_is_told() {
        let tasks = Tasks::new(Instant::now());
        let spawner = tasks.spawner().clone();
        let begin = || {
            let (done, mut said) = oneshot::channel();
            spawner.spawn(async move { _ = done.send(()) });
            move || said.try_recv()
        };
        let mut before = begin();
        assert_eq!(before(), Ok(None), "it may be polled still");
        drop(tasks);
        assert!(before().is_err(), "begun before, and never polled");
        assert!(begin()().is_err(), "begun behind the end");
    }

    #[test]
    fn a_task_that_panics_ends_alone_and_one_that_nobody_keeps_ends_early() {
        let mut tasks = Tasks::new(Instant::now());
        let done = Arc::new(AtomicUsize::new(0));
        let count = |done: Arc<AtomicUsize>| async move { _ = done.fetch_add(1, Ordering::SeqCst) };
        tasks.spawner().spawn(async { panic!("within a task") });
        drop(tasks.spawner().spawn_for(count(done.clone())));
        let kept = tasks.spawner().spawn_for(count(done.clone()));
        tasks.spawner().spawn(count(done.clone()));
        tasks.poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(done.load(Ordering::SeqCst), 2);
        assert!(tasks.is_empty());
        drop(kept);
    }
}
