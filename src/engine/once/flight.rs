//! Computing once: which caller runs the function of a key, who waits for it, and whether its result may still be
//! stored.
//!
//! The problem. A burst of callers that miss must cost one computation, whichever thread they are on; a delete that
//! comes while the function runs must not be undone by its result (G4); and a function that throws, never settles, or
//! whose thread dies must not leave anybody waiting for ever.
//!
//! The approach. Each key has a short list of flights. A flight begins `Reading` (one read of Redis serves all who ask
//! meanwhile), and becomes `Computing` when the read missed: its first caller leads, callers of the same environment
//! follow it in JavaScript (they share errors unchanged), callers of other environments wait here for the text. A write
//! of the key *fences* every flight there is: nobody joins a fenced flight any more, and its result goes to those who
//! already wait, but not into the store. The fence is set where the write is executed (fences.rs) and checked where the
//! result is executed, both in the order of the engine's queue, so there is no moment between.
//!
//! Every fate of a flight: `found` (the read hit), `end` (value, nothing, failed, left), `overdue` (callers stopped
//! waiting; the next one leads anew, the old one may still store), `forget` (its environment ended). Who waits for a
//! flight that ends without a word asks again. Between processes the lease of `lease.rs` does what this table does
//! between threads; a flight that holds one is `leased`, and gives it up with its right to store.
//!
//! An environment may end at any moment, and then computes nothing and hears of nothing. Its sink is closed first and
//! its flights are forgotten behind that, so whoever makes a leader under the lock of the table sees one or the other:
//! a closed sink never leads. Under its lease the next caller that lives does; without one all ask again, each with
//! its own wish for a lease. Each waiter has an owner that ends it: its answer, its caller who gives up (`withdraw`),
//! or the end of its environment.
//!
//! Caches of one namespace may have different codecs. What one of them computes is no value to the other, so each codec
//! has flights of its own.
//!
//! Rejected: coalescing in JavaScript alone, as worker threads would each compute, and as JavaScript does not see the
//! deletes of other threads; a version per key kept for ever, as it grows with the number of keys. Flights live only as
//! long as somebody computes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::engine::base::mutant;
use crate::engine::base::text::Json;
use crate::engine::call::reply::Reply;
use crate::engine::call::sink::ReplyTo;
use crate::engine::once::waiters::{Answers, Begin, Caller, Flight, Lease, Led, Outcome, Over, State};
use crate::engine::value::tag_list::Tag;

/// How a flight's result may be stored.
pub struct Landing {
    pub lease: Lease,
    pub over: Option<Over>,
    pub tags: Vec<Tag>,
}

/// The flights of one engine.
#[derive(Default)]
pub struct Flights {
    pub(super) table: Mutex<Table>,
    /// How many keys have flights; spares writes the lock while nothing is computed.
    pub(super) keys: AtomicUsize,
    /// See held.rs.
    pub(super) asking: AtomicBool,
}

