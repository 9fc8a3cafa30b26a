//! `getOrCompute` as src/js/once runs it (terms.js, compute.js): what a call asks for, and what computing keeps.
//! Callers that ask, follow and wait: caller.rs. The functions that they run: flights.rs. Calls of several keys:
//! many.rs.

use std::collections::BTreeMap;
use std::ops::Range;

use holdfast::engine::call::batch::{Extras, NONE};
use holdfast::engine::call::reply::Reply;

use crate::history::{Compute, MILLI, Nanos, Outcome, Verb};
use crate::world::calls::value;
use crate::world::computing::caller::{Caller, Stale};
use crate::world::computing::many::Group;
use crate::world::{Event, World};

mod caller;
mod flights;
mod many;

/// A computation goes on, in the next turn of its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Go {
    /// A function returns.
    Returned(usize),
    /// A caller asks anew.
    Ask(usize),
    /// A caller has waited for as long as its `timeout` says.
    Soft(usize),
    /// A caller has waited for as long as its `hardTimeout` says.
    GiveUp(usize),
    /// As `GiveUp`, for a call of several keys.
    GiveUpAll(usize),
}

/// What all environments compute. Callers, flights, functions and groups stay for the whole schedule, by their places.
pub struct Computing {
    callers: Vec<Caller>,
    flown: Vec<Flight>,
    functions: Vec<Function>,
    groups: Vec<Group>,
    /// By environment.
    flights: Vec<Flights>,
    /// What happens behind all that the replies of a turn have woken: JavaScript has more promises there.
    later: Vec<Later>,
}

/// What has more promises.
enum Later {
    /// A caller was told to wait.
    Told(usize),
    /// The engine knows that a flight has failed.
    Removed(usize),
    /// The answer that a key of a group waited for has come.
    Answer(usize, Reply),
    /// All questions of a group are answered.
    Complete(usize),
    /// A question of a group, or a caller, failed.
    Failed(usize),
}

/// One flight, and who waits for it in its environment.
struct Flight {
    environment: usize,
    key: String,
    token: u32,
    followers: Vec<usize>,
    stale: Option<Stale>,
    /// What its function returned, on its way to the engine: of which record, and the value.
    run: Option<(usize, i64)>,
    /// How it ended: with a value, with the function's error (`Done`), or with an error of the engine.
    over: Option<Outcome>,
    /// Its callers gave up.
    overdue: bool,
    /// It may no longer store its result, and the engine has forgotten it.
    lost: bool,
}

/// The flights of one environment.
#[derive(Default)]
struct Flights {
    by_token: BTreeMap<u32, usize>,
    /// Those whose callers gave up; the latest come last.
    late: Vec<usize>,
    /// A caller has given up an answer that it was told to wait for.
    withdrawn: bool,
}

/// One call of a caller's function, for one key or several: who takes its results.
struct Function {
    environment: usize,
    callers: Vec<usize>,
    begun: bool,
}

/// What a call's terms say.
#[derive(Clone, Copy)]
struct Way {
    swr: i64,
    grace: i64,
    timeout: Option<u64>,
    hard: u64,
    early: f64,
    lock: bool,
    fails: bool,
    nothing: bool,
    ms: u64,
    ttl: Option<u64>,
    tag: Option<usize>,
}

impl Way {
    fn of(verb: &Verb) -> Self {
        let Verb::Compute(compute) = verb else { unreachable!("only computations have terms") };
        Self {
            swr: compute.swr as i64,
            grace: compute.grace as i64,
            timeout: compute.timeout,
            hard: compute.hard,
            early: compute.early,
            lock: compute.lock,
            fails: compute.fails,
            nothing: compute.nothing,
            ms: compute.ms,
            ttl: compute.ttl,
            tag: compute.tag,
        }
    }

    fn extra(&self) -> u64 {
        self.swr.max(self.grace) as u64
    }

    fn tags(&self) -> Vec<Box<str>> {
        self.tag.map(|tag| format!("t{tag}").into()).into_iter().collect()
    }

    /// The extras of a question.
    fn asking(&self) -> Option<Extras> {
        some(Extras { tags: self.tags(), window: self.extra(), beta: self.early, ..NONE.clone() })
    }

    /// The extras of a result.
    fn storing(&self) -> Option<Extras> {
        let extra = if self.ttl.is_none() { 0 } else { self.extra() };
        let delta = if self.early > 0.0 { self.ms.max(1) as u32 } else { 0 };
        some(Extras { tags: self.tags(), extra, delta, ..NONE.clone() })
    }
}

fn some(extras: Extras) -> Option<Extras> {
    if extras == NONE { None } else { Some(extras) }
}

impl Computing {
    pub fn new(environments: usize) -> Self {
        Self {
            callers: Vec::new(),
            flown: Vec::new(),
            functions: Vec::new(),
            groups: Vec::new(),
            flights: (0..environments).map(|_| Flights::default()).collect(),
            later: Vec::new(),
        }
    }

    /// Whether a caller of an environment has given up what it waited for.
    pub fn has_withdrawn(&self, environment: usize) -> bool {
        self.flights[environment].withdrawn
    }

    /// Whether an environment has no flight.
    pub fn is_idle(&self, environment: usize) -> bool {
        self.flights[environment].by_token.is_empty()
    }
}

impl World {
    /// What the call of this record asked for.
    fn way_of(&self, record: usize) -> Way {
        Way::of(&self.records[record].verb)
    }

    pub(super) fn compute(&mut self, record: usize, environment: usize, compute: &Compute) {
        if compute.many {
            self.records[record].outcome = Outcome::Values(vec![None; compute.keys.len()]);
        }
        let ms = self.ms();
        let mut cold = Vec::new();
        for (at, key) in compute.keys.iter().enumerate() {
            let key = self.name(*key);
            // Whether it is time for an early refresh is the engine's decision.
            let hot = if compute.early > 0.0 { None } else { self.environments[environment].at_once(&key, ms) };
            match hot {
                Some(text) if compute.many => self.take_value(record, at, value(&text)),
                Some(text) => self.settle(record, value(&text)),
                None => cold.push((at, key)),
            }
        }
        let callers = self.call_for(environment, record, cold);
        if compute.many {
            self.ask_for_all(record, environment, callers);
        } else {
            callers.for_each(|caller| self.ask(caller));
        }
    }

    fn call_for(&mut self, environment: usize, record: usize, keys: Vec<(usize, String)>) -> Range<usize> {
        let first = self.computing.callers.len();
        let callers = keys.into_iter().map(|(at, key)| Caller::new(environment, record, at, key));
        self.computing.callers.extend(callers);
        first..self.computing.callers.len()
    }

    /// A key of a call of several has this value.
    fn take_value(&mut self, record: usize, at: usize, found: Outcome) {
        if let (Outcome::Value(value), Outcome::Values(values)) = (found, &mut self.records[record].outcome) {
            values[at] = value;
        }
    }

    /// Its moment has come.
    pub(super) fn go_on(&mut self, go: Go) {
        match go {
            Go::Returned(function) => self.returned(function),
            Go::Ask(caller) => self.ask(caller),
            Go::Soft(caller) => self.has_waited(caller),
            Go::GiveUp(caller) => self.give_up(caller),
            Go::GiveUpAll(group) => self.give_up_all(group),
        }
    }

    fn go_later(&mut self, environment: usize, pause: Nanos, go: Go) {
        self.plan(self.now + pause, Event::Computing(environment, go));
    }

    /// So many milliseconds later.
    fn go_after(&mut self, environment: usize, ms: u64, go: Go) {
        self.go_later(environment, ms.saturating_mul(MILLI), go);
    }
}
