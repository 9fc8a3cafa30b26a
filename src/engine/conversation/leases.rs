//! The task behind each computation that needs the key's lease: asks for it, waits while another process computes,
//! renews it while this one does.

use std::sync::Arc;

use redis::{Cmd, Pipeline, Value};

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::base::text::Json;
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::tell::counters::add;
use crate::engine::conversation::gather;
use crate::engine::exchange::plan::Wanted;
use crate::engine::exchange::reads::{self, Look, judge};
use crate::engine::exchange::refusals;
use crate::engine::exchange::tokens::{self, Heard, Missing};
use crate::engine::exchange::writes::holder;
use crate::engine::fleet::server::Server;
use crate::engine::net::denied::Denied;
use crate::engine::net::reply::{classify, left, out_of_step};
use crate::engine::net::wire::Wire;
use crate::engine::net::wire::asks::{asked, asking};
use crate::engine::once::lease::{self, Holder, LONGEST, POLL, RENEWAL};
use crate::engine::once::waiters::{Lease, Led, Outcome};
use crate::engine::task::executor::Spawner;
use crate::engine::task::signal::Signal;
use crate::engine::value::codec;
use crate::engine::value::codec::Room;
use crate::engine::value::entry;
use crate::engine::value::life::Ask;
use crate::engine::value::tags::Tokens;

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
    let Wanted { key, token, led, void, asked, .. } = wanted;
    let at = key.clone();
    let mut task = Task { cache, wire, key, token, void, asked, driver: None };
    let led = match led {
        Some(led) => Ok(Some(led)),
        None => {
            let asking = Asking::of(&task);
            let led = task.wait_for_lease().await;
            asking.over();
            led
        }
    };
    match led {
        Ok(Some(given_up)) => renew(task, at, &given_up).await,
        Ok(None) => {}
        // Its slot has moved: who asks again asks elsewhere.
        Err(trouble) if trouble.kind == Kind::Cluster && task.cache.shared().fleet.cluster().is_some() => {
            task.cache.shared().flights.end(&task.key, task.token, Outcome::Failed).send();
        }
        // Redis is away: this process computes for itself.
        Err(trouble) => {
            refusals::met(&task.cache, &trouble);
            task.lead_alone();
        }
    }
}

/// A flight whose lease is asked for by a task. Where the task's node ends meanwhile, as its server has lost its slots,
/// those who wait ask anew: nobody else would ever tell them anything.
pub(super) struct Asking(Option<(Arc<Cache>, String, u32)>);

impl Asking {
    pub(super) fn of(task: &Task) -> Self {
        Self(Some((task.cache.clone(), task.key.clone(), task.token)))
    }

    pub(super) fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some((cache, key, token)) = self.0.take() {
            cache.shared().flights.end(&key, token, Outcome::Failed).send();
        }
    }
}

