//! Runs tasks on a time that leaps from one moment to the next: what takes minutes takes no time.

use std::task::{Context, Poll, Waker};

use crate::engine::task::executor::Tasks;
use crate::engine::task::timers::Timers;

/// Runs a task to its end on a time that leaps from one moment to the next.
pub fn finish<T>(timers: &Timers, task: impl Future<Output = T>) -> T {
    let mut task = std::pin::pin!(task);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = task.as_mut().poll(&mut context) {
            return value;
        }
        timers.set(timers.next().expect("a task that waits for nothing never ends"));
    }
}

/// Runs tasks on such a time until `is_done`, or there are none.
pub fn run_until(tasks: &mut Tasks, is_done: impl Fn() -> bool) {
    let mut context = Context::from_waker(Waker::noop());
    while !is_done() && !tasks.is_empty() {
        while tasks.poll(&mut context) {}
        if let Some(moment) = tasks.spawner().timers().next() {
            tasks.spawner().timers().set(moment);
        }
    }
}
