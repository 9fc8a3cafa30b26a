//! Recovery: what must happen on a new connection before the first read, in this order.
//!
//! 1. The old connection is killed by its id, so that what it still had in the server's buffers (a stopped server reads
//!    them when it goes on) is never executed.
//! 2. The journal's keys are unlinked, in chunks, while callers still run on the in-process tier, and may add to it.
//!    Then its patterns are swept, in one walk over the server's keys; those that come while it runs are left, and so
//!    are at most as many keys as one chunk removes.
//! 3. The gate closes: callers' work waits for the connection. The keys that were added last are unlinked.
//!
//! What the server refuses to unlink (its ACL may have changed) holds up nobody: it reads as a miss here until it is
//! replaced. In a cluster, what it redirects is left to the server that it names (owed.rs).
//! 4. The in-process tier is dropped, the near cache is armed, and work flows. The patterns that are left cover their
//!    keys until they are swept beside it: covers.rs.

use std::sync::Arc;

use redis::{Pipeline, cmd};

use crate::engine::base::error::Trouble;
use crate::engine::base::mutant;
use crate::engine::cache::shared::Shared;
use crate::engine::conversation::connection::{Connection, Steps};
use crate::engine::exchange::writes;
use crate::engine::net::reply::integer;
use crate::engine::tier::journal::MAX_KEYS;

/// Keys that one UNLINK names.
const CHUNK: usize = 1_000;
/// Keys of the journal that are left to be unlinked while callers' work waits.
const MAX_KEYS_BEHIND_GATE: usize = 500;
/// How often keys are unlinked: twice what a full journal needs. Callers who write faster than that are waited for no
/// longer.
const MAX_ROUNDS: usize = 2 * MAX_KEYS.div_ceil(CHUNK);

/// Kills the connection that was before, whose commands may still be under way.
pub async fn kill(shared: &Shared, connection: &Connection, old: i64) {
    if mutant::lacks("kill") {
        return;
    }
    let mut kill = cmd("CLIENT");
    kill.arg("KILL").arg("ID").arg(old);
    // Denied, or gone already: either way there is nothing more to do about it.
    let _ = Steps::behind(shared, connection).command(kill).await;
}

/// Undoes what the journal holds, as far as that may be done while callers run on the in-process tier and add to it;
/// how many keys there were. What the server refuses to undo is put into `refused`.
pub async fn before_the_gate(
    shared: &Shared,
    connection: &Connection,
    refused: &mut Vec<Box<str>>,
) -> Result<u64, Trouble> {
    let mut undone = keys(shared, connection, MAX_KEYS_BEHIND_GATE, refused).await?;
    let swept = Steps::behind(shared, connection).walk(shared, connection.identity.run_id.as_deref()).await?;
    if let Some(swept) = swept {
        undone += swept + keys(shared, connection, MAX_KEYS_BEHIND_GATE, refused).await?;
    }
    Ok(undone)
}

/// The keys that are left, once nobody adds to them.
pub async fn behind_the_gate(
    shared: &Shared,
    connection: &Connection,
    refused: &mut Vec<Box<str>>,
) -> Result<u64, Trouble> {
    keys(shared, connection, 0, refused).await
}

/// Unlinks keys until no more than `most` are left, or so many rounds were made; how many went.
async fn keys(
    shared: &Shared,
    connection: &Connection,
    most: usize,
    refused: &mut Vec<Box<str>>,
) -> Result<u64, Trouble> {
    let mut steps = Steps::behind(shared, connection);
    let mut undone = 0;
    for _ in 0..MAX_ROUNDS {
        if connection.server.journal.keys() <= most {
            break;
        }
        match unlink(shared, &mut steps, connection.server.journal.take_keys(CHUNK), refused).await {
            Ok(count) => undone += count,
            Err((trouble, keys)) => {
                connection.server.journal.put_back(keys);
                return Err(trouble);
            }
        }
    }
    Ok(undone)
}

/// Unlinks keys; where the server refuses that of one of them, each for itself.
async fn unlink(
    shared: &Shared,
    steps: &mut Steps,
    keys: Vec<Box<str>>,
    refused: &mut Vec<Box<str>>,
) -> Result<u64, (Trouble, Vec<Box<str>>)> {
    // Those of a cluster's slots that are on their way are redirected one by one.
    if shared.fleet.cluster().is_none() {
        match steps.unlink(&keys).await {
            Ok(_) => return Ok(keys.len() as u64),
            Err(trouble) if trouble.kind.is_outage() => return Err((trouble, keys)),
            Err(_) => {}
        }
    }
    let mut pipeline = Pipeline::with_capacity(keys.len());
    for key in &keys {
        pipeline.cmd(writes::remove(steps.denied)).arg(&**key);
    }
    let replies = match steps.pipeline(pipeline).await {
        Ok(replies) => replies,
        Err(trouble) => return Err((trouble, keys)),
    };
    let mut undone = 0;
    for (key, reply) in keys.iter().zip(replies) {
        match shared.owed_elsewhere(key, &reply, &steps.server) {
            Some(owner) if !Arc::ptr_eq(&owner, &steps.server) => _ = owner.journal.owe(key),
            // Nobody serves its slot for now.
            Some(_) => refused.push(key.clone()),
            None => match integer(reply) {
                Ok(_) => undone += 1,
                Err(trouble) if trouble.kind.is_outage() => return Err((trouble, keys)),
                Err(_) => refused.push(key.clone()),
            },
        }
    }
    Ok(undone)
}