/// Renews the lease that lies at the stored key `at`, for as long as the function runs; gives it up when `given_up`
/// wakes, for those who wait elsewhere. Between two renewals it holds no cache: one that is closed need not wait for
/// it.
pub(super) async fn renew(mut task: Task, at: String, given_up: &Signal) {
    let timers = task.wire.timers().clone();
    let until = timers.now() + LONGEST;
    while timers.now() < until {
        let Task { cache, wire, key, token, asked, driver, .. } = task;
        let (holder, patience) = (holder(&cache, token), cache.timeout);
        let weak = Arc::downgrade(&cache);
        drop(cache);
        if timers.within(RENEWAL, given_up.raised()).await.is_ok() {
            let mut pipeline = Pipeline::with_capacity(1);
            pipeline.add_command(lease::release(&at, holder));
            // Where it cannot be told, the lease ends by itself.
            let _ = wire.ask(pipeline, patience).await;
            return;
        }
        let Some(cache) = weak.upgrade().filter(|c| c.shared().flights.alive(&key, token)) else { return };
        task = Task { cache, wire, key, token, void: Box::default(), asked, driver };
        task.follow();
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
    /// Its slot is on its way to this server, which is asked.
    pub(super) asked: Option<Arc<Server>>,
    /// Of the node whose connection that is, where it is another one.
    pub(super) driver: Option<Spawner>,
}

impl Task {
    /// What wakes when the lease is to be given up, where this process computes under it; none where the value came, or
    /// nobody waits any more.
    async fn wait_for_lease(&mut self) -> Result<Option<Arc<Signal>>, Trouble> {
        let (cache, key) = (self.cache.clone(), self.key.clone());
        let flights = &cache.shared().flights;
        let mut waits = false;
        loop {
            let watch = cache.shared().waiting.on(&key);
            // Before the key is read: a push that comes at once is not missed.
            let changed = watch.changed();
            let found = self.ask().await?;
            match found {
                Found::Value(json) => {
                    flights.found(&key, self.token, &json).send();
                    return Ok(None);
                }
                Found::Void(void) => self.void = void,
                Found::Lease => {
                    add(&cache.counters.lease_takeovers, waits.into());
                    return Ok(self.lead(Lease::Key, &key).await);
                }
                Found::Foreign => {
                    self.lead_alone();
                    return Ok(None);
                }
                // Of a flight that a write fenced, or whose callers stopped waiting, or of a thread that has ended.
                Found::Computing(Some(from)) if !flights.runs(&key, from.token) => {
                    let taken = self.eval(|by_text, holder| lease::take_over(by_text, &key, from, holder)).await?;
                    if taken == Value::Int(1) {
                        return Ok(self.lead(Lease::Key, &key).await);
                    }
                }
                Found::Computing(_) => {
                    flights.elsewhere(&key, self.token).send();
                    add(&cache.counters.lease_waits, (!waits).into());
                    waits = true;
                    if self.unwanted() {
                        return Ok(None);
                    }
                    let _ = self.wire.timers().within(POLL, changed).await;
                    if self.unwanted() {
                        return Ok(None);
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

    /// Somebody who waits computes, under the lease that is had at the stored key `at`; what wakes when it is to be
    /// given up. Where nobody waits the lease goes.
    pub(super) async fn lead(&mut self, lease: Lease, at: &str) -> Option<Arc<Signal>> {
        let led = match self.unwanted() {
            true => Led::default(),
            false => self.cache.shared().flights.lead_first(&self.key, self.token, lease, self.now()),
        };
        led.answers.send();
        if led.leads {
            add(&self.cache.counters.computes, 1);
        } else {
            // Where it cannot be told, the lease ends by itself.
            let _ = self.command(lease::release(at, self.holder())).await;
        }
        led.given_up
    }

    /// Somebody who waits computes, without a lease.
    pub(super) fn lead_alone(&self) {
        let led = self.cache.shared().flights.lead_first(&self.key, self.token, Lease::None, self.now());
        add(&self.cache.counters.computes, u64::from(led.leads));
        led.answers.send();
    }

    /// Milliseconds of the clock of entries.
    pub(super) fn now(&self) -> u64 {
        self.wire.timers().now_ms()
    }

    pub(super) fn holder(&self) -> Holder {
        holder(&self.cache, self.token)
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
            Value::ServerError(error) => {
                self.cache.shared().bounced(&error, &self.server());
                return Err(classify(&error));
            }
            _ => return Err(out_of_step()),
        };
        if bytes == self.holder().marker() {
            return Ok(Found::Lease);
        }
        if codec::is_marker(&bytes) {
            return Ok(Found::Computing(self.holder().sibling(&bytes)));
        }
        // A marker is newer than what is to be removed there.
        if self.server().journal.holds(&self.key) {
            return Ok(Found::Foreign);
        }
        let tokens = self.tokens(&bytes).await?;
        let token = |key: &str| tokens.get(key).cloned();
        let look = Look { left, ask: Ask::default(), passing: false, now: self.now() };
        Ok(match judge(&self.cache, bytes, &look, &mut Room::default(), token) {
            reads::Found::Fresh(entry, _) => Found::Value(entry.json),
            reads::Found::Void(identity) if !identity.is_empty() => Found::Void(identity),
            _ => Found::Foreign,
        })
    }

    /// The tokens of an entry's tags.
    async fn tokens(&mut self, bytes: &[u8]) -> Result<Tokens, Trouble> {
        let cache = self.cache.clone();
        let mut missing = Missing::new(&cache, self.now());
        if let Some(meta) = entry::meta_of(bytes) {
            meta.tags.names().for_each(|name| missing.look(name, |_| false));
        }
        let wanted = missing.into_both();
        if wanted.0.is_empty() {
            return Ok(wanted.1);
        }
        if cache.shared().fleet.cluster().is_some() {
            return Ok(gather::tokens(cache, wanted, self.wire.timers().clone(), self.cache.timeout / 2).await);
        }
        let server = self.server();
        let (mut pipeline, mut asked) = tokens::ask(&server, &cache, wanted, false, Denied::default(), self.now());
        loop {
            let values = self.pipeline(pipeline).await?;
            match asked.heard(&cache, &server, values, self.now())?.0 {
                Heard::All(tokens) => return Ok(tokens),
                Heard::More(more, rest) => (pipeline, asked) = (more, *rest),
            }
        }
    }

    /// The one that is asked.
    fn server(&self) -> Arc<Server> {
        self.asked.as_ref().unwrap_or_else(|| self.cache.shared().server(&self.key)).clone()
    }

    /// The connection on which the key is to be asked for now: its slot may have moved.
    fn follow(&mut self) {
        if self.cache.shared().fleet.cluster().is_some()
            && let Some(in_use) = self.cache.shared().server(&self.key).in_use.lock().clone()
        {
            (self.wire, self.driver, self.asked) = (in_use.wire, Some(in_use.tasks), None);
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
        if self.asked.is_some() {
            return Ok(asked(self.wire.ask(asking(&pipeline), self.cache.timeout).await?));
        }
        let replies = self.wire.ask(pipeline, self.cache.timeout);
        if let Some(driver) = &self.driver {
            // It has something to write.
            driver.spawn(std::future::ready(()));
        }
        replies.await
    }
}
