// Contract: getCounters, of whatever the cache stands on.
'use strict';

const { freshNamespace, stored } = require('../../support/holdfast');

const ERRORS = [
  ...['config', 'dns', 'connect', 'tls', 'auth', 'timeout', 'connection', 'protocol', 'readonly', 'loading', 'denied'],
  ...['oom', 'wrongtype', 'server', 'cluster', 'sentinel', 'refused', 'journal'],
];

module.exports = function counters(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  const number = expect.any(Number);
  /** All numbers of some counters, each with its path. */
  const numbers = (value, path = '') =>
    typeof value === 'object'
      ? Object.entries(value).flatMap(([name, inner]) => numbers(inner, `${path}.${name}`))
      : [[path, value]];
  /** Which of them went down. */
  const fallen = (before, after) => {
    const now = new Map(numbers(after));
    return numbers(before).filter(([path, count]) => !(now.get(path) >= count));
  };

  test('has every counter of the contract, and numbers alone', () => {
    const histogram = { bounds: expect.any(Array), buckets: expect.any(Array), count: number, sum: number };
    const counted = cache.getCounters();
    expect(counted).toEqual({
      hits: { total: 0, near: 0, hot: 0, redis: 0, memory: 0 },
      misses: { total: 0, redis: 0, memory: 0 },
      sets: 0,
      deletes: 0,
      computes: 0,
      coalesced: 0,
      staleServed: 0,
      computeTimeouts: 0,
      computeSeconds: histogram,
      leaseWaits: 0,
      leaseTakeovers: 0,
      decodeErrors: 0,
      errors: Object.fromEntries(ERRORS.map((kind) => [kind, number])),
      evictions: number,
      expired: number,
      batchSeconds: histogram,
      outages: 0,
      outageSeconds: 0,
      reconnects: 0,
      invalidations: { pushes: number, keys: number, flushes: number },
      journalOverflows: 0,
      bytesSent: number,
      bytesReceived: number,
    });
    for (const [path, count] of numbers(counted)) expect([path, Number.isFinite(count)]).toEqual([path, true]);
  });

  test('counts as getStats does, under the same names', async () => {
    await cache.setMany({ a: 1, b: null });
    for (let n = 0; n < 6; n++) await cache.get('a');
    await cache.getMany(['a', 'b', 'nothing']);
    await cache.del('a');
    await Promise.all([1, 2].map(() => cache.getOrCompute('k', () => 1)));
    await stored(cache);
    const { hits, misses, sets, deletes, computes, coalesced, staleServed, decodeErrors } = await cache.getStats();
    const counted = cache.getCounters();
    expect(counted).toMatchObject({ hits, sets, deletes, computes, coalesced, staleServed, decodeErrors });
    expect(counted.misses.total).toBe(misses);
    expect([misses, hits.total, sets, deletes, computes, coalesced]).toEqual([2, 8, 3, 1, 1, 1]);
  });

  test('tells the tiers apart', async () => {
    await cache.set('a', 1);
    await cache.get('a');
    await cache.get('nothing');
    const { hits, misses } = cache.getCounters();
    const tier = mode.shared ? 'redis' : 'memory';
    expect(hits).toEqual({ total: 1, near: 0, hot: 0, redis: 0, memory: 0, [tier]: 1 });
    expect(misses).toEqual({ total: 1, redis: 0, memory: 0, [tier]: 1 });
  });

  test('counts how long functions run, whether they return or throw, and once for each key', async () => {
    await cache.getOrCompute('a', () => new Promise((resolve) => setTimeout(resolve, 30, 1)));
    await cache.getOrCompute('b', () => Promise.reject(new Error('no'))).catch(() => {});
    await cache.getOrComputeMany(['c', 'd'], (keys) => keys);
    const { bounds, buckets, count, sum } = cache.getCounters().computeSeconds;
    expect([count, buckets.length]).toEqual([4, bounds.length]);
    // A timer may be a millisecond early.
    expect(sum).toBeGreaterThan(0.028);
    expect(buckets[bounds.indexOf(0.025)]).toBeLessThan(4);
    expect(buckets).toEqual([...buckets].sort((a, b) => a - b));
  });

  test('counts the callers whose hardTimeout passed', async () => {
    const slow = () => new Promise((resolve) => setTimeout(resolve, 60, 1));
    await expect(cache.getOrCompute('k', slow, { hardTimeout: 0.01 })).rejects.toMatchObject({
      code: 'ERR_COMPUTE_TIMEOUT',
    });
    expect(cache.getCounters().computeTimeouts).toBe(1);
  });

  test('counts the batches that Redis answered, and the bytes of them', async () => {
    const before = cache.getCounters();
    await cache.set('k', 'x'.repeat(10_000));
    await cache.getMany(['k', 'other']);
    const { batchSeconds, bytesSent, bytesReceived } = cache.getCounters();
    const { bounds, buckets, count, sum } = batchSeconds;
    expect(buckets).toHaveLength(bounds.length);
    expect(buckets).toEqual([...buckets].sort((a, b) => a - b));
    expect(buckets.at(-1)).toBeLessThanOrEqual(count);
    if (mode.shared) {
      expect(count - before.batchSeconds.count).toBeGreaterThanOrEqual(2);
      expect(sum).toBeGreaterThan(before.batchSeconds.sum);
      expect(bytesSent - before.bytesSent).toBeGreaterThan(10_000);
      expect(bytesReceived - before.bytesReceived).toBeGreaterThan(10_000);
    } else {
      expect([count, sum, bytesSent, bytesReceived]).toEqual([0, 0, 0, 0]);
    }
  });

  test('never goes down', async () => {
    let before = cache.getCounters();
    const use = [
      () => cache.setMany(Array.from({ length: 50 }, (_, n) => [`k${n}`, n])),
      () => cache.getMany(Array.from({ length: 80 }, (_, n) => `k${n}`)),
      () => cache.getOrCompute('c', () => 1),
      () => cache.delPattern('k*'),
      () => cache.clear(),
      () => cache.invalidateTags('t'),
      () => cache.getStats(),
      () => cache.get('k1'),
    ];
    for (const call of use) {
      await call();
      const after = cache.getCounters();
      expect(fallen(before, after)).toEqual([]);
      before = after;
    }
    expect(before.sets).toBeGreaterThanOrEqual(51);
  });

  test('of a closed cache they stay what they were, and each look is one of its own', async () => {
    const other = await mode.cache();
    await other.set('k', 1);
    await other.close();
    const last = other.getCounters();
    expect(last).toMatchObject({ sets: 1 });
    last.hits.total = 99;
    last.batchSeconds.buckets.length = 0;
    await cache.set('k', 1);
    await cache.get('k');
    const again = other.getCounters();
    expect(again).toMatchObject({ sets: 1, hits: { total: 0 } });
    expect(again.batchSeconds.buckets).toHaveLength(again.batchSeconds.bounds.length);
    expect(cache.getCounters().sets).toBe(1);
  });

  if (mode.shared) {
    test('a value that turns out to be none is a miss, and takes no hit back that was told', async () => {
      const namespace = freshNamespace();
      const reader = await mode.cache({ namespace, nearCache: false });
      await mode.server.cli('set', `${namespace}:good`, '1');
      await mode.server.cli('set', `${namespace}:bad`, '{no json');
      let before = reader.getCounters();
      for (const key of ['good', 'bad', 'bad', 'good', 'bad']) {
        const reading = reader.get(key);
        expect(await reading).toBe(key === 'good' ? 1 : null);
        const after = reader.getCounters();
        expect(fallen(before, after)).toEqual([]);
        before = after;
      }
      expect(before).toMatchObject({ hits: { total: 2 }, misses: { total: 3 }, decodeErrors: 3 });
    });
  }
};
