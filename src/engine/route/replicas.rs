//! Which reads go to a replica, where replicas are read (`readFrom: 'replica'`).
//!
//! **The problem.** A replica has what its primary had a while ago: as a rule a millisecond, and for ever where its
//! link is down. It says of itself that it is linked, not how far behind it is. And who has written a key expects to
//! read what he wrote.
//!
//! **The approach.** Plain reads go there and nothing else: what begins a computation, asks for a token or writes goes
//! to the primary. Twice a second each primary is asked how far its stream of changes has come, and its replicas,
//! behind that, how far they are. A replica that has all that its primary had at some moment is read until [`LAG`]
//! after that moment, and not without such a proof: so what is read there is never older than that. Both numbers must
//! be of one history (`master_replid`): a primary that lost what it had counts anew.
//!
//! So much for what others write. What this process changed is to be read at once: for as long as a replica may lack
//! it, a slot that was written to is read from its primary; all slots behind a sweep, a recovery, and a slot's move.
//!
//! A replica that does not answer has its reads taken to the primary, in the half of their time that is left
//! (cache/job.rs, serve/sent.rs). No caller sees anything of it.
//!
//! **Rejected.** *The seconds since a replica heard of its primary* (`master_last_io_seconds_ago`): a stream that is
//! full of old changes is heard of all the time. *WAIT behind each write*: it makes writes as slow as the slowest.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use futures_util::future::{join, join_all};
use redis::Pipeline;

use crate::engine::base::key;
use crate::engine::base::random::Hashes;
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::shared::Shared;
use crate::engine::call::batch::{Batch, Op};
use crate::engine::fleet::cluster::Cluster;
use crate::engine::fleet::server::{InUse, Server};
use crate::engine::fleet::slot::{SLOTS, slot_of};
use crate::engine::net::reply::{field, text};
use crate::engine::net::wire::Wire;
use crate::engine::task::executor::{Kept, Spawner};

/// What is read from a replica is no older than this.
const LAG: Duration = Duration::from_secs(2);
/// How often it is asked how far each server is.
const ROUND: Duration = Duration::from_millis(500);
/// And which replicas there are: a cluster lists none that has just begun, or was away, and says nothing when it is
/// back.
const LISTING: Duration = Duration::from_secs(5);

/// How far a primary's stream of changes had come.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reached {
    history: String,
    offset: u64,
    /// When that was asked, in milliseconds of the engine's clock.
    asked: u64,
}

/// By the place of a primary.
type Known = HashMap<u16, Reached, Hashes>;

/// Until when the keys of each slot are read from their primaries, and what was asked last.
pub struct Replicas {
    /// By slot; in milliseconds, as `all`, which is for all of them.
    written: Box<[u64]>,
    all: u64,
    /// How often what was to be undone had gone from the journals, and servers had redirected a command.
    seen: (u64, u64),
    known: Known,
    round: Option<(oneshot::Receiver<Known>, Kept)>,
    next: Instant,
    listing: Instant,
}

impl Replicas {
    pub fn new(now: Instant) -> Self {
        let written = vec![0; usize::from(SLOTS)].into();
        Self { written, all: 0, seen: (0, 0), known: Known::default(), round: None, next: now, listing: now }
    }

    /// What is changed from `now` on, or was called just now, is on each replica that is read then.
    fn settled(shared: &Shared, now: u64) -> u64 {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        now.saturating_add(millis(LAG + ROUND + shared.patience()))
    }

    /// Looked at in front of each batch. What the journals hide is read nowhere; what has gone from them was undone
    /// just now, or is being so, and a redirect means that slots have moved: a replica may lack any of that.
    pub fn look(&mut self, shared: &Shared, now: u64) {
        let undone = shared.fleet.servers().map(|server| server.journal.went()).sum();
        let seen = (undone, shared.fleet.bounces());
        if std::mem::replace(&mut self.seen, seen) != seen {
            self.all_written(shared, now);
        }
    }

    /// A change of any keys.
    pub fn all_written(&mut self, shared: &Shared, now: u64) {
        self.all = Self::settled(shared, now);
    }

    /// A change of keys of this slot.
    pub fn written(&mut self, shared: &Shared, slot: u16, now: u64) {
        if let Some(until) = self.written.get_mut(usize::from(slot)) {
            *until = Self::settled(shared, now);
        }
    }

    /// The writes of a batch, before any of its reads is sent.
    pub fn called(&mut self, cache: &Cache, batch: &Batch, now: u64) {
        self.look(cache.shared(), now);
        let mut buffer = String::new();
        for span in batch.ops.iter().filter(|op| op.writes()).filter_map(Op::key) {
            let slot = slot_of(cache.prefix.join(batch.str(span), &mut buffer).as_bytes());
            self.written(cache.shared(), slot, now);
        }
    }

