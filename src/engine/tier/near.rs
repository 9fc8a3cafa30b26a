//! The near cache: what was read from Redis, kept in this process for as long as Redis vouches for it.
//!
//! **The problem.** A hot key costs a round trip for each read. Keeping its value here is easy; knowing when it is no
//! longer true is not. Redis tells (RESP3 client tracking: whoever reads a key is sent a push when somebody changes
//! it), but the push and the reply that it makes untrue are on their way at the same time, and callers on several
//! threads read and write meanwhile.
//!
//! **The races, and the fence that closes each.**
//!
//! 1. *Reply against push.* A read is sent, another client writes, the push arrives, and only then is the reply put
//!    away: stale for ever, as Redis pushes once. So a *placeholder* is set before the read is sent. A push removes
//!    placeholder and entry; a reply fills its placeholder only while that stands. Pushes are handled by the
//!    connection's driver in the order in which they are read, each before the replies behind it reach the pump.
//! 2. *Own write against own entry.* A write removes the entry when it is submitted, on the caller's thread, so that
//!    nothing served after it is older (read your writes, before the server has even seen it).
//! 3. *Own write against a read that was queued before it.* That read sets its placeholder when the engine plans it,
//!    after (2). So the write removes the placeholder again when it is planned itself. Reads planned behind the write
//!    go to Redis behind it, on the same connection. But the reply of that read may come before the write is planned
//!    (jobs wait for the tokens of tags), and a read called behind the write would be served what it filled. So between
//!    a write's call and its planning no read of its key gets a placeholder (`called`), even if none is tracked yet.
//! 4. *Lost pushes.* A connection that is lost has lost its pushes, and a null push (FLUSHALL, FLUSHDB) names no keys:
//!    everything goes.
//! 5. *Expiry.* Redis expires lazily, so its push may be late. The read fetches the time left (PTTL) beside the value;
//!    the deadline counts from when the read was *sent*, which is before Redis counted.
//! 6. *A process that was stopped* (SIGSTOP, a suspended machine, a debugger) goes on with pushes unread in its socket,
//!    and its callers' threads may go on before the engine's. So what is held is only served for a while after the
//!    moment at which the last answered request was *sent*: its reply vouches that every push before it has been read.
//!    A heartbeat's time later nobody has vouched, and reads go to Redis; far earlier where an event loop that is busy
//!    has the socket (`call/vouched.rs`).
//! 7. *Hot values in JavaScript* (`src/js/hot/hot.js`) are checked against a version in shared memory. Removing an
//!    entry removes it from the map first and bumps the version then; a reader notes the version first and looks into
//!    the map then. Either it sees the bump, or its note is outdated by it.
//! 8. *Sweeps* (`delPattern`, `clear`) end what matches when they are called (as 2) and again when they are planned
//!    (as 3). In between nothing that matches is served, whenever it was read; behind it what Redis still has of it is
//!    not read at all: see covers.rs.
//!
//! **Rejected.** *Pub/sub of changed keys*: every writer must take part, `redis-cli` does not, and a message lost is a
//! stale key. *Broadcast tracking*: every instance hears of every write under its prefix, read or not. *The redis
//! crate's own cache*: it fills after the reply without a placeholder (race 1), ignores the null push (4), is bounded
//! by keys and not by bytes. *Invalidate, then write*: a reader between the two puts the old value back.
//!
//! **The limit.** An instance that Redis cannot reach hears no push. It finds out by its heartbeat, and then drops
//! everything.

use crate::engine::call::called::Called;
use crate::engine::call::sink::{NOTED, SLOTS, Versions};
use crate::engine::call::vouched::{Clock, Vouched};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::engine::base::clock::Ttl;
use crate::engine::base::mutant;
use crate::engine::base::pattern::Pattern;
use crate::engine::base::random::Hashes;
use crate::engine::base::text::{Given, Kept};
use crate::engine::tier::budget::Budget;
use crate::engine::tier::marks::Mark;
use crate::engine::tier::memory::{Entry, Memory};
use crate::engine::value::entry::Meta;

/// It was never lost, or is there again.
const NEVER: u64 = u64::MAX;

/// The near cache of one server.
pub struct Near {
    store: Arc<Memory>,
    /// Reads under way that may fill the cache, each with its ticket.
    placeholders: Mutex<HashMap<Box<str>, u64>>,
    tickets: AtomicU64,
    /// Writes that were called and are not planned yet, the engine's.
    called: Arc<Called>,
    /// Whether the connection tracks what is read.
    armed: AtomicBool,
    /// Since when it does not, and Redis is away: what was held then may be of use for a while.
    frozen: AtomicU64,
    /// Until when what is held may be served; see race 6.
    pub vouched: Vouched,
    versions: RwLock<Vec<Arc<dyn Versions>>>,
    hasher: Hashes,
}

