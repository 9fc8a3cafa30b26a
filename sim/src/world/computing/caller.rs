//! One caller of one key, as src/js/once/caller.js: it leads a flight, follows one, or waits for an answer from
//! elsewhere, and asks again where that gives no value.

use std::sync::Arc;

use holdfast::engine::base::text::Kept;
use holdfast::engine::call::batch::{Op, Why};
use holdfast::engine::call::reply::Reply;

use crate::history::{MICRO, MILLI, Nanos, Outcome};
use crate::world::World;
use crate::world::calls::{Wait, value};
use crate::world::computing::{Go, Later, Way};

/// The pause before a caller asks again for a flight that it was told to follow and that is not here.
const FOLLOW_PAUSE: Nanos = 5 * MILLI;

pub struct Caller {
    pub(super) environment: usize,
    pub(super) record: usize,
    /// Its place among the keys of its call.
    pub(super) at: usize,
    pub(super) key: String,
    /// The id under which the answer to its question may come, or 0.
    pub(super) waiter: u32,
    /// It was told to wait for that answer.
    told: bool,
    /// It was told so in this turn; what it waits for may have come in it.
    fresh: bool,
    came: Option<Reply>,
    /// It has had an answer, and its `hardTimeout` has begun.
    waits: bool,
    /// The call of several keys that it is a part of.
    pub(super) group: Option<usize>,
    /// Its function, where that is one of several callers'.
    pub(super) function: Option<usize>,
    /// The flight that it leads.
    pub(super) leads: Option<usize>,
    /// The flight that it waits for.
    follows: Option<usize>,
    /// The value that it falls back on.
    spare: Option<Stale>,
    /// When it does so, at the latest.
    soft: Option<Nanos>,
    /// It has no `timeout`, whatever its terms say.
    pub(super) patient: bool,
    /// It was told to follow a flight that is not here.
    missed: bool,
    pub(super) settled: bool,
    /// What its function returns.
    pub(super) made: Option<i64>,
}

/// A value whose TTL ended then.
#[derive(Clone)]
pub struct Stale {
    text: Arc<str>,
    ended: i64,
}

impl Stale {
    pub(super) fn new(text: Kept, age: i64, now: Nanos) -> Self {
        // The values of a schedule are short, and none is whole.
        Self { text: text.json().unwrap_or_default(), ended: (now / MILLI) as i64 - age }
    }

    fn age(&self, now: Nanos) -> i64 {
        (now / MILLI) as i64 - self.ended
    }

    pub(super) fn serves_at_once(&self, swr: i64, now: Nanos) -> bool {
        let age = self.age(now);
        age < 0 || age < swr
    }

    pub(super) fn serves_in_need(&self, grace: i64, now: Nanos) -> bool {
        self.age(now) < grace
    }
}

impl Caller {
    /// Whether the answer to its question has not come.
    pub(super) fn still_waits(&self) -> bool {
        self.waiter != 0 && self.came.is_none()
    }

    pub(super) fn new(environment: usize, record: usize, at: usize, key: String) -> Self {
        Self {
            environment,
            record,
            at,
            key,
            waiter: 0,
            told: false,
            fresh: false,
            came: None,
            waits: false,
            group: None,
            function: None,
            leads: None,
            follows: None,
            spare: None,
            soft: None,
            patient: false,
            missed: false,
            settled: false,
            made: None,
        }
    }
}

impl World {
    pub(super) fn way_of_caller(&self, caller: usize) -> Way {
        self.way_of(self.computing.callers[caller].record)
    }

    /// Asks the engine for the key.
    pub(super) fn ask(&mut self, caller: usize) {
        if !self.computing.callers[caller].settled {
            self.question(caller, false);
        }
    }

