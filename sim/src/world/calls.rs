//! The calls of the clients: made in turns of their environments, recorded, and settled when their replies come.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use holdfast::engine::base::clock::Ttl;
use holdfast::engine::call::batch::{Extras, NONE, Op, Task};
use holdfast::engine::call::reply::Reply;

use crate::history::{Client, Key, MILLI, Mode, Outcome, Place, Record, State, Tag, Verb};
use crate::schedule::{PLACES, ttl_of};
use crate::world::environment::LATE;
use crate::world::fleet::machine::Machine;
use crate::world::{Event, World};

/// The prefix of the keys of tags: src/js/base/ops.js.
const TAG: &str = "\0tag\0";

/// For whom a reply is.
#[derive(Clone, Copy, Debug)]
pub enum Wait {
    /// The call of this record.
    Call(usize),
    /// One key of several.
    Part(usize, usize),
    /// A caller of `getOrCompute` that asked, and the id of its question.
    Asked(usize, u32),
    /// This flight is told to have ended.
    Ended(usize),
    /// This flight is told to have failed.
    Removed(usize),
    /// Nobody waits for it.
    Ignored,
}

/// How far a client is.
pub struct ClientRun {
    pub place: Place,
    pub step: usize,
    /// Calls of the step that have not settled.
    pub left: usize,
    pub over: bool,
}

impl ClientRun {
    pub fn new(place: Place) -> Self {
        Self { place, step: 0, left: 0, over: false }
    }
}

impl World {
    /// One turn of an environment: what has come is handed to those who wait, what is due runs, and the calls that were
    /// made go to the engine together.
    pub(super) fn turn(&mut self, environment: usize) {
        let process = Self::process_of(environment);
        if self.processes[process].frozen || self.environments[environment].ended {
            return;
        }
        let ms = self.ms();
        self.environments[environment].wake(ms);
        let mut due = std::mem::take(&mut self.due[environment]);
        loop {
            for (waits, reply) in std::mem::take(&mut self.environments[environment].answered) {
                if waits >= LATE {
                    self.answered_late(environment, (waits - LATE) as u32, reply);
                } else if let Some(wait) = self.waits.take(waits) {
                    self.take(wait, reply);
                }
            }
            self.go_on_later();
            for event in due.drain(..) {
                match event {
                    Event::Step(client) => self.make_step(client, environment),
                    Event::Computing(_, go) => self.go_on(go),
                    Event::Chase(_) => self.chase(environment),
                    _ => {}
                }
                self.go_on_later();
            }
            self.environments[environment].flush(ms);
            if self.environments[environment].answered.is_empty() {
                break;
            }
        }
        if !self.due[environment].is_empty() {
            self.turn_soon(environment);
        }
        self.drive_soon(process);
        self.listen();
    }

    /// The time has come for the next step of a client.
    pub(super) fn step(&mut self, client: usize) {
        if self.clients[client].over {
            return;
        }
        match PLACES.iter().position(|place| *place == self.clients[client].place) {
            Some(environment) => {
                self.due[environment].push(Event::Step(client));
                self.turn_soon(environment);
            }
            None => self.make_foreign_step(client),
        }
    }

    fn make_step(&mut self, client: usize, environment: usize) {
        let step = self.clients[client].step;
        let calls = self.schedule.clients[client].steps[step].calls.clone();
        self.clients[client].left = calls.len();
        for verb in calls {
            self.make(verb, environment, Client::Plan(client));
        }
    }

    /// All calls of a step have settled: the next one comes after its pause.
    fn next_step(&mut self, client: usize) {
        let run = &mut self.clients[client];
        run.step += 1;
        match self.schedule.clients[client].steps.get(run.step) {
            Some(step) => {
                let at = if step.pause == 0 { self.soon() } else { self.now + step.pause * MILLI };
                self.plan(at, Event::Step(client));
            }
            None => {
                run.over = true;
                self.calm_down();
            }
        }
    }

