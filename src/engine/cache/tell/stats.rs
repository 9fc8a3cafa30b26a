//! `getStats()`: what was counted, as JSON.

use serde_json::{Value, json};

use crate::engine::cache::namespace::Cache;
use crate::engine::cache::tell::counters::{ServerStats, read};
use crate::engine::cache::tell::status::Mode;
use crate::engine::fleet::server::percentiles;

/// `getStats()`, as JSON; `keys`: how many there are.
pub fn stats_json(cache: &Cache, server: Option<&ServerStats>, keys: u64) -> String {
    let shared = cache.shared();
    let c = &cache.counters;
    let usage = shared.usage();
    let mode = shared.status.mode();
    let (redis_hits, memory_hits, misses) = (read(&c.hits_redis), read(&c.hits_memory), read(&c.misses));
    let near_hits = read(&c.hits_near);
    let hits = near_hits + redis_hits + memory_hits;
    let reads = hits + misses;
    let errors: serde_json::Map<String, Value> = shared
        .errors
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(kind, n)| (kind.name().to_owned(), Value::from(n)))
        .collect();
    let redis = server.map(|s| {
        let (p50, p99) = percentiles(shared.fleet.servers().map(|server| &server.latency));
        json!({
            "version": shared.status.identity().version,
            "usedMemory": s.used_memory,
            "maxMemory": s.max_memory,
            "maxMemoryPolicy": s.max_memory_policy,
            "keys": s.keys,
            "latencyMs": { "p50": p50, "p99": p99 },
            "reconnects": shared.status.reconnects(),
            "nodes": shared.fleet.nodes(shared.clock.now_ms()),
        })
    });
    json!({
        "mode": mode.name(),
        "connected": mode == Mode::Redis,
        "keys": keys,
        "hits": { "total": hits, "near": near_hits, "redis": redis_hits, "memory": memory_hits },
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
