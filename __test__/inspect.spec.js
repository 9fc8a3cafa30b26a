// What inspect says of keys at which no value of this package lies, and of those of an outage.
'use strict';

const { closeCaches, freshNamespace, openCache } = require('./support/holdfast');
const { serverForAll, startRedis } = require('./support/redis-server');
const { untilMode } = require('./support/until');

const server = serverForAll();
afterEach(closeCaches);

test('a key of somebody else is foreign, and stays as it is', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: server.url(), namespace });
  await server.cli('hset', `${namespace}:k`, 'field', '1');
  expect(await cache.inspect('k')).toEqual({
    state: 'foreign',
    ttl: 0,
    kept: Infinity,
    bytes: 0,
    codec: null,
    compressed: false,
    tags: [],
    computeSeconds: null,
  });
  expect(await server.cli('hget', `${namespace}:k`, 'field')).toBe('1');
});

test('while a function runs its key is computing, for as long as the lease lives', async () => {
  const cache = await openCache({ url: server.url() });
  let end;
  const running = new Promise((resolve) => {
    end = resolve;
  });
  let began;
  const beginning = new Promise((resolve) => {
    began = resolve;
  });
  const computed = cache.getOrCompute('k', () => {
    began();
    return running;
  });
  await beginning;
  const { state, ttl, kept } = await cache.inspect('k');
  expect({ state, ttl }).toEqual({ state: 'computing', ttl: 0 });
  expect(kept).toBeGreaterThan(0);
  end('done');
  expect(await computed).toBe('done');
  await cache.get('k');
  expect(await cache.inspect('k')).toMatchObject({ state: 'fresh', bytes: 6 });
});

test('a header of another version is unreadable', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: server.url(), namespace });
  const text = await openCache({ url: server.url(), namespace, codec: 'raw' });
  await text.set('k', Buffer.from('payload'), { ttl: 100, tags: ['t'] });
  expect(await cache.inspect('k')).toMatchObject({ state: 'fresh', codec: 'raw', tags: ['t'] });
  await server.cli('setrange', `${namespace}:k`, '1', '\t');
  expect(await cache.inspect('k')).toMatchObject({ state: 'unreadable', ttl: 0, codec: null, tags: [] });
});

test('in an outage it says what the process has', async () => {
  const own = await startRedis();
  const cache = await openCache({ url: own.url() });
  await cache.set('held', 'value', 100);
  await cache.get('held');
  await cache.set('gone', 1);
  await own.stop();
  await untilMode(cache, 'memory');
  await cache.set('written', { a: 1 }, { ttl: 50, tags: ['t'] });
  expect(await cache.inspect('held')).toMatchObject({ state: 'fresh', bytes: 7 });
  expect(await cache.inspect('gone')).toBeNull();
  expect(await cache.inspect('written')).toMatchObject({ state: 'fresh', tags: ['t'], bytes: 7 });
});
