//! The time as whoever drives an engine tells it, and the moments that its tasks wait for.
//!
//! Nothing here looks at a clock: a thread tells the time of the machine, a simulator a time of its own.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use parking_lot::Mutex;

use crate::engine::base::clock;

/// Cheap to clone; all clones tell the same time.
#[derive(Clone)]
pub struct Timers(Arc<Mutex<State>>);

struct State {
    now: Instant,
    /// Who waits, by moment; the number tells tasks of one moment apart.
    waiting: BTreeMap<(Instant, u64), Waker>,
    last: u64,
}

/// The moment came before what was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late;

impl Timers {
    pub fn new(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(State { now, waiting: BTreeMap::new(), last: 0 })))
    }

    pub fn now(&self) -> Instant {
        self.0.lock().now
    }

    /// As milliseconds of the clock of entries.
    pub fn now_ms(&self) -> u64 {
        clock::millis_of(self.now())
    }

    /// It is `now`: wakes the tasks whose moment has come. Time never goes back.
    pub fn set(&self, now: Instant) {
        let mut due = Vec::new();
        {
            let mut state = self.0.lock();
            state.now = state.now.max(now);
            let now = state.now;
            while let Some(first) = state.waiting.first_entry()
                && first.key().0 <= now
            {
                due.push(first.remove());
            }
        }
        due.into_iter().for_each(Waker::wake);
    }

    /// The first moment that a task waits for.
    pub fn next(&self) -> Option<Instant> {
        self.0.lock().waiting.first_key_value().map(|((moment, _), _)| *moment)
    }

    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }

    pub fn sleep_until(&self, moment: Instant) -> Sleep {
        Sleep { timers: self.clone(), moment, number: None }
    }

    /// Waits for a future until a moment.
    pub async fn until<T>(&self, moment: Instant, future: impl Future<Output = T>) -> Result<T, Late> {
        let future = std::pin::pin!(future);
        match select(future, self.sleep_until(moment)).await {
            Either::Left((value, _)) => Ok(value),
            Either::Right(_) => Err(Late),
        }
    }

    /// Waits for a future that long.
    pub async fn within<T>(&self, duration: Duration, future: impl Future<Output = T>) -> Result<T, Late> {
        self.until(self.now() + duration, future).await
    }
}

/// Ends when its moment has come.
pub struct Sleep {
    timers: Timers,
    moment: Instant,
    /// Under which it waits.
    number: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let timers = self.timers.clone();
        let mut state = timers.0.lock();
        if state.now >= self.moment {
            return Poll::Ready(());
        }
        let number = self.number.unwrap_or(state.last + 1);
        state.last = state.last.max(number);
        self.number = Some(number);
        state.waiting.insert((self.moment, number), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.timers.0.lock().waiting.remove(&(self.moment, number));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use futures_util::FutureExt;

    use super::{Late, Timers};

    #[test]
    fn time_goes_on_only_when_it_is_told() {
        let start = Instant::now();
        let timers = Timers::new(start);
        let mut sleep = timers.sleep(Duration::from_secs(5));
        assert_eq!((&mut sleep).now_or_never(), None);
        assert_eq!(timers.next(), Some(start + Duration::from_secs(5)));
        timers.set(start + Duration::from_secs(4));
        assert_eq!((&mut sleep).now_or_never(), None);
        timers.set(start + Duration::from_secs(5));
        assert_eq!((&mut sleep).now_or_never(), Some(()));
        assert_eq!(timers.next(), None, "whoever was woken waits no more");
        timers.set(start);
        assert_eq!(timers.now(), start + Duration::from_secs(5), "time never goes back");
    }

    #[test]
    fn what_comes_in_time_wins_and_leaves_no_moment_behind() {
        let start = Instant::now();
        let timers = Timers::new(start);
        let in_time = timers.within(Duration::from_secs(1), std::future::ready(7)).now_or_never();
        assert_eq!(in_time, Some(Ok(7)));
        let mut late = Box::pin(timers.within(Duration::from_secs(1), std::future::pending::<()>()));
        assert_eq!((&mut late).now_or_never(), None);
        timers.set(start + Duration::from_secs(2));
        assert_eq!((&mut late).now_or_never(), Some(Err(Late)));
        drop(late);
        let mut left = timers.sleep(Duration::from_secs(1));
        assert_eq!((&mut left).now_or_never(), None);
        drop(left);
        assert_eq!(timers.next(), None, "nor does whoever waits no more");
    }
}
