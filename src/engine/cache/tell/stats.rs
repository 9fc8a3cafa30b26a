//! `getStats()` and `getCounters()`: what was counted, as JSON.

use serde_json::{Value, json};

use crate::engine::base::error::Kind;
use crate::engine::cache::local::to_i64;
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::tell::counters::{ServerStats, read};
use crate::engine::cache::tell::status::Mode;
use crate::engine::call::splice::number;
use crate::engine::fleet::server::{Durations, percentiles};

/// `getCounters()`, as flat JSON: JavaScript gives it its form, and adds what it counts itself (cache/report.js).
pub fn counters_json(cache: &Cache) -> String {
    let shared = cache.shared();
    let (c, traffic, usage) = (&cache.counters, &shared.traffic, shared.usage());
    let (outages, outage_ms) = shared.outages.total(&shared.clock);
    let widened: u64 = shared.fleet.servers().map(|server| server.journal.widened()).sum();
    let Durations { counts, sum } = Durations::of(shared.fleet.servers().map(|server| &server.latency));
    let named = [
        ("hits.near", read(&c.hits_near)),
        ("hits.redis", c.hits_redis()),
        ("hits.memory", read(&c.hits_memory)),
        ("misses.redis", read(&c.misses_redis)),
        ("misses.memory", read(&c.misses_memory)),
        ("sets", read(&c.sets)),
        ("deletes", read(&c.deletes)),
        ("computes", read(&c.computes)),
        ("coalesced", read(&c.coalesced)),
        ("leaseWaits", read(&c.lease_waits)),
        ("leaseTakeovers", read(&c.lease_takeovers)),
        ("decodeErrors", read(&c.decode_errors)),
        ("evictions", usage.evictions),
        ("expired", usage.expired),
        ("outages", outages),
        ("outageMs", outage_ms),
        ("reconnects", shared.status.reconnects()),
        ("invalidations.pushes", read(&traffic.pushes)),
        ("invalidations.keys", read(&traffic.invalidated)),
        ("invalidations.flushes", read(&traffic.flushes)),
        ("journalOverflows", widened + shared.errors.of(Kind::Journal)),
        ("bytesSent", read(&traffic.sent)),
        ("bytesReceived", read(&traffic.received)),
        ("batchMicros", sum),
    ];
    let mut text = String::with_capacity(1_500);
    let mut put = |group: &str, name: &str, count: u64| {
        text.push_str(if text.is_empty() { "{\"" } else { ",\"" });
        text.push_str(group);
        text.push_str(name);
        text.push_str("\":");
        number(&mut text, to_i64(count));
    };
    named.into_iter().for_each(|(name, count)| put("", name, count));
    shared.errors.iter().for_each(|(kind, count)| put("errors.", kind.name(), count));
    for (at, count) in counts.into_iter().enumerate() {
        text.push_str(if at == 0 { ",\"batches\":[" } else { "," });
        number(&mut text, to_i64(count));
    }
    text.push_str("]}");
    text
}

/// `getStats()`, as JSON; `keys`: how many there are.
pub fn stats_json(cache: &Cache, server: Option<&ServerStats>, keys: u64) -> String {
    let shared = cache.shared();
    let c = &cache.counters;
    let usage = shared.usage();
    let mode = shared.status.mode();
    let (redis_hits, memory_hits, near_hits) = (c.hits_redis(), read(&c.hits_memory), read(&c.hits_near));
    let misses = read(&c.misses_redis) + read(&c.misses_memory);
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
        "hits": { "total": hits, "near": near_hits, "hot": 0, "redis": redis_hits, "memory": memory_hits },
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
