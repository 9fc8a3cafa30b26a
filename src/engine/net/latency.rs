//! How long the last round trips to a server took, for those who look after it.
//!
//! Pipelines are measured, not calls: all calls of a batch share one. The percentiles are of a window of the last ones,
//! as a mean over an hour would hide the minute in which a server became slow.

use std::time::Duration;

use parking_lot::Mutex;

/// How many round trips the percentiles look back on.
const WINDOW: usize = 1024;

/// The last round trips of a server.
#[derive(Debug, Default)]
pub struct Latency(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    /// Microseconds.
    samples: Vec<u32>,
    /// The oldest, once there are as many as are kept.
    next: usize,
}

impl Latency {
    pub fn record(&self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        let Window { samples, next } = &mut *self.0.lock();
        if samples.len() < WINDOW {
            samples.push(micros);
        } else {
            samples[*next] = micros;
            *next = (*next + 1) % WINDOW;
        }
    }
}

/// p50 and p99 of all that these keep, in milliseconds; 0 before the first round trip.
pub fn percentiles<'a>(all: impl IntoIterator<Item = &'a Latency>) -> (f64, f64) {
    let mut samples: Vec<u32> = all.into_iter().flat_map(|one| one.0.lock().samples.clone()).collect();
    samples.sort_unstable();
    let at = |q: f64| {
        let i = ((samples.len() as f64 * q).ceil() as usize).clamp(1, samples.len().max(1)) - 1;
        samples.get(i).map_or(0.0, |&us| f64::from(us) / 1000.0)
    };
    (at(0.50), at(0.99))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Latency, WINDOW, percentiles};

    #[test]
    fn the_last_round_trips_of_all_servers_count() {
        let (one, other) = (Latency::default(), Latency::default());
        assert_eq!(percentiles([&one, &other]), (0.0, 0.0));
        (0..WINDOW + 500).for_each(|_| one.record(Duration::from_millis(9)));
        (0..WINDOW).for_each(|_| one.record(Duration::from_millis(1)));
        assert_eq!(percentiles([&one]), (1.0, 1.0));
        (0..WINDOW / 50).for_each(|_| other.record(Duration::from_millis(5)));
        assert_eq!(percentiles([&one, &other]), (1.0, 5.0));
    }
}
