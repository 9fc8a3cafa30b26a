//! Removes the keys that covers hide (src/engine/tier/covers.rs), a page of SCAN at a time: never KEYS, and never a key
//! of anybody else.

use std::sync::Arc;

use redis::{Pipeline, Value, cmd};

use crate::engine::base::error::Trouble;
use crate::engine::cache::shared::Shared;
use crate::engine::conversation::connection::{Connection, Steps};
use crate::engine::conversation::undo::owed::Later;
use crate::engine::exchange::writes;
use crate::engine::net::reply::{integer, out_of_step};
use crate::engine::net::wire::asks::{asked, asking};
use crate::engine::task::executor::Kept;
use crate::engine::tier::cover::Picked;

/// Keys that one SCAN looks at: a step of about a millisecond for the server.
const SCAN_COUNT: usize = 1_000;
/// Sweeps whatever covers there are, for as long as what is returned is kept.
pub fn start(shared: &Arc<Shared>, connection: &Connection) -> Kept {
    let steps = Steps { patience: shared.patience(), ..Steps::behind(shared, connection) };
    let run_id = connection.identity.run_id.clone();
    connection.tasks.spawn_for(keep_swept(shared.clone(), steps, run_id))
}

async fn keep_swept(shared: Arc<Shared>, mut steps: Steps, run_id: Option<String>) {
    let mut later = Later::new(steps.wire.timers().now());
    loop {
        if let Err(trouble) = steps.purge(&shared, &mut later).await {
            return steps.wire.fail(trouble);
        }
        match steps.walk(&shared, run_id.as_deref()).await {
            Ok(Some(_)) => {}
            Ok(None) => later.wait(&steps.server.journal, steps.wire.timers()).await,
            // The pump is told, and ends as well.
            Err(trouble) => return steps.wire.fail(trouble),
        }
    }
}

impl Steps {
    /// Walks over the server's keys once, for all covers that stand; how many keys of the callers' went, `None` where
    /// there is nothing to be swept.
    ///
    /// `run_id`: the server's; a walk that an outage cut off on the same one goes on from there. What the server
    /// refuses ends the covers: which keys it would have been is not to be known.
    pub async fn walk(&mut self, shared: &Shared, run_id: Option<&str>) -> Result<Option<u64>, Trouble> {
        let Some(walk) = self.server.journal.walk(run_id) else { return Ok(None) };
        let mut cursor = walk.cursor;
        let mut removed = 0;
        loop {
            match self.page(shared, &cursor, &walk.glob).await {
                Ok((next, count)) => {
                    removed += count;
                    if next == b"0" {
                        if let Some(removals) = self.server.journal.all_walked() {
                            removals.over().await;
                        }
                        self.server.journal.walked(None);
                        return Ok(Some(removed));
                    }
                    self.server.journal.turn(next.clone());
                    cursor = next;
                }
                Err(trouble) if trouble.kind.is_outage() => return Err(trouble),
                Err(trouble) => {
                    let untold = self.server.journal.walked(Some(&trouble));
                    tell(shared, &trouble, untold);
                    return Ok(Some(removed));
                }
            }
        }
    }

    /// One step; where the next one begins, and how many keys of the callers' went.
    async fn page(&mut self, shared: &Shared, cursor: &[u8], glob: &str) -> Result<(Vec<u8>, u64), Trouble> {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(glob).arg("COUNT").arg(SCAN_COUNT);
        let Value::Array(mut page) = self.command(scan).await? else { return Err(out_of_step()) };
        let (Some(Value::Array(keys)), Some(Value::BulkString(next))) = (page.pop(), page.pop()) else {
            return Err(out_of_step());
        };
        // No pause between picking the keys and sending their removal: see the essay of covers.rs.
        let picked = self.server.journal.pick(keys);
        if picked.is_empty() {
            return Ok((next, 0));
        }
        let mut pipeline = Pipeline::with_capacity(picked.len());
        let each = |part: &Picked| if self.denied.many.is() { part.keys.len() } else { 1 };
        for part in &picked {
            writes::remove_all(&mut pipeline, self.denied, &part.keys);
        }
        // Keys of a slot that is on its way to this server are found here, and are its own only for who asks.
        let is_cluster = shared.fleet.cluster().is_some();
        if is_cluster {
            pipeline = asking(&pipeline);
        }
        let mut removed = 0;
        let parts = picked.iter().flat_map(|part| part.keys.iter().take(each(part)).map(move |key| (part, key)));
        let parts: Vec<_> = parts.collect();
        let replies = self.pipeline(pipeline).await?;
        let replies = if is_cluster { asked(replies) } else { replies };
        for ((part, key), reply) in parts.into_iter().zip(replies) {
            let key = std::str::from_utf8(key).unwrap_or_default();
            if let Some(owner) = shared.owed_elsewhere(key, &reply, &self.server) {
                // A key that was written meanwhile was removed in front of that, or is to be.
                if self.server.journal.covers(key) {
                    _ = owner.journal.owe(key);
                }
                continue;
            }
            match integer(reply) {
                Ok(count) if part.counts => {
                    let count = u64::try_from(count).unwrap_or(0);
                    self.server.journal.removed(part.id, count);
                    removed += count;
                }
                Ok(_) => {}
                Err(trouble) if trouble.kind.is_outage() => return Err(trouble),
                Err(trouble) => {
                    let untold = self.server.journal.refused(part.id, &trouble);
                    tell(shared, &trouble, untold);
                }
            }
        }
        Ok((next, removed))
    }
}

fn tell(shared: &Shared, trouble: &Trouble, untold: bool) {
    if untold {
        shared.errors.count(trouble.kind);
        shared.status.tell_error(trouble);
    }
}
