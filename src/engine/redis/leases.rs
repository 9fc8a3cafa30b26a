//! The task behind each computation that needs the key's lease: asks for it, waits while another process computes, renews it while this one does.

use std::sync::Arc;
use std::time::Instant;

use redis::{Cmd, Pipeline, Value};

use super::found::{self, judge, left};
use super::reply::{classify, out_of_step};
use super::settle::Wanted;
use super::tokens::{self, Heard, Missing};
use super::wire::Wire;
use crate::engine::batch::Json;
use crate::engine::cache::Cache;
use crate::engine::clock::now_ms;
use crate::engine::entry;
use crate::engine::error::{Kind, Trouble};
use crate::engine::lease::{self, Holder, LONGEST, POLL, RENEWAL};
use crate::engine::life::Ask;
use crate::engine::stats::add;
use crate::engine::tags::Tokens;
use crate::engine::waiters::{Lease, Outcome};

/// What the key holds when its lease is asked for.
enum Found {
    /// The lease is ours.
    Lease,
    /// Another flight has it; one of this engine, where it is given.
    Computing(Option<Holder>),
    Value(Json),
    /// An entry that is nothing to this flight.
    Void(Box<[u8]>),
    /// Bytes that are no value: they are in the way, and no lease can be had.
    Foreign,
}

/// Brings the flight `token` of `key` to its end, or to its leader.
pub async fn run(cache: Arc<Cache>, wire: Wire, wanted: Wanted) {
    let Wanted { key, token, led, void, .. } = wanted;
    let mut task = Task { cache, wire, key, token, void };
    if led {
        let key = task.key.clone();
        return renew(task, key).await;
    }
    match task.wait_for_lease().await {
        Ok(true) => {
            let key = task.key.clone();
            renew(task, key).await;
        }
        Ok(false) => {}
        // Redis is away: this process computes for itself.
        Err(trouble) => {
            let shared = task.cache.shared();
            shared.errors.count(trouble.kind);
            let (_, answers) = shared.flights.lead_first(&task.key, token, Lease::None, now_ms());
            add(&task.cache.counters.computes, 1);
            answers.send();
        }
    }
}

/// Renews the lease that lies at the stored key `at`, for as long as the function runs. Between two renewals it holds no cache: one that is closed need not wait for it.
pub(super) async fn renew(task: Task, at: String) {
    let Task { cache, wire, key, token, .. } = task;
    let weak = Arc::downgrade(&cache);
    drop(cache);
    let since = Instant::now();
    while since.elapsed() < LONGEST {
        tokio::time::sleep(RENEWAL).await;
        let Some(cache) = weak.upgrade().filter(|c| c.shared().flights.alive(&key, token)) else { return };
        let mut task = Task { cache, wire: wire.clone(), key: key.clone(), token, void: Box::default() };
        let renewed = task.eval(|by_text, holder| lease::renew(by_text, &at, holder)).await;
        if renewed.is_ok_and(|reply| reply == Value::Int(0)) {
            return;
        }
    }
}

pub(super) struct Task {
    pub(super) cache: Arc<Cache>,
    pub(super) wire: Wire,
    pub(super) key: String,
    pub(super) token: u32,
    /// An entry that begins with this is nothing to this flight; empty for none.
    pub(super) void: Box<[u8]>,
}

