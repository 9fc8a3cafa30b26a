//! `getOrCompute` as src/js/once runs it: callers that ask, lead, follow and wait, and the functions that they run.

use std::sync::Arc;

use holdfast::engine::call::batch::{Extras, NONE, Op, Why};
use holdfast::engine::call::reply::Reply;

use crate::history::{Compute, MICRO, MILLI, Nanos, Outcome, Run, Verb};
use crate::world::calls::{Wait, value};
use crate::world::environment::ttl_of;
use crate::world::{Event, World};

/// The pause before a caller asks again for a flight that it was told to follow and that is not here.
const FOLLOW_PAUSE: Nanos = 5 * MILLI;

/// One caller of one key.
pub struct Caller {
    pub environment: usize,
    pub record: usize,
    /// Its place among the keys of its call.
    at: usize,
    key: String,
    /// The id of the answer that it waits for, or 0.
    pub waiter: u32,
    /// The flight that it leads.
    leads: Option<u32>,
    /// Whether it asked for one key of several.
    many: bool,
    /// The value that it falls back on, while that is young enough.
    spare: Option<Stale>,
    /// It was told to follow a flight that is not here.
    missed: bool,
    pub settled: bool,
    /// What its function returned, on its way to the engine.
    made: Option<i64>,
}

/// A value whose TTL ended then.
#[derive(Clone)]
struct Stale {
    text: Arc<str>,
    ended: i64,
}

impl Stale {
    fn age(&self, now: Nanos) -> i64 {
        (now / MILLI) as i64 - self.ended
    }
}

/// One run of a caller's function, and who waits for it in its environment.
pub struct Flight {
    followers: Vec<usize>,
    stale: Option<Stale>,
    /// How it ended: with a value, or the function's error.
    over: Option<Option<i64>>,
}

