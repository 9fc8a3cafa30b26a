//! The task behind each computation that replaces an entry which is still of use: one process refreshes it, the others
//! serve it meanwhile.
//!
//! The lock lies at a key of its own, as the entry stays where it is: a marker at the key, as a lease is, would take
//! the old value from everyone. What guards G4 is not the lock but the entry: the result replaces it only if it is
//! still the very same, so a delete or a write in between wins (`REPLACE` in src/engine/once/lease.rs). When the
//! function fails the lock stays until it expires: nobody tries again for so long. Where a write fenced the refresh, or
//! its thread has ended, the lock goes at once.

use std::sync::Arc;

use redis::{Value, cmd};

use crate::engine::cache::namespace::Cache;
use crate::engine::conversation::leases::{Asking, Task, renew};
use crate::engine::exchange::plan::Wanted;
use crate::engine::exchange::{refusals, writes};
use crate::engine::net::reply::classify;
use crate::engine::net::wire::Wire;
use crate::engine::once::lease;
use crate::engine::once::waiters::{Lease, Outcome};

/// Brings the flight `token` of `key` to its leader, or serves all who wait the old value.
pub async fn run(cache: Arc<Cache>, wire: Wire, wanted: Wanted) {
    let Wanted { key, token, void: identity, asked, .. } = wanted;
    let lock = writes::refresh_lock(&cache, &key);
    let at = key.clone();
    let mut task = Task { cache, wire, key, token, void: Box::default(), asked, driver: None };
    let asking = Asking::of(&task);
    let mut reply = task.eval(|by_text, holder| lease::take(by_text, &at, &lock, &identity, holder)).await;
    if matches!(reply, Ok(Value::Int(0))) && take_over(&mut task, &lock).await {
        reply = Ok(Value::Int(1));
    }
    asking.over();
    let flights = &task.cache.shared().flights;
    match reply {
        // Somebody has refreshed it since it was read: whoever waits reads anew.
        Ok(Value::Int(-1)) => flights.end(&task.key, token, Outcome::Failed).send(),
        // Somebody does so now.
        Ok(Value::Int(0)) => flights.serve_stale(&task.key, token, task.now()).send(),
        Ok(Value::Int(_)) => {
            flights.locked(&task.key, token, &lock);
            if let Some(given_up) = task.lead(Lease::Refresh, &lock).await {
                renew(task, lock, &given_up).await;
            }
        }
        // Redis is away, or has no such lock: this process computes for itself.
        reply => {
            match reply {
                // Its slot has moved: the old value does for now, and who asks next asks elsewhere.
                Ok(Value::ServerError(error)) if bounced(&task, &error) => {
                    return flights.serve_stale(&task.key, token, task.now()).send();
                }
                Ok(Value::ServerError(error)) => refusals::met(&task.cache, &classify(&error)),
                Err(trouble) => task.cache.shared().errors.count(trouble.kind),
                Ok(_) => {}
            }
            task.lead_alone();
        }
    }
}

fn bounced(task: &Task, error: &redis::ServerError) -> bool {
    let shared = task.cache.shared();
    shared.bounced(error, shared.server(&task.key)).is_some()
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
