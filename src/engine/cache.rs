//! A cache: a namespace on an engine. Decides for each batch whether it runs here and now, or goes to the connection.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::batch::{Batch, Reply, ReplyTo, Task};
use super::clock::now_ms;
use super::key::Prefix;
use super::local;
use super::redis::{Job, Work};
use super::registry::{Engine, Shared};
use super::stats::{Counters, read};
use super::status::Mode;

pub struct Cache {
    pub engine: Arc<Engine>,
    pub prefix: Prefix,
    pub counters: Counters,
    pub timeout: Duration,
}

impl Cache {
    pub fn new(engine: Arc<Engine>, namespace: &str, timeout: Duration) -> Arc<Self> {
        Arc::new(Self { engine, prefix: Prefix::new(namespace), counters: Counters::default(), timeout })
    }

    pub fn shared(&self) -> &Shared {
        &self.engine.shared
    }

    /// Runs a batch at once where Redis is not in use and returns the replies, else hands it to the connection, and the replies go to `to`.
    ///
    /// At once means on the caller's thread, without a thread switch. It is only done when nothing handed over earlier is still
    /// unanswered: the calls of one key keep their order across a change of mode.
    pub fn submit(self: &Arc<Self>, batch: Batch, to: &ReplyTo) -> Option<Vec<Reply>> {
        self.send(Work::Batch(batch), to)
    }

    /// As `submit`, for long work.
    pub fn run(self: &Arc<Self>, task: Task, to: &ReplyTo) -> Option<Vec<Reply>> {
        self.send(Work::Task(task), to)
    }

    fn send(self: &Arc<Self>, work: Work, to: &ReplyTo) -> Option<Vec<Reply>> {
        let link = self.engine.link();
        if let Some(link) = link {
            let gate = self.shared().gate.read();
            if !gate.is_local() || self.shared().in_flight() > 0 {
                drop(gate);
                link.send(Job::new(self.clone(), work, to.clone()));
                return None;
            }
            // The gate stays held: a recovery that empties this tier waits until this batch is done.
            return Some(self.run_locally(&work, to));
        }
        Some(self.run_locally(&work, to))
    }

    /// Answers on the in-process tier.
    pub fn run_locally(&self, work: &Work, to: &ReplyTo) -> Vec<Reply> {
        match work {
            Work::Batch(batch) => local::run(self, batch, to),
            Work::Task(task) => vec![local::task(self, task)],
        }
    }

    /// `health()`, as JSON.
    pub fn health(&self, production: bool) -> String {
        let mut health = self.shared().status.health();
        let degraded = if self.engine.has_redis() { self.shared().status.mode() == Mode::Memory } else { production };
        health["status"] = Value::from(if degraded { "degraded" } else { "ok" });
        health["journal"] = Value::from(0);
        health["inFlight"] = Value::from(self.shared().in_flight());
        health.to_string()
    }
}

/// What the server says of itself, for `getStats()`.
#[derive(Debug, Default, Clone)]
pub struct ServerStats {
    pub used_memory: Option<u64>,
    pub max_memory: Option<u64>,
    pub max_memory_policy: Option<String>,
    pub keys: Option<u64>,
}

/// `getStats()`, as JSON.
pub fn stats_json(cache: &Cache, server: Option<&ServerStats>) -> String {
    let shared = cache.shared();
    let c = &cache.counters;
    let usage = shared.memory.usage();
    let mode = shared.status.mode();
    let (redis_hits, memory_hits, misses) = (read(&c.hits_redis), read(&c.hits_memory), read(&c.misses));
    let hits = redis_hits + memory_hits;
    let reads = hits + misses;
    let errors: serde_json::Map<String, Value> = shared
        .errors
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(kind, n)| (kind.name().to_owned(), Value::from(n)))
        .collect();
    let local_keys = || {
        let prefix = cache.prefix.as_str();
        shared.memory.count_matching(now_ms(), |key| key.starts_with(prefix)) as u64
    };
    let redis = server.map(|s| {
        let (p50, p99) = shared.latency.percentiles();
        json!({
            "version": shared.status.server().version,
            "usedMemory": s.used_memory,
            "maxMemory": s.max_memory,
            "maxMemoryPolicy": s.max_memory_policy,
            "keys": s.keys,
            "latencyMs": { "p50": p50, "p99": p99 },
            "reconnects": shared.status.reconnects(),
        })
    });
    json!({
        "mode": mode.name(),
        "connected": mode == Mode::Redis,
        "keys": server.and_then(|s| s.keys).unwrap_or_else(local_keys),
        "hits": { "total": hits, "near": 0, "redis": redis_hits, "memory": memory_hits },
        "misses": misses,
        "hitRate": if reads == 0 { 0.0 } else { hits as f64 / reads as f64 },
        "sets": read(&c.sets),
        "deletes": read(&c.deletes),
        "computes": read(&c.computes),
        "coalesced": read(&c.coalesced),
        "staleServed": 0,
        "errors": errors,
        "decodeErrors": read(&c.decode_errors),
        "evictions": usage.evictions,
        "memory": { "entries": usage.entries, "bytes": usage.bytes, "maxBytes": usage.max_bytes },
        "redis": redis,
        "memoryUsed": usage.bytes,
        "expired": usage.expired,
        "sizeBytes": usage.bytes,
        "sizeKB": (usage.bytes + 512) / 1024,
    })
    .to_string()
}
