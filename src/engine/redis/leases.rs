//! The task behind each computation that needs the key's lease: asks for it, waits while another process computes, renews it while this one does.

use std::sync::Arc;
use std::time::Instant;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, Value};

use super::reply::{classify, explain, out_of_step};
use crate::engine::batch::Json;
use crate::engine::cache::Cache;
use crate::engine::error::{Kind, Trouble};
use crate::engine::flight::Outcome;
use crate::engine::lease::{self, Holder, LONGEST, POLL, RENEWAL};
use crate::engine::stats::add;

/// What the key holds when its lease is asked for.
enum Found {
    /// The lease is ours.
    Lease,
    /// Another flight has it; one of this engine, where it is given.
    Computing(Option<Holder>),
    Value(Json),
    /// Bytes that are no value: they are in the way, and no lease can be had.
    Foreign,
}

/// Brings the flight `token` of `key` to its end, or to its leader.
pub async fn run(cache: Arc<Cache>, redis: MultiplexedConnection, key: String, token: u32) {
    let mut task = Task { cache, redis, key, token };
    match task.wait_for_lease().await {
        Ok(true) => renew(task).await,
        Ok(false) => {}
        // Redis is away: this process computes for itself.
        Err(trouble) => {
            let shared = task.cache.shared();
            shared.errors.count(trouble.kind);
            let (_, answers) = shared.flights.lead_first(&task.key, token, false);
            add(&task.cache.counters.computes, 1);
            answers.send();
        }
    }
}

/// Renews the lease for as long as the function runs. Between two renewals it holds no cache: one that is closed need not wait for it.
async fn renew(task: Task) {
    let Task { cache, redis, key, token } = task;
    let weak = Arc::downgrade(&cache);
    drop(cache);
    let since = Instant::now();
    while since.elapsed() < LONGEST {
        tokio::time::sleep(RENEWAL).await;
        let Some(cache) = weak.upgrade().filter(|c| c.shared().flights.alive(&key, token)) else { return };
        let mut task = Task { cache, redis: redis.clone(), key: key.clone(), token };
        if task.eval(lease::renew).await.is_ok_and(|reply| reply == Value::Int(0)) {
            return;
        }
    }
}

struct Task {
    cache: Arc<Cache>,
    redis: MultiplexedConnection,
    key: String,
    token: u32,
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
                    let taken = self.eval(|by_text, key, holder| lease::take_over(by_text, key, from, holder)).await?;
                    if taken == Value::Int(1) {
                        return Ok(self.lead(true).await);
                    }
                }
                Found::Computing(_) => {
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
        let (leads, answers) = self.cache.shared().flights.lead_first(&self.key, self.token, leased);
        answers.send();
        if leads {
            add(&self.cache.counters.computes, 1);
        } else if leased {
            let release = lease::release(&self.key, self.holder());
            let _ = self.command(release).await;
        }
        leads && leased
    }

    fn holder(&self) -> Holder {
        Holder { engine: self.cache.shared().status.id(), token: self.token }
    }

    async fn ask(&mut self) -> Result<Found, Trouble> {
        match self.eval(lease::acquire).await? {
            Value::BulkString(bytes) if bytes == self.holder().marker() => Ok(Found::Lease),
            Value::BulkString(bytes) if lease::is_marker(&bytes) => Ok(Found::Computing(self.holder().sibling(&bytes))),
            Value::BulkString(bytes) => Ok(Json::checked(bytes).map_or(Found::Foreign, Found::Value)),
            // Another type than a string lies there.
            Value::ServerError(error) if matches!(classify(&error).kind, Kind::Wrongtype | Kind::Server) => {
                Ok(Found::Foreign)
            }
            Value::ServerError(error) => Err(classify(&error)),
            _ => Err(out_of_step()),
        }
    }

    async fn eval(&mut self, call: impl Fn(bool, &str, Holder) -> Cmd) -> Result<Value, Trouble> {
        match self.command(call(false, &self.key, self.holder())).await? {
            Value::ServerError(error) if error.code() == "NOSCRIPT" => {
                self.command(call(true, &self.key, self.holder())).await
            }
            value => Ok(value),
        }
    }

    async fn command(&mut self, command: Cmd) -> Result<Value, Trouble> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(command);
        let step = self.redis.send_packed_commands(&pipeline, 0, 1);
        match tokio::time::timeout(self.cache.timeout, step).await {
            Ok(Ok(values)) => values.into_iter().next().ok_or_else(out_of_step),
            Ok(Err(error)) => Err(explain(&error)),
            Err(_) => Err(Trouble::new(Kind::Timeout, "the server did not answer in time")),
        }
    }
}
