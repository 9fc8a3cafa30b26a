//! Keys that are still to be removed while calls go on, and follow their slot until they are: what an outage left to be
//! undone of a slot that moved meanwhile, and what a sweep or a recovery could not remove where it found it.
//!
//! **The problem.** While a slot is on its way its keys are at one server or at the other; its old owner says of a key
//! that has left it that the new one is to be asked for this once (ASK), and where nobody serves a slot nothing of it
//! can be removed at all. A removal that gives up there leaves a value that was deleted.
//!
//! **The approach.** Where the removal of a key is redirected, it is left to the server that was named
//! ([`Shared::owed_elsewhere`]): there it reads as a miss, and is removed beside the calls, and in front of a call that
//! would add to it. Removals are sent as for a slot that is on its way to the server (ASKING): they are asked for where
//! an owner said so, and the owner itself does not care. What is redirected once more, or can be removed nowhere for
//! now, is tried again a little later, for as long as the key is not replaced.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Pipeline;

use crate::engine::base::error::Trouble;
use crate::engine::cache::shared::Shared;
use crate::engine::conversation::connection::Steps;
use crate::engine::exchange::tokens;
use crate::engine::fleet::server::Server;
use crate::engine::net::reply::integer;
use crate::engine::net::wire::asks::{asked, asking};
use crate::engine::task::timers::Timers;
use crate::engine::tier::journal::Journal;

/// A key that could not be removed is tried again after this.
const AGAIN: Duration = Duration::from_millis(100);

/// Keys that are to be tried again, where, and when.
pub struct Later {
    keys: Vec<(Arc<Server>, Box<str>)>,
    at: Instant,
}

impl Later {
    pub fn new(now: Instant) -> Self {
        Self { keys: Vec::new(), at: now }
    }

    pub fn put(&mut self, owner: Arc<Server>, key: Box<str>) {
        self.keys.push((owner, key));
    }

    /// Waits until there is something to be swept or removed, or a key is to be tried again.
    pub async fn wait(&mut self, journal: &Journal, timers: &Timers) {
        if self.keys.is_empty() {
            return journal.stirred.raised().await;
        }
        if timers.until(self.at, journal.stirred.raised()).await.is_err() {
            self.owe();
        }
    }

    fn owe(&mut self) {
        // What was replaced meanwhile, or has gone on with its slot, is not held there any more.
        let held = self.keys.drain(..).filter(|(owner, key)| owner.journal.holds(key));
        held.for_each(|(owner, key)| _ = owner.journal.owe(&key));
    }
}

/// The connection has ended: others' servers are still to be asked.
impl Drop for Later {
    fn drop(&mut self) {
        self.owe();
    }
}

impl Steps {
    /// Removes the keys that are owed by this server.
    pub async fn purge(&mut self, shared: &Shared, later: &mut Later) -> Result<(), Trouble> {
        // No pause between taking them and sending their removal, as with picked keys.
        let owed = self.server.journal.take_owed();
        if owed.is_empty() {
            return Ok(());
        }
        let mut pipeline = Pipeline::with_capacity(owed.len());
        owed.iter().for_each(|key| tokens::undo(&mut pipeline, key, &shared.random, self.denied));
        let is_cluster = shared.fleet.cluster().is_some();
        if is_cluster {
            pipeline = asking(&pipeline);
        }
        let replies = self.pipeline(pipeline).await?;
        let replies = if is_cluster { asked(replies) } else { replies };
        for (key, reply) in owed.into_iter().zip(replies) {
            if let Some(owner) = shared.owed_elsewhere(&key, &reply, &self.server) {
                if !Arc::ptr_eq(&owner, &self.server) {
                    self.server.journal.replaced(&key);
                    _ = owner.journal.distrust(&key);
                }
                later.put(owner, key);
                continue;
            }
            match integer(reply) {
                Ok(_) => {
                    self.server.journal.replaced(&key);
                    // Written in process while nobody did it there: from here on that is no longer the newest either.
                    shared.memory.remove(&key, self.wire.timers().now_ms());
                }
                Err(trouble) if trouble.kind.is_outage() && !is_cluster => return Err(trouble),
                Err(trouble) if trouble.kind.is_outage() => later.put(self.server.clone(), key),
                // It is refused, and stays a miss.
                Err(_) => {}
            }
        }
        if !later.keys.is_empty() {
            later.at = self.wire.timers().now() + AGAIN;
        }
        Ok(())
    }
}