impl Task {
    /// True where this process computes under the lease; false where the value came, or nobody waits any more.
    async fn wait_for_lease(&mut self) -> Result<bool, Trouble> {
        loop {
            let notify = self.cache.shared().waiting.on(&self.key);
            let changed = notify.notified();
            tokio::pin!(changed);
            // Before the key is read: a push that comes at once is not missed.
            changed.as_mut().enable();
            let found = self.ask().await?;
            match found {
                Found::Value(json) => {
                    self.cache.shared().flights.found(&self.key, self.token, &json).send();
                    return Ok(false);
                }
                Found::Void(void) => self.void = void,
                Found::Lease if self.unwanted() => {
                    let _ = self.command(lease::release(&self.key, self.holder())).await;
                    return Ok(false);
                }
                Found::Lease => return Ok(self.lead(true).await),
                Found::Foreign => {
                    self.lead(false).await;
                    return Ok(false);
                }
                // Of a flight whose callers stopped waiting, or of a thread that has ended.
                Found::Computing(Some(from)) if !self.cache.shared().flights.runs(&self.key, from.token) => {
                    let key = self.key.clone();
                    let taken = self.eval(|by_text, holder| lease::take_over(by_text, &key, from, holder)).await?;
                    if taken == Value::Int(1) {
                        return Ok(self.lead(true).await);
                    }
                }
                Found::Computing(_) => {
                    self.cache.shared().flights.elsewhere(&self.key, self.token).send();
                    if self.unwanted() {
                        return Ok(false);
                    }
                    let _ = tokio::time::timeout(POLL, changed).await;
                    self.cache.shared().waiting.forget(&self.key);
                    if self.unwanted() {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Fenced by a write while it waited, or left by all who did: whoever is there still asks anew.
    fn unwanted(&self) -> bool {
        let flights = &self.cache.shared().flights;
        let unwanted = !flights.wanted(&self.key, self.token);
        if unwanted {
            flights.end(&self.key, self.token, Outcome::Failed).send();
        }
        unwanted
    }

    async fn lead(&mut self, leased: bool) -> bool {
        let lease = if leased { Lease::Key } else { Lease::None };
        let (leads, answers) = self.cache.shared().flights.lead_first(&self.key, self.token, lease, now_ms());
        answers.send();
        if leads {
            add(&self.cache.counters.computes, 1);
        } else if leased {
            let release = lease::release(&self.key, self.holder());
            let _ = self.command(release).await;
        }
        leads && leased
    }

    pub(super) fn holder(&self) -> Holder {
        Holder { engine: self.cache.shared().status.id(), token: self.token }
    }

    async fn ask(&mut self) -> Result<Found, Trouble> {
        let (key, void) = (self.key.clone(), self.void.clone());
        let reply = self.eval(|by_text, holder| lease::acquire(by_text, &key, holder, &void)).await?;
        let (bytes, left) = match reply {
            Value::Array(mut parts) if parts.len() == 2 => match (parts.pop(), parts.pop()) {
                (Some(time), Some(Value::BulkString(bytes))) => (bytes, left(time)),
                _ => return Err(out_of_step()),
            },
            // Another type than a string lies there.
            Value::ServerError(error) if matches!(classify(&error).kind, Kind::Wrongtype | Kind::Server) => {
                return Ok(Found::Foreign);
            }
            Value::ServerError(error) => return Err(classify(&error)),
            _ => return Err(out_of_step()),
        };
        if self.cache.shared().journal.holds(&self.key) {
            return Ok(Found::Foreign);
        }
        if bytes == self.holder().marker() {
            return Ok(Found::Lease);
        }
        if lease::is_marker(&bytes) {
            return Ok(Found::Computing(self.holder().sibling(&bytes)));
        }
        let tokens = self.tokens(&bytes).await?;
        let token = |key: &str| tokens.get(key).cloned();
        Ok(match judge(&self.cache, bytes, left, Ask::default(), token, now_ms()) {
            found::Found::Fresh(entry, _) => Found::Value(entry.json),
            found::Found::Void(identity) if !identity.is_empty() => Found::Void(identity),
            _ => Found::Foreign,
        })
    }

    /// The tokens of an entry's tags that the near cache does not have.
    async fn tokens(&mut self, bytes: &[u8]) -> Result<Tokens, Trouble> {
        let cache = self.cache.clone();
        let mut missing = Missing::new(&cache);
        if let Some(meta) = entry::meta_of(bytes) {
            meta.tags.names().for_each(|name| missing.look(name, |_| false));
        }
        let keys = missing.into_keys();
        if keys.is_empty() {
            return Ok(Tokens::new());
        }
        let (mut pipeline, mut asked) = tokens::ask(&cache, keys, false);
        loop {
            let values = self.pipeline(pipeline).await?;
            match asked.heard(&cache, values)?.0 {
                Heard::All(tokens) => return Ok(tokens),
                Heard::More(more, rest) => (pipeline, asked) = (more, *rest),
            }
        }
    }

    pub(super) async fn eval(&mut self, call: impl Fn(bool, Holder) -> Cmd) -> Result<Value, Trouble> {
        match self.command(call(false, self.holder())).await? {
            Value::ServerError(error) if error.code() == "NOSCRIPT" => self.command(call(true, self.holder())).await,
            value => Ok(value),
        }
    }

    pub(super) async fn command(&mut self, command: Cmd) -> Result<Value, Trouble> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(command);
        self.pipeline(pipeline).await?.into_iter().next().ok_or_else(out_of_step)
    }

    async fn pipeline(&mut self, pipeline: Pipeline) -> Result<Vec<Value>, Trouble> {
        self.wire.ask(pipeline, self.cache.timeout).await
    }
}
