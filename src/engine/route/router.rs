//! Sends each call of a batch to the server that has its key.
//!
//! **The problem.** A turn of the event loop is one batch, whatever keys it names; on a cluster these lie on several
//! servers. A server that is away must not keep the calls of the others waiting, the order of a key's calls must hold
//! while its slot moves, and the caller gets one answer.
//!
//! **The approach.** One node a server, each with its own connection, gate, deadlines, near cache and journal, as if it
//! were the only one. In front of them this machine, without I/O as they are: it takes jobs in their order, hands each
//! server its part ([`super::joint`]), and sends on what comes back ([`super::back`]). The nodes' queues keep the
//! order. What is known of the cluster is asked for again when something says that it has changed ([`super::refresh`]).
//!
//! **Rejected.** *To split on the callers' threads*: the order in which several of them meet a slot that moves would be
//! anybody's guess. *A client's cluster mode*: none has a near cache that survives its own redirects.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_channel::oneshot;
use futures_util::StreamExt;

use crate::engine::base::clock;
use crate::engine::cache::job::{AskedFor, Awaited, Job, Part, Whole, Work};
use crate::engine::cache::shared::Shared;
use crate::engine::call::batch::Batch;
use crate::engine::conversation::gather;
use crate::engine::exchange::tokens;
use crate::engine::fleet::cluster::Cluster;
use crate::engine::fleet::server::Server;
use crate::engine::fleet::topology::Topology;
use crate::engine::route::back::detours::{Detours, Item};
use crate::engine::route::joint::{Answering, Joint, News};
use crate::engine::route::refresh::Refresh;
use crate::engine::route::replicas::Replicas;
use crate::engine::route::split::{self, Calls};
use crate::engine::route::sweep;
use crate::engine::task::executor::{Kept, Tasks};
use crate::engine::tier::memory::Memory;
use crate::engine::value::tags::Tokens;

/// What the router wants done.
pub enum Wish {
    /// A node of this server is to be driven; its jobs come from here.
    Open(Arc<Server>, UnboundedReceiver<Job>),
    /// No server of the cluster can be asked for it: the address of the URL is to be.
    Scout,
}

/// Begins with what is known of the cluster.
pub struct Router {
    pub shared: Arc<Shared>,
    pub tasks: Tasks,
    /// Where each server's node takes its jobs, by its place.
    lines: Vec<Option<UnboundedSender<Job>>>,
    pub(super) news: UnboundedReceiver<News>,
    answering: Answering,
    pub(super) detours: Detours,
    refresh: Refresh,
    /// Where they are read.
    pub(super) replicas: Option<Replicas>,
    wishes: VecDeque<Wish>,
    stirred: Arc<AtomicBool>,
    _stirred: Kept,
}

impl Router {
    pub fn new(shared: Arc<Shared>, tasks: Tasks, topology: &Topology, now: Instant) -> Self {
        let (teller, news) = unbounded();
        let answering = Answering { counts: Arc::default(), together: Arc::default(), news: teller };
        let stirred = Arc::new(AtomicBool::new(false));
        let (on, tell) = (shared.clone(), stirred.clone());
        let kept = tasks.spawner().spawn_for(async move {
            loop {
                on.fleet.stirred.raised().await;
                tell.store(true, Ordering::SeqCst);
            }
        });
        let mut router = Self {
            refresh: Refresh::new(shared.random.clone(), now),
            replicas: shared.habits.replicas.then(|| Replicas::new(now)),
            detours: Detours::new(&answering.counts),
            shared,
            tasks,
            lines: Vec::new(),
            news,
            answering,
            wishes: VecDeque::new(),
            stirred,
            _stirred: kept,
        };
        let reads_replicas = router.replicas.is_some();
        if let Some(applied) = router.shared.fleet.becomes(topology, &router.shared.memory, reads_replicas) {
            router.shared.moved(&applied, clock::millis_of(now));
        }
        let used = router.shared.fleet.in_use();
        used.iter().for_each(|server| _ = router.line(server));
        let fleet = &router.shared.fleet;
        if fleet.cluster().is_some_and(|cluster| cluster.is_used(fleet.first())) {
            router.refresh.wish(now);
        }
        router
    }

