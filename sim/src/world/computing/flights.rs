//! Flights, as src/js/once/flights.js keeps them and compute.js flies them: a function runs, and its result goes to the
//! engine, and to those who wait for it in its environment.

use holdfast::engine::base::text::Span;
use holdfast::engine::call::batch::{Extras, Op, Why};
use holdfast::engine::call::reply::Reply;

use crate::history::{MICRO, MILLI, Outcome, Run, Verb};
use crate::schedule::ttl_of;
use crate::world::World;
use crate::world::calls::Wait;
use crate::world::computing::caller::{Caller, Stale};
use crate::world::computing::{Flight, Function, Go, Later};

/// Flights of one key whose callers gave up, and that may still store.
const MAX_OVERDUE_OF_KEY: usize = 2;

impl World {
    /// The flight of this token.
    pub(super) fn flight(&self, environment: usize, token: u32) -> Option<usize> {
        self.computing.flights[environment].by_token.get(&token).copied()
    }

    /// Takes the lead that an answer gives, so that others can follow.
    pub(super) fn reserve(&mut self, caller: usize, token: u32, stale: Option<Stale>) -> usize {
        let Caller { environment, key, .. } = &self.computing.callers[caller];
        let (environment, key) = (*environment, key.clone());
        let flight = self.computing.flown.len();
        self.computing.flown.push(Flight {
            environment,
            key,
            token,
            followers: Vec::new(),
            stale,
            run: None,
            over: None,
            overdue: false,
            lost: false,
        });
        self.computing.flights[environment].by_token.insert(token, flight);
        flight
    }

    /// A caller leads: its function runs.
    pub(super) fn lead(&mut self, caller: usize, token: u32, stale: Option<Stale>) {
        let environment = self.computing.callers[caller].environment;
        let flight = self.flight(environment, token).unwrap_or_else(|| self.reserve(caller, token, stale));
        self.computing.callers[caller].leads = Some(flight);
        self.join(caller, flight);
        let function =
            self.computing.callers[caller].function.unwrap_or_else(|| self.function(environment, vec![caller]));
        if std::mem::replace(&mut self.computing.functions[function].begun, true) {
            return;
        }
        let callers = self.computing.functions[function].callers.clone();
        callers.iter().for_each(|caller| self.run_for(*caller));
        let way = self.way_of_caller(caller);
        self.go_later(environment, way.ms * MILLI + MICRO, Go::Returned(function));
    }

    /// A call of a function to come, for these callers.
    pub(super) fn function(&mut self, environment: usize, callers: Vec<usize>) -> usize {
        let number = self.computing.functions.len();
        callers.iter().for_each(|caller| self.computing.callers[*caller].function = Some(number));
        self.computing.functions.push(Function { environment, callers, begun: false });
        number
    }

    /// The function begins for the key of a caller.
    fn run_for(&mut self, caller: usize) {
        let Caller { environment, record, at, .. } = self.computing.callers[caller];
        let before = self.processes[Self::process_of(environment)].state();
        let Verb::Compute(compute) = &self.records[record].verb else { return };
        let (key, value) = (compute.keys[at], compute.value + self.records[record].runs.len() as i64);
        self.records[record].runs.push(Run {
            key,
            value,
            start: self.now,
            before,
            end: None,
            after: None,
            landed: None,
        });
        self.computing.callers[caller].made = Some(value);
    }

    /// A function returns.
    pub(super) fn returned(&mut self, function: usize) {
        let Function { environment, callers, .. } = &self.computing.functions[function];
        let (environment, callers) = (*environment, callers.clone());
        let after = self.processes[Self::process_of(environment)].state();
        let now = self.now;
        for caller in callers {
            let Caller { record, leads, made, .. } = self.computing.callers[caller];
            let (Some(flight), Some(value)) = (leads, made) else { continue };
            if let Some(run) = self.records[record].runs.iter_mut().find(|run| run.value == value) {
                (run.end, run.after) = (Some(now), Some(after));
            }
            self.fly_on(caller, flight, value);
        }
    }

    /// The function of a flight has returned a value, nothing, or thrown.
    fn fly_on(&mut self, caller: usize, flight: usize, value: i64) {
        let way = self.way_of_caller(caller);
        let lost = self.computing.flown[flight].lost;
        self.computing.flown[flight].run = Some((self.computing.callers[caller].record, value));
        if way.fails {
            return self.fail(flight, Outcome::Done);
        }
        let made = if way.nothing { None } else { Some(value) };
        let (environment, key, token) = self.name_of(flight);
        if made.is_none() && !lost {
            self.send_abandon(environment, &key, token, Why::Nothing, Wait::Ended(flight));
        } else if !lost {
            let ttl = ttl_of(way.ttl);
            let end = |key, value, more| Op::End { key, value, ttl, token, more };
            self.send(environment, (&key, &value.to_string()), way.storing(), Wait::Ended(flight), end);
        }
        // The callers have the value at once; the store travels behind it.
        self.end_flight(flight, Outcome::Value(made));
        if lost {
            self.landed(flight, None);
        }
    }

