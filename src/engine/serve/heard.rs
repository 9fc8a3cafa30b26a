//! What the replies of a pipeline mean for whoever it was sent for, and what is sent behind them.

use std::sync::Arc;
use std::time::Instant;

use redis::{Pipeline, Value};

use crate::engine::base::clock;
use crate::engine::base::error::Trouble;
use crate::engine::cache::job::Work;
use crate::engine::cache::namespace::Cache;
use crate::engine::conversation::connection::Connection;
use crate::engine::conversation::gather;
use crate::engine::conversation::leases;
use crate::engine::conversation::refresh;
use crate::engine::exchange::plan::{Came, Verdict};
use crate::engine::exchange::tokens::{self, Asked, Heard};
use crate::engine::exchange::writes;
use crate::engine::net::reply::classify;
use crate::engine::net::wire::asks::asking;
use crate::engine::serve::pump::{Pump, trust};
use crate::engine::serve::sent::{self, Cleanup, InFlight, Next, Sent};
use crate::engine::value::tags::Tokens;

/// Takes the replies of what was sent first.
pub fn heard(pump: &mut Pump, values: Vec<Value>, now: Instant) -> Result<(), Trouble> {
    pump.heard_at(now);
    let sent = pump.sent.pop_front();
    Hearing { pump, now }.take(sent, values)?;
    pump.pass_places();
    Ok(())
}

/// Goes on with what has the tokens of other servers now; whether there was any.
pub fn gathered(pump: &mut Pump, now: Instant) -> Result<bool, Trouble> {
    let Some((next, tokens)) = pump.gathered() else { return Ok(false) };
    Hearing { pump, now }.go_on(next, tokens)?;
    Ok(true)
}

/// One pipeline's replies, and the pump to which what follows is given.
struct Hearing<'a> {
    pump: &'a mut Pump,
    now: Instant,
}

