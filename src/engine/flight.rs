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
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::batch::{Json, Reply};
use super::entry::Tag;
use super::mutant;
use super::tags;
use super::waiters::{Answers, Begin, Caller, Flight, Lease, Outcome, Over, State};

/// How a flight's result may be stored.
pub struct Landing {
    pub lease: Lease,
    pub over: Option<Over>,
    pub tags: Vec<Tag>,
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

impl Flights {
    /// A caller asks for `key`.
    pub fn begin(&self, key: &str, caller: Caller, now: u64) -> Begin {
        let mut table = self.table.lock();
        if caller.to.sink.closed() {
            // Its batch was still queued when its environment ended. A flight that it led would never land.
            return Begin::Wait;
        }
        let client = caller.client();
        if let Some(flight) = table.flights.get_mut(key).and_then(|f| f.last_mut()).filter(|f| !f.fenced && !f.overdue)
        {
            return flight.join(caller, now);
        }
        let token = table.token();
        table.flights.entry(key.into()).or_default().push(Flight::new(token, client));
        self.count(&table);
        Begin::Read(token)
    }

    /// The tokens of the tags that its result will have.
    pub fn tag(&self, key: &str, token: u32, tags: Vec<Tag>) {
        if let Some(flight) = self.table.lock().find(key, token) {
            flight.tags = tags;
        }
    }

    /// Its lease is asked for along with its read.
    pub fn asked(&self, key: &str, token: u32) {
        if let Some(flight) = self.table.lock().find(key, token) {
            flight.asked = true;
        }
    }

    /// The read hit: all who wait get the value, nobody computes.
    pub fn found(&self, key: &str, token: u32, value: &Json) -> Answers {
        self.take(key, token).map_or_else(Answers::default, |f| Answers::all(f.waiters, &Reply::Hit(value.clone())))
    }

    /// The read missed, or what it found is to be replaced: the first caller computes, those of its environment follow it.
    pub fn lead(&self, key: &str, token: u32, lease: Lease, over: Option<Over>, now: u64) -> Answers {
        let mut answers = Answers::default();
        if let Some(flight) = self.table.lock().find(key, token) {
            flight.over = over;
            flight.lease = lease;
            flight.take_off(&mut answers, now);
        }
        answers
    }

    /// As `lead`, but first the lease is asked for: the first caller waits with the others, in front of them.
    pub fn hold(&self, key: &str, token: u32, first: Caller, over: Option<Over>) {
        if let Some(flight) = self.table.lock().find(key, token) {
            flight.over = over;
            flight.waiters.insert(0, first);
        }
    }

