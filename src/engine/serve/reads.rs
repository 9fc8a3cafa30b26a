//! A batch of plain reads on its way (exchange/plain.rs). Dropped, it is answered on the in-process tier.

use std::time::Instant;

use redis::Value;

use crate::engine::base::clock;
use crate::engine::cache::job::{Job, Work};
use crate::engine::conversation::connection::Connection;
use crate::engine::exchange::plain::Plain;
use crate::engine::exchange::plan::Line;
use crate::engine::serve::sent::InFlight;

pub(super) struct Reads {
    /// What is asked, and by whom; none once it is settled.
    asked: Option<(Job, Plain)>,
    pub(super) sent: Instant,
}

impl Reads {
    pub(super) fn new(job: Job, plain: Plain, sent: Instant) -> Self {
        Self { asked: Some((job, plain)), sent }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.asked.as_ref().map_or(self.sent, |(job, _)| job.deadline())
    }

    /// Answers its callers. Where that takes a plan, it is as any other batch from here on.
    pub(super) fn settle(mut self: Box<Self>, values: Vec<Value>, now: u64) -> Option<(Box<InFlight>, Vec<Value>)> {
        let (job, plain) = self.asked.take()?;
        let Work::Batch(batch) = &job.work else { return None };
        match plain.settle(&job.cache, batch, &job.to, values, now) {
            Ok(replies) => {
                job.finish(&replies);
                None
            }
            Err(values) => Some((planned(job, plain, self.sent), values)),
        }
    }
}

/// Sends a job, if it is a batch of plain reads.
pub(super) fn send(job: &Job, connection: &Connection, now: Instant) -> Option<Plain> {
    let Work::Batch(batch) = &job.work else { return None };
    // Some are called for with tokens, whatever they are.
    if job.tokens.is_some() {
        return None;
    }
    let (server, denied) = (&connection.server, connection.denied);
    let line = Line { server, denied, asks: job.asks(), strays: job.strays() };
    let plain = Plain::of(&job.cache, &line, batch, clock::millis_of(now))?;
    connection.wire.read(plain.commands(), |to| plain.encode(&job.cache, batch, to));
    Some(plain)
}

fn planned(job: Job, plain: Plain, sent: Instant) -> Box<InFlight> {
    let none: &[_] = &[];
    let plan = plain.plan(if let Work::Batch(batch) = &job.work { &batch.ops } else { none });
    Box::new(InFlight::new(job, plan, sent))
}

impl Drop for Reads {
    fn drop(&mut self) {
        // By its plan, which gives back the placeholders.
        if let Some((job, plain)) = self.asked.take() {
            drop(planned(job, plain, self.sent));
        }
    }
}
