//! The way in: decides for each batch whether it runs here and now, or goes to the connection.

use std::any::Any;
use std::ops::Deref;
use std::sync::Arc;

use crate::engine::base::clock::Ttl;
use crate::engine::base::text::{Json, Kept};
use crate::engine::cache::job::{Link, Work};
use crate::engine::cache::local;
use crate::engine::cache::long::{self, Called};
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::options::Options;
use crate::engine::cache::shared::Shared;
use crate::engine::cache::tell::counters::add;
use crate::engine::cache::tell::status::Mode;
use crate::engine::call::batch::{Batch, Op, Task};
use crate::engine::call::reply::{Hot, MAX_HOT_BYTES, Reply, Submitted};
use crate::engine::call::sink::{ReplyTo, Versions};
use crate::engine::call::splice::{self, MAX_EARLY};
use crate::engine::value::{life, tags};

/// What the near cache has of a key.
enum Looked {
    Nothing,
    Reply(Reply),
    /// A value for a caller that waits for its neighbours.
    Known(Kept),
}

/// How calls reach the machine of a server: by a thread that drives it, or by whoever simulates it.
pub trait Reach: Any + Send + Sync {
    /// Where calls go; `None` where the in-process tier is all there is.
    fn link(&self) -> Option<&Link>;
}

/// A cache as the binding holds it: with the way to the machine that its calls go to.
pub struct Front {
    pub cache: Arc<Cache>,
    reach: Arc<dyn Reach>,
}

impl Deref for Front {
    type Target = Cache;

    fn deref(&self) -> &Cache {
        &self.cache
    }
}

impl Front {
    /// A cache of the engine that `shared` is of. `reach`: kept for as long as the cache is, or work of it is under
    /// way.
    pub fn new(shared: &Arc<Shared>, reach: Arc<dyn Reach>, options: &Options) -> Self {
        Self { cache: Cache::new(shared.clone(), reach.clone(), options), reach }
    }

    /// Runs a batch at once where Redis is not in use, answers from the near cache what that holds, and hands the rest
    /// to the connection, whose replies go to `to`.
    ///
    /// At once means on the caller's thread, without a thread switch. It is only done when nothing handed over earlier
    /// is still unanswered: the calls of one key keep their order across a change of mode.
    pub fn submit(&self, mut batch: Batch, to: &ReplyTo) -> Submitted {
        let Some(link) = self.reach.link() else {
            return Submitted::Answered(local::run(&self.cache, &mut batch, to));
        };
        if let Some(replies) = self.locally(link, || local::run(&self.cache, &mut batch, to)) {
            return Submitted::Answered(replies);
        }
        let early = self.look_near(&mut batch, to);
        match early {
            Some(replies) if !replies.contains(&Reply::Later) => Submitted::Answered(replies),
            early => {
                link.send(self.cache.clone(), Work::Batch(batch), to.clone());
                early.map_or(Submitted::Later, Submitted::Partly)
            }
        }
    }

    /// As `submit`, for long work; `None` where the reply comes through `to`.
    pub fn run(&self, task: Task, to: &ReplyTo) -> Option<Reply> {
        let mut called = Some(Called::new(&self.cache, task));
        let Some(link) = self.reach.link() else { return long::locally(&self.cache, called.take()?, to) };
        if let Some(reply) = self.locally(link, || long::locally(&self.cache, called.take()?, to)) {
            return reply;
        }
        link.send(self.cache.clone(), Work::Task(called.take()?), to.clone());
        None
    }

    fn locally<T>(&self, link: &Link, run: impl FnOnce() -> T) -> Option<T> {
        // The gate stays held while it runs: a recovery that empties the fallback tier waits until it is done.
        let server = link.server();
        let gate = server.gate.read();
        (gate.is_local() && server.in_flight() == 0).then(run)
    }

