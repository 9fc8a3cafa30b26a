//! The commands that writes are made of, and what their replies say.

use redis::{Cmd, Pipeline, Value, cmd};

use crate::engine::base::clock::Ttl;
use crate::engine::base::error::{CallError, Trouble};
use crate::engine::base::key;
use crate::engine::base::mutant;
use crate::engine::base::text::Given;
use crate::engine::cache::local;
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::tell::counters::add;
use crate::engine::call::batch::{Batch, Extras, Op};
use crate::engine::call::reply::Reply;
use crate::engine::fleet::server::Server;
use crate::engine::fleet::slot;
use crate::engine::net::denied::Denied;
use crate::engine::net::reply::{classify, integer, out_of_step};
use crate::engine::once::exclusive;
use crate::engine::once::flight::Landing;
use crate::engine::once::lease::{self, Holder};
use crate::engine::once::waiters::Lease;
use crate::engine::tier::memory::is_safe;
use crate::engine::value::tags;

pub fn holder(cache: &Cache, token: u32) -> Holder {
    Holder { engine: cache.shared().name, token }
}

pub(super) fn with_key(name: &str, key: &str) -> Cmd {
    let mut command = cmd(name);
    command.arg(key);
    command
}

pub fn pexpire(key: &str, ms: u64) -> Cmd {
    let mut command = with_key("PEXPIRE", key);
    command.arg(ms);
    command
}

/// Gives what lies at a key a new TTL, and `extra` milliseconds beyond it.
pub(super) fn renewed(key: &str, ttl: Ttl, extra: u64) -> Cmd {
    match ttl {
        Ttl::Millis(ms) => pexpire(key, ms.saturating_add(extra)),
        Ttl::Forever => with_key("PERSIST", key),
    }
}

pub(super) fn set(key: &str, value: &[u8], ttl: Ttl) -> Cmd {
    // Its parts and their bytes, so that a burst of them does not grow two lists each.
    let mut command = Cmd::with_capacity(5, key.len() + value.len() + 32);
    command.arg("SET").arg(key).arg(value);
    if let Some(ms) = ttl.px() {
        command.arg("PX").arg(ms);
    }
    command
}

/// As `set`, where nothing lies.
pub(super) fn set_new(key: &str, value: &[u8], ttl: Ttl) -> Cmd {
    let mut command = set(key, value, ttl);
    command.arg("NX");
    command
}

/// Adds to a counter; the number of replies, and whether it is a transaction.
pub(super) fn increment(to: &mut Pipeline, key: &str, amount: i64, ttl: Option<Ttl>, whole: bool) -> (usize, bool) {
    let mut add = with_key("INCRBY", key);
    add.arg(amount);
    let Some(ms) = ttl.and_then(Ttl::px) else {
        to.add_command(add);
        return (1, false);
    };
    // The counter is made with its TTL if it is not there, and added to, in one step: it can neither expire between the
    // two, and come back without a TTL, nor get a new TTL with each call.
    let mut create = with_key("SET", key);
    create.arg(0).arg("PX").arg(ms).arg("NX");
    if !whole {
        to.add_command(create).add_command(add);
        return (2, false);
    }
    to.cmd("MULTI").add_command(create).add_command(add).cmd("EXEC");
    (4, true)
}

/// How a value is read and removed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taking {
    /// How long it would have lived is asked first.
    pub(super) timed: bool,
    /// Its removal is a command of its own, behind the read.
    pub(super) removes: bool,
    /// In a transaction.
    pub(super) whole: bool,
}

impl Taking {
    pub(super) fn replies(self) -> usize {
        1 + usize::from(self.timed) + usize::from(self.removes) + 2 * usize::from(self.whole)
    }
}

/// Reads a value and removes it, in one step. How long it would have lived is asked too: an entry with grace may be
/// over.
pub(super) fn take(to: &mut Pipeline, key: &str, denied: Denied, asks: bool) -> Taking {
    // As for counters: see planner/mod.rs.
    let whole = !denied.exec.is() && !asks;
    let how = Taking { timed: !denied.pttl.is(), removes: denied.getdel.is(), whole };
    if whole {
        to.cmd("MULTI");
    }
    if how.timed {
        to.add_command(with_key("PTTL", key));
    }
    if how.removes {
        to.add_command(with_key("GET", key)).add_command(with_key(remove(denied), key));
    } else {
        to.add_command(with_key("GETDEL", key));
    }
    if whole {
        to.cmd("EXEC");
    }
    how
}

