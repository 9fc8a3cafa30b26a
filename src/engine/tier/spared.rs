//! What this process wrote behind a sweep of several servers: no part of that removes it, wherever its slot goes.
//!
//! **The problem.** On a cluster each server has its own part of a `delPattern` or `clear` (route/sweep.rs), and comes
//! to it in its own time: one that stands still, or is away, later than the others. A key that is written behind the
//! sweep is an exception at the server that has it (covers.rs), and is none any more once that server's part is over.
//! Its slot may then move to a server whose part is still to come; that would find the key, and remove it.
//!
//! **The approach.** While any part of a sweep is still to be done, the sweep *spares* each key that a server says it
//! has stored, where the sweep had its place at that server when the write was planned. A part does not mean such a key
//! ([`Pattern::sparing`]), at whatever server. A key counts from the answer on and not from the plan on, as exceptions
//! do: a server that redirects a write did not do it, and while the slot is on its way the older value may lie
//! elsewhere. A server whose connection is lost may come back with what it had before: what it stored until then is
//! spared no more.
//!
//! **The bounds** are those of exceptions. A key beyond them is not spared: a miss where its slot moves.
//!
//! **Rejected.** *To take a slot that comes out of the new owner's part*: what of it lay there before the sweep, as its
//! keys had come one by one (ASK), would be read again. *To keep the exceptions with the server*: who has the slot next
//! may have no part of the sweep, and pass it on.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::engine::base::mutant;
use crate::engine::base::pattern::Pattern;
use crate::engine::tier::budget::Measure;
use crate::engine::tier::covers::{MAX_EXCEPTION_BYTES, MAX_EXCEPTIONS};
use crate::engine::tier::heads::Heads;

/// The sweeps of one engine of which some server is still to do its part.
#[derive(Clone, Default)]
pub struct Sparing(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    /// How many there are; spares writes the lock while there are none.
    len: AtomicUsize,
    /// Goes on with each place that a sweep takes.
    moment: AtomicU64,
}

#[derive(Default)]
struct State {
    heads: Heads<u64>,
    sweeps: HashMap<u64, Sweep>,
    keys: usize,
    bytes: usize,
}

struct Sweep {
    pattern: Pattern,
    called: u64,
    /// When it took its place at each server that has a part of it, by that server's place; none: it is still to.
    places: BTreeMap<u16, Option<u64>>,
    /// What it spares, as it is stored, and the place of the server that said so.
    keys: HashMap<Box<[u8]>, u16>,
}

impl Sweep {
    /// Whether what was planned at a server at that moment is behind it. Who has no part of it gets slots from others.
    fn is_before(&self, place: u16, planned: u64) -> bool {
        self.places.get(&place).copied().unwrap_or(Some(self.called)).is_some_and(|since| since <= planned)
    }
}

impl Sparing {
    /// A sweep is called; the servers at these places each have a part of it.
    pub fn begin(&self, pattern: &Pattern, places: impl Iterator<Item = u16>) -> Arc<Spared> {
        let mut state = self.0.state.lock();
        let called = self.0.next();
        state.heads.insert(pattern, called);
        let places = places.map(|place| (place, None)).collect();
        let sweep = Sweep { pattern: pattern.clone(), called, places, keys: HashMap::new() };
        state.sweeps.insert(called, sweep);
        self.0.len.store(state.sweeps.len(), Ordering::SeqCst);
        Arc::new(Spared { id: called, of: self.0.clone() })
    }

    /// For a write that is planned now.
    pub fn moment(&self) -> u64 {
        self.0.moment.load(Ordering::SeqCst)
    }

    /// Sweeps of which something is still to be done.
    pub fn len(&self) -> usize {
        self.0.len.load(Ordering::SeqCst)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The server at this place has stored a key, as a write wanted that was planned at this moment.
    pub fn stored(&self, place: u16, key: &str, planned: u64) {
        if self.is_empty() || mutant::lacks("spared") {
            return;
        }
        let State { heads, sweeps, keys, bytes } = &mut *self.0.state.lock();
        for id in heads.matching(key.as_bytes()) {
            let Some(sweep) = sweeps.get_mut(id).filter(|sweep| sweep.is_before(place, planned)) else { continue };
            if let Some(before) = sweep.keys.get_mut(key.as_bytes()) {
                *before = place;
            } else if *keys < MAX_EXCEPTIONS && *bytes + key.len() <= MAX_EXCEPTION_BYTES {
                sweep.keys.insert(key.as_bytes().into(), place);
                *keys += 1;
                *bytes += key.len();
            }
        }
    }

    /// The connection to the server at this place is lost.
    pub fn lost(&self, place: u16) {
        if self.is_empty() {
            return;
        }
        let State { sweeps, keys, bytes, .. } = &mut *self.0.state.lock();
        for sweep in sweeps.values_mut() {
            sweep.keys.retain(|_, at| *at != place);
        }
        let left = || sweeps.values().flat_map(|sweep| sweep.keys.keys());
        (*keys, *bytes) = (left().count(), left().map(|key| key.len()).sum());
    }

    /// What it holds now, with its bounds.
    pub fn measures(&self) -> [Measure; 2] {
        let state = self.0.state.lock();
        [
            ("keys that sweeps spare", state.keys, MAX_EXCEPTIONS),
            ("bytes of keys that sweeps spare", state.bytes, MAX_EXCEPTION_BYTES),
        ]
    }
}

impl Inner {
    fn next(&self) -> u64 {
        self.moment.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// What one sweep spares; whoever has a part of it that is still to be done has this.
pub struct Spared {
    id: u64,
    of: Arc<Inner>,
}

impl Spared {
    /// The sweep takes its place at a server.
    pub fn placed(&self, place: u16) {
        let mut state = self.of.state.lock();
        if let Some(at) = state.sweeps.get_mut(&self.id).and_then(|sweep| sweep.places.get_mut(&place)) {
            at.get_or_insert_with(|| self.of.next());
        }
    }

    /// The keys of a pattern that the sweep does not spare by then.
    pub fn rest_of(self: &Arc<Self>, pattern: &Pattern) -> Pattern {
        let spared = self.clone();
        pattern.sparing(move |key| spared.has(key))
    }

    fn has(&self, key: &[u8]) -> bool {
        self.of.state.lock().sweeps.get(&self.id).is_some_and(|sweep| sweep.keys.contains_key(key))
    }
}

/// All of it is done.
impl Drop for Spared {
    fn drop(&mut self) {
        let mut state = self.of.state.lock();
        let Some(sweep) = state.sweeps.remove(&self.id) else { return };
        state.heads.remove(&sweep.pattern, |id| *id == self.id);
        state.keys -= sweep.keys.len();
        state.bytes -= sweep.keys.keys().map(|key| key.len()).sum::<usize>();
        self.of.len.store(state.sweeps.len(), Ordering::SeqCst);
    }
}