/// What a call's terms say.
#[derive(Clone, Copy)]
struct Way {
    swr: i64,
    grace: i64,
    early: f64,
    lock: bool,
    fails: bool,
    value: i64,
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
            early: compute.early,
            lock: compute.lock,
            fails: compute.fails,
            value: compute.value,
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
                Some(text) if compute.many => {
                    if let (Outcome::Value(value), Outcome::Values(values)) =
                        (value(&text), &mut self.records[record].outcome)
                    {
                        values[at] = value;
                    }
                }
                Some(text) => self.settle(record, value(&text)),
                None => cold.push((at, key)),
            }
        }
        if compute.many && cold.is_empty() {
            let outcome = self.records[record].outcome.clone();
            return self.settle(record, outcome);
        }
        let first = self.callers.len();
        for (at, key) in cold {
            self.callers.push(Caller {
                environment,
                record,
                at,
                key,
                waiter: 0,
                leads: None,
                many: compute.many,
                spare: None,
                missed: false,
                settled: false,
                made: None,
            });
        }
        for caller in first..self.callers.len() {
            self.ask(caller);
        }
    }

    /// Asks the engine for the key.
    pub(super) fn ask(&mut self, caller: usize) {
        if self.callers[caller].settled {
            return;
        }
        let way = self.way_of(self.callers[caller].record);
        let waits = self.wait(Wait::Asked(caller));
        let one = &mut self.callers[caller];
        let many = std::mem::take(&mut one.many);
        let environment = &mut self.environments[one.environment];
        let waiter = environment.next_id();
        one.waiter = waiter;
        let extras = Extras { tags: way.tags(), window: way.extra(), beta: way.early, ..NONE.clone() };
        let extras = if extras == NONE { None } else { Some(extras) };
        let lock = way.lock;
        environment.push(&one.key, "", extras, waits, |key, _, more| Op::Begin {
            key,
            waiter,
            lock,
            many,
            early: false,
            more,
        });
    }

    /// The engine's answer.
    pub(super) fn asked(&mut self, caller: usize, reply: Reply) {
        if !matches!(reply, Reply::Wait) {
            self.callers[caller].waiter = 0;
        }
        if self.callers[caller].settled {
            return self.decline(caller, reply);
        }
        match reply {
            Reply::Hit(json) => self.give(caller, value(json.as_str())),
            Reply::Stale(json) => self.give(caller, value(json.as_str())),
            Reply::Nothing => self.give(caller, Outcome::Value(None)),
            Reply::Lead(token) => self.lead(caller, token, None),
            Reply::LeadOver(token, age, text) => {
                let stale = Stale { text, ended: (self.now / MILLI) as i64 - age };
                self.lead(caller, token, Some(stale));
            }
            Reply::Wait => {}
            Reply::Follow(token) => {
                let environment = self.callers[caller].environment;
                if self.flights[environment].contains_key(&token) {
                    return self.join(caller, token);
                }
                let pause =
                    if std::mem::replace(&mut self.callers[caller].missed, true) { FOLLOW_PAUSE } else { MICRO };
                self.plan(self.now + pause, Event::Ask(caller));
            }
            Reply::Error(error) => self.give(caller, Outcome::Error(error.code.to_owned())),
            // Again, or elsewhere: asked for alone, the key is waited for.
            _ => self.ask(caller),
        }
    }

    /// An answer whose caller has given up: another one leads.
    fn decline(&mut self, caller: usize, reply: Reply) {
        if let Reply::Lead(token) | Reply::LeadOver(token, ..) = reply {
            self.send_abandon(caller, token, Why::Left);
        }
    }

    fn lead(&mut self, caller: usize, token: u32, stale: Option<Stale>) {
        let Caller { environment, record, at, .. } = self.callers[caller];
        self.flights[environment].insert(token, Flight { followers: Vec::new(), stale, over: None });
        self.callers[caller].leads = Some(token);
        self.join(caller, token);
        let way = self.way_of(record);
        let before = self.processes[Self::process_of(environment)].state();
        let runs = self.records[record].runs.len() as i64;
        let key = match &self.records[record].verb {
            Verb::Compute(compute) => compute.keys[at],
            _ => return,
        };
        let value = way.value + runs;
        self.records[record].runs.push(Run { key, value, start: self.now, before, end: None, after: None });
        self.callers[caller].made = Some(value);
        let at = self.now + way.ms * MILLI + MICRO;
        self.plan(at, Event::Returned(caller));
    }

    /// Its function returns.
    pub(super) fn returned(&mut self, caller: usize) {
        let Caller { environment, record, leads, made, .. } = self.callers[caller];
        let (Some(token), Some(value)) = (leads, made) else { return };
        let after = self.processes[Self::process_of(environment)].state();
        let now = self.now;
        if let Some(run) = self.records[record].runs.iter_mut().find(|run| run.value == value) {
            (run.end, run.after) = (Some(now), Some(after));
        }
        let way = self.way_of(record);
        if way.fails {
            self.over(environment, token, None);
            self.send_abandon(caller, token, Why::Failed);
            self.flights[environment].remove(&token);
            return;
        }
        let extra = if way.ttl.is_none() { 0 } else { way.extra() };
        let delta = if way.early > 0.0 { way.ms.max(1) as u32 } else { 0 };
        let extras = Extras { tags: way.tags(), extra, delta, ..NONE.clone() };
        let extras = if extras == NONE { None } else { Some(extras) };
        let waits = self.wait(Wait::Ended(caller));
        let key = self.callers[caller].key.clone();
        let ttl = ttl_of(way.ttl);
        self.environments[environment].push(&key, &value.to_string(), extras, waits, |key, value, more| Op::End {
            key,
            value,
            ttl,
            token,
            more,
        });
    }

    fn send_abandon(&mut self, caller: usize, token: u32, why: Why) {
        let waits = self.wait(Wait::Ignored);
        let one = &self.callers[caller];
        self.environments[one.environment].push(&one.key, "", None, waits, |key, _, _| Op::Abandon { key, token, why });
    }

    /// The engine has heard of the result of the flight that a caller led.
    pub(super) fn landed(&mut self, caller: usize) {
        let Caller { environment, leads, made, .. } = self.callers[caller];
        let Some(token) = leads else { return };
        self.over(environment, token, made);
        self.flights[environment].remove(&token);
    }

    fn over(&mut self, environment: usize, token: u32, ended: Option<i64>) {
        let Some(flight) = self.flights[environment].get_mut(&token) else { return };
        flight.over = Some(ended);
        for follower in std::mem::take(&mut flight.followers) {
            self.end_for(follower, ended);
        }
    }

    fn join(&mut self, caller: usize, token: u32) {
        let Caller { environment, record, .. } = self.callers[caller];
        let way = self.way_of(record);
        let now = self.now;
        let Some(flight) = self.flights[environment].get_mut(&token) else { return };
        let (stale, over) = (flight.stale.clone(), flight.over);
        if let Some(stale) = stale {
            let age = stale.age(now);
            if age < 0 || age < way.swr {
                return self.give(caller, value(&stale.text));
            }
            if age < way.grace {
                self.callers[caller].spare = Some(stale);
            }
        }
        match over {
            Some(ended) => self.end_for(caller, ended),
            None => {
                if let Some(flight) = self.flights[environment].get_mut(&token) {
                    flight.followers.push(caller);
                }
            }
        }
    }

    /// The flight that a caller waited for has ended.
    fn end_for(&mut self, caller: usize, ended: Option<i64>) {
        let outcome = match (ended, self.callers[caller].spare.take()) {
            (Some(value), _) => Outcome::Value(Some(value)),
            (None, Some(spare)) => value(&spare.text),
            // The function's own error, which the caller gets.
            (None, None) => Outcome::Done,
        };
        self.give(caller, outcome);
    }

    fn give(&mut self, caller: usize, outcome: Outcome) {
        let one = &mut self.callers[caller];
        if std::mem::replace(&mut one.settled, true) {
            return;
        }
        let (record, at) = (one.record, one.at);
        let many = matches!(&self.records[record].verb, Verb::Compute(compute) if compute.many);
        if many { self.take_part(record, at, outcome) } else { self.settle(record, outcome) }
    }
}
