//! When a cluster is asked for its topology again: soon after something says that it has changed, and now and then.
//!
//! **The problem.** A MOVED, or a connection that breaks, says that the topology is another one. While slots move or a
//! primary is down there are thousands of them a second, from every call in flight, and the answer may go on being the
//! old one for as long as the cluster needs to agree on a new one. And a cluster may change without a word: a replica
//! is added, or a primary is replaced that nobody calls.
//!
//! **The approach.** A wish is remembered and not counted. At most one refresh is under way; a wish that comes
//! meanwhile may be about something newer than the answer, so another one follows. Between two there is a pause, which
//! doubles while nothing changes, and which is short again after a change, and for the first wish after a calm. So the
//! first MOVED is followed at once, and a storm of them costs a refresh a second; five a second while a server is away,
//! for half a minute, as its replica may take its place at any moment. Without a wish there is one in 15 s,
//! with jitter, as a fleet of processes that was started in one moment shall not ask in one.
//!
//! **Rejected.** *To refresh only after MOVED*, as some clients do: where all calls to a node fail nothing says MOVED,
//! and a node that is replaced under its old name may send it for ever. *A refresh a wish, bounded by a queue*: the
//! last one in it learns nothing that the first did not.
//!
//! **The limit.** A wish is granted after up to [`LONGEST_PAUSE`] in a storm; MOVED names the new owner meanwhile.

use std::time::{Duration, Instant};

use crate::engine::base::random::Random;

/// How often a topology is asked for that nobody wishes for, give or take [`JITTER`].
pub const PERIOD: Duration = Duration::from_secs(15);
/// The part of a period by which it is longer or shorter at most.
const JITTER: f64 = 0.1;
/// The pause between the end of a refresh and the beginning of the next one: at first, and after one that found a
/// change.
pub const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// It doubles until this, while refreshes find nothing new or fail. A calm is what lasts this long beyond it.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// It doubles until this while a server is away whose replica may take its place, for [`HURRY`] at the most.
pub const HURRIED_PAUSE: Duration = Duration::from_millis(200);
/// An election takes seconds; who is away for longer may stay so.
pub const HURRY: Duration = Duration::from_secs(30);
/// Bounds of a period that a user may give.
const SHORTEST_PERIOD: Duration = Duration::from_secs(2);
const LONGEST_PERIOD: Duration = Duration::from_secs(24 * 60 * 60);

/// What came of a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Change,
    Same,
    /// No node answered, or not in a way that can be believed: it is wished for again.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Until the period is over.
    Idle,
    Wished,
    UnderWay {
        wished_again: bool,
    },
}

/// The refreshes of one cluster.
pub struct Pace {
    random: Random,
    period: Duration,
    state: State,
    /// The one after the next refresh, if that finds nothing new.
    pause: Duration,
    /// When the last pause ends, or ended.
    rested: Instant,
    /// When the period ends.
    due: Instant,
    /// Until when a change is expected soon.
    hurried: Instant,
}

impl Pace {
    /// Begins with a wish, as nothing is known yet. A period of less than two seconds, or of more than a day, is taken
    /// for these.
    pub fn new(period: Duration, random: Random, now: Instant) -> Self {
        let period = period.clamp(SHORTEST_PERIOD, LONGEST_PERIOD);
        Self { random, period, state: State::Wished, pause: SHORTEST_PAUSE, rested: now, due: now, hurried: now }
    }

    /// Something says that the topology is another one: MOVED, a lost connection, CLUSTERDOWN.
    pub fn wish(&mut self, now: Instant) {
        match &mut self.state {
            State::Idle => {
                if now.saturating_duration_since(self.rested) >= LONGEST_PAUSE {
                    self.pause = SHORTEST_PAUSE;
                }
                self.state = State::Wished;
            }
            State::Wished => {}
            State::UnderWay { wished_again } => *wished_again = true,
        }
    }

    /// A server is away from now on.
    pub fn hurry(&mut self, now: Instant) {
        self.hurried = now + HURRY;
        self.pause = SHORTEST_PAUSE;
        self.wish(now);
    }

    /// The moment from which `begin` says yes; none while a refresh is under way.
    pub fn next_moment(&self) -> Option<Instant> {
        match self.state {
            State::Idle => Some(self.due.max(self.rested)),
            State::Wished => Some(self.rested),
            State::UnderWay { .. } => None,
        }
    }

    /// Whether a refresh is to be made now. Whoever hears yes makes it, within a time of its own, and tells its `end`.
    pub fn begin(&mut self, now: Instant) -> bool {
        let begins = self.next_moment().is_some_and(|moment| moment <= now);
        if begins {
            self.state = State::UnderWay { wished_again: false };
        }
        begins
    }

    /// A refresh has ended.
    pub fn end(&mut self, found: Found, now: Instant) {
        let State::UnderWay { wished_again } = self.state else { return };
        self.state = if wished_again || found == Found::Nothing { State::Wished } else { State::Idle };
        if found == Found::Change {
            self.pause = SHORTEST_PAUSE;
        }
        self.rested = now + self.pause;
        if found != Found::Change {
            let longest = if now < self.hurried { HURRIED_PAUSE } else { LONGEST_PAUSE };
            self.pause = self.pause.saturating_mul(2).min(longest);
        }
        self.due = now + self.period.mul_f64(1.0 - JITTER + 2.0 * JITTER * self.random.part());
    }
}