#[derive(Default)]
pub(super) struct Table {
    /// In their order: a pattern fences those behind its head.
    pub(super) flights: BTreeMap<Box<str>, Vec<Flight>>,
    /// Of each tag, the flights whose result would have it, or which are to replace what has it, by their tokens, and
    /// their keys.
    pub(super) tagged: HashMap<Arc<str>, BTreeMap<u32, Box<str>>>,
    /// How many tags ended while there were flights.
    pub(super) tag_ends: u64,
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
        if let Some(flight) =
            table.flights.get_mut(key).and_then(|f| f.iter_mut().rev().find(|f| f.takes(caller.codec)))
        {
            return flight.join(caller, now);
        }
        let (token, ends) = (table.token(), table.tag_ends);
        table.flights.entry(key.into()).or_default().push(Flight::new(token, &caller, ends));
        self.count(&table);
        Begin::Read(token)
    }

    /// Its lease is asked for along with its read.
    pub fn asked(&self, key: &str, token: u32) {
        if let Some(flight) = self.table.lock().find(key, token) {
            flight.asked = true;
            self.asking.store(true, Ordering::Relaxed);
        }
    }

    /// Its read has been answered, and waits to be judged: who asks from here on reads for himself, as he may have read
    /// a newer value meanwhile.
    pub fn answered(&self, key: &str, token: u32) {
        if let Some(flight) = self.table.lock().find(key, token) {
            flight.answered = true;
        }
    }

    /// The read hit: all who wait get the value, nobody computes.
    pub fn found(&self, key: &str, token: u32, value: &Json) -> Answers {
        self.take(key, token).map_or_else(Answers::default, |f| Answers::all(f.waiters, &Reply::Hit(value.clone())))
    }

    /// The read missed, or what it found is to be replaced: its caller `to` computes by the reply of its batch, those
    /// of its environment follow it. Where that environment has ended, the first who waits computes with its lease;
    /// without one all ask again, as that caller may have wanted none (`lock: false`) where they do.
    pub fn lead(&self, key: &str, token: u32, to: &ReplyTo, lease: Lease, over: Option<Over>, now: u64) -> Led {
        let mut table = self.table.lock();
        let Some(flight) = table.replaces(key, token, over) else { return Led::default() };
        if !to.sink.closed() || mutant::lacks("living") {
            return flight.take_off(lease, None, now);
        }
        if lease == Lease::None && !mutant::lacks("orphans") {
            let orphans = self.remove(&mut table, key, token).map_or_else(Vec::new, |f| f.waiters);
            return Led { answers: Answers::all(orphans, &Reply::Again), ..Led::default() };
        }
        self.first(&mut table, key, token, lease, now)
    }

    /// As `lead`, but first the lease is asked for: the first caller waits with the others, in front of them. False
    /// where nobody waits.
    pub fn hold(&self, key: &str, token: u32, first: Caller, over: Option<Over>) -> bool {
        let mut table = self.table.lock();
        let Some(flight) = table.replaces(key, token, over) else { return false };
        (flight.answered, flight.state) = (false, State::Asking);
        self.asking.store(true, Ordering::Relaxed);
        if !first.to.sink.closed() {
            flight.waiters.insert(0, first);
        }
        let waits = !flight.waiters.is_empty();
        if !waits {
            self.remove(&mut table, key, token);
        }
        waits
    }

    /// The lease is had, or cannot be: the first who still waits computes, those of its environment follow.
    pub fn lead_first(&self, key: &str, token: u32, lease: Lease, now: u64) -> Led {
        self.first(&mut self.table.lock(), key, token, lease, now)
    }

    fn first(&self, table: &mut Table, key: &str, token: u32, lease: Lease, now: u64) -> Led {
        let Some(flight) = table.find(key, token) else { return Led::default() };
        if !mutant::lacks("living") {
            flight.waiters.retain(|caller| !caller.to.sink.closed());
        }
        if flight.waiters.is_empty() {
            self.remove(table, key, token);
            return Led::default();
        }
        let first = flight.waiters.remove(0);
        flight.take_off(lease, Some(first), now)
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

    /// Whether it is there, and nobody is to wait for it any more.
    pub fn stands_aside(&self, key: &str, token: u32) -> bool {
        self.table.lock().find(key, token).is_some_and(|f| f.overdue || f.fenced)
    }

    /// Whether it is there, and others are to wait for it.
    pub fn runs(&self, key: &str, token: u32) -> bool {
        self.table.lock().find(key, token).is_some_and(|f| !f.overdue && !f.fenced)
    }

    /// Stores the result, unless the key was written since the read. The lock is held meanwhile: a write on another
    /// thread fences either before, and nothing is stored, or after, and then removes what was.
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
            Outcome::Left => {
                flight.give_up();
                Answers::all(flight.waiters, &Reply::Again)
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

    /// The caller that waits under this id does so no more. Where it leads and does not know, as its answer is still on
    /// its way, the flight is left.
    pub fn withdraw(&self, key: &str, client: u32, waiter: u32) -> Answers {
        let mut table = self.table.lock();
        let Some(flights) = table.flights.get_mut(key) else { return Answers::default() };
        for flight in flights.iter_mut() {
            if let Some(at) = flight.waiters.iter().position(|c| c.client() == client && c.to.id == waiter) {
                flight.waiters.remove(at);
                return Answers::default();
            }
        }
        let led = flights.iter().find(|f| f.client == client && f.led_by == Some(waiter)).map(|f| f.token);
        drop(table);
        led.map_or_else(Answers::default, |token| self.end(key, token, Outcome::Left))
    }

    /// An environment ended: it waits for nothing, and what it computed its waiters ask for again.
    pub fn forget(&self, client: u32) -> Answers {
        let mut orphans = Vec::new();
        let mut table = self.table.lock();
        let Table { flights, tagged, .. } = &mut *table;
        for flights in flights.values_mut() {
            for flight in flights.iter_mut() {
                flight.waiters.retain(|caller| caller.client() != client);
            }
            // A flight that still reads is answered by its read, for those of other environments who wait for it.
            for dead in flights.extract_if(.., |f| f.client == client && (f.is_computing() || f.waiters.is_empty())) {
                dead.give_up();
                untag(tagged, &dead);
                orphans.extend(dead.waiters);
            }
        }
        table.flights.retain(|_, flights| !flights.is_empty());
        self.count(&table);
        drop(table);
        Answers::all(orphans, &Reply::Again)
    }

    fn take(&self, key: &str, token: u32) -> Option<Flight> {
        self.remove(&mut self.table.lock(), key, token)
    }

    fn remove(&self, table: &mut Table, key: &str, token: u32) -> Option<Flight> {
        let flights = table.flights.get_mut(key)?;
        let at = flights.iter().position(|f| f.token == token)?;
        let flight = flights.remove(at);
        if flights.is_empty() {
            table.flights.remove(key);
        }
        untag(&mut table.tagged, &flight);
        self.count(table);
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

    pub(super) fn find(&mut self, key: &str, token: u32) -> Option<&mut Flight> {
        self.flights.get_mut(key)?.iter_mut().find(|f| f.token == token)
    }
}

/// A flight that is over has no tags.
fn untag(tagged: &mut HashMap<Arc<str>, BTreeMap<u32, Box<str>>>, flight: &Flight) {
    let old = flight.over.iter().flat_map(|over| &over.tags);
    for name in flight.tags.iter().map(|tag| &tag.name).chain(old) {
        if let Some(flights) = tagged.get_mut(name) {
            flights.remove(&flight.token);
            if flights.is_empty() {
                tagged.remove(name);
            }
        }
    }
}
