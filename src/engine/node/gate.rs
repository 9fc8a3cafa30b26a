//! When callers run on the in-process tier, and when they come back: an outage, the recovery behind it, and the moment
//! at which work is admitted again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::engine::base::clock;
use crate::engine::base::error::{Kind, Trouble};
use crate::engine::base::mutant;
use crate::engine::cache::job::Job;
use crate::engine::cache::shared::Shared;
use crate::engine::conversation::connection::Connection;
use crate::engine::conversation::undo::replay::{self, Undoing};
use crate::engine::exchange::refusals;
use crate::engine::fleet::server::{Gate, InUse, Server};
use crate::engine::net::denied::Denied;
use crate::engine::serve::pump::trust;
use crate::engine::tier::budget::Noted;

/// The connection that was before.
#[derive(Clone)]
pub struct Old {
    id: i64,
    run_id: Option<String>,
}

impl Old {
    pub fn of(connection: &Connection) -> Option<Self> {
        connection.id.map(|id| Self { id, run_id: connection.identity.run_id.clone() })
    }
}

/// What must happen before any work is admitted (see replay.rs); how many keys were undone. The gate is closed then:
/// nobody runs on the fallback tier any more.
pub async fn recover(shared: &Shared, connection: &Connection, old: Option<&Old>) -> Result<u64, Trouble> {
    if connection.server.is_replica() {
        // Nothing was written there.
        shared.fleet.set_gate(&connection.server, Gate::Connection);
        return Ok(0);
    }
    if mutant::lacks("replay") {
        // Work is admitted first: what the journal holds waits for the next recovery.
        shared.fleet.set_gate(&connection.server, Gate::Connection);
        return Ok(0);
    }
    // Another server may have given the number to somebody else.
    let same = old.filter(|old| old.run_id.is_some() && old.run_id == connection.identity.run_id);
    if let Some(old) = same.filter(|_| !connection.denied.kill.is()) {
        replay::kill(shared, connection, old.id).await;
    }
    let mut undoing = Undoing::new(shared, connection);
    let result = replay_all(shared, connection, &mut undoing).await;
    let Server { journal, .. } = &*connection.server;
    for key in &undoing.refused() {
        // In a cluster it may only be for now.
        let noted = if shared.fleet.cluster().is_some() { journal.owe(key) } else { journal.distrust(key) };
        if noted != Noted::Kept {
            shared.errors.count(Kind::Journal);
        }
    }
    result
}

async fn replay_all(shared: &Shared, connection: &Connection, undoing: &mut Undoing<'_>) -> Result<u64, Trouble> {
    let most = undoing.before_the_gate().await?;
    shared.fleet.set_gate(&connection.server, Gate::Connection);
    Ok(most + undoing.behind_the_gate().await?)
}

/// Work is admitted; `now` in milliseconds.
pub fn open(shared: &Shared, connection: &Connection, replayed: u64, told: &mut Denied, now: u64) {
    let Connection { server, wire, denied, tasks, .. } = connection;
    let in_use = InUse { wire: wire.clone(), denied: *denied, tasks: tasks.clone() };
    if server.is_replica() {
        let mut now = server.in_use.lock();
        // What was known of it was known of another process, it may be.
        server.is_near_until(0);
        *now = Some(in_use);
        drop(now);
        return shared.up(server, connection.identity.clone(), 0, 0);
    }
    server.opened.store(now, Ordering::SeqCst);
    if !mutant::lacks("unleased") {
        let server = &connection.server;
        shared.flights.fence_unleased(|key| Arc::ptr_eq(shared.server(key), server));
    }
    // Nobody told of changes meanwhile.
    shared.flights.outdate_all();
    // What was answered in process while it was there stays.
    let was_away = shared.fleet.cluster().is_none() || connection.server.standing.lock().outage_since.is_some();
    let took_over = connection.server.heir.swap(false, Ordering::SeqCst) && !mutant::lacks("heir");
    let drops = (was_away || took_over) && !mutant::lacks("dropped");
    let dropped = if drops { shared.drop_fallback(&connection.server, now) } else { 0 };
    if connection.server.near.thaw(now) {
        // What was read meanwhile is of the in-process tier.
        shared.listening.lost();
    }
    if connection.tracking || mutant::lacks("untracked") {
        connection.server.near.arm(now + trust(shared), now);
    }
    connection.server.journal.take_lost();
    *connection.server.in_use.lock() = Some(in_use);
    shared.up(&connection.server, connection.identity.clone(), dropped, replayed);
    refusals::tell(connection.denied, shared, shared.prefix.as_str(), told);
}

/// Nobody vouches any more for what is held.
fn unvouched(shared: &Shared, server: &Server, now: Instant) {
    if server.is_replica() {
        return server.is_near_until(0);
    }
    if server.near.is_armed() {
        server.near.disarm(clock::millis_of(now));
        shared.listening.lost();
    }
    shared.waiting.wake_all();
    server.journal.lose();
    shared.sparing.lost(server.place);
}

/// The connection is given up for another one elsewhere.
pub fn moving(shared: &Shared, server: &Server, now: Instant) {
    if !server.is_replica() {
        shared.status.moving();
    }
    unvouched(shared, server, now);
}

/// The connection is gone.
pub fn lose(shared: &Shared, server: &Server, trouble: &Trouble, now: Instant) {
    // First: what is served behind this line is no longer vouched for.
    unvouched(shared, server, now);
    shared.errors.count(trouble.kind);
    *server.in_use.lock() = None;
    shared.fleet.set_gate(server, Gate::Local);
    shared.down(server, trouble);
}

/// Redis is not to be had: nobody waits for it any more.
pub fn down(shared: &Shared, server: &Server, trouble: &Trouble, waiting: &mut VecDeque<Job>) {
    shared.errors.count(trouble.kind);
    shared.status.probing(false);
    shared.fleet.set_gate(server, Gate::Local);
    shared.down(server, trouble);
    waiting.drain(..).for_each(Job::fall_back);
}