    /// For the calls of a batch: where the reads of each server go, by its place.
    pub fn choice<'a>(&'a self, shared: &'a Shared, cluster: &'a Cluster, now: u64) -> Choice<'a> {
        Choice { replicas: self, shared, cluster, turn: shared.random.bits(), now, chosen: RefCell::default() }
    }

    /// Whether the cluster is to be asked for its replicas again.
    pub fn wants_listing(&mut self, now: Instant) -> bool {
        let wants = self.listing + LISTING <= now;
        if wants {
            self.listing = now;
        }
        wants
    }

    /// Goes on with what is asked of the servers; whether anything did.
    pub fn run(&mut self, shared: &Arc<Shared>, spawner: &Spawner, now: Instant) -> bool {
        let mut went_on = false;
        if let Some((known, _)) = &mut self.round {
            match known.try_recv() {
                Ok(None) => return false,
                Ok(Some(known)) => self.known = known,
                Err(_) => self.known.clear(),
            }
            self.round = None;
            went_on = true;
        }
        if now < self.next {
            return went_on;
        }
        self.next = now + ROUND;
        let (done, known) = oneshot::channel();
        let (on, before) = (shared.clone(), std::mem::take(&mut self.known));
        let task = spawner.spawn_for(async move {
            let _ = done.send(ask_all(&on, &before).await);
        });
        self.round = Some((known, task));
        true
    }

    /// When the servers are asked next; a round that is under way wakes whoever drives it.
    pub fn next_moment(&self) -> Option<Instant> {
        self.round.is_none().then_some(self.next)
    }
}

/// Where the reads of a batch go.
pub struct Choice<'a> {
    replicas: &'a Replicas,
    shared: &'a Shared,
    cluster: &'a Cluster,
    turn: u64,
    now: u64,
    /// For the servers that were asked for already.
    chosen: RefCell<Vec<(u16, Option<u16>)>>,
}

impl Choice<'_> {
    /// The replica that answers a call of a key, if one may. `given`: the key as the caller gave it.
    pub fn replica(&self, op: &Op, given: &str, stored: &str, (slot, owner): (u16, u16)) -> Option<u16> {
        let is_read = matches!(op, Op::Get { .. } | Op::Exists { .. } | Op::Ttl { .. });
        let until = self.replicas.written.get(usize::from(slot)).copied().unwrap_or(u64::MAX).max(self.replicas.all);
        if !is_read || key::is_internal(given.as_bytes()) || self.now < until {
            return None;
        }
        let server = self.cluster.server(owner)?;
        if server.journal.holds(stored) || server.journal.covers(stored) {
            return None;
        }
        let known = self.chosen.borrow().iter().find(|(place, _)| *place == owner).map(|(_, replica)| *replica);
        known.unwrap_or_else(|| {
            let replica = self.choose(server);
            self.chosen.borrow_mut().push((owner, replica));
            replica
        })
    }

    fn choose(&self, primary: &Server) -> Option<u16> {
        let opened = primary.opened.load(Ordering::SeqCst);
        // What a recovery undid there may be on its replicas still.
        if primary.is_local() || self.now < Replicas::settled(self.shared, opened) {
            return None;
        }
        self.cluster.replica_of(primary.place, self.turn, |one| one.may_be_read(self.now) && !one.is_local())
    }
}