/// A lease of `runExclusive`, and what is to become of it: see `Op::Hold`.
pub(super) struct Holding<'a> {
    pub(super) key: &'a str,
    pub(super) marker: &'a [u8],
    pub(super) ttl: u64,
    pub(super) renews: bool,
}

/// Takes, renews or gives up a lease; the number of replies, of which the last is 1 where it was done.
pub(super) fn hold(to: &mut Pipeline, cache: &Cache, how: &Holding<'_>, denied: Denied) -> usize {
    let Holding { key, marker, ttl, renews } = *how;
    let with_marker = |name: &str, key: &str| {
        let mut command = with_key(name, key);
        command.arg(marker);
        command
    };
    let commands = match (denied.scripts.is(), renews, ttl) {
        (false, false, _) => vec![exclusive::take(key, marker, ttl)],
        (false, true, _) => vec![exclusive::renew(key, marker, ttl)],
        (true, true, 0) => vec![with_marker("SREM", key)],
        // Of whoever's lease: that lasts the longer, once, as this call learns that it has none.
        (true, true, _) => vec![pexpire(key, ttl), with_marker("SISMEMBER", key)],
        (true, false, _) => {
            let mut new = slot::companion(&cache.prefix, key::LEASE, key);
            new.push_str(&String::from_utf8_lossy(marker));
            let mut rename = with_key("RENAMENX", &new);
            rename.arg(key);
            vec![with_marker("SADD", &new), pexpire(&new, ttl), rename]
        }
    };
    commands.iter().for_each(|command| _ = to.add_command(command.clone()));
    commands.len()
}

/// The result of a computation.
pub(super) struct Computed<'a> {
    pub(super) token: u32,
    pub(super) value: Given<'a>,
    pub(super) ttl: Ttl,
    pub(super) extras: &'a Extras,
}

/// Stores a result.
pub(super) fn store(cache: &Cache, key: &str, result: &Computed<'_>, landing: &Landing) -> Cmd {
    let Computed { token, value, ttl, extras } = *result;
    let meta = local::end_meta(cache, extras, &landing.tags, ttl);
    let bytes = cache.format.encode(value, meta.as_deref());
    let extra = meta.as_ref().map_or(0, |meta| meta.extra_ms);
    if extra > 0 {
        cache.shared().note_grace();
    }
    let ttl = match ttl {
        Ttl::Millis(ms) => Ttl::Millis(ms.saturating_add(extra)),
        Ttl::Forever => Ttl::Forever,
    };
    match (landing.lease, &landing.over) {
        (Lease::None, _) => set(key, &bytes, ttl),
        _ if mutant::lacks("landing") => set(key, &bytes, ttl),
        (Lease::Refresh, _) if mutant::lacks("replace") => set(key, &bytes, ttl),
        (Lease::Key, _) => lease::store(key, &holder(cache, token).marker(), &bytes, ttl),
        (Lease::Refresh, over) => {
            let lock = refresh_lock(cache, key);
            let identity = over.as_ref().map_or(&[][..], |over| &over.identity);
            lease::replace(key, &lock, identity, &holder(cache, token).marker(), &bytes, ttl)
        }
    }
}

/// What was written since is no sum that JavaScript cannot hold. Lua's numbers are doubles: from 2^53 on they compare
/// as larger.
const TAKE_BACK_TEXT: &str = "local n = tonumber(redis.call('GET', KEYS[1])) \
    if n and (n > 9007199254740991 or n < -9007199254740991) then return redis.call('INCRBY', KEYS[1], ARGV[1]) end";

/// Undoes an increment whose sum JavaScript cannot hold. In a script, so that a counter that expired meanwhile is not
/// made anew, and one that was written meanwhile keeps what was written; where scripts are denied, that may happen.
pub fn take_back(key: &str, amount: i64, denied: Denied) -> Cmd {
    if denied.scripts.is() {
        let mut add = with_key("INCRBY", key);
        add.arg(amount.saturating_neg());
        return add;
    }
    let mut command = cmd("EVAL");
    command.arg(TAKE_BACK_TEXT);
    command.arg(1).arg(key).arg(amount.saturating_neg());
    command
}

/// What removes a key here: UNLINK frees memory in the background, DEL is there where the ACL denies it.
pub fn remove(denied: Denied) -> &'static str {
    if denied.unlink.is() { "DEL" } else { "UNLINK" }
}

