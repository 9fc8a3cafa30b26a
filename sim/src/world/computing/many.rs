//! Calls of several keys, as src/js/once/compute-many.js: one question for all keys, and one call of the function for
//! all keys that the call must compute.

use std::ops::Range;

use holdfast::engine::call::reply::Reply;

use crate::history::Outcome;
use crate::world::World;
use crate::world::calls::value;
use crate::world::computing::caller::Stale;
use crate::world::computing::{Go, Later};

/// What a key got, and the flight that it leads or follows by that.
type Answer = (Reply, Option<usize>);

/// A call of several keys, while it waits.
pub struct Group {
    environment: usize,
    record: usize,
    /// One of each key that had no value at once.
    callers: Range<usize>,
    /// Those that wait for a value, in the order in which they were made.
    order: Vec<usize>,
    /// What they got.
    answers: Vec<Option<Answer>>,
    /// Those that were told to wait for an answer.
    waiting: Vec<usize>,
    /// Flights that this call leads, and whose functions have not begun.
    reserved: Vec<usize>,
    /// All questions are answered, and its callers wait.
    pub begun: bool,
    /// Its `hardTimeout` has begun.
    waits: bool,
    /// Its `hardTimeout` is over.
    late: bool,
    /// No function of it begins any more.
    ended: bool,
    /// Why it rejects.
    failed: Option<Outcome>,
}

impl World {
    /// Asks for all keys of a call.
    pub(super) fn ask_for_all(&mut self, record: usize, environment: usize, callers: Range<usize>) {
        let number = self.computing.groups.len();
        self.computing.groups.push(Group {
            environment,
            record,
            callers: callers.clone(),
            order: Vec::new(),
            answers: vec![None; callers.len()],
            waiting: Vec::new(),
            reserved: Vec::new(),
            begun: false,
            waits: false,
            late: false,
            ended: false,
            failed: None,
        });
        for caller in callers.clone() {
            self.computing.callers[caller].group = Some(number);
            self.question(caller, true);
        }
        if callers.is_empty() {
            self.end_group(number);
        }
    }

    /// The answer to one of its questions.
    pub(super) fn answer_group(&mut self, group: usize, caller: usize, reply: Reply) {
        let (now, one) = (self.now, &mut self.computing.groups[group]);
        let environment = one.environment;
        if one.ended {
            self.decline(caller, &reply);
            return self.note_answer(group, caller, Reply::Again, None);
        }
        let flight = match &reply {
            Reply::Wait => {
                one.waiting.push(caller);
                return self.be_patient(group);
            }
            Reply::Error(error) => {
                let error = Outcome::Error(error.code.to_owned());
                return self.fail_group(group, error);
            }
            Reply::Lead(token) => Some(self.reserve(caller, *token, None)),
            Reply::LeadOver(token, age, text) => {
                Some(self.reserve(caller, *token, Some(Stale::new(text.clone(), *age, now))))
            }
            // It may end before the other keys' answers are here.
            Reply::Follow(token) => self.flight(environment, *token),
            _ => None,
        };
        if matches!(reply, Reply::Lead(_) | Reply::LeadOver(..)) {
            self.computing.groups[group].reserved.extend(flight);
        }
        self.note_answer(group, caller, reply, flight);
    }

    fn note_answer(&mut self, group: usize, caller: usize, reply: Reply, flight: Option<usize>) {
        let one = &mut self.computing.groups[group];
        one.waiting.retain(|waiting| *waiting != caller);
        one.answers[caller - one.callers.start] = Some((reply, flight));
        if one.answers.iter().all(Option::is_some) {
            self.computing.later.push(Later::Complete(group));
        }
    }

    /// What the replies of this turn have woken is through: what has more promises goes on, in its order.
    pub(in crate::world) fn go_on_later(&mut self) {
        while !self.computing.later.is_empty() {
            let mut all = std::mem::take(&mut self.computing.later);
            all.sort_by_key(|later| self.depth_of(later));
            for later in all {
                match later {
                    Later::Told(caller) => self.go_on_told(caller),
                    Later::Removed(flight) => self.remove(flight),
                    Later::Answer(caller, reply) => {
                        if let Some(group) = self.computing.callers[caller].group {
                            self.answer_group(group, caller, reply);
                        }
                    }
                    Later::Complete(group) => self.complete(group),
                    Later::Failed(group) => self.end_group(group),
                }
            }
        }
    }

    /// The order of such things, by how many promises lie before each in JavaScript.
    fn depth_of(&self, later: &Later) -> u8 {
        match later {
            Later::Told(_) | Later::Removed(_) => 0,
            Later::Failed(group) if self.computing.groups[*group].begun => 2,
            Later::Complete(_) | Later::Failed(_) => 1,
            Later::Answer(..) => 3,
        }
    }