/// Asks all; how far the primaries are.
async fn ask_all(shared: &Arc<Shared>, before: &Known) -> Known {
    let groups = shared.fleet.cluster().map(Cluster::replicas).unwrap_or_default();
    let asked = groups.iter().map(|(primary, replicas)| async {
        let known = before.get(&primary.place);
        let replicas = join_all(replicas.iter().map(|replica| async {
            if let (Some(known), Some(said)) = (known, ask(replica).await)
                && has_all(&said.info, known)
            {
                let in_use = replica.in_use.lock();
                // And not another process, which may have begun with nothing since.
                if in_use.as_ref().is_some_and(|now| now.wire.is(&said.wire)) {
                    replica.is_near_until(known.asked.saturating_add(u64::try_from(LAG.as_millis()).unwrap_or(0)));
                }
            }
        }));
        // One that hangs holds up a round for no longer than another.
        let (_, said) = join(replicas, ask(primary)).await;
        let Said { info, asked, .. } = said?;
        Some((primary.place, reached(&info, asked)?))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// What a server says of its replication, when it was asked, and over which connection.
struct Said {
    info: String,
    asked: u64,
    wire: Wire,
}

async fn ask(server: &Arc<Server>) -> Option<Said> {
    let InUse { wire, tasks, .. } = server.in_use.lock().clone()?;
    let (done, said) = oneshot::channel();
    let _task = tasks.spawn_for(async move {
        let timers = wire.timers().clone();
        let asked = timers.now_ms();
        let mut pipeline = Pipeline::new();
        pipeline.cmd("INFO").arg("replication");
        let said = timers.within(ROUND, wire.request(pipeline)).await;
        let info = said.ok().and_then(Result::ok).and_then(|replies| replies.first().and_then(text));
        let _ = done.send(info.map(|info| Said { info, asked, wire }));
    });
    said.await.ok()?
}

fn number(info: &str, name: &str) -> Option<u64> {
    field(info, name)?.trim().parse().ok()
}

fn is(info: &str, name: &str, value: &str) -> bool {
    field(info, name).is_some_and(|said| said.trim() == value)
}

/// What a primary says.
fn reached(info: &str, asked: u64) -> Option<Reached> {
    let history = field(info, "master_replid").filter(|_| is(info, "role", "master"))?;
    Some(Reached { history: history.trim().to_owned(), offset: number(info, "master_repl_offset")?, asked })
}

/// Whether a replica, by what it says, has all that its primary had.
fn has_all(info: &str, known: &Reached) -> bool {
    is(info, "role", "slave")
        && is(info, "master_link_status", "up")
        && is(info, "master_replid", &known.history)
        && number(info, "slave_repl_offset").is_some_and(|offset| offset >= known.offset)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Reached, Replicas, has_all, reached};
    use crate::engine::base::clock::Clock;
    use crate::engine::base::key::Prefix;
    use crate::engine::base::random::Random;
    use crate::engine::cache::options::{Given, Options};
    use crate::engine::cache::shared::Shared;
    use crate::engine::task::executor::Tasks;
    use crate::engine::tier::budget::Noted;

    #[test]
    fn no_replica_is_read_for_a_while_behind_what_is_undone_on_a_primary_however_soon_that_is_over() {
        let options = Options::check(Given { url: Some("redis://h".into()), ..Given::default() }).expect("a URL");
        let (tasks, prefix) = (Tasks::new(Instant::now()), Prefix::new("n"));
        let shared = &Shared::new(&options, tasks.spawner().clone(), Clock::System, Random::System);
        let journal = &shared.fleet.first().journal;
        let mut replicas = Replicas::new(Instant::now());
        let mut reads_at = |now: u64| {
            replicas.look(shared, now);
            replicas.all
        };
        assert_eq!(reads_at(1), 0);
        assert_eq!(journal.note(&prefix, "n:gone"), Noted::Kept);
        assert_eq!(reads_at(2), 0, "that key is read nowhere");
        journal.take_keys(1);
        assert_eq!(journal.note(&prefix, "n:other"), Noted::Kept);
        assert_eq!((reads_at(3), reads_at(4)), (Replicas::settled(shared, 3), Replicas::settled(shared, 3)));
    }

    fn replica(link: &str, history: &str, offset: u64) -> String {
        format!(
            "# Replication\r\nrole:slave\r\nmaster_link_status:{link}\r\nmaster_last_io_seconds_ago:0\r\n\
             slave_repl_offset:{offset}\r\nmaster_replid:{history}\r\nmaster_repl_offset:{offset}\r\n"
        )
    }

    #[test]
    fn a_replica_is_near_that_is_linked_and_has_what_its_primary_had_in_one_history() {
        let primary = "# Replication\r\nrole:master\r\nmaster_replid:abc\r\nmaster_repl_offset:100\r\n";
        let known = Reached { history: "abc".into(), offset: 100, asked: 7 };
        assert_eq!(reached(primary, 7), Some(known.clone()));
        assert!(has_all(&replica("up", "abc", 100), &known) && has_all(&replica("up", "abc", 101), &known));
        assert!(!has_all(&replica("up", "abc", 99), &known), "it lacks a change");
        assert!(!has_all(&replica("down", "abc", 100), &known), "it is not linked");
        // It fell back to the SYNC of old, which counts nothing.
        let uncounted = replica("up", "abc", 100).replace("slave_repl_offset:100", "slave_repl_offset:-1");
        assert!(!has_all(&uncounted, &known), "it does not know how far it is");
        assert!(!has_all(&replica("up", "another", 100), &known), "it follows another history");
        assert!(!has_all(primary, &known) && !has_all("", &known), "it is no replica");
        assert_eq!(reached(&replica("up", "abc", 100), 7), None, "it is no primary any more");
    }
}