    /// Answers reads from the near cache, and keeps it from answering any with what this batch is about to change.
    /// `None` where it answered nothing.
    fn look_near(&self, batch: &mut Batch, to: &ReplyTo) -> Option<Vec<Reply>> {
        let mut buffer = String::new();
        let fleet = &self.shared().fleet;
        if fleet.servers().all(|server| !server.near.is_armed()) {
            // Reads that were called before may be tracked, and answered, before a write is planned.
            let keys = batch.ops.iter().filter(|op| op.writes()).filter_map(Op::key);
            let called = keys.map(|span| self.shared().write_called(self.prefix.join(batch.str(span), &mut buffer)));
            batch.called = called.collect();
            return None;
        }
        let now = self.shared().clock.now_ms();
        let mut replies = Vec::with_capacity(batch.ops.len());
        let (mut any, mut early_bytes) = (false, 0);
        let mut versions = None;
        for i in 0..batch.ops.len() {
            let op = batch.ops[i];
            let Some(span) = op.key() else {
                replies.push(Reply::Later);
                continue;
            };
            let key = self.prefix.join(batch.str(span), &mut buffer);
            let reply = match op {
                Op::Get { early, hot, .. } if self.near => {
                    let versions = hot.then(|| versions.get_or_insert_with(|| to.sink.versions()).clone()).flatten();
                    // What is too much for the answer at once travels with the rest.
                    match self.look_up(key, now, early && early_bytes < MAX_EARLY, versions.as_deref()) {
                        Looked::Reply(reply) => {
                            early_bytes += splice::size_of(&reply);
                            reply
                        }
                        Looked::Nothing => Reply::Later,
                        Looked::Known(value) => {
                            add(&self.counters.hits_near, 1);
                            batch.known.push(Json::Shared(value));
                            batch.ops[i] = Op::Known(batch.known.len() - 1);
                            Reply::Later
                        }
                    }
                }
                Op::Begin { more, .. } if self.near => match fleet.of(key).near.get(key, self.max_age, now) {
                    Some(hit) if early_bytes >= MAX_EARLY || !self.is_valid(hit.meta.as_deref(), now) => Reply::Later,
                    Some(hit) => {
                        let left = hit.deadline.saturating_sub(now);
                        let delta = hit.meta.as_ref().map_or(0, |meta| meta.delta_ms);
                        if life::early(left, delta, batch.more(more).beta, &self.shared().random) {
                            // Decided here: Redis' answer is not asked a second time.
                            if let Op::Begin { early, .. } = &mut batch.ops[i] {
                                *early = true;
                            }
                            Reply::Later
                        } else {
                            early_bytes += hit.value.size();
                            Reply::Hit(Json::Shared(hit.value))
                        }
                    }
                    None => Reply::Later,
                },
                op if op.writes() => {
                    batch.called.push(self.shared().write_called(key));
                    Reply::Later
                }
                _ => Reply::Later,
            };
            if reply != Reply::Later {
                add(&self.counters.hits_near, 1);
                batch.ops[i] = Op::Answered;
                any = true;
            }
            replies.push(reply);
        }
        any.then_some(replies)
    }

    /// What the near cache holds at a key, for a read with nothing before it; with the versions of what JavaScript may
    /// keep where `versions` are given.
    pub fn peek(&self, key: &str, versions: Option<&dyn Versions>) -> Option<Hot> {
        if !self.near {
            return None;
        }
        let mut buffer = String::new();
        let hot = match self.look_up(
            self.prefix.join(key, &mut buffer),
            self.shared().clock.now_ms(),
            versions.is_some(),
            versions,
        ) {
            Looked::Known(Kept::Json(text)) | Looked::Reply(Reply::Value(Json::Shared(Kept::Json(text)))) => {
                Hot { text, versions: Vec::new(), ttl: Ttl::Forever }
            }
            Looked::Reply(Reply::Hot(hot)) => hot,
            // What is whole comes with a batch.
            _ => return None,
        };
        add(&self.counters.hits_near, 1);
        Some(hot)
    }

    /// A read of the near cache.
    fn look_up(&self, key: &str, now: u64, early: bool, versions: Option<&dyn Versions>) -> Looked {
        let server = self.shared().server(key);
        let near = &server.near;
        // Noted before the look-up: see the essay in near.rs, race 7.
        let own = versions.map(|v| near.note(v, key));
        let Some(hit) = near.get(key, self.max_age, now) else { return Looked::Nothing };
        let mut noted: Vec<(usize, i32)> = own.into_iter().collect();
        if let (Some(v), Some(meta)) = (versions, &hit.meta) {
            let note = |key: String| self.shared().server(&key).near.note(v, &key);
            noted.extend(meta.tags.names().map(|name| note(tags::key(&self.prefix, name))));
        }
        // Its slot may have moved meanwhile, and hot values have ended with that: see cluster.rs.
        if !self.is_valid(hit.meta.as_deref(), now) || !Arc::ptr_eq(server, self.shared().server(key)) {
            return Looked::Nothing;
        }
        if !early {
            return Looked::Known(hit.value);
        }
        // What may be refreshed early is asked for each time.
        let is_due = hit.meta.is_some_and(|meta| meta.delta_ms > 0);
        match hit.value {
            Kept::Json(text) if versions.is_some() && text.len() <= MAX_HOT_BYTES && !is_due => {
                let ttl = Ttl::Millis(hit.deadline.saturating_sub(now));
                Looked::Reply(Reply::Hot(Hot { text, versions: noted, ttl }))
            }
            value => Looked::Reply(Reply::Value(Json::Shared(value))),
        }
    }

    /// How Redis is reached: `tcp`, `tls` or `unix`; `None` where there is none to reach.
    pub fn target(&self) -> Option<&'static str> {
        self.shared().fleet.kind()
    }

    /// `getMode()`.
    pub fn mode(&self) -> Mode {
        // Whoever asks again and again also sees to it that the engine starts, should it not have been able to.
        self.reach.link();
        self.shared().status.mode()
    }

    /// `health()`, as JSON.
    pub fn health(&self, production: bool) -> String {
        self.cache.health(self.mode(), production)
    }
}
