//! A cache: a namespace on an engine. Decides for each batch whether it runs here and now, or goes to the connection.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::batch::{Batch, Hot, Json, MAX_HOT_BYTES, Op, Reply, ReplyTo, Submitted, Task};
use super::clock::{Ttl, now_ms};
use super::entry::{Format, Meta};
use super::error::{Kind, Trouble};
use super::journal::Noted;
use super::key::Prefix;
use super::life;
use super::local;
use super::long::{self, Called};
use super::near::Versions;
use super::options::{DEFAULT_MAX_AGE, Options};
use super::pattern::Pattern;
use super::redis::{Job, Work};
use super::registry::{Engine, Shared};
use super::splice::{self, MAX_EARLY};
use super::stats::{Counters, add};
use super::status::Mode;
use super::tags;

/// What the near cache has of a key.
enum Looked {
    Nothing,
    Reply(Reply),
    /// A value for a caller that waits for its neighbours.
    Known(Arc<str>),
}

pub struct Cache {
    pub engine: Arc<Engine>,
    pub prefix: Prefix,
    pub counters: Counters,
    pub timeout: Duration,
    /// Whether the near cache keeps what this cache reads.
    pub near: bool,
    /// The oldest that this cache takes from it, in milliseconds, whichever cache had it put there: values, and tokens
    /// of tags even where it keeps no values.
    pub max_age: u64,
    pub format: Format,
    /// How long what the near cache held is served while Redis is away.
    pub outage_stale: Duration,
    /// How long what is written then lives at most.
    pub outage_ttl: Duration,
}

impl Cache {
    pub fn new(engine: Arc<Engine>, options: &Options) -> Arc<Self> {
        Arc::new(Self {
            engine,
            prefix: Prefix::new(&options.namespace),
            counters: Counters::default(),
            timeout: options.timeout,
            near: options.near.is_some(),
            max_age: millis(options.near.map_or(DEFAULT_MAX_AGE, |near| near.max_age)),
            format: options.format,
            outage_stale: options.outage_stale,
            outage_ttl: options.outage_ttl,
        })
    }

    pub fn shared(&self) -> &Shared {
        &self.engine.shared
    }

    /// Runs a batch at once where Redis is not in use, answers from the near cache what that holds, and hands the rest to the connection, whose replies go
    /// to `to`.
    ///
    /// At once means on the caller's thread, without a thread switch. It is only done when nothing handed over earlier is still
    /// unanswered: the calls of one key keep their order across a change of mode.
    pub fn submit(self: &Arc<Self>, mut batch: Batch, to: &ReplyTo) -> Submitted {
        let Some(link) = self.engine.link() else { return Submitted::Answered(local::run(self, &mut batch, to)) };
        if let Some(replies) = self.locally(|| local::run(self, &mut batch, to)) {
            return Submitted::Answered(replies);
        }
        let early = self.look_near(&mut batch, to);
        match early {
            Some(replies) if !replies.contains(&Reply::Later) => Submitted::Answered(replies),
            early => {
                link.send(Job::new(self.clone(), Work::Batch(batch), to.clone()));
                early.map_or(Submitted::Later, Submitted::Partly)
            }
        }
    }

    /// As `submit`, for long work; `None` where the reply comes through `to`.
    pub fn run(self: &Arc<Self>, task: Task, to: &ReplyTo) -> Option<Reply> {
        let mut called = Some(Called::new(self, task));
        let Some(link) = self.engine.link() else { return long::locally(self, called.take()?, to) };
        if let Some(reply) = self.locally(|| long::locally(self, called.take()?, to)) {
            return reply;
        }
        link.send(Job::new(self.clone(), Work::Task(called.take()?), to.clone()));
        None
    }

    fn locally<T>(&self, run: impl FnOnce() -> T) -> Option<T> {
        // The gate stays held while it runs: a recovery that empties the fallback tier waits until it is done.
        let gate = self.shared().gate.read();
        (gate.is_local() && self.shared().in_flight() == 0).then(run)
    }

