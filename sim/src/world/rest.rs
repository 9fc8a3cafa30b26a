//! The beginning of a schedule and its end: the processes connect, the clients run, and when nothing goes wrong any
//! more everybody reads until the outages are undone, and then looks once more at rest.

use std::collections::BTreeMap;

use crate::history::{Client, Event as Told, History, Key, MILLI, Mishap, Mode, Nanos, Outcome, Place, SPACES, Verb};
use crate::schedule::PLACES;
use crate::server::{Acl, Reply};
use crate::world::{Event, World};

/// A read that finds what the one before it found is no news for so long; and for longer once a chase is a long one.
const NEWS: Nanos = 2 * MILLI;
const LATE_NEWS: Nanos = 40 * MILLI;
/// The longest pause between two rounds; and when a schedule takes long.
const LATE_PAUSE: Nanos = 15 * MILLI;
const LATE: Nanos = 250 * MILLI;
/// Nobody waits longer than this for an outage to be undone.
const LONG: Nanos = 6_000 * MILLI;
/// Rounds of reads once an environment is back in redis mode.
const ROUNDS: u32 = 3;
/// How often everybody looks in the end, until no outage comes between.
const LOOKS: u32 = 100;
const PAUSE: Nanos = 20 * MILLI;
/// Keys of others, with names that a careless prefix would meet.
const NEIGHBOURS: [&str; 5] = ["app", "appx:k0", "xapp:k0", "k0", "n0"];

/// How far the end of a schedule is.
#[derive(Default)]
pub struct Rest {
    /// The schedule has begun.
    begun: bool,
    began: Nanos,
    /// By environment: rounds that are left of its chase; none before it begins.
    rounds: Vec<Option<u32>>,
    /// Reads of its round that have not settled.
    left: Vec<usize>,
    /// What its last read of a key found, and when.
    last: BTreeMap<(usize, Key), (Outcome, u64, Nanos)>,
    /// Records that are no news.
    dropped: Vec<usize>,
    looks: u32,
    /// By environment: which part of the look it is at.
    look: Vec<u32>,
    before: Vec<(Key, Option<Vec<u8>>)>,
    over: bool,
    pub restless: bool,
}

impl Rest {
    pub fn is_over(&self) -> bool {
        self.over
    }
}

impl World {
    /// What Redis holds before anybody connects.
    pub(super) fn prepare(&mut self) {
        self.rest.rounds = vec![None; PLACES.len()];
        self.rest.left = vec![0; PLACES.len()];
        self.rest.look = vec![0; PLACES.len()];
        let settings = &self.schedule.settings;
        for machine in &mut self.machines {
            let faults = &mut machine.server.faults;
            faults.tracked_keys = settings.tracked;
            faults.no_hello = settings.resp2;
            if settings.walled {
                let spaces = settings.caches.iter().map(|cache| SPACES[cache.space]);
                let prefixes = spaces.map(|space| format!("{space}:").into()).collect();
                faults.acl = Some(Acl { prefixes, ..Acl::default() });
            }
        }
        if settings.tracked.is_some() {
            // A token that leaves the near cache between two looks makes a miss of what has its tag.
            self.mishaps.push(Mishap::Eviction { from: 0, until: Nanos::MAX });
        }
        for key in NEIGHBOURS {
            self.command(key, &[b"SET", key.as_bytes(), b"theirs"]);
        }
        let head = self.schedule.plan.head.to_string();
        for key in self.schedule.plan.counters.clone() {
            let name = self.stored(key);
            self.command(&name, &[b"SET", name.as_bytes(), head.as_bytes(), b"PX", b"60000"]);
        }
        self.plan(self.now + 10 * MILLI, Event::Cycle);
    }