/// A near hit: the value, and until when it may be served to who asked (of the monotonic clock, in milliseconds).
pub struct Hit {
    pub value: Kept,
    pub deadline: u64,
    pub meta: Option<Arc<Meta>>,
}

impl Near {
    /// `clock` and `called`: the engine's.
    pub fn new(budget: &Arc<Budget>, clock: &Arc<Clock>, called: &Arc<Called>) -> Self {
        Self {
            store: Arc::new(Memory::within(budget)),
            placeholders: Mutex::default(),
            tickets: AtomicU64::new(0),
            called: called.clone(),
            armed: AtomicBool::new(false),
            frozen: AtomicU64::new(NEVER),
            vouched: Vouched::new(clock),
            versions: RwLock::default(),
            hasher: Hashes::default(),
        }
    }

    /// The entries, for the sweeper and for `getStats()`.
    pub fn store(&self) -> &Arc<Memory> {
        &self.store
    }

    /// The connection tracks reads from here on, and vouches until the moment `until`.
    pub fn arm(&self, until: u64, now: u64) {
        self.thaw(now);
        self.vouch(until);
        self.armed.store(true, Ordering::SeqCst);
    }

    pub fn is_armed(&self) -> bool {
        self.armed.load(Ordering::SeqCst)
    }

    /// A read on any thread, by a cache that takes nothing older than `age` milliseconds, whichever cache had it put
    /// away.
    pub fn get(&self, key: &str, age: u64, now: u64) -> Option<Hit> {
        if !self.is_armed() || !self.vouched.holds(now) && !mutant::lacks("vouch") {
            return None;
        }
        self.young(key, age, now).map(|e| Hit {
            value: e.value,
            deadline: e.deadline.min(e.since.saturating_add(age)),
            meta: e.meta,
        })
    }

    /// The connection vouches until then for what is held.
    pub fn vouch(&self, until: u64) {
        if self.vouched.extend(until) {
            self.tell();
        }
    }

    /// The event loop that has the socket has looked at it; none where a thread has it from here on.
    pub fn looked(&self, at: Option<u64>) {
        if self.vouched.looked(at) {
            self.tell();
        }
    }

    fn tell(&self) {
        self.versions.read().iter().for_each(|versions| self.vouched.tell(&**versions));
    }

    /// A read while Redis is away, of what was held then, no longer than `most` milliseconds ago; `age` as in `get`.
    pub fn get_frozen(&self, key: &str, most: u64, age: u64, now: u64) -> Option<Entry> {
        let since = self.frozen.load(Ordering::SeqCst);
        if since == NEVER || now.saturating_sub(since) >= most {
            return None;
        }
        self.young(key, age, now)
    }

    fn young(&self, key: &str, age: u64, now: u64) -> Option<Entry> {
        self.store.entry(key, now).filter(|e| now.saturating_sub(e.since) < age || mutant::lacks("max-age"))
    }

    /// Before a read of `key` is sent: its ticket, unless another read of it is under way, which will fill, or a write
    /// of it is called and not planned.
    pub fn reserve(&self, key: &str) -> Option<u64> {
        if !self.is_armed() {
            return None;
        }
        let mut placeholders = self.placeholders.lock();
        // Under the lock: a write that is called from here on takes the placeholder away.
        if placeholders.contains_key(key) || self.called.has(key) {
            return None;
        }
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        placeholders.insert(key.into(), ticket);
        Some(ticket)
    }

