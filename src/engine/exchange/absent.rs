//! `setIfAbsent`: stores a value where there is none, and says whether it did.
//!
//! **The problem.** SET with NX asks whether *something* lies at the key. It may be no value for a caller: the marker
//! of a computation, an entry that is over and kept for `grace`, or one that a tag made a miss. Whether it is one is
//! not known before it is read, and its tags' tokens may lie on other servers.
//!
//! **The approach.** SET NX, and behind it the first bytes of what lies there and its time left. Mostly the first reply
//! is the answer. Where it stored nothing, and what lies there is nothing to a caller, a script stores the value in a
//! second trip, if what lies there still begins as it did, or is gone: what somebody else stored meanwhile stays.
//!
//! **The limits.** Where scripts are denied, such a remainder counts as a value for as long as it lies there.

use once_cell::sync::Lazy;
use redis::{Cmd, Value};

use crate::engine::base::clock::Ttl;
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::tell::counters::add;
use crate::engine::call::reply::Reply;
use crate::engine::exchange::judge::Judge;
use crate::engine::exchange::plan::{Call, HEAD, Head, Plan, Step, Then, head};
use crate::engine::exchange::planner::Planner;
use crate::engine::exchange::questions::{Found, trouble};
use crate::engine::exchange::writes::{end_leftover, set, with_key};
use crate::engine::net::reply::{classify, out_of_step};
use crate::engine::once::lease::Script;

/// Stores ARGV[2] at KEYS[1] for ARGV[3] milliseconds (0: for ever), where there is nothing, or what begins with
/// ARGV[1].
const TEXT: &str = "local v = redis.call('GET', KEYS[1]) \
    if v and string.sub(v, 1, #ARGV[1]) ~= ARGV[1] then return 0 end \
    if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end \
    return 1";

static PUT: Lazy<Script> = Lazy::new(|| Script::new(TEXT));

impl Planner {
    pub(super) fn set_if_absent(&mut self, key: &str, bytes: Vec<u8>, ttl: Ttl) {
        if self.server.journal.holds(key) {
            // What is not to be read is nothing.
            self.remove_first(key, None);
        }
        self.close_run();
        let mut command = set(key, &bytes, ttl);
        command.arg("NX");
        self.pipeline.add_command(command);
        self.heads.push(Head { at: self.pipeline.len(), key: key.to_owned(), then: Then::Put(bytes, ttl) });
        self.pipeline.add_command(head(key, HEAD)).add_command(with_key("PTTL", key));
        self.steps.push(Step::Absent);
    }
}

impl Plan {
    /// What is to be sent where something lies at the key, whose first bytes are reply `at`, and it is no value.
    pub(super) fn put(
        &self,
        cache: &Cache,
        values: &[Value],
        (at, key): (usize, &str),
        (bytes, ttl): (&[u8], Ttl),
        now: u64,
    ) -> Option<Cmd> {
        let [Value::Nil, head, pttl] = values.get(at.checked_sub(1)?..at + 2)? else { return None };
        // Another type than a string is there.
        if self.denied.scripts.is() || matches!(head, Value::ServerError(_)) || trouble(pttl).is_some() {
            return None;
        }
        let is_held = self.held.contains(key) || self.server.journal.holds(key);
        let token = |key: &str| cache.token(key, |key| self.tokens.get(key).cloned(), now);
        let found = Found::of(cache, head.clone(), pttl.clone(), is_held, token);
        if found.fresh.is_some() || found.head.is_empty() {
            return None;
        }
        let mut command = PUT.call(true, &[key], &found.head);
        command.arg(bytes).arg(ttl.px().unwrap_or(0));
        Some(command)
    }
}

impl Judge {
    pub(super) fn absent(&mut self, call: &Call<'_>, stored: Option<Value>) -> Reply {
        if let Some(reply) = call.unanswered(stored.as_ref()).filter(|_| self.lost) {
            return reply;
        }
        if let Some(bounce) = call.bounced(stored.as_ref()).filter(|bounce| !self.lost || !bounce.asks) {
            return Reply::Bounced(bounce);
        }
        let trouble = match stored {
            None => return call.locally(),
            Some(Value::Okay | Value::Int(1)) => {
                if !self.lost && !self.noted {
                    call.server.journal.replaced(call.key);
                }
                end_leftover(call.cache, call.key);
                self.held.remove(call.key);
                self.verdict.stale.remove(call.key);
                call.cache.shared().status.allow_keys(call.cache.prefix.as_str());
                add(&call.cache.counters.sets, 1);
                return Reply::Flag(true);
            }
            Some(Value::Nil | Value::Int(0)) => return Reply::Flag(false),
            Some(Value::ServerError(error)) => classify(&error),
            Some(_) => out_of_step(),
        };
        self.refused(call, trouble).unwrap_or_else(|| call.locally())
    }
}
