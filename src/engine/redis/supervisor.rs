//! The owner of the connection: `Connecting → Ready → Down (probing) → Recovering → Ready`, for as long as a cache is open.
//!
//! The problem. A cache must be faster than what it caches, above all while its server is away. So no caller ever waits for a connection
//! that is known to be gone, the server's return is noticed without anyone's traffic, and what was done meanwhile must not leak
//! into the time after.
//!
//! The approach. One task, this one, owns the connection and its state. Callers see the state through a gate: `Connection` hands their work
//! to this task, `Local` runs it on their own thread. Work that arrives here while there is no connection is answered at once on
//! the in-process tier; only before the first connection it waits, and no longer than its own deadline. Dialling goes on for ever, one dial
//! at a time, the name resolved anew each time, with full jitter between tries so that a fleet does not return in step. When a dial succeeds, what the outage
//! left behind is undone first (replay.rs); then the gate closes (its write lock waits for batches that run on callers' threads), the fallback tier is dropped, and work flows.
//!
//! Rejected: redis-rs' `ConnectionManager`. It queues callers behind its reconnect outside of their time-out, does not reconnect after time-outs,
//! READONLY or refused credentials, and has no place for what must happen before the first command.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep, sleep_until};

use super::dial::{Connection, Denied, dial};
use super::replay;
use super::serve::{End, serve, trust};
use super::target::Target;
use super::{Gate, Job};
use crate::engine::clock::now_ms;
use crate::engine::error::{Kind, Trouble};
use crate::engine::mutant;
use crate::engine::random;
use crate::engine::registry::Shared;

/// The first pause between two dials is up to this long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// And each later one up to twice the one before, until this.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// So many keys of the journal are left to be undone while callers' work waits.
const FEW: usize = 500;
/// A connection that lived so long was a good one: the next outage begins with short pauses again.
const GOOD: Duration = Duration::from_secs(10);

/// Runs until the last cache on this target is gone.
pub async fn run(shared: Arc<Shared>, target: Target, mut jobs: UnboundedReceiver<Job>) {
    let _exit = Exit(shared.clone());
    let mut backoff = Backoff::default();
    let mut told = Denied::default();
    let mut old: Option<Old> = None;
    loop {
        let mut waiting = VecDeque::new();
        let Some(mut connection) = connect(&shared, &target, &mut jobs, &mut waiting, &mut backoff).await else {
            return;
        };
        let recovering = recover(&shared, &connection, old.as_ref());
        match meanwhile(recovering, &shared, &mut jobs, &mut waiting).await {
            None => return,
            // Work that came meanwhile may have waited for too long, and then callers run on the fallback tier again.
            Some(Ok(replayed)) if !shared.gate.read().is_local() => open(&shared, &connection, replayed, &mut told),
            Some(result) => {
                let late = Trouble::new(Kind::Timeout, "the server was too slow while recovering");
                let trouble = result.err().unwrap_or(late);
                down(&shared, &trouble, &mut waiting);
                let pause = sleep(backoff.pause(trouble.kind));
                match meanwhile(pause, &shared, &mut jobs, &mut waiting).await {
                    None => return,
                    Some(()) => continue,
                }
            }
        }
        old = connection.id.map(|id| Old { id, run_id: connection.server.run_id.clone() });
        let since = Instant::now();
        if let End::Closed = serve(&shared, &mut connection, &mut jobs, waiting).await {
            return;
        }
        if since.elapsed() > GOOD {
            backoff = Backoff::default();
        }
    }
}

/// Dials until a connection is up; `None` when no cache is left. Work that comes meanwhile is answered, or waits for the first connection.
async fn connect(
    shared: &Arc<Shared>,
    target: &Target,
    jobs: &mut UnboundedReceiver<Job>,
    waiting: &mut VecDeque<Job>,
    backoff: &mut Backoff,
) -> Option<Connection> {
    loop {
        shared.status.probing(true);
        let trouble = match meanwhile(dial(target, shared), shared, jobs, waiting).await? {
            Ok(connection) => return Some(connection),
            Err(trouble) => trouble,
        };
        down(shared, &trouble, waiting);
        meanwhile(sleep(backoff.pause(trouble.kind)), shared, jobs, waiting).await?;
    }
}