    /// Answers reads from the near cache, and keeps it from answering any with what this batch is about to change. `None` where it answered nothing.
    fn look_near(&self, batch: &mut Batch, to: &ReplyTo) -> Option<Vec<Reply>> {
        let near = &self.shared().near;
        if !near.is_armed() {
            return None;
        }
        let now = now_ms();
        let mut buffer = String::new();
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
                Op::Begin { more, .. } if self.near => match near.get(key, self.max_age, now) {
                    Some(hit) if early_bytes >= MAX_EARLY || !self.is_valid(hit.meta.as_deref(), now) => Reply::Later,
                    Some(hit) => {
                        let left = hit.deadline.saturating_sub(now);
                        let delta = hit.meta.as_ref().map_or(0, |meta| meta.delta_ms);
                        if life::early(left, delta, batch.more(more).beta) {
                            // Decided here: Redis' answer is not asked a second time.
                            if let Op::Begin { early, .. } = &mut batch.ops[i] {
                                *early = true;
                            }
                            Reply::Later
                        } else {
                            early_bytes += hit.value.len();
                            Reply::Hit(Json::Shared(hit.value))
                        }
                    }
                    None => Reply::Later,
                },
                Op::Set { .. } | Op::Del { .. } | Op::Increment { .. } | Op::Expire { .. } | Op::End { .. } => {
                    near.own_write(key);
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

    /// What the near cache holds at a key, for a read with nothing before it; with the versions of what JavaScript may keep where `versions` are given.
    pub fn peek(&self, key: &str, versions: Option<&dyn Versions>) -> Option<Hot> {
        if !self.near {
            return None;
        }
        let mut buffer = String::new();
        let hot = match self.look_up(self.prefix.join(key, &mut buffer), now_ms(), versions.is_some(), versions) {
            Looked::Known(text) | Looked::Reply(Reply::Value(Json::Shared(text))) => {
                Hot { text, versions: Vec::new(), ttl: Ttl::Forever }
            }
            Looked::Reply(Reply::Hot(hot)) => hot,
            _ => return None,
        };
        add(&self.counters.hits_near, 1);
        Some(hot)
    }

    /// A read of the near cache.
    fn look_up(&self, key: &str, now: u64, early: bool, versions: Option<&dyn Versions>) -> Looked {
        let near = &self.shared().near;
        // Noted before the look-up: see the essay in near.rs, race 7.
        let own = versions.map(|v| near.note(v, key));
        let Some(hit) = near.get(key, self.max_age, now) else { return Looked::Nothing };
        let mut noted: Vec<(usize, i32)> = own.into_iter().collect();
        if let (Some(v), Some(meta)) = (versions, &hit.meta) {
            noted.extend(meta.tags.names().map(|name| near.note(v, &tags::key(&self.prefix, name))));
        }
        if !self.is_valid(hit.meta.as_deref(), now) {
            return Looked::Nothing;
        }
        if !early {
            return Looked::Known(hit.value);
        }
        // What may be refreshed early is asked for each time.
        if versions.is_none() || hit.value.len() > MAX_HOT_BYTES || hit.meta.is_some_and(|meta| meta.delta_ms > 0) {
            return Looked::Reply(Reply::Value(Json::Shared(hit.value)));
        }
        let ttl = Ttl::Millis(hit.deadline.saturating_sub(now));
        Looked::Reply(Reply::Hot(Hot { text: hit.value, versions: noted, ttl }))
    }

    /// Whether an entry's tags are what they were, as far as the near cache knows.
    fn is_valid(&self, meta: Option<&Meta>, now: u64) -> bool {
        tags::valid(meta, &self.prefix, |key| tags::near_token(self, key, now))
    }

    /// What Redis has at a stored key is not to be trusted once it is back.
    pub fn journal(&self, key: &str) {
        if self.engine.has_redis() {
            self.shared().near.own_write(key);
            self.noted(self.shared().journal.note(&self.prefix, key));
        }
    }

    /// Nor what it has at keys that match.
    pub fn journal_pattern(&self, pattern: Pattern, parked: bool) {
        if self.engine.has_redis() {
            self.noted(self.shared().journal.note_pattern(&self.prefix, pattern, parked));
        }
    }

    /// Tells that the journal is full, where it was.
    pub fn noted(&self, noted: Noted) {
        if noted != Noted::Kept {
            self.shared().errors.count(Kind::Journal);
        }
        if noted == Noted::FirstLost {
            let message = "the journal of this outage is full, and a cache without a namespace cannot be cleared: older values of keys written or deleted from here on may be read again";
            self.shared().status.tell_error(&Trouble::new(Kind::Journal, message));
        }
    }

    /// The TTL that an entry gets on the in-process tier: while Redis is away it is no longer than `outage_ttl`.
    pub fn local_ttl(&self, ttl: Ttl) -> Ttl {
        let most = millis(self.outage_ttl);
        match ttl {
            ttl if !self.engine.has_redis() => ttl,
            Ttl::Millis(ms) => Ttl::Millis(ms.min(most)),
            Ttl::Forever => Ttl::Millis(most),
        }
    }

    /// `getMode()`.
    pub fn mode(&self) -> Mode {
        // Whoever asks again and again also sees to it that the engine starts, should it not have been able to.
        self.engine.link();
        self.shared().status.mode()
    }

    /// `health()`, as JSON.
    pub fn health(&self, production: bool) -> String {
        let mode = self.mode();
        let mut health = self.shared().status.health();
        // Redis is there, and this namespace is not for this user.
        let denied = mode == Mode::Redis && self.shared().status.denies_keys(self.prefix.as_str());
        let degraded = if self.engine.has_redis() { mode == Mode::Memory || denied } else { production };
        if !self.engine.has_redis() {
            health["breaker"] = Value::from("closed");
        }
        health["status"] = Value::from(if degraded { "degraded" } else { "ok" });
        health["journal"] = Value::from(self.shared().journal.len());
        health["inFlight"] = Value::from(self.shared().in_flight() + self.shared().long());
        health.to_string()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
