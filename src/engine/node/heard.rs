//! The pump's other half: what the replies of a pipeline mean for whoever it was sent for, and what is sent behind
//! them.

use std::sync::Arc;
use std::time::Instant;

use redis::{Pipeline, Value};

use crate::engine::base::clock::now_ms;
use crate::engine::base::error::{Kind, Trouble};
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::shared::Shared;
use crate::engine::conversation::leases;
use crate::engine::conversation::refresh;
use crate::engine::exchange::plan::Verdict;
use crate::engine::exchange::tokens;
use crate::engine::exchange::tokens::{Asked, Heard};
use crate::engine::exchange::writes;
use crate::engine::net::reply::classify;
use crate::engine::node::sent::{self, InFlight, Next, Sent};
use crate::engine::node::serve::{Pump, Replies, trust};
use crate::engine::tier::journal::Noted;

impl Pump<'_, Replies> {
    /// Takes the replies of what was sent first.
    pub(super) fn heard(&mut self, shared: &Shared, sent: Option<Sent>, values: Vec<Value>) -> Result<(), Trouble> {
        let since = match &sent {
            Some(Sent::Batch(flight)) => Some(flight.sent),
            Some(Sent::Ping(sent, _)) => Some(*sent),
            _ => None,
        };
        if let Some(sent) = since {
            let ago = u64::try_from(sent.elapsed().as_millis()).unwrap_or(u64::MAX);
            shared.near.vouch(now_ms().saturating_sub(ago).saturating_add(trust(shared)));
        }
        match sent {
            Some(Sent::Batch(flight)) => {
                shared.latency.record(flight.sent.elapsed());
                let Some((cut, pipeline)) = flight.cut(&values) else { return self.judge(flight, values) };
                self.send(pipeline, Sent::Heads(cut, flight, values));
                Ok(())
            }
            Some(Sent::Heads(cut, flight, replies)) => self.judge(flight, sent::whole(replies, cut, values)),
            Some(Sent::Tokens(asked, next)) => self.heard_tokens(*asked, next, values),
            Some(Sent::Ping(sent, _)) => {
                shared.latency.record(sent.elapsed());
                match values.into_iter().next() {
                    Some(Value::ServerError(error)) => {
                        let trouble = classify(&error);
                        if trouble.kind.is_outage() { Err(trouble) } else { Ok(()) }
                    }
                    _ => Ok(()),
                }
            }
            Some(Sent::Cleanup(_, keys)) => {
                // Where they cannot be removed either, they read as misses until they are replaced.
                if matches!(values.first(), Some(Value::ServerError(_))) {
                    for key in &keys {
                        if shared.journal.distrust(key) != Noted::Kept {
                            shared.errors.count(Kind::Journal);
                        }
                    }
                }
                // No call waits for these replies: what they say is looked at here or nowhere.
                for value in values {
                    if let Value::ServerError(error) = value {
                        let trouble = classify(&error);
                        shared.errors.count(trouble.kind);
                        if trouble.kind.is_outage() {
                            return Err(trouble);
                        }
                    }
                }
                Ok(())
            }
            Some(Sent::Sweep(mut place)) => {
                place.0.passed = true;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Settles what came back, once the tokens of its tags are known.
    fn judge(&mut self, flight: Box<InFlight>, values: Vec<Value>) -> Result<(), Trouble> {
        let Some((cache, unknown)) = flight.unknown_tags(&values) else { return Ok(()) };
        if unknown.is_empty() {
            return self.settle(flight, values);
        }
        let (pipeline, asked) = tokens::ask(&cache, unknown, false, self.connection.denied);
        self.send(pipeline, Sent::Tokens(Box::new(asked), Next::Settle(flight, values)));
        Ok(())
    }

    fn settle(&mut self, mut flight: Box<InFlight>, values: Vec<Value>) -> Result<(), Trouble> {
        let cache = flight.job.as_ref().map(|job| job.cache.clone());
        let verdict = flight.settle(Some(values));
        self.follow_up(cache, verdict)
    }

    fn renew(&mut self, cache: &Cache, renewals: Pipeline) {
        if !renewals.is_empty() {
            self.send(renewals, Sent::Cleanup(Instant::now() + cache.shared().patience(), Vec::new()));
        }
    }

    /// What a batch leaves behind: keys to remove, commands to repeat, leases to ask for.
    fn follow_up(&mut self, cache: Option<Arc<Cache>>, verdict: Verdict) -> Result<(), Trouble> {
        let mut pipeline = Pipeline::new();
        let stale: Vec<String> = verdict.stale.into_iter().collect();
        if let (Some(cache), false) = (&cache, stale.is_empty()) {
            // A read that was sent between the refused write and this removal must not fill the near cache with what it
            // found.
            stale.iter().for_each(|key| cache.shared().near.invalidate(key));
            pipeline.cmd(writes::remove(self.connection.denied)).arg(&stale);
        }
        for command in verdict.behind {
            pipeline.add_command(command);
        }
        if let Some(cache) = cache {
            for wanted in verdict.leases {
                let wire = self.connection.wire.clone();
                if wanted.refresh {
                    tokio::spawn(refresh::run(cache.clone(), wire, wanted));
                } else {
                    tokio::spawn(leases::run(cache.clone(), wire, wanted));
                }
            }
            if !pipeline.is_empty() {
                self.send(pipeline, Sent::Cleanup(Instant::now() + cache.shared().patience(), stale));
            }
        }
        verdict.outage.map_or(Ok(()), Err)
    }

    /// A pipeline of tokens was answered: the next one asks for the rest, or what needed them goes on.
    fn heard_tokens(&mut self, asked: Asked, next: Next, values: Vec<Value>) -> Result<(), Trouble> {
        let job = match &next {
            Next::Plan(job) => Some(job),
            Next::Settle(flight, _) => flight.job.as_ref(),
        };
        let Some(cache) = job.map(|job| job.cache.clone()) else { return Ok(()) };
        let (heard, renewals) = asked.heard(&cache, values)?;
        self.renew(&cache, renewals);
        let tokens = match heard {
            Heard::All(tokens) => tokens,
            Heard::More(pipeline, asked) => {
                self.send(pipeline, Sent::Tokens(asked, next));
                return Ok(());
            }
        };
        match next {
            Next::Plan(job) => {
                self.stalled = false;
                self.plan(job, tokens);
                Ok(())
            }
            Next::Settle(mut flight, replies) => {
                if let Some(plan) = &mut flight.plan {
                    plan.tokens.extend(tokens);
                }
                self.settle(flight, replies)
            }
        }
    }
}
