//! Computing once across processes: who may compute a key that nobody has, and whether the result may still be stored.
//!
//! **The problem.** Many processes miss the same key at once. One of them shall compute it, the others shall wait for
//! that value and not compute it too. The one that computes may be killed, and must then not hold up the others; and a
//! delete of the key while it is being computed, by whichever client, must not be undone by the result (G4).
//!
//! **The approach.** The lease lies *at the key itself*: on a miss a script puts a marker there, the owner's name
//! behind a byte that no stored value begins with, for a few seconds. Whoever reads the key sees the marker, which is a
//! miss to `get` and "wait" to `getOrCompute`. The owner renews it while its function runs, and a second script
//! replaces it by the value, if it is still there. So every DEL, SET or FLUSHALL of anybody, `redis-cli` included, ends
//! the lease by itself; a dead owner's lease ends by its own expiry; and those who wait are woken by the invalidation
//! push of the key, because they have read it. While misses prevail the script travels with the read (once/misses.rs).
//!
//! **Rejected.** *A lock at a key of its own*: every write would have to delete it too, and a foreign client would not.
//! *Redlock*: a lease guards work that may safely be done twice; a lease that was lost must only not store.
//!
//! **The limits.** While a key is being computed, other clients see the marker. Where scripts are denied, each process
//! computes for itself.

use crate::engine::value::codec::MARK;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use once_cell::sync::Lazy;
use redis::{Cmd, Pipeline, Value, cmd};

use crate::engine::base::clock::Ttl;
use crate::engine::base::mutant;

/// How long a lease lasts if its owner does not renew it: what the death of an owner costs those who wait.
pub const LEASE: Duration = Duration::from_secs(3);
/// How often the owner renews it.
pub const RENEWAL: Duration = Duration::from_secs(1);
/// A function that runs for so long is taken for one that never ends: its lease is not renewed any more.
pub const LONGEST: Duration = Duration::from_secs(300);
/// Those who wait ask again after this long, should no push come: a RESP2 connection has none.
pub const POLL: Duration = Duration::from_millis(100);

/// Takes the lease of KEYS[1] for the marker ARGV[1] and ARGV[2] milliseconds, where there is nothing, or an entry that
/// is nothing to this caller: one that begins with ARGV[3]. Returns what is there then, and its time left.
const ACQUIRE_TEXT: &str = "local v = redis.call('GET', KEYS[1]) \
    if not v or (ARGV[3] ~= '' and string.sub(v, 1, #ARGV[3]) == ARGV[3]) then \
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return {ARGV[1], ARGV[2] + 0} end \
    return {v, redis.call('PTTL', KEYS[1])}";
/// Stores ARGV[2] at KEYS[1] for ARGV[3] milliseconds (0: for ever), where the marker ARGV[1] still is.
const STORE_TEXT: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
    if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end \
    return 1";
/// Renews the lease of the marker ARGV[1] for ARGV[2] milliseconds, or with 0 gives it up.
const RENEW_TEXT: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
    if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end \
    return 1";

/// Replaces the entry at KEYS[1] that begins with ARGV[1] by ARGV[2] for ARGV[3] milliseconds (0: for ever), and ends
/// the lock at KEYS[2] if it is ARGV[4].
const REPLACE_TEXT: &str = "if redis.call('GET', KEYS[2]) == ARGV[4] then redis.call('DEL', KEYS[2]) end \
    if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end \
    if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end \
    return 1";

/// Takes the lock at KEYS[2] for the marker ARGV[2] and ARGV[3] milliseconds, if the entry at KEYS[1] still begins with
/// ARGV[1]: who read the old entry may ask for the lock when the new one is there, and the lock gone. 1: it is had; 0:
/// somebody else has it; -1: the entry is another one.
const TAKE_TEXT: &str = "if #ARGV[1] > 0 and redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return -1 end \
    if redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then return 1 end return 0";

/// All that the scripts call, at a key where nothing lies.
const PROBE_TEXT: &str = "redis.call('GET', KEYS[1]) redis.call('GETRANGE', KEYS[1], 0, 0) redis.call('PTTL', KEYS[1]) \
    redis.call('SET', KEYS[1], '', 'XX', 'PX', 1) redis.call('PEXPIRE', KEYS[1], 1) redis.call('DEL', KEYS[1]) return 1";

static TAKE: Lazy<Script> = Lazy::new(|| Script::new(TAKE_TEXT));
static PROBE: Lazy<Script> = Lazy::new(|| Script::new(PROBE_TEXT));
static REPLACE: Lazy<Script> = Lazy::new(|| Script::new(REPLACE_TEXT));
static ACQUIRE: Lazy<Script> = Lazy::new(|| Script::new(ACQUIRE_TEXT));
static STORE: Lazy<Script> = Lazy::new(|| Script::new(STORE_TEXT));
pub(super) static RENEW: Lazy<Script> = Lazy::new(|| Script::new(RENEW_TEXT));

/// A script and its text, known to the server by its hash once it has seen it.
pub struct Script {
    hash: String,
    text: &'static str,
}

impl Script {
    pub fn new(text: &'static str) -> Self {
        Self { hash: redis::Script::new(text).get_hash().to_owned(), text }
    }

