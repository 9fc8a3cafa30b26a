//! Running exclusively: who may run a function under a name, in this process and, while Redis is there, in all.
//!
//! **The problem.** `runExclusive` runs a function once at a time. Whoever runs it may be killed, stopped, or cut off
//! from Redis, and must not keep the others out for ever; and while Redis is away the calls of this process still have
//! to keep each other out, those of other threads among them.
//!
//! **The approach.** A lease lies at a key of its own, `…\0lease\0name`, with a TTL that its holder renews: a marker
//! that only this call writes. All that is done to it asks first whether it is this marker, in a script. In front of
//! Redis stands a table of this process, with the same rules and the same TTL: two calls of one process never ask Redis
//! for the same name at a time, and in an outage the table is what is left. So a call that began with Redis keeps those
//! out that begin without it. JavaScript decides when a lease is lost (src/js/cache/exclusive.js): it alone knows when
//! it asked.
//!
//! **Rejected.** *The lease at the key of a value*, as for computations (lease.rs): a write of the key would end it. *A
//! fencing token*, counted up in Redis: the counter may be evicted, and lost in a failover, so that a later holder
//! could get a smaller number; what relies on it would be wrong just when it matters.
//!
//! **Without scripts** nothing but a set has a member removed if it is there. The lease is then a set with the marker
//! as its one member. It is made at a key of its own and renamed, which fails where there is one already
//! (exchange/writes.rs).

use std::collections::HashMap;

use once_cell::sync::Lazy;
use parking_lot::Mutex;
use redis::Cmd;

use crate::engine::once::lease::{RENEW, Script};
use crate::engine::value::codec::MARK;

/// Puts the marker ARGV[1] at KEYS[1] for ARGV[2] milliseconds, where nothing lies or this marker.
const TAKE_TEXT: &str = "local v = redis.call('GET', KEYS[1]) if v and v ~= ARGV[1] then return 0 end \
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1";

static TAKE: Lazy<Script> = Lazy::new(|| Script::new(TAKE_TEXT));

/// One call of `runExclusive`: an environment, and the number that it gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Who {
    pub client: u32,
    pub token: u32,
}

impl Who {
    /// What lies at the key of the name. `engine`: its name, which is random.
    pub fn marker(self, engine: u64) -> Vec<u8> {
        let mut marker = vec![MARK];
        marker.extend_from_slice(format!("holdfast:lease:{engine:016x}:{}:{}", self.client, self.token).as_bytes());
        marker
    }
}

/// Takes the lease, or takes it again. By its text, as all scripts here: they are rare.
pub fn take(key: &str, marker: &[u8], ttl: u64) -> Cmd {
    let mut command = TAKE.call(true, &[key], marker);
    command.arg(ttl);
    command
}

/// Renews the lease, or with a TTL of 0 gives it up; the reply is 0 where it is somebody else's, or nobody's.
pub fn renew(key: &str, marker: &[u8], ttl: u64) -> Cmd {
    let mut command = RENEW.call(true, &[key], marker);
    command.arg(ttl);
    command
}

/// The names that are held in this process, by their stored keys. As in Redis, a name is free when its time is over.
#[derive(Default)]
pub struct Exclusive(Mutex<HashMap<Box<str>, (Who, u64)>>);

impl Exclusive {
    /// Takes a name until `until`, in milliseconds, unless somebody else has it.
    pub fn take(&self, key: &str, who: Who, until: u64, now: u64) -> bool {
        let mut held = self.0.lock();
        // Of threads that have ended, and of event loops that are blocked: few, as names are.
        held.retain(|_, (_, until)| *until > now);
        let held = held.entry(key.into()).or_insert((who, until));
        if held.0 == who {
            held.1 = until;
        }
        held.0 == who
    }

    /// Keeps a name until `until`; whether it was still held.
    pub fn renew(&self, key: &str, who: Who, until: u64, now: u64) -> bool {
        match self.0.lock().get_mut(key) {
            Some((holder, end)) if *holder == who && *end > now => {
                *end = until;
                true
            }
            _ => false,
        }
    }

    pub fn release(&self, key: &str, who: Who) {
        let mut held = self.0.lock();
        if held.get(key).is_some_and(|(holder, _)| *holder == who) {
            held.remove(key);
        }
    }
}