    /// `many`: it is one key of several.
    pub(super) fn question(&mut self, caller: usize, many: bool) {
        let way = self.way_of_caller(caller);
        let one = &mut self.computing.callers[caller];
        let environment = &mut self.environments[one.environment];
        let waiter = environment.next_id();
        (one.waiter, one.told) = (waiter, false);
        let waits = self.waits.add(Wait::Asked(caller, waiter));
        let lock = way.lock;
        environment.push(&one.key, "", way.asking(), waits, |key, _, more| Op::Begin {
            key,
            waiter,
            lock,
            many,
            early: false,
            more,
        });
    }

    /// An answer that came by itself.
    pub(in crate::world) fn answered_late(&mut self, environment: usize, waiter: u32, reply: Reply) {
        let waits = |c: &Caller| c.environment == environment && c.waiter == waiter;
        if let Some(caller) = self.computing.callers.iter().position(waits) {
            self.asked(caller, waiter, reply);
        }
    }

    /// The engine's answer to the question that has this id.
    pub(in crate::world) fn asked(&mut self, caller: usize, waiter: u32, reply: Reply) {
        let one = &mut self.computing.callers[caller];
        // Told to wait for what has come already.
        if one.waiter != waiter {
            return;
        }
        if reply == Reply::Wait {
            (one.told, one.fresh) = (true, true);
            self.computing.later.push(Later::Told(caller));
        } else if one.fresh {
            one.came = Some(reply);
            return;
        }
        self.hear(caller, reply);
    }

    /// Those who were told to wait in this turn go on: what they wait for may have come in it.
    pub(super) fn go_on_told(&mut self, caller: usize) {
        let one = &mut self.computing.callers[caller];
        one.fresh = false;
        if let Some(reply) = one.came.take() {
            self.hear(caller, reply);
        }
    }

    fn hear(&mut self, caller: usize, reply: Reply) {
        let one = &mut self.computing.callers[caller];
        let mut told = false;
        if reply != Reply::Wait {
            told = std::mem::take(&mut one.told);
            one.waiter = 0;
        }
        match one.group.filter(|group| !self.computing.groups[*group].begun) {
            Some(_) if told => self.computing.later.push(Later::Answer(caller, reply)),
            Some(group) => self.answer_group(group, caller, reply),
            None if self.computing.callers[caller].settled => self.decline(caller, &reply),
            None => self.take_answer(caller, reply, None),
        }
    }

    /// Goes on with an answer; `flight` is the one that it told to follow, if that was looked up already.
    pub(super) fn take_answer(&mut self, caller: usize, reply: Reply, flight: Option<usize>) {
        let (way, now) = (self.way_of_caller(caller), self.now);
        let one = &mut self.computing.callers[caller];
        let environment = one.environment;
        if !std::mem::replace(&mut one.waits, true) && one.group.is_none() && !matches!(reply, Reply::Hit(_)) {
            self.go_after(environment, way.hard, Go::GiveUp(caller));
        }
        match reply {
            Reply::Hit(json) | Reply::Stale(json) => self.give(caller, value(json.as_str())),
            Reply::Nothing => self.give(caller, Outcome::Value(None)),
            Reply::Lead(token) => self.lead(caller, token, None),
            Reply::LeadOver(token, age, text) => self.lead(caller, token, Some(Stale::new(text, age, now))),
            Reply::Wait => {}
            Reply::Follow(token) => match flight.or_else(|| self.flight(environment, token)) {
                Some(flight) => self.join(caller, flight),
                None => {
                    let missed = std::mem::replace(&mut self.computing.callers[caller].missed, true);
                    self.go_later(environment, if missed { FOLLOW_PAUSE } else { MICRO }, Go::Ask(caller));
                }
            },
            Reply::Error(error) => self.fall_back(caller, Outcome::Error(error.code.to_owned())),
            // Again, or elsewhere: asked for alone, the key is waited for.
            _ => self.ask(caller),
        }
    }

