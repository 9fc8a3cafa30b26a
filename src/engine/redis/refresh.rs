//! The task behind each computation that replaces an entry which is still of use: one process refreshes it, the others serve it meanwhile.
//!
//! The lock lies at a key of its own, as the entry stays where it is: a marker at the key, as a lease is, would take the old value from everyone. What guards G4
//! is not the lock but the entry: the result replaces it only if it is still the very same, so a delete or a write in between wins (`REPLACE` in src/engine/lease.rs).
//! When the function fails the lock stays until it expires: nobody tries again for so long.

use std::sync::Arc;

use redis::{Value, cmd};

use super::denied;
use super::leases::{Task, renew};
use super::reply::classify;
use super::settle::Wanted;
use super::wire::Wire;
use crate::engine::cache::Cache;
use crate::engine::clock::now_ms;
use crate::engine::lease;
use crate::engine::stats::add;
use crate::engine::tags;
use crate::engine::waiters::Lease;

/// Brings the flight `token` of `key` to its leader, or serves all who wait the old value.
pub async fn run(cache: Arc<Cache>, wire: Wire, wanted: Wanted) {
    let Wanted { key, token, void: identity, .. } = wanted;
    let lock = tags::refresh_key(&cache.prefix, &key);
    let at = key.clone();
    let mut task = Task { cache, wire, key, token, void: Box::default() };
    let mut reply = task.eval(|by_text, holder| lease::take(by_text, &at, &lock, &identity, holder)).await;
    if matches!(reply, Ok(Value::Int(0))) && take_over(&mut task, &lock).await {
        reply = Ok(Value::Int(1));
    }
    let flights = &task.cache.shared().flights;
    // Somebody refreshes it, or has done so.
    if matches!(reply, Ok(Value::Int(0 | -1))) {
        return flights.serve_stale(&task.key, token, now_ms()).send();
    }
    let held = matches!(reply, Ok(Value::Int(1)));
    if let Ok(Value::ServerError(error)) = &reply {
        denied::met(&task.cache, &classify(error));
    }
    let lease = if held { Lease::Refresh } else { Lease::None };
    if let Err(trouble) = reply {
        // Redis is away: this process computes for itself.
        task.cache.shared().errors.count(trouble.kind);
    }
    let (leads, answers) = flights.lead_first(&task.key, token, lease, now_ms());
    answers.send();
    if leads {
        add(&task.cache.counters.computes, 1);
    }
    if leads && held {
        renew(task, lock).await;
    }
}

/// Takes the lock from a flight of this engine whose callers stopped waiting.
async fn take_over(task: &mut Task, lock: &str) -> bool {
    let mut get = cmd("GET");
    get.arg(lock);
    let Ok(Value::BulkString(marker)) = task.command(get).await else { return false };
    let from = task.holder().sibling(&marker);
    let Some(from) = from.filter(|from| task.cache.shared().flights.is_overdue(&task.key, from.token)) else {
        return false;
    };
    let taken = task.eval(|by_text, holder| lease::take_over(by_text, lock, from, holder)).await;
    matches!(taken, Ok(Value::Int(1)))
}
