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
use crate::engine::base::key;
use crate::engine::base::mutant;
use crate::engine::cache::shared::Shared;
use crate::engine::conversation::connection::{Connection, Steps};
use crate::engine::exchange::tokens;
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

/// Keys that were taken out of a journal to be unlinked. A recovery ends wherever its connection does, or its node
/// moves: what is not known to be gone when this is dropped goes back into the journal.
pub struct Undoing<'a> {
    shared: &'a Shared,
    connection: &'a Connection,
    taken: Vec<Box<str>>,
    /// What the server refused to unlink: not tried again by this recovery.
    refused: Vec<Box<str>>,
}

impl<'a> Undoing<'a> {
    pub fn new(shared: &'a Shared, connection: &'a Connection) -> Self {
        Self { shared, connection, taken: Vec::new(), refused: Vec::new() }
    }

    /// Undoes what the journal holds, as far as that may be done while callers run on the in-process tier and add to
    /// it; how many keys there were.
    pub async fn before_the_gate(&mut self) -> Result<u64, Trouble> {
        let Self { shared, connection, .. } = *self;
        let mut undone = self.keys(MAX_KEYS_BEHIND_GATE).await?;
        let swept = Steps::behind(shared, connection).walk(shared, connection.identity.run_id.as_deref()).await?;
        if let Some(swept) = swept {
            undone += swept + self.keys(MAX_KEYS_BEHIND_GATE).await?;
        }
        Ok(undone)
    }

    /// The keys that are left, once nobody adds to them.
    pub async fn behind_the_gate(&mut self) -> Result<u64, Trouble> {
        self.keys(0).await
    }

    /// What the server refused.
    pub fn refused(mut self) -> Vec<Box<str>> {
        std::mem::take(&mut self.refused)
    }

    /// Unlinks keys until no more than `most` are left, or so many rounds were made; how many went.
    async fn keys(&mut self, most: usize) -> Result<u64, Trouble> {
        let Self { shared, connection, .. } = *self;
        let journal = &connection.server.journal;
        let mut steps = Steps::behind(shared, connection);
        let mut undone = 0;
        for _ in 0..MAX_ROUNDS {
            if journal.keys() <= most {
                break;
            }
            self.taken = journal.take_keys(CHUNK);
            undone += self.unlink(&mut steps).await?;
            self.taken.clear();
        }
        Ok(undone)
    }

    /// Unlinks the keys that were taken; where the server refuses that of one of them, each for itself. Tags are ended
    /// in any case.
    async fn unlink(&mut self, steps: &mut Steps) -> Result<u64, Trouble> {
        // Those that are tags stand in front.
        self.taken.sort_by_key(|key| !key::is_tag(key));
        let tags = self.taken.partition_point(|key| key::is_tag(key));
        let (mut each, mut undone) = (self.taken.len(), 0);
        // Those of a cluster's slots that are on their way are redirected one by one.
        if self.shared.fleet.cluster().is_none() && tags < each {
            match steps.unlink(&self.taken[tags..]).await {
                Ok(_) => (each, undone) = (tags, (each - tags) as u64),
                Err(trouble) if trouble.kind.is_outage() => return Err(trouble),
                Err(_) => {}
            }
        }
        if each == 0 {
            return Ok(undone);
        }
        let mut pipeline = Pipeline::with_capacity(each);
        for key in &self.taken[..each] {
            tokens::undo(&mut pipeline, key, &self.shared.random, steps.denied);
        }
        let replies = steps.pipeline(pipeline).await?;
        for (key, reply) in self.taken.iter().zip(replies) {
            match self.shared.owed_elsewhere(key, &reply, &steps.server) {
                Some(owner) if !Arc::ptr_eq(&owner, &steps.server) => _ = owner.journal.owe(key),
                // Nobody serves its slot for now.
                Some(_) => self.refused.push(key.clone()),
                None => match integer(reply) {
                    Ok(_) => undone += 1,
                    Err(trouble) if trouble.kind.is_outage() => return Err(trouble),
                    Err(_) => self.refused.push(key.clone()),
                },
            }
        }
        Ok(undone)
    }
}

impl Drop for Undoing<'_> {
    fn drop(&mut self) {
        let left = self.taken.drain(..).chain(self.refused.drain(..)).collect();
        if !mutant::lacks("undoing") {
            self.connection.server.journal.put_back(left);
        }
    }
}