    pub fn call(&self, by_text: bool, keys: &[&str], first: &[u8]) -> Cmd {
        let mut command = cmd(if by_text { "EVAL" } else { "EVALSHA" });
        command.arg(if by_text { self.text } else { &self.hash }).arg(keys.len()).arg(keys).arg(first);
        command
    }
}

/// How many replies to `probe` say whether scripts may be used.
pub const PROBES: usize = 3;

/// Loads the scripts, and tries at `key`, where nothing lies, whether they and what they are made of may be used: a
/// user who may load scripts may still not be allowed to run them, or what is in them. Where SCRIPT is denied, the
/// first use of each brings its text.
pub fn probe(pipeline: &mut Pipeline, key: &str) {
    pipeline.cmd("EVAL").arg("return 1").arg(0);
    pipeline.add_command(PROBE.call(true, &[key], b""));
    pipeline.add_command(PROBE.call(false, &[key], b""));
    for script in [&ACQUIRE, &STORE, &RENEW, &TAKE] {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(script.text);
    }
}

/// Stores a result where its marker stands. By its text: its callers have the value already, and what they call then is
/// behind it, so it cannot be sent a second time.
pub fn store(key: &str, marker: &[u8], value: &[u8], ttl: Ttl) -> Cmd {
    let mut command = STORE.call(true, &[key], marker);
    command.arg(value).arg(ttl.px().unwrap_or(0));
    command
}

/// Stores a result in place of the entry that begins with `identity`, and ends the refresh's lock. By its text, as
/// `store`.
pub fn replace(key: &str, lock: &str, identity: &[u8], marker: &[u8], value: &[u8], ttl: Ttl) -> Cmd {
    let mut command = REPLACE.call(true, &[key, lock], identity);
    command.arg(value).arg(ttl.px().unwrap_or(0)).arg(marker);
    command
}

/// Gives up the lease of `holder`. By its text: it is rare, and must not fail for a forgotten script.
pub fn release(key: &str, holder: Holder) -> Cmd {
    let mut command = RENEW.call(true, &[key], &holder.marker());
    command.arg(0);
    command
}

/// Who holds a lease: a flight of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The engine's name, which is random: engines of other processes number their flights as this one does.
    pub engine: u64,
    pub token: u32,
}

impl Holder {
    /// What lies at the key while it is held.
    pub fn marker(self) -> Vec<u8> {
        let mut marker = self.prefix();
        marker.extend_from_slice(self.token.to_string().as_bytes());
        marker
    }

    fn prefix(self) -> Vec<u8> {
        let mut prefix = vec![MARK];
        prefix.extend_from_slice(format!("holdfast:lease:{:016x}:", self.engine).as_bytes());
        prefix
    }

    /// The flight of the same engine that a marker names, if it names one.
    pub fn sibling(self, marker: &[u8]) -> Option<Self> {
        let token = std::str::from_utf8(marker.strip_prefix(self.prefix().as_slice())?).ok()?.parse().ok()?;
        Some(Self { token, ..self })
    }
}

/// Asks for the lease of `key` for `holder`; the reply is the marker, or what is there instead, and its time left. An
/// entry that begins with `void` counts as nothing; an empty one stands for none.
pub fn acquire(by_text: bool, key: &str, holder: Holder, void: &[u8]) -> Cmd {
    let mut command = ACQUIRE.call(by_text, &[key], &holder.marker());
    command.arg(millis(LEASE)).arg(void);
    command
}

/// Takes the lock under which the entry that begins with `identity` is refreshed; an empty one stands for any.
pub fn take(by_text: bool, key: &str, lock: &str, identity: &[u8], holder: Holder) -> Cmd {
    let identity = if mutant::lacks("take") { &[] } else { identity };
    let mut command = TAKE.call(by_text, &[key, lock], identity);
    command.arg(holder.marker()).arg(millis(LEASE));
    command
}

/// Renews the lease of `holder`; the reply is 0 where it is lost.
pub fn renew(by_text: bool, key: &str, holder: Holder) -> Cmd {
    let mut command = RENEW.call(by_text, &[key], &holder.marker());
    command.arg(millis(LEASE));
    command
}

/// Takes the lease over from `from`, for which nobody waits any more; the reply is 0 where it is lost.
pub fn take_over(by_text: bool, key: &str, from: Holder, holder: Holder) -> Cmd {
    let mut command = STORE.call(by_text, &[key], &from.marker());
    command.arg(holder.marker()).arg(millis(LEASE));
    command
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whether a reply says that the lease is `holder`'s.
pub fn is_had(reply: &Value, holder: Holder) -> bool {
    let Value::Array(parts) = reply else { return false };
    matches!(parts.first(), Some(Value::BulkString(bytes)) if *bytes == holder.marker())
}

/// The most that misses count, and from where on they prevail. A hit takes away what two misses gave.
const MAX_COUNT: u32 = 16;
const PREVAIL_FROM: u32 = 8;

/// Whether the reads of computations missed, lately.
#[derive(Default)]
pub struct Misses(AtomicU32);

impl Misses {
    pub fn missed(&self) {
        // Only the engine's thread counts.
        let count = self.0.load(Ordering::Relaxed);
        self.0.store((count + 1).min(MAX_COUNT), Ordering::Relaxed);
    }

    pub fn hit(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).saturating_sub(2), Ordering::Relaxed);
    }

    pub fn prevail(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= PREVAIL_FROM
    }
}
