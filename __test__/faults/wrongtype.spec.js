// Fault 27: somebody else's hash or list at our key.
'use strict';

const { closeCaches, expectCode, makeCache } = require('../support/holdfast');
const { startRedis } = require('../support/redis-server');
const { untilMode } = require('../support/until');

let server;
let cache;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());
afterEach(closeCaches);
beforeEach(async () => {
  cache = makeCache({ url: server.url(), namespace: '' });
  await untilMode(cache, 'redis');
  await server.cli('flushall');
  await server.cli('hset', 'foreign', 'field', 'value');
});

test('fault 27: get is a miss and never deletes the key', async () => {
  await cache.set('mine', 1);
  expect(await cache.get('foreign')).toBeNull();
  expect(await cache.getMany(['mine', 'foreign', 'mine'])).toEqual([1, null, 1]);
  expect(await Promise.all([cache.get('mine'), cache.get('foreign')])).toEqual([1, null]);
  expect(await server.cli('hget', 'foreign', 'field')).toBe('value');
  expect((await cache.getStats()).misses).toBe(3);
  expect(cache.getMode()).toBe('redis');
});

test('fault 27: exists and ttl see it', async () => {
  expect(await cache.exists('foreign')).toBe(true);
  expect(await cache.ttl('foreign')).toBe(Infinity);
});

test('fault 27: increment rejects and leaves it', async () => {
  await expectCode(() => cache.increment('foreign'), 'ERR_NOT_AN_INTEGER');
  await expectCode(() => cache.increment('foreign', 1, { ttl: 10 }), 'ERR_NOT_AN_INTEGER');
  expect(await server.cli('hget', 'foreign', 'field')).toBe('value');
  expect(cache.getMode()).toBe('redis');
});

test('fault 27: getOrCompute computes', async () => {
  expect(await cache.getOrCompute('foreign', () => 'computed')).toBe('computed');
});