    /// All its questions are answered.
    fn complete(&mut self, group: usize) {
        let one = &mut self.computing.groups[group];
        if one.late {
            return self.fail_group(group, Outcome::too_late());
        }
        if one.ended || one.failed.is_some() {
            return;
        }
        one.begun = true;
        let answers: Vec<_> = one.callers.clone().zip(std::mem::take(&mut one.answers)).collect();
        let waits = self.callers_that_wait(group, answers);
        if waits.is_empty() {
            return self.end_group(group);
        }
        self.computing.groups[group].order = waits.iter().map(|(caller, ..)| *caller).collect();
        self.be_patient(group);
        // From here on each caller ends the flight that it leads.
        self.computing.groups[group].reserved.clear();
        for (caller, reply, flight) in waits {
            self.take_answer(caller, reply, flight);
        }
    }

    /// Takes the values that were found; the other callers, those that need the function first.
    fn callers_that_wait(
        &mut self,
        group: usize,
        answers: Vec<(usize, Option<Answer>)>,
    ) -> Vec<(usize, Reply, Option<usize>)> {
        let Group { environment, record, .. } = self.computing.groups[group];
        let (way, now) = (self.way_of(record), self.now);
        let (mut needed, mut others, mut refreshed, mut spares) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for (caller, answer) in answers {
            let Some((reply, flight)) = answer else { continue };
            if let Reply::Hit(json) = &reply {
                let at = self.computing.callers[caller].at;
                self.take_value(record, at, value(json.as_str()));
                self.computing.callers[caller].settled = true;
                continue;
            }
            let leads = matches!(reply, Reply::Lead(_) | Reply::LeadOver(..));
            let stale = flight.filter(|_| leads).and_then(|flight| self.computing.flown[flight].stale.as_ref());
            let needs = leads && !stale.is_some_and(|stale| stale.serves_at_once(way.swr, now));
            if needs && stale.is_some_and(|stale| stale.serves_in_need(way.grace, now)) {
                spares += 1;
            }
            if leads && !needs {
                refreshed.push(caller);
            }
            if needs { &mut needed } else { &mut others }.push((caller, reply, flight));
        }
        let missing: Vec<usize> = needed.iter().map(|(caller, ..)| *caller).collect();
        if spares < missing.len() {
            // As one key must wait for the function anyway.
            missing.iter().for_each(|caller| self.computing.callers[*caller].patient = true);
        }
        self.function(environment, missing);
        self.function(environment, refreshed);
        needed.append(&mut others);
        needed
    }

    /// One of its callers is settled.
    pub(super) fn take_from(&mut self, group: usize, at: usize, outcome: Outcome) {
        let one = &self.computing.groups[group];
        let (record, callers) = (one.record, one.callers.clone());
        match outcome {
            Outcome::Value(_) if one.failed.is_none() => {
                self.take_value(record, at, outcome);
                if self.computing.callers[callers].iter().all(|caller| caller.settled) {
                    self.end_group(group);
                }
            }
            Outcome::Value(_) | Outcome::None => {}
            error => self.fail_group(group, error),
        }
    }

    fn fail_group(&mut self, group: usize, error: Outcome) {
        let one = &mut self.computing.groups[group];
        if one.failed.is_none() {
            one.failed = Some(error);
            self.computing.later.push(Later::Failed(group));
        }
    }

    /// The call is settled: the results of its other callers are no longer wanted.
    fn end_group(&mut self, group: usize) {
        let one = &mut self.computing.groups[group];
        let (record, callers) = (one.record, one.order.clone());
        let outcome = one.failed.clone().unwrap_or_else(|| self.records[record].outcome.clone());
        self.settle(record, outcome);
        callers.into_iter().for_each(|caller| self.leave(caller));
        self.decline_group(group);
    }

    fn be_patient(&mut self, group: usize) {
        let one = &mut self.computing.groups[group];
        let (environment, record) = (one.environment, one.record);
        if !std::mem::replace(&mut one.waits, true) {
            let ms = self.way_of(record).hard;
            self.go_after(environment, ms, Go::GiveUpAll(group));
        }
    }

    /// All callers give up together: if only the first did, the next call would follow the others' flights.
    pub(super) fn give_up_all(&mut self, group: usize) {
        let one = &mut self.computing.groups[group];
        one.late = true;
        let callers = one.order.clone();
        callers.into_iter().for_each(|caller| self.give_up(caller));
        self.decline_group(group);
    }

    /// No function of it begins any more: other calls may lead, and no answer is waited for.
    fn decline_group(&mut self, group: usize) {
        let one = &mut self.computing.groups[group];
        if std::mem::replace(&mut one.ended, true) {
            return;
        }
        for caller in std::mem::take(&mut one.waiting) {
            // Its answer may have come in this turn.
            if self.computing.callers[caller].still_waits() {
                self.withdraw(caller);
                self.note_answer(group, caller, Reply::Again, None);
            }
        }
        for flight in std::mem::take(&mut self.computing.groups[group].reserved) {
            self.abandon(flight);
            self.scatter(flight);
        }
    }
}