    /// The reply of that read: kept, if nothing has touched the key since.
    pub fn fill<'a>(
        &self,
        key: &str,
        ticket: u64,
        value: impl Into<Given<'a>>,
        meta: Option<&Meta>,
        ttl: Ttl,
        sent: u64,
    ) {
        // What is stale is not kept here: it is only of use while its successor is computed.
        let meta = meta.filter(|meta| meta.delta_ms > 0 || !meta.tags.is_empty());
        let meta =
            meta.map(|meta| Arc::new(Meta { nonce: 0, extra_ms: 0, delta_ms: meta.delta_ms, tags: meta.tags.clone() }));
        let mut placeholders = self.placeholders.lock();
        if placeholders.get(key) == Some(&ticket) || mutant::lacks("placeholder") {
            placeholders.remove(key);
            // Under the lock: a push that comes now removes the entry behind it.
            self.store.put(key, value, meta, ttl, sent);
        }
    }

    /// That read found nothing to keep.
    pub fn forget(&self, key: &str, ticket: u64) {
        let mut placeholders = self.placeholders.lock();
        if placeholders.get(key) == Some(&ticket) {
            placeholders.remove(key);
        }
    }

    /// This process is about to change `key`: when its write is called, and again when it is planned.
    pub fn own_write(&self, key: &str) {
        if !mutant::lacks("own-write") {
            self.invalidate(key);
        }
    }

    /// Somebody changed `key`: another client, as the server pushed, or this process.
    pub fn invalidate(&self, key: &str) {
        if !self.is_armed() && self.frozen.load(Ordering::SeqCst) == NEVER {
            return;
        }
        {
            let mut placeholders = self.placeholders.lock();
            placeholders.remove(key);
            self.store.remove(key, 0);
        }
        let slot = self.slot(key);
        for versions in self.versions.read().iter() {
            versions.counters()[slot].fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A sweep was called: what matches ends here, and nothing that matches is served until `uncover`, as reads that
    /// were called before the sweep may still be on their way.
    pub fn cover(&self, pattern: &Pattern) -> Arc<Mark> {
        let mark = self.store.raise(pattern, true);
        if self.is_armed() || self.frozen.load(Ordering::SeqCst) != NEVER {
            self.end_hot();
        }
        mark
    }

    /// The sweep takes its place in the order of calls: reads that were sent before it fill nothing any more.
    pub fn uncover(&self, pattern: &Pattern, mark: &Mark) {
        let mut placeholders = self.placeholders.lock();
        placeholders.retain(|key, _| !pattern.matches(key.as_bytes()) || mutant::lacks("swept"));
        self.store.close(mark);
    }

    /// A null push: everything may have changed.
    pub fn flush(&self, now: u64) {
        {
            let mut placeholders = self.placeholders.lock();
            placeholders.clear();
            self.store.clear(now);
        }
        self.end_hot();
    }

    /// The connection is lost, and its pushes with it: nobody vouches for what is held.
    pub fn disarm(&self, now: u64) {
        if !self.armed.swap(false, Ordering::SeqCst) {
            return;
        }
        self.vouched.leave();
        // Nothing is expected any more, and hot values end. What lies in Rust stays for `get_frozen`.
        self.placeholders.lock().clear();
        self.frozen.store(now, Ordering::SeqCst);
        self.end_hot();
    }

    /// What was held when Redis went is over; whether a connection that tracked was lost since this was last asked.
    pub fn thaw(&self, now: u64) -> bool {
        let was_frozen = self.frozen.swap(NEVER, Ordering::SeqCst) != NEVER;
        if was_frozen && !mutant::lacks("thaw") {
            self.store.clear(now);
        }
        was_frozen
    }

    /// All hot values end. That is a millisecond's work for each environment, on the thread of whoever calls
    /// `delPattern`, so it is only done where one was noted since it was done last. Under a lock: who finds that there
    /// is nothing to do must not go on before somebody else has done it.
    pub fn end_hot(&self) {
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock();
        for versions in self.versions.read().iter() {
            let counters = versions.counters();
            if counters[NOTED].swap(0, Ordering::SeqCst) != 0 && !mutant::lacks("hot") {
                counters.iter().take(SLOTS).for_each(|v| _ = v.fetch_add(1, Ordering::SeqCst));
            }
        }
    }

    /// Notes a key's version, before it is looked up: see race 7. That one was noted is said behind that, and before
    /// the look-up, too: `end_hot` comes behind it then, or the look-up behind what was removed.
    pub fn note(&self, versions: &dyn Versions, key: &str) -> (usize, i32) {
        let (slot, counters) = (self.slot(key), versions.counters());
        let version = counters[slot].load(Ordering::SeqCst);
        if counters[NOTED].load(Ordering::SeqCst) == 0 {
            counters[NOTED].store(1, Ordering::SeqCst);
        }
        (slot, version)
    }

    /// Which counter a key has.
    pub fn slot(&self, key: &str) -> usize {
        self.hash(key) % SLOTS
    }

    fn hash(&self, key: &str) -> usize {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key.as_bytes());
        // What looks at it takes the low bits, which the cast keeps.
        hasher.finish() as usize
    }

    /// Tells the same environments as another one.
    pub fn share_as(&self, other: &Self) {
        *self.versions.write() = other.versions.read().clone();
    }

    /// Shares versions with an environment.
    pub fn share(&self, versions: Arc<dyn Versions>) {
        let mut all = self.versions.write();
        if !all.iter().any(|known| Arc::ptr_eq(known, &versions)) {
            self.vouched.tell(&*versions);
            all.push(versions);
        }
    }

    /// The environment ends: its memory is not touched any more once this returns.
    pub fn unshare(&self, versions: &Arc<dyn Versions>) {
        self.versions.write().retain(|known| !Arc::ptr_eq(known, versions));
    }
}