    pub fn wish(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }

    /// Work of a caller.
    pub fn call(&mut self, mut job: Job, now: Instant) {
        // What came back before it goes in front of it.
        self.hear(now);
        match &mut job.work {
            Work::Batch(batch) => {
                batch.render();
                self.share_out(job, now);
            }
            Work::Task(_) => {
                if let Some(replicas) = &mut self.replicas {
                    replicas.all_written(&self.shared, clock::millis_of(now));
                }
                let Some(parts) = sweep::split(job, &self.answering.together) else { return };
                for (server, part) in parts {
                    self.send(&server, part);
                }
            }
            Work::Tokens(..) | Work::Nothing => {}
        }
        self.go_on(now);
    }

    /// The calls of a batch, each to its server.
    fn share_out(&mut self, mut job: Job, now: Instant) {
        let shared = self.shared.clone();
        let Some(cluster) = shared.fleet.cluster() else { return };
        let Work::Batch(batch) = &mut job.work else { return };
        let ms = clock::millis_of(now);
        if let Some(replicas) = &mut self.replicas {
            replicas.called(&job.cache, batch, ms);
        }
        let choice = self.replicas.as_ref().map(|replicas| replicas.choice(&shared, cluster, ms));
        let split::Split { replies, parts, waiting, planned } =
            split::split(&job.cache, batch, cluster, choice.as_ref(), |slot| self.detours.has(slot));
        shared.writes_planned(planned);
        if parts.is_empty() && waiting.is_empty() {
            return job.finish(&replies);
        }
        let several = parts.len() + waiting.len() > 1;
        let joint = Joint::new(job, replies, &self.answering);
        if several {
            self.answering.together.add(joint.clone(), now);
        }
        for (slot, place, batch) in waiting {
            // Now, and not when it goes on: what ends a tag may be behind it.
            let tokens = self.ask_tokens(&joint, &batch, clock::millis_of(now)).pinned();
            self.detours.behind(slot, Item { joint: joint.clone(), place, batch, hops: 0, asks: None, tokens });
        }
        for part in parts {
            let tokens = self.ask_tokens(&joint, &part.batch, clock::millis_of(now));
            self.send_part(part, &joint, 0, false, tokens);
        }
    }

    /// Sends a part of a batch to a server; its number.
    pub(super) fn send_part(&mut self, calls: Calls, joint: &Arc<Joint>, hops: u8, asks: bool, asked: AskedFor) -> u64 {
        let (Calls { server: place, batch, places }, AskedFor { known, awaited }) = (calls, asked);
        let tokens = Arc::new(if known.is_empty() { OnceLock::new() } else { OnceLock::from(known) });
        let number = self.answering.counts.sent(place);
        let changes = self.shared.fleet.cluster().map_or(0, Cluster::changes);
        let part = Part { joint: joint.clone(), places, number, hops, asks, changes, tokens };
        let server = self.shared.fleet.cluster().and_then(|cluster| cluster.server(place));
        let server = server.unwrap_or(self.shared.fleet.first()).clone();
        let mut job = Job::part(server.clone(), batch, part);
        job.tokens = awaited;
        self.send(&server, job);
        number
    }

    /// Asks for the tokens of the tags under which a batch stores, in front of it.
    pub(super) fn ask_tokens(&mut self, joint: &Joint, batch: &Batch, now: u64) -> AskedFor {
        let (cache, to, _) = joint.common();
        let (keys, known) = tokens::wanted(&cache, batch, now);
        if keys.is_empty() {
            return AskedFor { known, awaited: None };
        }
        let mut awaited = Awaited { known, coming: Vec::new() };
        for (server, keys) in gather::by_server(&cache, keys) {
            let (done, coming) = oneshot::channel();
            awaited.coming.push(coming);
            self.send(&server, Job::new(cache.clone(), server.clone(), Work::Tokens(keys, done), to.clone()));
        }
        AskedFor { known: Tokens::new(), awaited: Some(awaited) }
    }

