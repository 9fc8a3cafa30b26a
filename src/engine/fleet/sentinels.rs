//! The sentinels of a fleet: which ones are known, and in which order they are asked where the primary is.
//!
//! **The problem.** Whoever dials a primary by an address it remembers finds a server that is dead, or one that is not
//! the primary any more and takes writes that will be lost. The sentinels know, but any of them may be down, stopped,
//! or behind the others.
//!
//! **The approach.** They are asked before each dial, one after the other in a random order, each for a short while:
//! the first answer counts, and the server that it names must say itself that it is a primary (ROLE, in the handshake).
//! Where it is not, or cannot be dialled, the next dial asks again, in another order, so a sentinel that is behind
//! misleads for one dial and not for ever. Each answer brings the other sentinels along: those that were given may all
//! be gone one day.
//!
//! **Rejected.** *Asking all of them and taking the majority's word*: the slowest would hold up each dial, and the word
//! of ROLE weighs more than that of three sentinels.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::base::random::Random;
use crate::engine::fleet::endpoint::Endpoint;
use crate::engine::net::seeds::Sentinels;
use crate::engine::net::target::{Place, Target};

/// One sentinel may take so long, dial included: it answers from memory, and another one can be asked.
const PATIENCE: Duration = Duration::from_millis(500);
/// All of them together: then it is paused before they are asked again.
const LONGEST: Duration = Duration::from_secs(3);
/// So many are remembered beyond those that were given.
const MOST_LEARNT: usize = 32;

/// Who is asked, and what for.
pub struct Asked {
    sentinels: Sentinels,
    /// Those that others named.
    learnt: Mutex<Vec<Arc<Target>>>,
    given: Vec<Arc<Target>>,
    /// Where they said last that the primary is.
    primary: Mutex<Option<Place>>,
}

/// The sentinels to ask for one dial.
pub struct Round {
    name: Arc<str>,
    left: VecDeque<Arc<Target>>,
}

impl Asked {
    pub fn new(sentinels: Sentinels) -> Self {
        let given = sentinels.nodes.iter().cloned().map(Arc::new).collect();
        Self { sentinels, learnt: Mutex::default(), given, primary: Mutex::default() }
    }

    /// All that are known, in a random order.
    pub fn round(&self, random: &Random) -> Round {
        let mut left: Vec<_> = self.given.iter().chain(self.learnt.lock().iter()).cloned().collect();
        random.shuffle(&mut left);
        Round { name: self.sentinels.name.as_str().into(), left: left.into() }
    }

    /// The primary is here; how it is dialled.
    pub fn named(&self, place: &Place) -> Arc<Target> {
        *self.primary.lock() = Some(place.clone());
        Arc::new(self.sentinels.server(&place.0, place.1))
    }

    /// Where they said last that it is.
    pub fn place(&self) -> Option<String> {
        let (host, port) = self.primary.lock().clone()?;
        Endpoint::new(&host, port).map(|at| at.to_string())
    }

    /// Whether that is where they said last that the primary is.
    pub fn is_at(&self, place: &Place) -> bool {
        self.primary.lock().as_ref() == Some(place)
    }

    /// How many are known.
    pub fn count(&self) -> usize {
        self.given.len() + self.learnt.lock().len()
    }

    /// The name of the primary.
    pub fn name(&self) -> &str {
        &self.sentinels.name
    }

    /// One of them named these others. What was learnt before is forgotten, as what is gone would be asked for ever.
    pub fn others(&self, places: &[Place]) {
        let others = places.iter().filter_map(|(host, port)| self.sentinels.sentinel(host, *port));
        let fresh = others.filter(|target| !self.sentinels.nodes.contains(target)).take(MOST_LEARNT);
        let fresh: Vec<_> = fresh.map(Arc::new).collect();
        if !fresh.is_empty() {
            *self.learnt.lock() = fresh;
        }
    }
}

impl Round {
    pub fn first(&self) -> Option<Arc<Target>> {
        self.left.front().cloned()
    }
}

/// One round of questions.
pub struct Search {
    round: Round,
    until: Instant,
    trouble: Option<Trouble>,
}

