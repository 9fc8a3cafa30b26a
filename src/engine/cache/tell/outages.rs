//! How many outages an engine's servers have had, and for how long: counters, which never go down.
//!
//! Each server has its own: on a cluster two that are away for a second are two outages, of two seconds in all. One
//! ends when its server is back, or when it serves no slot any more: nobody misses it then. The clock is monotonic, and
//! is read under the lock, so that who asks later is never told less.

use parking_lot::Mutex;

use crate::engine::base::clock::Clock;

#[derive(Default)]
pub struct Outages(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    count: u64,
    /// Milliseconds of those that are over.
    over_ms: u64,
    /// The place of the server of each that is under way, and when it began.
    since: Vec<(u16, u64)>,
}

impl Outages {
    /// A server is away; it may be known to be.
    pub fn begin(&self, place: u16, clock: &Clock) {
        let mut inner = self.0.lock();
        if !inner.since.iter().any(|(other, _)| *other == place) {
            inner.count += 1;
            inner.since.push((place, clock.now_ms()));
        }
    }

    /// Only those of these servers are outages still.
    pub fn keep(&self, is_away: impl Fn(u16) -> bool, clock: &Clock) {
        let Inner { over_ms, since, .. } = &mut *self.0.lock();
        since.retain(|(place, began)| {
            let stays = is_away(*place);
            if !stays {
                *over_ms += clock.now_ms().saturating_sub(*began);
            }
            stays
        });
    }

    /// A server is back.
    pub fn end(&self, place: u16, clock: &Clock) {
        self.keep(|other| other != place, clock);
    }

    /// How many there were, and their milliseconds until now.
    pub fn total(&self, clock: &Clock) -> (u64, u64) {
        let inner = self.0.lock();
        let now = clock.now_ms();
        (inner.count, inner.over_ms + inner.since.iter().map(|(_, began)| now.saturating_sub(*began)).sum::<u64>())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Outages;
    use crate::engine::base::clock::{Clock, Told, origin};

    #[test]
    fn each_server_has_its_own_and_one_under_way_counts_until_now() {
        let told = Arc::new(Told::new(origin()));
        let (clock, at) = (Clock::Told(told.clone()), |ms: u64| told.set(ms * 1_000_000));
        let outages = Outages::default();
        assert_eq!(outages.total(&clock), (0, 0));
        outages.begin(1, &clock);
        at(100);
        // It is known to be away, and another one is as well.
        outages.begin(1, &clock);
        outages.begin(2, &clock);
        at(300);
        assert_eq!(outages.total(&clock), (2, 500));
        outages.end(1, &clock);
        outages.end(7, &clock);
        at(1_000);
        assert_eq!(outages.total(&clock), (2, 1_200));
        // The other one serves nothing any more, and is away again later.
        outages.keep(|place| place != 2, &clock);
        at(2_000);
        assert_eq!(outages.total(&clock), (2, 1_200));
        outages.begin(2, &clock);
        assert_eq!(outages.total(&clock), (3, 1_200));
    }
}