    /// What listeners were told; and the schedule begins once everybody is connected.
    pub(super) fn listen(&mut self) {
        for environment in 0..self.environments.len() {
            let told = self.environments[environment].mail.take_events();
            for event in told {
                let process = Self::process_of(environment);
                if event.contains("journal of this outage is full") {
                    let at = self.told.nanos();
                    self.mishaps.push(Mishap::Overflow { process, at });
                }
                let fallback = event.contains("\"fallback\"");
                if self.truth.is_none() && fallback || self.truth.is_none() && event.contains("\"recovered\"") {
                    self.told_events.push(Told { process, fallback, at: self.now });
                }
            }
        }
        self.note_modes();
        if !self.rest.begun && self.processes.iter().all(|process| process.state().mode == Mode::Redis) {
            (self.rest.begun, self.rest.began) = (true, self.now);
            self.plan_faults();
            for client in 0..self.clients.len() {
                let pause = self.schedule.clients[client].steps.first().map_or(0, |step| step.pause);
                self.plan(self.now + pause * MILLI, Event::Step(client));
            }
            self.calm_down();
        }
    }

    /// A fault has ended, or a client: perhaps nothing goes wrong any more, and some environments begin to chase.
    pub(super) fn calm_down(&mut self) {
        let foreign_over = self.clients.iter().all(|client| client.place != Place::Foreign || client.over);
        self.calm = self.faults_left == 0 && foreign_over;
        for (environment, place) in PLACES.iter().enumerate() {
            let over = self.clients.iter().all(|client| client.place != *place || client.over);
            if over && self.rest.rounds[environment].is_none() && self.rest.begun {
                self.rest.rounds[environment] = Some(ROUNDS);
                self.plan(self.now + MILLI, Event::Chase(environment));
            }
        }
        self.look_soon();
    }

    fn names(&self) -> Vec<Key> {
        self.schedule.plan.keys.iter().chain(&self.schedule.plan.counters).copied().collect()
    }

    /// A round of reads, or a part of the look.
    pub(super) fn chase(&mut self, environment: usize) {
        let names: Vec<_> = self.names().into_iter().filter(|key| self.schedule.owns(environment, *key)).collect();
        let (client, verbs): (Client, Vec<Verb>) = match self.rest.look[environment] {
            0 => (Client::Chase, names.into_iter().map(|key| Verb::Get { key }).collect()),
            1 => {
                let looks = self.rest.looks;
                let name = |slot: &str| format!("fresh:{environment}:{looks}{slot}");
                (Client::Settle, self.fresh(name))
            }
            2 => (Client::Settle, names.into_iter().map(|key| Verb::Get { key }).collect()),
            _ => (Client::Settle, vec![Verb::GetMany { keys: names }]),
        };
        self.rest.left[environment] = verbs.len();
        for verb in verbs {
            self.make(verb, environment, client);
        }
    }

    /// A read of a chase or of a look has settled.
    pub(super) fn rested(&mut self, record: usize) {
        let one = &self.records[record];
        let Some(environment) = PLACES.iter().position(|place| *place == one.place) else { return };
        if let (Client::Chase, Verb::Get { key }) = (one.client, &one.verb) {
            let state = if Some(one.before) == one.after { one.before.since * 2 } else { u64::MAX };
            let state = state.saturating_add(u64::from(one.before.mode == Mode::Memory));
            let at = (environment, *key);
            let news = if self.is_late() { LATE_NEWS } else { NEWS };
            let known = self.rest.last.get(&at);
            if known.is_some_and(|(found, in_state, when)| {
                *found == one.outcome && *in_state == state && state != u64::MAX && self.now - when < news
            }) {
                self.rest.dropped.push(record);
            } else {
                self.rest.last.insert(at, (one.outcome.clone(), state, self.now));
            }
        }
        self.rest.left[environment] -= 1;
        if self.rest.left[environment] == 0 {
            self.next_round(environment);
        }
    }

    /// Whether the schedule takes long.
    fn is_late(&self) -> bool {
        self.now - self.rest.began > LATE
    }

    fn next_round(&mut self, environment: usize) {
        if self.rest.look[environment] > 0 {
            self.rest.look[environment] += 1;
            if self.rest.look[environment] <= 3 {
                let at = self.soon();
                return self.plan(at, Event::Chase(environment));
            }
            return self.looked();
        }
        let process = &self.processes[Self::process_of(environment)];
        let undone = process.serving().all(|server| server.journal.is_empty());
        // What the server refused to remove is left until the next connection.
        let undone = undone || self.now - self.rest.began > LONG;
        let back = self.calm && process.state().mode == Mode::Redis && undone;
        let Some(rounds) = &mut self.rest.rounds[environment] else { return };
        if back {
            *rounds -= 1;
        }
        if *rounds == 0 {
            return self.look_soon();
        }
        let waits = *rounds == ROUNDS;
        // An outage of a few milliseconds is looked at closely, a long one now and then.
        let pause = ((self.now - self.rest.began) / 16).clamp(MILLI, LATE_PAUSE);
        let at = if waits { self.now + pause } else { self.soon() };
        self.plan(at, Event::Chase(environment));
    }