    fn send(&mut self, server: &Arc<Server>, job: Job) {
        if server.place == 0 {
            return job.fall_back();
        }
        // Where nobody takes it any more it is dropped, and so answered.
        let _ = self.line(server).unbounded_send(job);
    }

    /// Where a server's node takes its jobs. One that is not driven yet is to be.
    fn line(&mut self, server: &Arc<Server>) -> &UnboundedSender<Job> {
        let place = usize::from(server.place);
        if self.lines.len() <= place {
            self.lines.resize(place + 1, None);
        }
        let (wishes, tasks) = (&mut self.wishes, self.tasks.spawner());
        self.lines[place].get_or_insert_with(|| {
            let (sender, jobs) = unbounded();
            // Its calls wait for the first attempt, also where it was here before.
            server.begins();
            wishes.push_back(Wish::Open(server.clone(), jobs));
            // What has expired goes in the background.
            let store = Arc::downgrade(server.near.store());
            tasks.spawn(Memory::sweep(store, tasks.timers().clone()));
            sender
        })
    }

    /// Goes on with what can go on; whether anything did.
    pub fn run(&mut self, context: &mut Context<'_>, now: Instant) -> bool {
        self.tasks.spawner().timers().set(now);
        let mut went_on = self.tasks.poll(context);
        went_on |= self.hear(now);
        while let Poll::Ready(Some(news)) = self.news.poll_next_unpin(context) {
            went_on = true;
            self.heard(news, now);
        }
        if self.stirred.swap(false, Ordering::SeqCst) {
            went_on = true;
            self.refresh.stirred(&self.shared, now);
        }
        if let Some(replicas) = &mut self.replicas {
            went_on |= replicas.run(&self.shared, self.tasks.spawner(), now);
            if replicas.wants_listing(now) {
                self.refresh.wish(now);
            }
        }
        if let Some(topology) = self.refresh.found(now) {
            went_on = true;
            self.learn(&topology, now);
        }
        match self.refresh.begin(&self.shared, self.tasks.spawner(), now) {
            Some(true) => went_on = true,
            Some(false) => self.wishes.push_back(Wish::Scout),
            None => {}
        }
        self.go_on(now) || went_on
    }

    /// What the cluster says of itself.
    pub fn learn(&mut self, topology: &Topology, now: Instant) {
        let applied = self.shared.fleet.apply(topology, &self.shared.memory);
        self.refresh.learnt(&self.shared, applied.changed, now);
        self.shared.moved(&applied, clock::millis_of(now));
        if let Some(replicas) = self.replicas.as_mut().filter(|_| applied.changed) {
            replicas.all_written(&self.shared, clock::millis_of(now));
        }
        applied.won.iter().chain(&applied.replicas).for_each(|server| _ = self.line(server));
        for server in &applied.idle {
            // Its node ends once what is under way has been answered.
            if let Some(line) = self.lines.get_mut(usize::from(server.place)) {
                *line = None;
            }
        }
    }

    /// Nothing waits here.
    pub fn is_idle(&self) -> bool {
        self.detours.is_empty()
    }

    /// A moment that `next_moment` named has come.
    pub fn tick(&mut self, now: Instant) {
        for item in self.detours.late(now) {
            self.give_up(item);
        }
        self.answering.together.tick(now);
        self.go_on(now);
    }

    pub fn next_moment(&self) -> Option<Instant> {
        let timers = self.tasks.spawner().timers().next();
        let moments =
            [self.refresh.next_moment(), self.detours.next_moment(), self.answering.together.next_moment(), timers];
        let replicas = self.replicas.as_ref().and_then(Replicas::next_moment);
        moments.into_iter().chain([replicas]).flatten().min()
    }
}