impl Search {
    pub fn new(round: Round, now: Instant) -> Self {
        Self { round, until: now + LONGEST, trouble: None }
    }

    /// Whom to ask next, and how long that may take; none where all were asked, or the time is over.
    pub fn next(&mut self, now: Instant) -> Option<(Arc<Target>, Instant)> {
        if now >= self.until {
            return None;
        }
        Some((self.round.left.pop_front()?, now + PATIENCE))
    }

    /// The name of the primary.
    pub fn name(&self) -> &str {
        &self.round.name
    }

    /// One of them did not say where the primary is. What a sentinel said weighs more than that one said nothing.
    pub fn failed(&mut self, trouble: Trouble) {
        let is_worth_more = |before: &Trouble| !matches!(before.kind, Kind::Config | Kind::Auth);
        if self.trouble.as_ref().is_none_or(is_worth_more) {
            self.trouble = Some(trouble);
        }
    }

    /// Why nobody said it.
    pub fn trouble(self) -> Trouble {
        let Some(trouble) = self.trouble else {
            return Trouble::new(Kind::Timeout, "no sentinel answered in time");
        };
        match trouble.kind {
            Kind::Connect | Kind::Connection | Kind::Timeout => {
                let message = format!("no sentinel said where the primary is; the last one: {}", trouble.message);
                Trouble::new(trouble.kind, message)
            }
            _ => trouble,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Asked, LONGEST, Search};
    use crate::engine::base::error::{Kind, Trouble};
    use crate::engine::base::random::Random;
    use crate::engine::net::seeds::Seeds;
    use crate::engine::net::target::{Address, Trust};

    fn asked(url: &str) -> Asked {
        match Seeds::parse(url, Trust::default()) {
            Ok(Seeds::Sentinels(sentinels)) => Asked::new(sentinels),
            _ => panic!("{url} names no sentinels"),
        }
    }

    fn hosts(asked: &Asked, random: &Random) -> Vec<String> {
        let (now, mut found) = (Instant::now(), Vec::new());
        let mut search = Search::new(asked.round(random), now);
        while let Some((target, _)) = search.next(now) {
            match &target.address {
                Address::Tcp { host, port, .. } => found.push(format!("{host}:{port}")),
                Address::Unix(_) => panic!("no socket was given"),
            }
        }
        found
    }

    #[test]
    fn each_round_asks_all_in_another_order_those_that_were_named_too() {
        let random = Random::seeded(1);
        let asked = asked("redis+sentinel://a,b:7,c/main");
        let firsts: std::collections::BTreeSet<_> = (0..50).map(|_| hosts(&asked, &random).remove(0)).collect();
        assert_eq!(firsts.into_iter().collect::<Vec<_>>(), ["a:26379", "b:7", "c:26379"]);
        asked.others(&[("d".into(), 8), ("b".into(), 7)]);
        asked.others(&[]);
        let mut all = hosts(&asked, &random);
        all.sort();
        assert_eq!(all, ["a:26379", "b:7", "c:26379", "d:8"]);
        asked.others(&[("e".into(), 9)]);
        assert!(!hosts(&asked, &random).contains(&"d:8".to_owned()), "it was not named any more");
    }

    #[test]
    fn a_round_ends_with_its_time_and_says_what_weighs_most() {
        let random = Random::seeded(1);
        let asked = asked("redis+sentinel://a,b,c/main");
        let now = Instant::now();
        let mut search = Search::new(asked.round(&random), now);
        assert!(search.next(now).is_some_and(|(_, until)| until > now));
        search.failed(Trouble::new(Kind::Auth, "a password"));
        search.failed(Trouble::new(Kind::Connect, "nobody there"));
        assert!(search.next(now + LONGEST).is_none());
        assert_eq!(search.trouble().message, "a password");
        let mut search = Search::new(asked.round(&random), now);
        search.failed(Trouble::new(Kind::Connect, "nobody there"));
        assert_eq!(search.trouble().message, "no sentinel said where the primary is; the last one: nobody there");
    }
}
