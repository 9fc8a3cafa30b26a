//! The owner of the connection: `Connecting → Ready → Down (probing) → Recovering → Ready`, for as long as a cache is open.
//!
//! The problem. A cache must be faster than what it caches, above all while its server is away. So no caller ever waits for a connection
//! that is known to be gone, the server's return is noticed without anyone's traffic, and what was done meanwhile must not leak
//! into the time after.
//!
//! The approach. One task, this one, owns the connection and its state. Callers see the state through a gate: `Connection` hands their work
//! to this task, `Local` runs it on their own thread. Work that arrives here while there is no connection is answered at once on
//! the in-process tier; only before the first connection it waits, and no longer than its own deadline. Dialling goes on for ever, one dial
//! at a time, the name resolved anew each time, with full jitter before each so that a fleet does not return in step; the pauses grow where dials fail, or
//! connections do not last. A panic in here is an outage as well. When a dial succeeds, what the outage
//! left behind is undone first (replay.rs); then the gate closes (its write lock waits for batches that run on callers' threads), the fallback tier is dropped, and work flows.
//!
//! Rejected: redis-rs' `ConnectionManager`. It queues callers behind its reconnect outside of their time-out, does not reconnect after time-outs,
//! READONLY or refused credentials, and has no place for what must happen before the first command.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep, sleep_until};

use crate::engine::base::clock::now_ms;
use crate::engine::base::error::{Kind, Trouble};
use crate::engine::base::mutant;
use crate::engine::base::random;
use crate::engine::cache::job::Job;
use crate::engine::cache::shared::{Gate, Shared};
use crate::engine::conversation::connection::Connection;
use crate::engine::conversation::replay;
use crate::engine::exchange::refusals;
use crate::engine::net::denied::Denied;
use crate::engine::net::target::Target;
use crate::engine::node::dial::dial;
use crate::engine::node::serve::{End, lose, serve, trust};
use crate::engine::tier::journal::Noted;

/// The first pause between two dials is up to this long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// And each later one up to twice the one before, until this.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// A connection that lived so long has lasted: the next outage begins with short pauses again.
const LASTING: Duration = Duration::from_secs(10);

/// Runs until the last cache on this target is gone. What panics within is an outage like another, and begins anew.
pub async fn run(shared: Arc<Shared>, target: Target, mut jobs: UnboundedReceiver<Job>) {
    let mut supervisor = Supervisor { backoff: Backoff::default(), told: Denied::default(), old: None };
    while AssertUnwindSafe(supervisor.supervise(&shared, &target, &mut jobs)).catch_unwind().await.is_err() {
        // What it held is dropped by now, and so answered.
        let trouble = Trouble::new(Kind::Connection, "the connection's task failed; please report this");
        lose(&shared, &trouble);
        if meanwhile(sleep(LONGEST_PAUSE), &shared, &mut jobs, &mut VecDeque::new()).await.is_none() {
            break;
        }
    }
    *shared.gate.write() = Gate::Local;
}

/// What outlives a connection.
struct Supervisor {
    backoff: Backoff,
    /// What was said already of what the ACL denies.
    told: Denied,
    old: Option<Old>,
}

impl Supervisor {
    async fn supervise(&mut self, shared: &Arc<Shared>, target: &Target, jobs: &mut UnboundedReceiver<Job>) {
        let mut waiting = VecDeque::new();
        // `None`: no cache is left.
        while let Some(kind) = self.connection(shared, target, jobs, &mut waiting).await {
            shared.status.probing(false);
            // The first dial after a loss has one as well: a fleet that lost its server in one moment does not come back in one.
            let pause = sleep(self.backoff.pause(kind));
            if meanwhile(pause, shared, jobs, &mut waiting).await.is_none() {
                return;
            }
        }
    }

    /// One connection, from its dial to its end; why it ended, or `None` where no cache is left.
    async fn connection(
        &mut self,
        shared: &Arc<Shared>,
        target: &Target,
        jobs: &mut UnboundedReceiver<Job>,
        waiting: &mut VecDeque<Job>,
    ) -> Option<Kind> {
        shared.status.probing(true);
        let mut connection = match meanwhile(dial(target, shared), shared, jobs, waiting).await? {
            Ok(connection) => connection,
            Err(trouble) => return Some(down(shared, &trouble, waiting)),
        };
        let recovering = recover(shared, &connection, self.old.as_ref());
        match meanwhile(recovering, shared, jobs, waiting).await? {
            // Work that came meanwhile may have waited for too long, and then callers run on the fallback tier again.
            Ok(replayed) if !shared.gate.read().is_local() => open(shared, &connection, replayed, &mut self.told),
            result => {
                let late = Trouble::new(Kind::Timeout, "the server was too slow while recovering");
                return Some(down(shared, &result.err().unwrap_or(late), waiting));
            }
        }
        self.old = connection.id.map(|id| Old { id, run_id: connection.server.run_id.clone() });
        let since = Instant::now();
        let End::Outage(kind) = serve(shared, &mut connection, jobs, std::mem::take(waiting)).await else {
            return None;
        };
        if since.elapsed() > LASTING {
            self.backoff = Backoff::default();
        }
        Some(kind)
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
fn down(shared: &Shared, trouble: &Trouble, waiting: &mut VecDeque<Job>) -> Kind {
    shared.errors.count(trouble.kind);
    shared.status.down(trouble);
    shared.status.probing(false);
    *shared.gate.write() = Gate::Local;
    waiting.drain(..).for_each(Job::fall_back);
    trouble.kind
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
    if let Some(old) = same.filter(|_| !connection.denied.client.is()) {
        replay::kill(shared, connection, old.id).await;
    }
    let mut refused = Vec::new();
    let result = replay_all(shared, connection, &mut refused).await;
    for key in &refused {
        if shared.journal.distrust(key) != Noted::Kept {
            shared.errors.count(Kind::Journal);
        }
    }
    result
}

async fn replay_all(shared: &Shared, connection: &Connection, refused: &mut Vec<Box<str>>) -> Result<u64, Trouble> {
    let most = replay::before_the_gate(shared, connection, refused).await?;
    *shared.gate.write() = Gate::Connection;
    Ok(most + replay::behind_the_gate(shared, connection, refused).await?)
}

/// The connection that was before.
struct Old {
    id: i64,
    run_id: Option<String>,
}

/// Work is admitted.
fn open(shared: &Shared, connection: &Connection, replayed: u64, told: &mut Denied) {
    if !mutant::lacks("unleased") {
        shared.flights.fence_unleased();
    }
    let dropped = shared.memory.clear();
    shared.near.thaw();
    if connection.tracking {
        shared.near.arm(now_ms() + trust(shared));
    }
    shared.journal.take_lost();
    shared.status.up(connection.server.clone(), dropped, replayed);
    refusals::tell(connection.denied, shared, shared.prefix.as_str(), told);
}

/// Pauses between dials: full jitter below a limit that doubles.
#[derive(Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    pub fn pause(&mut self, kind: Kind) -> Duration {
        let limit = match kind {
            kind if kind.is_lasting() => LONGEST_PAUSE,
            _ => FIRST_PAUSE.saturating_mul(1 << self.tries.min(16)).min(LONGEST_PAUSE),
        };
        self.tries = self.tries.saturating_add(1);
        limit.mul_f64(random::part())
    }
}
