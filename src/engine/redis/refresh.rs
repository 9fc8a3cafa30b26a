//! The task behind each computation that replaces an entry which is still of use: one process refreshes it, the others serve it meanwhile.
//!
//! The lock lies at a key of its own, as the entry stays where it is: a marker at the key, as a lease is, would take
//! the old value from everyone. What guards G4 is not the lock but the entry: the result replaces it only if it is
//! still the very same, so a delete or a write in between wins (`REPLACE` in src/engine/lease.rs). When the function
//! fails the lock stays until it expires: nobody tries again for so long. Where a write fenced the refresh, or its
//! thread has ended, the lock goes at once.

use std::sync::Arc;

use redis::{Value, cmd};

use super::denied;
use super::leases::{Task, renew};
use super::reply::classify;
use super::wire::Wire;
use crate::engine::cache::Cache;
use crate::engine::clock::now_ms;
use crate::engine::lease::{self, LEASE};
use crate::engine::mutant;
use crate::engine::tags;
use crate::engine::waiters::{Lease, Outcome};

/// Brings the flight `token` of `key` to its leader, or serves all who wait the old value.
pub async fn run(cache: Arc<Cache>, wire: Wire, key: String, token: u32) {
    let lock = tags::refresh_key(&cache.prefix, &key);
    let mut task = Task { cache, wire, key, token, void: Box::default() };
    let mut take = cmd("SET");
    let millis = u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX);
    take.arg(&lock).arg(task.holder().marker()).arg("NX").arg("PX").arg(millis);
    let mut reply = task.command(take).await;
    if matches!(reply, Ok(Value::Okay)) && task.replaced().await {
        let _ = task.command(lease::release(&lock, task.holder())).await;
        // There is nothing to refresh: whoever waits reads anew.
        return task.cache.shared().flights.end(&task.key, token, Outcome::Failed).send();
    }
    if matches!(reply, Ok(Value::Nil)) && take_over(&mut task, &lock).await {
        reply = Ok(Value::Okay);
    }
    if matches!(reply, Ok(Value::Nil)) {
        return task.cache.shared().flights.serve_stale(&task.key, token, now_ms()).send();
    }
    match reply {
        Ok(Value::Okay) => {
            if let Some(given_up) = task.lead(Lease::Refresh, &lock).await {
                renew(task, lock, &given_up).await;
            }
        }
        // Redis is away, or has no such lock: this process computes for itself.
        reply => {
            match reply {
                Ok(Value::ServerError(error)) => denied::met(&task.cache, &classify(&error)),
                Err(trouble) => task.cache.shared().errors.count(trouble.kind),
                Ok(_) => {}
            }
            task.lead_alone();
        }
    }
}

impl Task {
    /// Whether the entry is no longer the one that was read: who had the lock before may have refreshed it meanwhile, and given the lock back.
    async fn replaced(&mut self) -> bool {
        let identity = self.cache.shared().flights.replaces(&self.key, self.token);
        let Some(identity) = identity.filter(|bytes| !bytes.is_empty() && !mutant::lacks("same-entry")) else {
            return false;
        };
        let mut begins = cmd("GETRANGE");
        begins.arg(&self.key).arg(0).arg(identity.len() - 1);
        matches!(self.command(begins).await, Ok(Value::BulkString(bytes)) if *bytes != *identity)
    }
}

/// Takes the lock from a flight of this engine that a write fenced, or whose callers stopped waiting.
async fn take_over(task: &mut Task, lock: &str) -> bool {
    let mut get = cmd("GET");
    get.arg(lock);
    let Ok(Value::BulkString(marker)) = task.command(get).await else { return false };
    let from = task.holder().sibling(&marker);
    let Some(from) = from.filter(|from| task.cache.shared().flights.stands_aside(&task.key, from.token)) else {
        return false;
    };
    let taken = task.eval(|by_text, holder| lease::take_over(by_text, lock, from, holder)).await;
    matches!(taken, Ok(Value::Int(1)))
}