    /// The lease is had, or cannot be: the first who still waits computes, those of its environment follow. False where nobody waits any more.
    pub fn lead_first(&self, key: &str, token: u32, lease: Lease, now: u64) -> (bool, Answers) {
        let mut answers = Answers::default();
        let mut table = self.table.lock();
        let leads = match table.find(key, token) {
            Some(flight) if !flight.waiters.is_empty() => {
                let first = flight.waiters.remove(0);
                flight.client = first.client();
                flight.lease = lease;
                let reply = match &flight.over {
                    Some(over) if over.stale.serves(first.window, now) => {
                        Reply::LeadOver(token, over.stale.age(now), over.stale.json.clone())
                    }
                    _ => Reply::Lead(token),
                };
                answers.push(first, reply);
                flight.take_off(&mut answers, now);
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

    /// Another process computes the key: those who wanted to know are told.
    pub fn elsewhere(&self, key: &str, token: u32) -> Answers {
        let mut answers = Answers::default();
        if let Some(flight) = self.table.lock().find(key, token) {
            flight.elsewhere = true;
            for caller in flight.waiters.extract_if(.., |caller| caller.many) {
                answers.push(caller, Reply::Elsewhere);
            }
        }
        answers
    }

    /// Another process refreshes the entry: those for whom the old value is of use get it, the others ask again.
    pub fn serve_stale(&self, key: &str, token: u32, now: u64) -> Answers {
        let Some(mut flight) = self.take(key, token) else { return Answers::default() };
        let mut answers = Answers::default();
        if let Some(over) = &flight.over {
            answers.serve(&mut flight.waiters, &over.stale, now);
        }
        answers.append(Answers::all(flight.waiters, &Reply::Again));
        answers
    }

    /// The bytes by which Redis tells that the entry which it replaces is still there.
    pub fn replaces(&self, key: &str, token: u32) -> Option<Box<[u8]>> {
        self.table.lock().find(key, token)?.over.as_ref().map(|over| over.identity.clone())
    }

    /// Whether its marker lies at the key.
    pub fn leased(&self, key: &str, token: u32) -> bool {
        self.table.lock().find(key, token).is_some_and(|f| f.lease == Lease::Key)
    }

    /// Whether it is under way, and may store what it computes.
    pub fn alive(&self, key: &str, token: u32) -> bool {
        self.table.lock().find(key, token).is_some_and(|f| !f.fenced)
    }

    /// Whether somebody still waits for it, and may.
    pub fn wanted(&self, key: &str, token: u32) -> bool {
        self.table.lock().find(key, token).is_some_and(|f| !f.fenced && !f.waiters.is_empty())
    }

    /// Whether it is there, and its callers do not wait for it any more.
    pub fn is_overdue(&self, key: &str, token: u32) -> bool {
        self.table.lock().find(key, token).is_some_and(|f| f.overdue)
    }

    /// Whether it is there, and its callers still wait for it.
    pub fn runs(&self, key: &str, token: u32) -> bool {
        self.table.lock().find(key, token).is_some_and(|f| !f.overdue)
    }

    /// Stores the result, unless the key was written since the read. The lock is held meanwhile: a write on another thread fences
    /// either before, and nothing is stored, or after, and then removes what was.
    pub fn store(&self, key: &str, token: u32, store: impl FnOnce(&[Tag])) -> bool {
        let mut table = self.table.lock();
        let flight = table.find(key, token).filter(|f| !f.fenced);
        if let Some(flight) = &flight {
            store(&flight.tags);
        }
        flight.is_some()
    }

    /// How the result may be stored, if it may, for the engine's own thread, where no write comes between.
    pub fn landing(&self, key: &str, token: u32) -> Option<Landing> {
        let mut table = self.table.lock();
        let flight = table.find(key, token).filter(|f| !f.fenced)?;
        Some(Landing { lease: flight.lease, over: flight.over.clone(), tags: flight.tags.clone() })
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
    /// Returns the flight that holds the key's lease in Redis, or may, if one of them does.
    pub fn fence(&self, key: &str) -> Option<u32> {
        if self.keys.load(Ordering::SeqCst) == 0 || mutant::lacks("flight") {
            return None;
        }
        let mut table = self.table.lock();
        let flights = table.flights.get_mut(key)?;
        flights.iter_mut().for_each(|f| f.fenced = true);
        flights.iter().rev().find(|f| f.lease == Lease::Key || f.asked).map(|f| f.token)
    }

    /// As `fence`, for all that compute without a lease: they began while Redis was away, and others may have written their keys since.
    pub fn fence_unleased(&self) {
        for flight in self.table.lock().flights.values_mut().flatten() {
            flight.fenced |= flight.lease == Lease::None && flight.state == State::Computing;
        }
    }

    /// As `fence`, for all keys that satisfy `matches`.
    pub fn fence_matching(&self, matches: impl Fn(&str) -> bool) {
        for (key, flights) in &mut self.table.lock().flights {
            if matches(key) {
                flights.iter_mut().for_each(|f| f.fenced = true);
            }
        }
    }

    /// As `fence`, for the flights whose result would have the tag of this stored key.
    pub fn fence_tag(&self, key: &str) {
        if self.is_empty() {
            return;
        }
        let Some((_, name)) = key.split_once(tags::TAG) else { return };
        for flight in self.table.lock().flights.values_mut().flatten() {
            flight.fenced |= flight.tags.iter().any(|tag| *tag.name == *name);
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
                flight.waiters.retain(|caller| caller.client() != client);
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