    /// Everybody looks once all have chased.
    fn look_soon(&mut self) {
        let chased = |at: usize| self.environments[at].ended || self.rest.rounds[at] == Some(0);
        if !self.calm || self.rest.looks > 0 || !(0..PLACES.len()).all(chased) {
            return;
        }
        self.begin_look();
    }

    pub(super) fn begin_look(&mut self) {
        self.rest.looks += 1;
        self.rest.before = self.names().into_iter().map(|key| (key, self.held(key))).collect();
        for environment in 0..PLACES.len() {
            if !self.environments[environment].ended {
                self.rest.look[environment] = 1;
                let at = self.soon();
                self.plan(at, Event::Chase(environment));
            }
        }
    }

    /// An environment has looked; over once all have, and no outage came between.
    fn looked(&mut self) {
        let all = (0..PLACES.len()).all(|at| self.environments[at].ended || self.rest.look[at] > 3);
        if !all {
            return;
        }
        let mut kept = vec![true; self.records.len()];
        self.rest.dropped.iter().for_each(|at| kept[*at] = false);
        let looks = self.records.iter().zip(&kept);
        let looks: Vec<_> = looks.filter(|(record, kept)| **kept && record.client == Client::Settle).collect();
        let steady = looks.iter().all(|(record, _)| {
            let first = looks.iter().find(|(other, _)| other.place == record.place);
            record.before.mode == Mode::Redis
                && Some(record.before) == record.after
                && first.is_some_and(|(first, _)| first.before == record.before)
        });
        if steady {
            self.rest.over = true;
            (0..self.processes.len()).for_each(|process| self.measure_at_rest(process));
            return;
        }
        if self.rest.looks > LOOKS {
            (self.rest.over, self.rest.restless) = (true, true);
            return;
        }
        let settle = self.records.iter().enumerate().filter(|(_, record)| record.client == Client::Settle);
        let again: Vec<usize> = settle.map(|(at, _)| at).collect();
        self.rest.dropped.extend(again);
        self.plan(self.now + PAUSE, Event::Look);
    }

    /// The history of the schedule.
    pub(super) fn told(mut self) -> History {
        let before = std::mem::take(&mut self.rest.before);
        let mut finals = Vec::new();
        let mut left = Vec::new();
        for (key, held) in before {
            let now = self.held(key);
            // Whoever looked saw what lay there before: what a refresh stored since has a life of its own.
            let millis = (held == now).then(|| self.left(key)).filter(|millis| *millis >= 0);
            finals.push((key, held, now));
            left.push((key, millis.map(|millis| self.now + millis as Nanos * MILLI)));
        }
        let loses = |mishap: &Mishap| matches!(mishap, Mishap::Restart { .. } | Mishap::Eviction { .. });
        let flushed = self.records.iter().any(|record| record.verb == Verb::Flush) || self.mishaps.iter().any(loses);
        let mut lost = Vec::new();
        for key in NEIGHBOURS {
            let there =
                matches!(self.command(key, &[b"GET", key.as_bytes()]), Reply::Bulk(bytes) if bytes == b"theirs");
            if !there && !flushed {
                lost.push(key.to_owned());
            }
        }
        let dropped = std::mem::take(&mut self.rest.dropped);
        let mut records: Vec<_> = self.records.into_iter().map(Some).collect();
        dropped.into_iter().for_each(|at| records[at] = None);
        History {
            plan: self.schedule.plan,
            records: records.into_iter().flatten().collect(),
            events: self.told_events,
            finals,
            left,
            ended: self.ended,
            lost,
            mishaps: self.mishaps,
            excesses: self.bounds.told(),
        }
    }
}
