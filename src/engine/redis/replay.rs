//! Recovery: what must happen on a new connection before the first read, in this order.
//!
//! 1. The old connection is killed by its id, so that what it still had in the server's buffers (a stopped server reads them when it goes on) is never executed.
//! 2. The journal's keys are unlinked, in chunks, while callers still run on the in-process tier, and may add to it.
//! 3. The gate closes: callers' work waits for the connection. What was added last is unlinked.
//! 4. The in-process tier is dropped, the near cache is armed, and work flows.

use std::time::Duration;

use redis::cmd;

use super::dial::Connection;
use super::sweep::Steps;
use crate::engine::error::Trouble;
use crate::engine::mutant;
use crate::engine::registry::Shared;

/// Keys that one UNLINK names.
const CHUNK: usize = 1_000;

/// Kills the connection that was before, whose commands may still be under way.
pub async fn kill(shared: &Shared, connection: &Connection, old: i64) {
    if mutant::lacks("kill") {
        return;
    }
    let mut kill = cmd("CLIENT");
    kill.arg("KILL").arg("ID").arg(old);
    // Denied, or gone already: either way there is nothing more to do about it.
    let _ = steps(shared, connection).command(kill).await;
}

/// Undoes what the journal holds until no more than `most` keys and no pattern are left; how many keys there were.
pub async fn replay(shared: &Shared, connection: &Connection, most: usize) -> Result<u64, Trouble> {
    let mut steps = steps(shared, connection);
    let mut undone = 0;
    while shared.journal.len() > most {
        if let Some(pattern) = shared.journal.take_pattern() {
            if let Err(trouble) = steps.sweep(&pattern, &mut undone).await {
                shared.journal.put_back(Vec::new(), Some(pattern));
                return Err(trouble);
            }
            continue;
        }
        let keys = shared.journal.take_keys(CHUNK);
        if let Err(trouble) = steps.unlink(keys.iter().map(|key| &**key).collect::<Vec<_>>()).await {
            shared.journal.put_back(keys, None);
            return Err(trouble);
        }
        undone += keys.len() as u64;
    }
    Ok(undone)
}

fn steps<'a>(shared: &'a Shared, connection: &Connection) -> Steps<'a> {
    Steps {
        redis: connection.redis.clone(),
        denied: connection.denied,
        // Nobody waits for it, and a chunk is more work than a call.
        patience: shared.patience().max(Duration::from_secs(1)),
        near: &shared.near,
    }
}
