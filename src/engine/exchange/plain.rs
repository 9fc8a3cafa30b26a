//! Batches of nothing but plain reads: asked and answered without a plan.
//!
//! **The problem.** Most batches are a few reads whose values lie in Redis as plain text. A plan says for each call how
//! its reply is found and what becomes of it. Making it, and judging by it, took more of the processor than all else
//! that the engine does for a lone read.
//!
//! **The approach.** Where nothing of what a plan is for can concern a batch, its commands are written as bytes, and
//! its replies are taken one behind the other. Should these hold more than plain values and misses, or should keys have
//! become untrusted meanwhile, a plan is made after all, with the placeholders that the reads have in the near cache
//! from the start. What is decided of a value is decided in one place for both: by `judge`, `fill` and `get` of
//! reads.rs.

use std::sync::Arc;

use redis::Value;

use crate::engine::cache::namespace::Cache;
use crate::engine::call::batch::{Batch, Op};
use crate::engine::call::reply::Reply;
use crate::engine::call::sink::ReplyTo;
use crate::engine::exchange::plan::{Call, Line, Plan, Read, Run, Step};
use crate::engine::exchange::reads::{self, Found, Look};
use crate::engine::fleet::server::Server;
use crate::engine::net::denied::Denied;
use crate::engine::net::reply::left;
use crate::engine::value::codec::Room;
use crate::engine::value::life::Ask;
use crate::engine::value::{entry, tags};

/// More keys than this are asked for by more than one MGET.
const MAX_READS: usize = 256;

/// What is known of a batch of plain reads.
pub struct Plain {
    server: Arc<Server>,
    denied: Denied,
    /// The placeholder of each read in the near cache; empty where the cache has none.
    tickets: Vec<Option<u64>>,
    /// When it was made, which is before the server sees it.
    now: u64,
    /// And which sweeps had their place before it.
    planned: u64,
}

impl Plain {
    /// None where the batch needs a plan. Else its reads have their placeholders.
    pub fn of(cache: &Cache, line: &Line<'_>, batch: &Batch, now: u64) -> Option<Self> {
        let Line { server, denied, asks, strays } = *line;
        let shared = cache.shared();
        let fits = (1..=MAX_READS).contains(&batch.ops.len()) && !asks && !strays && !denied.mget.is();
        // What is kept for grace is known by its time left; what a sweep hides is none.
        if !fits || shared.has_grace() || server.journal.is_covering() || !server.journal.is_empty() {
            return None;
        }
        let is_plain = |op: &Op| match *op {
            Op::Get { key, .. } => tags::check(op, batch.str(key)).is_ok(),
            _ => false,
        };
        if !batch.ops.iter().all(is_plain) {
            return None;
        }
        let mut buffer = String::new();
        let ops: &[Op] = if cache.near { &batch.ops } else { &[] };
        let tickets = ops.iter().map(|op| server.near.reserve(key_of(cache, batch, op, &mut buffer))).collect();
        let planned = shared.sparing.moment();
        Some(Self { server: server.clone(), denied, tickets, now, planned })
    }

    /// How many commands `encode` writes.
    pub fn commands(&self) -> usize {
        1 + self.fills()
    }

    /// An MGET, and a PTTL for each value that may fill the near cache.
    pub fn encode(&self, cache: &Cache, batch: &Batch, to: &mut Vec<u8>) {
        let mut buffer = String::new();
        to.reserve(batch.text.len() + batch.ops.len() * (cache.prefix.as_str().len() + 16) * 2 + 64);
        array(to, batch.ops.len() + 1);
        bulk(to, "MGET");
        for op in &batch.ops {
            bulk(to, key_of(cache, batch, op, &mut buffer));
        }
        for (op, ticket) in batch.ops.iter().zip(&self.tickets) {
            if ticket.is_some() {
                array(to, 2);
                bulk(to, "PTTL");
                bulk(to, key_of(cache, batch, op, &mut buffer));
            }
        }
    }

    /// The replies, by what came; or that back, where it takes a plan.
    pub fn settle(
        &self,
        cache: &Cache,
        batch: &Batch,
        to: &ReplyTo,
        values: Vec<Value>,
        now: u64,
    ) -> Result<Vec<Reply>, Vec<Value>> {
        if !self.is_answered_by(batch, &values) {
            return Err(values);
        }
        let mut values = values.into_iter();
        let Some(Value::Array(found)) = values.next() else { return Ok(Vec::new()) };
        let (mut room, mut buffer) = (Room::default(), String::new());
        let mut tickets = self.tickets.iter().copied();
        let mut replies = Vec::with_capacity(batch.ops.len());
        for (op, value) in batch.ops.iter().zip(found) {
            let key = key_of(cache, batch, op, &mut buffer);
            let call = Call { cache, batch, to, op, key, server: &self.server, held: false, asks: false, now };
            let ticket = tickets.next().flatten();
            let left = ticket.and_then(|_| values.next()).and_then(left);
            let look = Look { left, ask: Ask::default(), passing: ticket.is_none(), now };
            let found = match value {
                Value::BulkString(bytes) => reads::judge(cache, bytes, &look, &mut room, |_| None),
                _ => Found::miss(),
            };
            if let Some(ticket) = ticket {
                reads::fill(&call, ticket, &found, self.now);
            }
            replies.push(reads::get(&call, found));
        }
        Ok(replies)
    }

    /// Whether each read has a plain value or none, and nothing is known against any.
    fn is_answered_by(&self, batch: &Batch, values: &[Value]) -> bool {
        let is_plain = |value: &Value| match value {
            Value::Nil => true,
            Value::BulkString(bytes) => !entry::is_headed(bytes),
            _ => false,
        };
        let found = match values.first() {
            Some(Value::Array(found)) => found,
            _ => return false,
        };
        found.len() == batch.ops.len()
            && values.len() == self.commands()
            && found.iter().all(is_plain)
            && self.server.journal.is_empty()
    }

    /// The plan that the batch would have had.
    pub fn plan(self, ops: &[Op]) -> Plan {
        let fills = self.fills();
        let mut tickets = self.tickets.into_iter();
        let mut run = Run { keys: ops.len(), fills, leases: 0 };
        let step = |_: &Op| {
            let ticket = tickets.next().flatten();
            let run = std::mem::take(&mut run);
            Step::Read(Read { run, flight: None, timed: ticket.is_some(), asks: false, ticket })
        };
        let steps = ops.iter().map(step).collect();
        Plan::of_reads(self.server, self.denied, steps, (self.now, self.planned))
    }

    fn fills(&self) -> usize {
        self.tickets.iter().flatten().count()
    }
}

/// The key of an operation as it is stored.
fn key_of<'a>(cache: &'a Cache, batch: &'a Batch, op: &Op, buffer: &'a mut String) -> &'a str {
    cache.prefix.join(op.key().map_or("", |span| batch.str(span)), buffer)
}

fn array(to: &mut Vec<u8>, length: usize) {
    head(to, b'*', length);
}

fn bulk(to: &mut Vec<u8>, text: &str) {
    head(to, b'$', text.len());
    to.extend_from_slice(text.as_bytes());
    to.extend_from_slice(b"\r\n");
}

fn head(to: &mut Vec<u8>, kind: u8, length: usize) {
    to.push(kind);
    to.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    to.extend_from_slice(b"\r\n");
}
