// Contract: inspect, which says what lies at a key, but for its value.
'use strict';

const { expectCode } = require('../../support/holdfast');
const { until } = require('../../support/until');

const PLAIN = { codec: null, compressed: false, tags: [], computeSeconds: null };

module.exports = function inspect(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  test('nothing is null', async () => {
    expect(await cache.inspect('nothing')).toBeNull();
    await cache.set('k', 1);
    await cache.del('k');
    expect(await cache.inspect('k')).toBeNull();
  });

  test('a value is fresh, for as long as it has', async () => {
    await cache.set('k', 'four', 100);
    const { ttl, kept, ...rest } = await cache.inspect('k');
    expect(rest).toEqual({ state: 'fresh', bytes: 6, ...PLAIN });
    expect(ttl).toBeGreaterThan(40);
    expect(ttl).toBeLessThanOrEqual(100);
    expect(kept).toBe(ttl);
    await cache.set('k', 'four', Infinity);
    expect(await cache.inspect('k')).toMatchObject({ ttl: Infinity, kept: Infinity });
  });

  test('it is no read', async () => {
    await cache.set('k', 1);
    const { hits, misses } = cache.getCounters();
    await cache.inspect('k');
    await cache.inspect('nothing');
    expect(cache.getCounters()).toMatchObject({ hits, misses });
  });

  test('tags are named, and an entry whose tag was ended is ended', async () => {
    await cache.set('k', 1, { tags: ['a', 'ü'] });
    expect(await cache.inspect('k')).toMatchObject({ state: 'fresh', tags: ['a', 'ü'] });
    await cache.invalidateTags('a');
    expect(await cache.inspect('k')).toMatchObject({ state: 'ended', ttl: 0, tags: ['a', 'ü'] });
    expect(await cache.get('k')).toBeNull();
  });

  test('what is kept for grace is stale behind its TTL', async () => {
    await cache.getOrCompute('k', () => 'old', { ttl: 0.05, grace: 1_000 });
    await until(async () => (await cache.inspect('k')).state === 'stale');
    const { ttl, kept, computeSeconds } = await cache.inspect('k');
    expect(ttl).toBe(0);
    expect(kept).toBeGreaterThan(900);
    expect(computeSeconds === null || computeSeconds >= 0).toBe(true);
    expect(await cache.get('k')).toBeNull();
  });

  test('another codec, and what it makes of a value', async () => {
    const other = await mode.cache({ codec: 'structured', compression: { threshold: 100 } });
    await other.set('k', new Map([['long', 'x'.repeat(4_000)]]));
    const { state, codec, compressed, bytes } = await other.inspect('k');
    expect(state).toBe('fresh');
    // The process keeps values as they cross to it.
    if (mode.mode === 'redis') expect({ codec, compressed }).toEqual({ codec: 'structured', compressed: true });
    expect(bytes).toBeGreaterThan(10);
    const raw = await mode.cache({ codec: 'raw' });
    await raw.set('k', Buffer.from('bytes'));
    expect(await raw.inspect('k')).toMatchObject({ state: 'fresh', ...PLAIN });
  });

  test('a key that is none is refused', async () => {
    await expectCode(() => cache.inspect(''), 'ERR_INVALID_KEY');
    await expectCode(() => cache.inspect(7), 'ERR_INVALID_KEY');
  });
};