    /// Makes a call at once; the number of its record.
    pub(super) fn make(&mut self, verb: Verb, environment: usize, client: Client) -> usize {
        self.tick();
        let before = self.processes[Self::process_of(environment)].state();
        let record = self.record(verb.clone(), environment, client, before);
        let ms = self.ms();
        match verb {
            Verb::Get { key } | Verb::Sync { key } => {
                let name = self.name(key);
                match self.environments[environment].at_once(&name, ms) {
                    Some(text) => self.settle(record, value(&text)),
                    None => {
                        let waits = self.wait(Wait::Call(record));
                        self.environments[environment].read(&name, waits, true);
                    }
                }
            }
            Verb::GetMany { keys } => {
                self.records[record].outcome = Outcome::Values(vec![None; keys.len()]);
                self.environments[environment].group(keys.len());
                for (at, key) in keys.iter().enumerate() {
                    let name = self.name(*key);
                    let waits = self.wait(Wait::Part(record, at));
                    self.environments[environment].read(&name, waits, false);
                }
            }
            Verb::Set { key, value, ttl, tag } => {
                let extras = tag.map(tagged);
                self.operate(environment, record, key, &value.to_string(), extras, move |key, value, more| Op::Set {
                    key,
                    value,
                    ttl: ttl_of(ttl),
                    more,
                });
            }
            Verb::Del { keys } => {
                self.records[record].outcome = Outcome::Values(vec![None; keys.len()]);
                if keys.len() > 1 {
                    self.environments[environment].group(keys.len());
                }
                for (at, key) in keys.into_iter().enumerate() {
                    let name = self.name(key);
                    let waits = self.wait(Wait::Part(record, at));
                    self.environments[environment].push(&name, "", None, waits, |key, _, _| Op::Del { key });
                }
            }
            Verb::Increment { key, amount } => {
                self.operate(environment, record, key, "", None, |key, _, more| Op::Increment {
                    key,
                    amount,
                    ttl: None,
                    more,
                });
            }
            Verb::Expire { key, ttl } => {
                let ttl = Ttl::Millis(ttl);
                self.operate(environment, record, key, "", None, |key, _, _| Op::Expire { key, ttl });
            }
            Verb::Invalidate { tag } => {
                let waits = self.wait(Wait::Call(record));
                let name = format!("{TAG}t{tag}");
                let environment = &mut self.environments[environment];
                environment.group(1);
                environment.push(&name, "", None, waits, |key, _, _| Op::EndTag { key, stale_ms: 0 });
                environment.flush_ahead(ms);
            }
            Verb::Sweep { pattern } => {
                let waits = self.wait(Wait::Call(record));
                let task = pattern.map_or(Task::Clear { flush_db: false }, Task::DelPattern);
                self.environments[environment].run(task, waits, ms);
            }
            Verb::Compute(compute) => self.compute(record, environment, &compute),
            Verb::Flush | Verb::Probe { .. } => unreachable!("calls of the foreign client"),
        }
        record
    }

    fn operate(
        &mut self,
        environment: usize,
        record: usize,
        key: Key,
        value: &str,
        extras: Option<Extras>,
        make: impl FnOnce(holdfast::engine::base::text::Span, holdfast::engine::base::text::Span, Option<u32>) -> Op,
    ) {
        let name = self.name(key);
        let waits = self.wait(Wait::Call(record));
        self.environments[environment].push(&name, value, extras, waits, make);
    }

    fn record(&mut self, verb: Verb, environment: usize, client: Client, before: State) -> usize {
        let place = PLACES.get(environment).copied().unwrap_or(Place::Foreign);
        let seq = self.seqs[environment];
        self.seqs[environment] += 1;
        self.records.push(Record {
            verb,
            place,
            client,
            seq,
            before,
            after: None,
            start: self.now,
            end: None,
            outcome: Outcome::None,
            runs: Vec::new(),
        });
        self.records.len() - 1
    }

    pub(super) fn wait(&mut self, wait: Wait) -> u64 {
        self.waits.add(wait)
    }

