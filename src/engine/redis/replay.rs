//! Recovery: what must happen on a new connection before the first read, in this order.
//!
//! 1. The old connection is killed by its id, so that what it still had in the server's buffers (a stopped server reads them when it goes on) is never executed.
//! 2. The journal's keys are unlinked, in chunks, while callers still run on the in-process tier, and may add to it.
//! 3. The gate closes: callers' work waits for the connection. What was added last is unlinked.
//!
//!    What the server refuses to unlink (its ACL may have changed) holds up nobody: it reads as a miss here until it is replaced.
//! 4. The in-process tier is dropped, the near cache is armed, and work flows.

use std::time::Duration;

use redis::{Pipeline, cmd};

use super::dial::Connection;
use super::reply::integer;
use super::sweep::Steps;
use super::writes;
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

/// Undoes what the journal holds until no more than `most` keys and no pattern are left; how many keys there were. What the server refuses to undo is put into `refused`.
pub async fn replay(
    shared: &Shared,
    connection: &Connection,
    most: usize,
    refused: &mut Vec<Box<str>>,
) -> Result<u64, Trouble> {
    let mut steps = steps(shared, connection);
    let mut undone = 0;
    while shared.journal.len() > most {
        if let Some(pattern) = shared.journal.take_pattern() {
            match steps.sweep(&pattern, &mut undone).await {
                Ok(()) => {}
                Err(trouble) if trouble.kind.is_outage() => {
                    shared.journal.put_back(Vec::new(), Some(pattern));
                    return Err(trouble);
                }
                // Which keys it would have been is not to be known.
                Err(trouble) => {
                    shared.errors.count(trouble.kind);
                    shared.status.tell_error(&trouble);
                }
            }
            continue;
        }
        let keys = shared.journal.take_keys(CHUNK);
        match unlink(&mut steps, keys, refused).await {
            Ok(count) => undone += count,
            Err((trouble, keys)) => {
                shared.journal.put_back(keys, None);
                return Err(trouble);
            }
        }
    }
    Ok(undone)
}

/// Unlinks keys; where the server refuses that of one of them, each for itself.
async fn unlink(
    steps: &mut Steps<'_>,
    keys: Vec<Box<str>>,
    refused: &mut Vec<Box<str>>,
) -> Result<u64, (Trouble, Vec<Box<str>>)> {
    match steps.unlink(keys.iter().map(|key| &**key).collect::<Vec<_>>()).await {
        Ok(_) => return Ok(keys.len() as u64),
        Err(trouble) if trouble.kind.is_outage() => return Err((trouble, keys)),
        Err(_) => {}
    }
    let mut pipeline = Pipeline::with_capacity(keys.len());
    for key in &keys {
        pipeline.cmd(writes::remove(steps.denied)).arg(&**key);
    }
    let replies = match steps.pipeline(pipeline).await {
        Ok(replies) => replies,
        Err(trouble) => return Err((trouble, keys)),
    };
    let before = refused.len();
    let all = keys.len();
    refused.extend(keys.into_iter().zip(replies).filter_map(|(key, reply)| integer(reply).err().map(|_| key)));
    Ok((all - (refused.len() - before)) as u64)
}

fn steps<'a>(shared: &'a Shared, connection: &Connection) -> Steps<'a> {
    Steps {
        wire: connection.wire.clone(),
        denied: connection.denied,
        // Nobody waits for it, and a chunk is more work than a call.
        patience: shared.patience().max(Duration::from_secs(1)),
        near: &shared.near,
    }
}
