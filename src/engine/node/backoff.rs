//! Pauses between dials: full jitter below a limit that doubles.

use std::time::Duration;

use crate::engine::base::error::Kind;
use crate::engine::base::random::Random;

/// The first pause between two dials is up to this long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// And each later one up to twice the one before, until this.
pub use crate::engine::fleet::members::LONGEST_PAUSE;
/// A connection that lived so long has lasted: the next outage begins with short pauses again.
const LASTING: Duration = Duration::from_secs(10);

/// How often in a row a dial failed, or a connection did not last.
#[derive(Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The pause before the next dial. Also the first dial after a loss has one: a fleet that lost its server in one
    /// moment does not come back in one.
    ///
    /// `longest`: of what does not last; `LONGEST_PAUSE` or less.
    pub fn pause(&mut self, kind: Kind, longest: Duration, random: &Random) -> Duration {
        let limit = match kind {
            kind if kind.is_lasting() => LONGEST_PAUSE,
            _ => FIRST_PAUSE.saturating_mul(1 << self.tries.min(16)).min(longest),
        };
        self.tries = self.tries.saturating_add(1);
        limit.mul_f64(random.part())
    }

    /// A connection was lost that lived so long.
    pub fn lived(&mut self, life: Duration) {
        if life > LASTING {
            self.tries = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, FIRST_PAUSE, LONGEST_PAUSE};
    use crate::engine::base::error::Kind;
    use crate::engine::base::random::Random;

    #[test]
    fn pauses_grow_up_to_their_limit_and_are_long_at_once_for_what_lasts() {
        let random = Random::seeded(1);
        for round in 0..100 {
            let mut backoff = Backoff::default();
            assert!(backoff.pause(Kind::Connect, LONGEST_PAUSE, &random) <= FIRST_PAUSE, "round {round}");
            assert!(backoff.pause(Kind::Connect, LONGEST_PAUSE, &random) <= FIRST_PAUSE * 2, "round {round}");
            assert!(
                (0..40).all(|_| backoff.pause(Kind::Timeout, LONGEST_PAUSE, &random) <= LONGEST_PAUSE),
                "round {round}"
            );
        }
        let longest = (0..100).map(|_| Backoff::default().pause(Kind::Auth, LONGEST_PAUSE, &random)).max();
        assert!(longest > Some(FIRST_PAUSE * 8), "{longest:?}");
    }
}