/// Waits for what is to be had, and sees to the work that comes meanwhile: none of it waits beyond its deadline. `None` when no cache is left.
async fn meanwhile<T>(
    future: impl Future<Output = T>,
    shared: &Shared,
    jobs: &mut UnboundedReceiver<Job>,
    waiting: &mut VecDeque<Job>,
) -> Option<T> {
    tokio::pin!(future);
    loop {
        let patience = waiting.front().map_or_else(|| Instant::now() + LONGEST_PAUSE, |job| job.deadline().into());
        tokio::select! {
            biased;
            result = &mut future => return Some(result),
            job = jobs.recv() => hold_or_answer(shared, job?, waiting),
            () = sleep_until(patience), if !waiting.is_empty() => {
                down(shared, &Trouble::new(Kind::Timeout, "the server did not answer while connecting"), waiting);
            }
        }
    }
}

fn hold_or_answer(shared: &Shared, job: Job, waiting: &mut VecDeque<Job>) {
    if shared.gate.read().is_local() {
        job.fall_back();
    } else {
        waiting.push_back(job);
    }
}

/// Redis is not to be had: nobody waits for it from here on.
fn down(shared: &Shared, trouble: &Trouble, waiting: &mut VecDeque<Job>) {
    shared.errors.count(trouble.kind);
    shared.status.down(trouble);
    shared.status.probing(false);
    *shared.gate.write() = Gate::Local;
    waiting.drain(..).for_each(Job::fall_back);
}

/// What must happen before any work is admitted (see replay.rs); how many keys were undone. The gate is closed then: nobody runs on the fallback tier any more.
async fn recover(shared: &Shared, connection: &Connection, old: Option<&Old>) -> Result<u64, Trouble> {
    if mutant::lacks("replay") {
        // Work is admitted first: what the journal holds waits for the next recovery.
        *shared.gate.write() = Gate::Connection;
        return Ok(0);
    }
    // Another server may have given the number to somebody else.
    let same = old.filter(|old| old.run_id.is_some() && old.run_id == connection.server.run_id);
    if let Some(old) = same.filter(|_| !connection.denied.client) {
        replay::kill(shared, connection, old.id).await;
    }
    let mut refused = Vec::new();
    let result = replay_all(shared, connection, &mut refused).await;
    refused.iter().for_each(|key| shared.journal.distrust(key));
    result
}

async fn replay_all(shared: &Shared, connection: &Connection, refused: &mut Vec<Box<str>>) -> Result<u64, Trouble> {
    let most = replay::replay(shared, connection, FEW, refused).await?;
    *shared.gate.write() = Gate::Connection;
    Ok(most + replay::replay(shared, connection, 0, refused).await?)
}

/// The connection that was before.
struct Old {
    id: i64,
    run_id: Option<String>,
}

/// Work is admitted.
fn open(shared: &Shared, connection: &Connection, replayed: u64, told: &mut Denied) {
    shared.flights.fence_unleased();
    let dropped = shared.memory.clear();
    shared.near.thaw();
    if connection.tracking {
        shared.near.arm(now_ms() + trust(shared));
    }
    shared.journal.take_lost();
    shared.status.up(connection.server.clone(), dropped, replayed);
    // A reconnect tells it again only where it is another.
    if connection.denied != *told {
        *told = connection.denied;
        tell_denied(shared, connection.denied);
    }
}

/// Says once what the ACL denies and what that means.
fn tell_denied(shared: &Shared, denied: Denied) {
    let parts: Vec<&str> = [
        (denied.scan, "SCAN (delPattern and clear cannot remove keys in Redis)"),
        (denied.unlink, "UNLINK (DEL is used)"),
        (denied.scripts, "scripts (getOrCompute computes once a process, not once in all)"),
        (denied.mget, "MGET (GET is used)"),
        (denied.client, "CLIENT (the connection has no name, and nothing is kept in process while Redis is up)"),
    ]
    .into_iter()
    .filter_map(|(is, what)| is.then_some(what))
    .collect();
    if !parts.is_empty() {
        shared.errors.count(Kind::Denied);
        shared
            .status
            .notice(&Trouble::new(Kind::Denied, format!("the server's ACL denies this user: {}", parts.join(", "))));
    }
}

/// Pauses between dials: full jitter below a limit that doubles.
#[derive(Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    pub fn pause(&mut self, kind: Kind) -> Duration {
        let limit = match kind {
            // A refused password or certificate is refused again: no haste, and no flood in the server's log.
            Kind::Auth | Kind::Tls => LONGEST_PAUSE,
            _ => FIRST_PAUSE.saturating_mul(1 << self.tries.min(16)).min(LONGEST_PAUSE),
        };
        self.tries = self.tries.saturating_add(1);
        limit.mul_f64(random::part())
    }
}

/// However the task ends, even by a panic, callers are not left in front of a closed gate.
struct Exit(Arc<Shared>);

impl Drop for Exit {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.status.down(&Trouble::new(Kind::Connection, "the connection's task failed; please report this"));
        }
        *self.0.gate.write() = Gate::Local;
    }
}