    pub(super) fn name(&self, key: Key) -> String {
        self.schedule.plan.names[key].clone()
    }

    fn take(&mut self, wait: Wait, reply: Reply) {
        match wait {
            Wait::Call(record) => {
                let outcome = outcome(reply, &self.records[record].verb);
                self.settle(record, outcome);
            }
            Wait::Part(record, at) => self.take_part(record, at, outcome(reply, &Verb::Get { key: 0 })),
            Wait::Asked(caller, waiter) => self.asked(caller, waiter, reply),
            Wait::Ended(flight) => self.landed(flight, Some(reply)),
            Wait::Removed(flight) => self.remove_later(flight),
            Wait::Ignored => {}
        }
    }

    /// One of several keys is answered.
    fn take_part(&mut self, record: usize, at: usize, part: Outcome) {
        match (part, &mut self.records[record].outcome) {
            (Outcome::Value(value), Outcome::Values(values)) => values[at] = value,
            (Outcome::Error(code), _) => return self.settle(record, Outcome::Error(code)),
            _ => {}
        }
        let more = self.waits.iter().any(|wait| matches!(wait, Wait::Part(other, _) if *other == record));
        if !more {
            let outcome = self.records[record].outcome.clone();
            self.settle(record, outcome);
        }
    }

    pub(super) fn settle(&mut self, record: usize, outcome: Outcome) {
        if self.records[record].end.is_some() {
            return;
        }
        self.tick();
        let process = match self.records[record].place {
            Place::Environment { process, .. } => process,
            Place::Foreign => return,
        };
        let after = self.processes[process].state();
        let one = &mut self.records[record];
        (one.end, one.after, one.outcome) = (Some(self.now), Some(after), outcome);
        match one.client {
            Client::Plan(client) => {
                self.clients[client].left -= 1;
                if self.clients[client].left == 0 {
                    self.next_step(client);
                }
            }
            Client::Chase | Client::Settle => self.rested(record),
        }
    }

    fn make_foreign_step(&mut self, client: usize) {
        let step = self.clients[client].step;
        if !self.machines.iter().any(Machine::serves) || self.foreign_waits(client, step) {
            // It waits, as any client of a server that stands still.
            self.plan(self.now + MILLI, Event::Step(client));
            return;
        }
        let state = State { mode: Mode::Foreign, since: 0 };
        for verb in self.schedule.clients[client].steps[step].calls.clone() {
            let Some(outcome) = self.execute(&verb) else { continue };
            self.tick();
            let record = self.record(verb, PLACES.len(), Client::Plan(client), state);
            let one = &mut self.records[record];
            (one.end, one.after, one.outcome) = (Some(self.now), Some(state), outcome);
        }
        self.answer();
        self.clients[client].left = 0;
        self.next_step(client);
    }
}

/// The extras of a call with a tag.
pub fn tagged(tag: Tag) -> Extras {
    Extras { tags: vec![format!("t{tag}").into()], ..NONE.clone() }
}

/// What a text is as a value of the schedule.
pub fn value(text: &str) -> Outcome {
    // A codec of bytes sends base64.
    let bytes = text.strip_prefix('"').and_then(|text| STANDARD.decode(text.strip_suffix('"')?).ok());
    let text = bytes.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or(text);
    match text.parse() {
        Ok(value) => Outcome::Value(Some(value)),
        Err(_) => Outcome::Error(format!("a value that nobody wrote: {text}")),
    }
}

fn outcome(reply: Reply, verb: &Verb) -> Outcome {
    match reply {
        Reply::Value(json) => value(json.as_str()),
        Reply::Miss => Outcome::Value(None),
        Reply::Number(number) if matches!(verb, Verb::Increment { .. }) => Outcome::Value(Some(number)),
        Reply::Number(number) => Outcome::Number(number),
        Reply::Flag(flag) => Outcome::Flag(flag),
        Reply::Error(error) => Outcome::Error(error.code.to_owned()),
        _ => Outcome::Done,
    }
}