/// Removes keys: by one command, or by one for each where they may lie in several slots.
pub fn remove_all(pipeline: &mut Pipeline, denied: Denied, keys: &[impl AsRef<[u8]>]) {
    let each = if denied.many.is() { 1 } else { keys.len().max(1) };
    for keys in keys.chunks(each) {
        pipeline.cmd(remove(denied));
        keys.iter().for_each(|key| _ = pipeline.arg(key.as_ref()));
    }
}

/// Where the lock of the refresh of an entry lies: on a cluster, in the entry's own slot.
pub fn refresh_lock(cache: &Cache, key: &str) -> String {
    match cache.shared().fleet.cluster() {
        None => tags::refresh_key(&cache.prefix, key),
        Some(_) => slot::companion(&cache.prefix, key::REFRESH, key),
    }
}

/// What became of a counter that is made and added to in one step; none where not all of it came.
pub(super) fn transaction(mut replies: Vec<Value>) -> Option<Value> {
    let exec = replies.pop()?;
    // The rest stood for itself: it was done, or refused, all the same.
    let begun = replies.len().checked_sub(3).and_then(|at| replies.get(at)).is_some_and(|multi| !is_error(multi));
    match exec {
        Value::Array(mut parts) if parts.len() == 2 => parts.pop(),
        _ if !begun => replies.pop(),
        // EXECABORT says only that something was refused, what was refused says why.
        exec => replies.into_iter().rev().take(3).rev().find(is_error).or(Some(exec)),
    }
}

pub(super) fn is_error(value: &Value) -> bool {
    matches!(value, Value::ServerError(_))
}

/// A cluster's call may have been answered in process while its server was in use, as another one was asked for it, or
/// nobody did it. What that left ends with the next write that is done, or the next outage would show it.
pub(super) fn end_leftover(cache: &Cache, key: &str) {
    let shared = cache.shared();
    if shared.fleet.cluster().is_some() && shared.memory.usage().entries > 0 && !mutant::lacks("leftover") {
        shared.memory.remove(key, shared.clock.now_ms());
    }
}

/// A write's reply as the call's. `late`: later calls of the key may have been answered before, and have noted it.
pub(super) fn written(
    cache: &Cache,
    server: &Server,
    batch: &Batch,
    op: &Op,
    key: &str,
    value: Value,
    late: bool,
) -> Result<Reply, Trouble> {
    let replaced = || {
        if !late {
            server.journal.replaced(key);
        }
        end_leftover(cache, key);
    };
    match op {
        Op::Set { .. } | Op::End { .. } => match value {
            Value::Okay | Value::Int(1) => {
                replaced();
                cache.shared().status.allow_keys(cache.prefix.as_str());
                add(&cache.counters.sets, 1);
                Ok(Reply::Done)
            }
            // The lease was lost: somebody wrote or deleted the key meanwhile.
            Value::Int(0) => Ok(Reply::Done),
            Value::ServerError(error) => Err(classify(&error)),
            _ => Err(out_of_step()),
        },
        Op::SetIfAbsent { .. } => match value {
            Value::Okay | Value::Int(1) => {
                replaced();
                cache.shared().status.allow_keys(cache.prefix.as_str());
                add(&cache.counters.sets, 1);
                Ok(Reply::Flag(true))
            }
            Value::Nil | Value::Int(0) => Ok(Reply::Flag(false)),
            Value::ServerError(error) => Err(classify(&error)),
            _ => Err(out_of_step()),
        },
        Op::Del { .. } | Op::EndTag { .. } => {
            if !op.key().is_some_and(|key| key::is_internal(batch.str(key).as_bytes())) {
                add(&cache.counters.deletes, 1);
            }
            let removed = integer(value)?;
            replaced();
            Ok(Reply::Number(removed))
        }
        Op::Soften { .. } => {
            add(&cache.counters.deletes, 1);
            let softened = integer(value)?;
            // What is in the journal stays in it: this did not replace what lies there.
            end_leftover(cache, key);
            Ok(Reply::Number(softened))
        }
        Op::Increment { .. } => {
            let sum = integer(value)?;
            end_leftover(cache, key);
            Ok(if is_safe(sum) { Reply::Number(sum) } else { Reply::Error(CallError::unsafe_integer()) })
        }
        Op::Hold { .. } => integer(value).map(Reply::Number),
        _ => integer(value).map(|n| Reply::Flag(n > 0)),
    }
}
