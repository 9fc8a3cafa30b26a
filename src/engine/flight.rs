//! Computing once: which caller runs the function of a key, who waits for it, and whether its result may still be stored.
//!
//! The problem. A burst of callers that miss must cost one computation, whichever thread they are on; a delete that comes while the
//! function runs must not be undone by its result (G4); and a function that throws, never settles, or whose thread dies
//! must not leave anybody waiting for ever.
//!
//! The approach. Each key has a short list of flights. A flight begins `Reading` (one read of Redis serves all who ask meanwhile), and becomes
//! `Computing` when the read missed: its first caller leads, callers of the same environment follow it in JavaScript (they share errors
//! unchanged), callers of other environments wait here for the text. A write of the key *fences* every flight there is: nobody joins
//! a fenced flight any more, and its result goes to those who already wait, but not into the store. The fence is set where the
//! write is executed and checked where the result is executed, both in the order of the engine's queue, so there is no moment between.
//!
//! Every fate of a flight: `found` (the read hit), `end` (value, nothing, failed), `overdue` (callers stopped waiting; the next one leads anew,
//! the old one may still store), `forget` (its environment ended). Who waits for a flight that ends without a word asks again.
//! Between processes the lease of `lease.rs` does what this table does between threads; a flight that holds one is `leased`.
//!
//! Rejected: coalescing in JavaScript alone, as worker threads would each compute, and as JavaScript does not see the deletes of other
//! threads; a version per key kept for ever, as it grows with the number of keys. Flights live only as long as somebody computes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::batch::{Json, Reply, ReplyTo};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Computing,
}

struct Flight {
    token: u32,
    /// The environment that leads.
    client: u32,
    state: State,
    fenced: bool,
    overdue: bool,
    /// It holds the key's lease in Redis.
    leased: bool,
    waiters: Vec<ReplyTo>,
}

/// What a caller does.
#[derive(Debug, PartialEq, Eq)]
pub enum Begin {
    /// Read the key for the flight of this token, then call `found` or `lead`.
    Read(u32),
    /// Its own environment computes it.
    Follow(u32),
    /// The answer comes under the waiter's id.
    Wait,
}

/// How a computation ended.
pub enum Outcome {
    Value(Arc<str>),
    /// The function returned undefined.
    Nothing,
    /// It threw, or its environment is gone.
    Failed,
}

/// The flights of one engine.
#[derive(Default)]
pub struct Flights {
    table: Mutex<Table>,
    /// How many keys have flights; spares writes the lock while nothing is computed.
    keys: AtomicUsize,
}

#[derive(Default)]
struct Table {
    flights: HashMap<Box<str>, Vec<Flight>>,
    next_token: u32,
}

/// Replies to waiters: made under the lock, sent after it, and after the reply of the caller that brought them about.
#[must_use = "waiters that are not told wait for ever"]
#[derive(Default)]
pub struct Answers(Vec<(ReplyTo, Reply)>);

impl Answers {
    pub fn send(self) {
        for (to, reply) in self.0 {
            to.complete(&[reply]);
        }
    }

    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    fn all(waiters: Vec<ReplyTo>, reply: &Reply) -> Self {
        Self(waiters.into_iter().map(|to| (to, reply.clone())).collect())
    }
}

impl Flights {
    /// A caller asks for `key`; `waiter` is where a late answer would go.
    pub fn begin(&self, key: &str, waiter: ReplyTo) -> Begin {
        let mut table = self.table.lock();
        if waiter.sink.closed() {
            // Its batch was still queued when its environment ended. A flight that it led would never land.
            return Begin::Wait;
        }
        let client = waiter.sink.client();
        if let Some(flight) = table.flights.get_mut(key).and_then(|f| f.last_mut()).filter(|f| !f.fenced && !f.overdue)
        {
            if flight.state == State::Computing && flight.client == client {
                return Begin::Follow(flight.token);
            }
            flight.waiters.push(waiter);
            return Begin::Wait;
        }
        let token = table.token();
        let flight = Flight {
            token,
            client,
            state: State::Reading,
            fenced: false,
            overdue: false,
            leased: false,
            waiters: Vec::new(),
        };
        table.flights.entry(key.into()).or_default().push(flight);
        self.count(&table);
        Begin::Read(token)
    }

    /// The read hit: all who wait get the value, nobody computes.
    pub fn found(&self, key: &str, token: u32, value: &Json) -> Answers {
        self.take(key, token).map_or_else(Answers::default, |f| Answers::all(f.waiters, &Reply::Hit(value.clone())))
    }

    /// The read missed: the first caller computes, those of its environment follow it.
    pub fn lead(&self, key: &str, token: u32) -> Answers {
        let mut answers = Answers::default();
        if let Some(flight) = self.table.lock().find(key, token) {
            flight.state = State::Computing;
            flight.tell_followers(&mut answers);
        }
        answers
    }

    /// The read missed, and the key's lease is asked for: its first caller waits with the others, in front of them.
    pub fn hold(&self, key: &str, token: u32, first: ReplyTo) {
        if let Some(flight) = self.table.lock().find(key, token) {
            flight.waiters.insert(0, first);
        }
    }

