// The cache in the form of cache-manager, over a real Redis: `CacheManager` is what code for `CACHE_MANAGER` is given.
'use strict';

const { createCache } = require('cache-manager');
const { CacheManager } = require('../../../adapters/nest/manager');
const { closeCaches, expectCode, openCache, stored } = require('../../support/holdfast');
const { serverForAll } = require('../../support/redis-server');
const { until } = require('../../support/until');

const redis = serverForAll();
afterEach(closeCaches);

async function open() {
  const cache = await openCache({ url: redis.url() });
  return { cache, manager: new CacheManager(cache) };
}

describe.each([
  ['cache-manager itself', async () => createCache()],
  ['CacheManager', async () => (await open()).manager],
])('as in %s', (_name, make) => {
  test('values, misses, and what was there', async () => {
    const manager = await make();
    expect(await manager.get('a')).toBeUndefined();
    expect(await manager.set('a', { b: [1] }, 60_000)).toEqual({ b: [1] });
    expect(await manager.get('a')).toEqual({ b: [1] });
    await manager.mset([
      { key: 'b', value: 1, ttl: 60_000 },
      { key: 'c', value: 'two' },
    ]);
    expect(await manager.mget(['a', 'b', 'c', 'd'])).toEqual([{ b: [1] }, 1, 'two', undefined]);
    expect(await manager.mdel(['a', 'b'])).toBe(true);
    expect(await manager.del('c')).toBe(true);
    await manager.set('e', 1);
    expect(await manager.clear()).toBe(true);
    expect(await manager.mget(['a', 'b', 'c', 'e'])).toEqual(Array(4).fill(undefined));
  });

  test('the ttl is milliseconds, the moment of the end is told, and 0 is no end', async () => {
    const manager = await make();
    const before = Date.now();
    await manager.set('a', 1, 60_000);
    const end = await manager.ttl('a');
    expect(end).toBeGreaterThan(before + 50_000);
    expect(end).toBeLessThanOrEqual(Date.now() + 60_000);
    await manager.set('b', 1, 0);
    expect(await manager.get('b')).toBe(1);
    expect([await manager.ttl('b'), await manager.ttl('c')]).toEqual([undefined, undefined]);
    await manager.set('d', 1, 20);
    await until(async () => (await manager.get('d')) === undefined, 'its time is over');
  });

  test('wrap makes a value once, with a ttl that is a function of it, or in options', async () => {
    const manager = await make();
    let runs = 0;
    const fn = async () => ({ run: ++runs });
    expect(await Promise.all([manager.wrap('a', fn, 60_000), manager.wrap('a', fn, 60_000)])).toEqual([
      { run: 1 },
      { run: 1 },
    ]);
    expect(await manager.wrap('a', fn)).toEqual({ run: 1 });
    expect(await manager.wrap('b', fn, ({ run }) => run * 1000)).toEqual({ run: 2 });
    const end = await manager.ttl('b');
    expect(end - Date.now()).toBeLessThanOrEqual(2_000);
    expect(await manager.wrap('c', fn, { ttl: 60_000 })).toEqual({ run: 3 });
    expect(await manager.wrap('c', fn, { ttl: 60_000 })).toEqual({ run: 3 });
    const failure = new Error('failed');
    await expect(manager.wrap('d', () => Promise.reject(failure))).rejects.toBe(failure);
  });

  test('wrap serves a value with less time left than the threshold, and makes it anew behind that', async () => {
    const manager = await make();
    let runs = 0;
    const fn = async () => ++runs;
    expect(await manager.wrap('a', fn, 60_000, 59_990)).toBe(1);
    const served = [];
    await until(async () => {
      served.push(await manager.wrap('a', fn, 60_000, 59_990));
      return runs > 1;
    }, 'it is made anew');
    expect(served[0]).toBe(1);
    await until(async () => (await manager.wrap('a', fn, 60_000, 59_990)) > 1, 'the new one is served');
  });
});

test('undefined is not stored, and a null is a miss', async () => {
  const { cache, manager } = await open();
  expect(await manager.set('a', undefined)).toBeUndefined();
  expect(await cache.exists('a')).toBe(false);
  await manager.set('a', null);
  expect(await manager.get('a')).toBeUndefined();
  expect(await manager.del('b')).toBe(false);
});

test('wrap: tags, and old values while a new one is made or cannot be', async () => {
  const { cache, manager } = await open();
  let runs = 0;
  const fn = async () => ++runs;
  const options = { ttl: 60_000, tags: ['a'] };
  expect(await manager.wrap('a', fn, options)).toBe(1);
  await stored(cache);
  await cache.invalidateTags('a');
  expect(await manager.wrap('a', fn, options)).toBe(2);

  const grace = { ttl: 20, grace: 60_000 };
  await manager.wrap('b', () => 'old', grace);
  await until(async () => (await cache.get('b')) === null, 'its time is over');
  expect(await manager.wrap('b', () => Promise.reject(new Error('failed')), grace)).toBe('old');

  const swr = { ttl: 20, swr: 60_000 };
  await manager.wrap('c', () => 'old', swr);
  await until(async () => (await cache.get('c')) === null, 'its time is over');
  expect(await manager.wrap('c', () => 'new', swr)).toBe('old');
});

test('what is wrong is said', async () => {
  const { manager } = await open();
  const fn = () => 1;
  await expectCode(() => manager.wrap('a', fn, { tll: 1 }), 'ERR_INVALID_ARGUMENT');
  await expectCode(() => manager.wrap('a', fn, undefined, 10), 'ERR_INVALID_ARGUMENT');
  await expectCode(() => manager.wrap('a', fn, -1), 'ERR_INVALID_TTL');
  await expectCode(() => manager.set('a', 1, '60'), 'ERR_INVALID_TTL');
  await expectCode(() => manager.get(7), 'ERR_INVALID_KEY');
});

test('the events are those of the cache, and disconnect leaves it open', async () => {
  const { cache, manager } = await open();
  const ready = jest.fn();
  await new Promise((resolve) => manager.on('ready', resolve));
  expect(manager.on('fallback', ready)).toBe(manager);
  expect(cache.listenerCount('fallback')).toBe(1);
  expect(manager.off('fallback', ready)).toBe(manager);
  expect(cache.listenerCount('fallback')).toBe(0);
  await manager.disconnect();
  expect(await manager.set('a', 1)).toBe(1);
});