    /// The engine has heard of the result of a flight, or there is nothing to tell it.
    pub(in crate::world) fn landed(&mut self, flight: usize, reply: Option<Reply>) {
        self.note_landed(flight);
        if let Some(Reply::Error(error)) = reply {
            return self.fail(flight, Outcome::Error(error.code.to_owned()));
        }
        self.remove(flight);
    }

    fn note_landed(&mut self, flight: usize) {
        let Flight { environment, run, .. } = self.computing.flown[flight];
        let state = self.processes[Self::process_of(environment)].state();
        let Some((record, value)) = run else { return };
        if let Some(run) = self.records[record].runs.iter_mut().find(|run| run.value == value) {
            run.landed = Some((self.now, state));
        }
    }

    /// A flight gives its callers an error.
    fn fail(&mut self, flight: usize, error: Outcome) {
        self.end_flight(flight, error);
        let (environment, key, token) = self.name_of(flight);
        if self.computing.flown[flight].lost {
            self.note_landed(flight);
            self.remove(flight);
        } else {
            // Until the engine knows, answers that send followers here may be on their way.
            self.send_abandon(environment, &key, token, Why::Failed, Wait::Removed(flight));
        }
    }

    fn end_flight(&mut self, flight: usize, over: Outcome) {
        let one = &mut self.computing.flown[flight];
        if one.over.is_some() {
            return;
        }
        one.over = Some(over.clone());
        for follower in std::mem::take(&mut one.followers) {
            self.land(follower, over.clone());
        }
    }

    pub(in crate::world) fn remove_later(&mut self, flight: usize) {
        self.note_landed(flight);
        self.computing.later.push(Later::Removed(flight));
    }

    pub(super) fn remove(&mut self, flight: usize) {
        let Flight { environment, token, .. } = self.computing.flown[flight];
        let flights = &mut self.computing.flights[environment];
        flights.by_token.remove(&token);
        flights.late.retain(|late| *late != flight);
    }

    /// The callers of a flight gave up: the next one leads anew.
    pub(super) fn be_overdue(&mut self, flight: usize) {
        let one = &mut self.computing.flown[flight];
        if one.overdue || one.lost || one.over.is_some() {
            return;
        }
        one.overdue = true;
        let (environment, key, token) = self.name_of(flight);
        self.send(environment, (&key, ""), None, Wait::Ignored, |key, _, _| Op::Overdue { key, token });
        self.computing.flights[environment].late.push(flight);
        let of_key = |late: &&usize| self.computing.flown[**late].key == key;
        let late: Vec<usize> = self.computing.flights[environment].late.iter().filter(of_key).copied().collect();
        if late.len() > MAX_OVERDUE_OF_KEY {
            self.abandon(late[0]);
        }
    }

    /// A flight loses its right to store: its result goes to its followers alone.
    pub(super) fn abandon(&mut self, flight: usize) {
        self.computing.flown[flight].lost = true;
        self.remove(flight);
        let (environment, key, token) = self.name_of(flight);
        self.send_abandon(environment, &key, token, Why::Left, Wait::Ignored);
    }

    /// The function of a flight never begins: the callers that wait for it ask anew.
    pub(super) fn scatter(&mut self, flight: usize) {
        let followers = std::mem::take(&mut self.computing.flown[flight].followers);
        followers.into_iter().for_each(|follower| self.again(follower));
    }

    fn name_of(&self, flight: usize) -> (usize, String, u32) {
        let Flight { environment, key, token, .. } = &self.computing.flown[flight];
        (*environment, key.clone(), *token)
    }

    pub(super) fn send_abandon(&mut self, environment: usize, key: &str, token: u32, why: Why, wait: Wait) {
        self.send(environment, (key, ""), None, wait, |key, _, _| Op::Abandon { key, token, why });
    }

    pub(super) fn send(
        &mut self,
        environment: usize,
        (key, value): (&str, &str),
        extras: Option<Extras>,
        wait: Wait,
        make: impl FnOnce(Span, Span, Option<u32>) -> Op,
    ) {
        let waits = self.waits.add(wait);
        self.environments[environment].push(key, value, extras, waits, make);
    }
}
