// Contract: getStats, getMode, health and the events.
'use strict';

const { until } = require('../../support/until');

module.exports = function stats(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  test('getStats has every figure of the contract', async () => {
    const count = expect.any(Number);
    const memory = { entries: count, bytes: count, maxBytes: count };
    const redis = {
      version: expect.stringMatching(/^\d+\./),
      usedMemory: count,
      maxMemory: count,
      maxMemoryPolicy: expect.any(String),
      keys: count,
      latencyMs: { p50: count, p99: count },
      reconnects: 0,
      nodes: mode.isFleet ? expect.any(Array) : null,
    };
    await cache.set('k', 1);
    // What the server says of itself is asked in the background; until then it may be unknown.
    if (mode.shared) await until(async () => (await cache.getStats()).redis.version !== null);
    expect(await cache.getStats()).toEqual({
      mode: mode.mode,
      connected: mode.shared,
      keys: count,
      hits: { total: 0, near: 0, hot: 0, redis: 0, memory: 0 },
      misses: 0,
      hitRate: 0,
      sets: 1,
      deletes: 0,
      computes: 0,
      coalesced: 0,
      staleServed: 0,
      // What the server lacks is counted when connecting.
      errors: mode.lacks ? { denied: count } : {},
      decodeErrors: 0,
      // Of the whole tier, which other caches of the process share.
      evictions: count,
      memory,
      redis: mode.shared ? redis : null,
      memoryUsed: count,
      expired: count,
      sizeBytes: count,
      sizeKB: count,
    });
  });

  test('reads are counted as hits of their tier, or misses', async () => {
    await cache.setMany({ a: 1, b: null });
    await cache.get('a');
    await cache.getMany(['a', 'b', 'nothing']);
    await cache.get('nothing');
    const { hits, misses, hitRate, sets } = await cache.getStats();
    expect({ total: hits.total, misses, hitRate, sets }).toEqual({ total: 3, misses: 2, hitRate: 0.6, sets: 2 });
    expect(hits.near + hits.redis + hits.memory).toBe(3);
    expect(hits[mode.shared ? 'memory' : 'redis']).toBe(0);
  });

  test('deletes and computations are counted', async () => {
    await cache.setMany({ a: 1, b: 1 });
    await cache.del(['a', 'b']);
    await Promise.all([1, 2, 3].map(() => cache.getOrCompute('k', () => 1)));
    // Behind the store: until then a caller shares the computation.
    await cache.ttl('k');
    await cache.getOrCompute('k', () => 1);
    const { deletes, computes, coalesced, hits } = await cache.getStats();
    expect({ deletes, computes, coalesced, hits: hits.total }).toEqual({
      deletes: 2,
      computes: 1,
      coalesced: 2,
      hits: 1,
    });
  });

  test('keys are counted', async () => {
    const before = (await cache.getStats()).keys;
    await cache.setMany({ a: 1, b: 1, c: 1 });
    expect((await cache.getStats()).keys).toBe(before + 3);
  });

  test('what the memory tier holds is counted in bytes, under both names', async () => {
    const { memory, memoryUsed, sizeBytes, sizeKB } = await cache.getStats();
    expect(memoryUsed).toBe(memory.bytes);
    expect(sizeKB).toBe(Math.round(sizeBytes / 1_024));
    // Caches in memory mode share one tier: another one of this process may have raised its bound.
    expect(memory.maxBytes).toBeGreaterThanOrEqual(64 * 1_024 * 1_024);
  });

  test('health is at hand without waiting', async () => {
    expect(cache.health()).toEqual({
      status: 'ok',
      mode: mode.mode,
      breaker: 'closed',
      since: expect.any(Number),
      lastError: mode.lacks ? { kind: 'denied', message: expect.any(String), at: expect.any(Number) } : null,
      journal: 0,
      inFlight: 0,
      memory: { entries: expect.any(Number), bytes: expect.any(Number), maxBytes: expect.any(Number) },
      ...(mode.isFleet ? { nodes: expect.any(Array) } : {}),
    });
    const { since } = cache.health();
    // The engine may be older than this cache, but not than this process.
    expect(since).toBeGreaterThan(Date.now() - process.uptime() * 1_000 - 60_000);
    expect(since).toBeLessThanOrEqual(Date.now());
  });

  test('health counts the calls in flight', async () => {
    const call = cache.get('k');
    await call;
    expect(cache.health().inFlight).toBe(0);
  });

  test('listeners can be added and taken away, and on returns the cache', async () => {
    const listener = () => {};
    expect(cache.on('ready', listener)).toBe(cache);
    expect(cache.once('fallback', listener)).toBe(cache);
    expect(cache.off('ready', listener)).toBe(cache);
  });

  if (mode.shared) {
    test('ready is told once, when the first connection is up', async () => {
      const { holdfast, freshNamespace, silent } = require('../../support/holdfast');
      const other = holdfast.createCache({
        url: mode.url,
        namespace: freshNamespace(),
        logger: silent(),
      });
      let ready = 0;
      other.on('ready', () => ready++);
      await until(() => ready > 0);
      expect(other.getMode()).toBe('redis');
      expect(ready).toBe(1);
      await other.close();
    });
  }
};