    /// An answer whose caller has given up: another one leads, and nobody waits.
    pub(super) fn decline(&mut self, caller: usize, reply: &Reply) {
        match reply {
            Reply::Lead(token) | Reply::LeadOver(token, ..) => {
                let Caller { environment, key, .. } = &self.computing.callers[caller];
                let (environment, key) = (*environment, key.clone());
                self.send_abandon(environment, &key, *token, Why::Left, Wait::Ignored);
            }
            Reply::Wait => self.withdraw(caller),
            _ => {}
        }
    }

    /// Nobody waits for an answer any more.
    pub(super) fn withdraw(&mut self, caller: usize) {
        let waits = self.waits.add(Wait::Ignored);
        let one = &mut self.computing.callers[caller];
        let waiter = std::mem::take(&mut one.waiter);
        one.told = false;
        self.computing.flights[one.environment].withdrawn = true;
        self.environments[one.environment].push(&one.key, "", None, waits, |key, _, _| Op::Withdraw { key, waiter });
    }

    /// Waits for a flight, as long as this caller's own terms say.
    pub(super) fn join(&mut self, caller: usize, flight: usize) {
        let (way, now) = (self.way_of_caller(caller), self.now);
        let (stale, over) = (self.computing.flown[flight].stale.clone(), self.computing.flown[flight].over.clone());
        if let Some(stale) = stale {
            if stale.serves_at_once(way.swr, now) {
                return self.give(caller, value(&stale.text));
            }
            if stale.serves_in_need(way.grace, now) {
                self.computing.callers[caller].spare = Some(stale);
            }
        }
        if let Some(over) = over {
            return self.land(caller, over);
        }
        let one = &mut self.computing.callers[caller];
        one.follows = Some(flight);
        let timeout = way.timeout.filter(|_| one.spare.is_some() && !one.patient);
        one.soft = timeout.map(|ms| now + ms * MILLI);
        let environment = one.environment;
        self.computing.flown[flight].followers.push(caller);
        if let Some(ms) = timeout {
            self.go_after(environment, ms, Go::Soft(caller));
        }
    }

    /// The flight that it waits for is over.
    pub(super) fn land(&mut self, caller: usize, over: Outcome) {
        match over {
            Outcome::Value(_) => self.give(caller, over),
            _ => self.fall_back(caller, over),
        }
    }

    /// The flight that it waits for never begins.
    pub(super) fn again(&mut self, caller: usize) {
        let one = &mut self.computing.callers[caller];
        (one.follows, one.spare, one.soft, one.missed) = (None, None, None, false);
        self.ask(caller);
    }

    pub(super) fn has_waited(&mut self, caller: usize) {
        // The moment of a flight that was given up may be another one.
        if self.computing.callers[caller].soft.is_some_and(|at| at <= self.now) {
            self.fall_back(caller, Outcome::None);
        }
    }

    /// It has waited for as long as its call may. Its function may go on, and whoever asks next leads anew.
    pub(super) fn give_up(&mut self, caller: usize) {
        if let Some(flight) = self.computing.callers[caller].leads {
            self.be_overdue(flight);
        }
        self.fall_back(caller, Outcome::too_late());
    }

    fn fall_back(&mut self, caller: usize, error: Outcome) {
        let outcome = self.computing.callers[caller].spare.take().map_or(error, |spare| value(&spare.text));
        self.give(caller, outcome);
    }

    /// Its result is no longer wanted.
    pub(super) fn leave(&mut self, caller: usize) {
        self.give(caller, Outcome::None);
    }

    fn give(&mut self, caller: usize, outcome: Outcome) {
        let one = &mut self.computing.callers[caller];
        if std::mem::replace(&mut one.settled, true) {
            return;
        }
        one.soft = None;
        let (record, at, group, told) = (one.record, one.at, one.group, one.told);
        let follows = one.follows.take();
        match group {
            Some(group) => self.take_from(group, at, outcome),
            None => self.settle(record, outcome),
        }
        if told {
            self.withdraw(caller);
        }
        if let Some(flight) = follows {
            self.computing.flown[flight].followers.retain(|follower| *follower != caller);
        }
    }
}