impl Hearing<'_> {
    fn take(&mut self, sent: Option<Sent>, values: Vec<Value>) -> Result<(), Trouble> {
        let shared = self.pump.shared.clone();
        let since = match &sent {
            Some(Sent::Batch(flight)) => Some(flight.sent),
            Some(Sent::Reads(reads)) => Some(reads.sent),
            Some(Sent::Ping(sent, _)) => Some(*sent),
            _ => None,
        };
        if let Some(sent) = since {
            self.pump.connection.server.near.vouch(clock::millis_of(sent).saturating_add(trust(&shared)));
        }
        match sent {
            Some(Sent::Batch(mut flight)) => {
                self.pump.connection.server.latency.record_batch(self.now.saturating_duration_since(flight.sent));
                let values = flight.answers(values);
                let Some((cut, pipeline)) = flight.cut(&values) else { return self.judge(flight, values) };
                flight.hold(values);
                self.pump.send(pipeline, Sent::Heads(cut, flight));
                Ok(())
            }
            Some(Sent::Reads(reads)) => {
                self.pump.connection.server.latency.record_batch(self.now.saturating_duration_since(reads.sent));
                match reads.settle(values, self.ms()) {
                    None => Ok(()),
                    Some((flight, values)) => self.judge(flight, values),
                }
            }
            Some(Sent::Heads(cut, mut flight)) => {
                let (replies, values) = (std::mem::take(&mut flight.came), flight.answers(values));
                self.judge(flight, sent::whole(replies, cut, values))
            }
            Some(Sent::Renewals(places, mut flight)) => {
                let mut replies = std::mem::take(&mut flight.came);
                for (place, reply) in places.into_iter().zip(flight.answers(values)) {
                    replies[place] = reply;
                }
                self.finish(flight, replies)
            }
            Some(Sent::Tokens(asked, next)) => self.heard_tokens(*asked, next, values),
            Some(Sent::Ping(sent, _)) => {
                self.pump.connection.server.latency.record(self.now.saturating_duration_since(sent));
                match values.into_iter().next() {
                    Some(Value::ServerError(error)) => {
                        let trouble = classify(&error);
                        if trouble.kind.is_outage() { Err(trouble) } else { Ok(()) }
                    }
                    _ => Ok(()),
                }
            }
            Some(Sent::Cleanup(cleanup)) => {
                let server = self.pump.connection.server.clone();
                let values = cleanup.replies(values);
                for (at, key) in cleanup.removed.iter().enumerate() {
                    let Some(value) = values.get(if cleanup.each { at } else { 0 }) else { break };
                    match shared.owed_elsewhere(key, value, &server) {
                        Some(owner) => _ = shared.owe(key, &server, &owner),
                        // Where it cannot be removed either, it reads as a miss until it is replaced.
                        None if matches!(value, Value::ServerError(_)) => {}
                        None => server.journal.replaced(key),
                    }
                }
                // No call waits for these replies: what they say is looked at here or nowhere.
                for value in values {
                    if let Value::ServerError(error) = value
                        && shared.bounced(&error, &server).is_none()
                    {
                        let trouble = classify(&error);
                        shared.errors.count(trouble.kind);
                        if trouble.kind.is_outage() {
                            return Err(trouble);
                        }
                    }
                }
                Ok(())
            }
            // A sweep has its place as soon as nothing stands in front of it.
            Some(Sent::Sweep(_)) | None => Ok(()),
        }
    }

    /// The moment in milliseconds of the clock of entries.
    fn ms(&self) -> u64 {
        clock::millis_of(self.now)
    }

    /// Settles what came back, once the tokens of its tags are known.
    fn judge(&mut self, mut flight: Box<InFlight>, values: Vec<Value>) -> Result<(), Trouble> {
        let Some((cache, unknown, known)) = flight.unknown_tags(&values, self.ms()) else { return Ok(()) };
        if unknown.is_empty() {
            return self.settle(flight, values);
        }
        flight.hold(values);
        if self.pump.shared.fleet.cluster().is_some() {
            let asked = |timers, patience| gather::tokens(cache, (unknown, known), timers, patience);
            self.pump.gather(Next::Settle(flight), self.now, asked);
            return Ok(());
        }
        let Connection { server, denied, .. } = &self.pump.connection;
        let (pipeline, asked) = tokens::ask(server, &cache, (unknown, known), false, *denied, self.ms());
        self.pump.send(pipeline, Sent::Tokens(Box::new(asked), Next::Settle(flight)));
        Ok(())
    }

    fn settle(&mut self, mut flight: Box<InFlight>, mut values: Vec<Value>) -> Result<(), Trouble> {
        let Some((places, pipeline)) = flight.renewals(&mut values, self.ms()) else {
            return self.finish(flight, values);
        };
        flight.hold(values);
        self.pump.send(pipeline, Sent::Renewals(places, flight));
        Ok(())
    }

    fn finish(&mut self, mut flight: Box<InFlight>, values: Vec<Value>) -> Result<(), Trouble> {
        let cache = flight.job.as_ref().map(|job| job.cache.clone());
        let asks = flight.job.as_ref().is_some_and(|job| job.asks());
        let verdict = flight.settle(Came::All(values), self.ms());
        if verdict.outage.is_some() {
            self.pump.refused = Some(Next::Settle(flight));
        }
        self.follow_up(cache, asks, verdict)
    }

    fn renew(&mut self, cache: &Cache, renewals: Pipeline) {
        if !renewals.is_empty() {
            self.pump.send(renewals, Sent::Cleanup(Cleanup::of(self.now + cache.shared().patience())));
        }
    }

    /// What a batch leaves behind: keys to remove, commands to repeat, leases to ask for.
    fn follow_up(&mut self, cache: Option<Arc<Cache>>, asks: bool, verdict: Verdict) -> Result<(), Trouble> {
        let mut pipeline = Pipeline::new();
        let stale: Vec<String> = verdict.stale.into_iter().collect();
        if !stale.is_empty() {
            // A read that was sent between the refused write and this removal must not fill the near cache with what it
            // found.
            stale.iter().for_each(|key| self.pump.connection.server.near.invalidate(key));
            writes::remove_all(&mut pipeline, self.pump.connection.denied, &stale);
        }
        for command in verdict.behind {
            pipeline.add_command(command);
        }
        if asks {
            // As the call was: the server does not own the slot yet.
            pipeline = asking(&pipeline);
        }
        if let Some(cache) = cache {
            let spawner = &self.pump.connection.tasks;
            for wanted in verdict.leases {
                let wire = self.pump.connection.wire.clone();
                if wanted.refresh {
                    spawner.spawn(refresh::run(cache.clone(), wire, wanted));
                } else {
                    spawner.spawn(leases::run(cache.clone(), wire, wanted));
                }
            }
            if !pipeline.is_empty() {
                let (deadline, each) = (self.now + cache.shared().patience(), self.pump.connection.denied.many.is());
                self.pump.send(pipeline, Sent::Cleanup(Cleanup { deadline, removed: stale, each, asks }));
            }
        }
        verdict.outage.map_or(Ok(()), Err)
    }

    /// A pipeline of tokens was answered: the next one asks for the rest, or what needed them goes on.
    fn heard_tokens(&mut self, asked: Asked, next: Next, values: Vec<Value>) -> Result<(), Trouble> {
        let job = match &next {
            Next::Plan(job) | Next::Give(job) => Some(&**job),
            Next::Settle(flight) => flight.job.as_ref(),
        };
        let Some(cache) = job.map(|job| job.cache.clone()) else { return Ok(()) };
        let server = self.pump.connection.server.clone();
        let (heard, renewals) = match asked.heard(&cache, &server, values, self.ms()) {
            Ok(heard) => heard,
            Err(trouble) => {
                self.pump.refused = Some(next);
                return Err(trouble);
            }
        };
        self.renew(&cache, renewals);
        let tokens = match heard {
            Heard::All(tokens) => tokens,
            Heard::More(pipeline, asked) => {
                self.pump.send(pipeline, Sent::Tokens(asked, next));
                return Ok(());
            }
        };
        self.go_on(next, tokens)
    }

    fn go_on(&mut self, next: Next, tokens: Tokens) -> Result<(), Trouble> {
        match next {
            Next::Plan(job) => {
                self.pump.stalled = false;
                self.pump.plan(*job, tokens, self.now);
                Ok(())
            }
            Next::Give(mut job) => {
                if let Work::Tokens(_, done) = std::mem::replace(&mut job.work, Work::Nothing) {
                    let _ = done.send(tokens);
                }
                Ok(())
            }
            Next::Settle(mut flight) => {
                let replies = std::mem::take(&mut flight.came);
                if let Some(plan) = &mut flight.plan {
                    plan.tokens.extend(tokens);
                }
                self.settle(flight, replies)
            }
        }
    }
}