    /// The lease is had (`leased`), or cannot be: the first who still waits computes, those of its environment follow. False where nobody waits any more.
    pub fn lead_first(&self, key: &str, token: u32, leased: bool) -> (bool, Answers) {
        let mut answers = Answers::default();
        let mut table = self.table.lock();
        let leads = match table.find(key, token) {
            Some(flight) if !flight.waiters.is_empty() => {
                let first = flight.waiters.remove(0);
                flight.client = first.sink.client();
                flight.state = State::Computing;
                flight.leased = leased;
                answers.0.push((first, Reply::Lead(token)));
                flight.tell_followers(&mut answers);
                true
            }
            _ => false,
        };
        drop(table);
        if !leads {
            self.take(key, token);
        }
        (leads, answers)
    }

    /// Whether it holds a lease.
    pub fn leased(&self, key: &str, token: u32) -> bool {
        self.table.lock().find(key, token).is_some_and(|f| f.leased)
    }

    /// Whether it is under way, and may store what it computes.
    pub fn alive(&self, key: &str, token: u32) -> bool {
        self.table.lock().find(key, token).is_some_and(|f| !f.fenced)
    }

    /// Whether somebody still waits for it, and may.
    pub fn wanted(&self, key: &str, token: u32) -> bool {
        self.table.lock().find(key, token).is_some_and(|f| !f.fenced && !f.waiters.is_empty())
    }

    /// Whether it is there, and its callers still wait for it.
    pub fn runs(&self, key: &str, token: u32) -> bool {
        self.table.lock().find(key, token).is_some_and(|f| !f.overdue)
    }

    /// Stores the result, unless the key was written since the read. The lock is held meanwhile: a write on another thread fences
    /// either before, and nothing is stored, or after, and then removes what was.
    pub fn store(&self, key: &str, token: u32, store: impl FnOnce()) -> bool {
        let mut table = self.table.lock();
        let allowed = table.find(key, token).is_some_and(|f| !f.fenced);
        if allowed {
            store();
        }
        allowed
    }

    /// Whether the result may be stored, for the engine's own thread, where no write comes between.
    pub fn may_store(&self, key: &str, token: u32) -> bool {
        self.table.lock().find(key, token).is_some_and(|f| !f.fenced)
    }

    /// The computation is over; the store, if there was one, is done.
    pub fn end(&self, key: &str, token: u32, outcome: Outcome) -> Answers {
        let Some(flight) = self.take(key, token) else { return Answers::default() };
        match outcome {
            Outcome::Value(text) => Answers::all(flight.waiters, &Reply::Hit(Json::Shared(text))),
            Outcome::Nothing => Answers::all(flight.waiters, &Reply::Nothing),
            Outcome::Failed => Answers::all(flight.waiters, &Reply::Again),
        }
    }

    /// A write of `key`: nobody joins its flights any more, and none of them stores.
    ///
    /// Returns the flight that holds the key's lease in Redis, if one of them does.
    pub fn fence(&self, key: &str) -> Option<u32> {
        if self.keys.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let mut table = self.table.lock();
        let flights = table.flights.get_mut(key)?;
        flights.iter_mut().for_each(|f| f.fenced = true);
        flights.iter().rev().find(|f| f.leased).map(|f| f.token)
    }

    /// As `fence`, for all keys that satisfy `matches`.
    pub fn fence_matching(&self, matches: impl Fn(&str) -> bool) {
        for (key, flights) in &mut self.table.lock().flights {
            if matches(key) {
                flights.iter_mut().for_each(|f| f.fenced = true);
            }
        }
    }

    /// The callers of this flight stopped waiting: the next one computes anew.
    pub fn overdue(&self, key: &str, token: u32) -> Answers {
        let waiters = self.table.lock().find(key, token).map(|flight| {
            flight.overdue = true;
            std::mem::take(&mut flight.waiters)
        });
        Answers::all(waiters.unwrap_or_default(), &Reply::Again)
    }

    /// An environment ended: it waits for nothing, and what it computed its waiters ask for again.
    pub fn forget(&self, client: u32) -> Answers {
        let mut orphans = Vec::new();
        let mut table = self.table.lock();
        for flights in table.flights.values_mut() {
            for flight in flights.iter_mut() {
                flight.waiters.retain(|to| to.sink.client() != client);
            }
            // A flight that still reads is answered by its read, for those of other environments who wait for it.
            for dead in
                flights.extract_if(.., |f| f.client == client && (f.state == State::Computing || f.waiters.is_empty()))
            {
                orphans.extend(dead.waiters);
            }
        }
        table.flights.retain(|_, flights| !flights.is_empty());
        self.count(&table);
        drop(table);
        Answers::all(orphans, &Reply::Again)
    }

    fn take(&self, key: &str, token: u32) -> Option<Flight> {
        let mut table = self.table.lock();
        let flights = table.flights.get_mut(key)?;
        let at = flights.iter().position(|f| f.token == token)?;
        let flight = flights.remove(at);
        if flights.is_empty() {
            table.flights.remove(key);
        }
        self.count(&table);
        Some(flight)
    }

    fn count(&self, table: &Table) {
        self.keys.store(table.flights.len(), Ordering::SeqCst);
    }

    /// How many keys are being read or computed.
    pub fn len(&self) -> usize {
        self.keys.load(Ordering::SeqCst)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Table {
    fn token(&mut self) -> u32 {
        self.next_token = self.next_token.wrapping_add(1);
        self.next_token
    }

    fn find(&mut self, key: &str, token: u32) -> Option<&mut Flight> {
        self.flights.get_mut(key)?.iter_mut().find(|f| f.token == token)
    }
}

impl Flight {
    fn tell_followers(&mut self, answers: &mut Answers) {
        let client = self.client;
        for to in self.waiters.extract_if(.., |to| to.sink.client() == client) {
            answers.0.push((to, Reply::Follow(self.token)));
        }
    }
}
