// Faults 4, 5, 7 and 9 to 11: the connection or the server is lost: killed mid-reply, restarted empty, swallowed by the
// network.
'use strict';

const { closeCaches, freshNamespace, openCache, watch } = require('../../support/holdfast');
const { startProxy } = require('../../support/network/fault-proxy');
const { serverForAll } = require('../../support/redis-server');
const { dialled } = require('../../support/network/sockets');
const { until, untilMode } = require('../../support/until');

const server = serverForAll();
let proxy;
beforeEach(async () => {
  proxy = await startProxy(server);
});
afterEach(async () => {
  await closeCaches();
  await proxy.stop();
});

const connected = (url, options) => openCache({ url, ...options });

const LARGE = 'x'.repeat(100_000);

test('fault 10: a reply cut in the middle never becomes a value, and the connection is replaced', async () => {
  const cache = await connected(proxy.url());
  await cache.setMany(Array.from({ length: 20 }, (_, i) => [`k${i}`, LARGE]));
  const { connections } = proxy;
  proxy.inject({ cutAfter: 250_000 });
  const values = await Promise.all(Array.from({ length: 20 }, (_, i) => cache.get(`k${i}`)));
  for (const value of values) expect([null, LARGE]).toContain(value);
  expect(values).toContain(null);
  await until(() => proxy.connections > connections);
  await untilMode(cache, 'redis');
  expect(await cache.get('k19')).toBe(LARGE);
});

test('fault 4: a server killed under load: every call settles, and the restarted server is found', async () => {
  const cache = await connected(server.url());
  await cache.set('large', LARGE);
  const calls = Array.from({ length: 1_000 }, (_, i) => (i % 2 ? cache.get('large') : cache.set(`k${i}`, i)));
  await server.kill('SIGKILL');
  for (const value of await Promise.all(calls)) expect([null, undefined, LARGE]).toContain(value);
  await untilMode(cache, 'memory');
  await cache.set('k', 'fallback');
  expect(await cache.get('k')).toBe('fallback');
  await server.restart();
  await untilMode(cache, 'redis');
  await cache.set('k', 'redis');
  expect(await cache.get('k')).toBe('redis');
});

test('fault 4: an increment whose reply was lost is never sent again', async () => {
  const namespace = freshNamespace();
  const cache = await connected(proxy.url(), { namespace });
  proxy.inject({ dropReplies: true });
  const counts = Promise.all([cache.increment('n'), cache.increment('with-ttl', 1, { ttl: 100 })]);
  await until(async () => (await server.cli('mget', `${namespace}:n`, `${namespace}:with-ttl`)) === '1\n1');
  proxy.reset();
  proxy.heal();
  for (const count of await counts) expect(count).toEqual(expect.any(Number));
  await untilMode(cache, 'redis');
  await cache.set('later', 1); // what would have been sent again was sent by now
  expect(await server.cli('mget', `${namespace}:n`, `${namespace}:with-ttl`)).toBe('1\n1');
});

test('fault 5: a server restarted empty: misses, scripts are loaded again, computations run again', async () => {
  const namespace = freshNamespace();
  const cache = await connected(server.url(), { namespace });
  await cache.set('k', 'old');
  expect(await cache.get('k')).toBe('old');
  expect(await cache.increment('n', 5, { ttl: 100 })).toBe(5);
  const { reconnects } = (await cache.getStats()).redis;
  await server.restart();
  // Until the loss is noticed, a call may be answered by the fallback tier; it never gives the old value back as if
  // stored.
  await until(async () => (await cache.getStats()).redis?.reconnects > reconnects);
  await untilMode(cache, 'redis');
  expect(await cache.get('k')).toBeNull();
  expect(await cache.increment('n', 5, { ttl: 100 })).toBe(5);
  expect(await cache.getOrCompute('k', () => 'new')).toBe('new');
  expect(await cache.delPattern('n*')).toBe(1);
  expect(await server.cli('get', `${namespace}:k`)).toBe('"new"');
});

test('fault 7: a blackhole on an idle connection is noticed without traffic, and left by itself', async () => {
  const cache = await connected(proxy.url(), { timeoutMs: 250 });
  const { events, count } = watch(cache);
  proxy.blackhole();
  await untilMode(cache, 'memory');
  await until(() => count('fallback') === 1);
  expect(events.find(([name]) => name === 'fallback')[1]).toEqual({ kind: 'timeout', message: expect.any(String) });
  await cache.set('k', 'fallback');
  expect(await cache.get('k')).toBe('fallback');
  proxy.heal();
  await untilMode(cache, 'redis');
  expect(count('fallback')).toBe(1);
});

test('fault 9: during an outage there is one dial at a time', async () => {
  const cache = await connected(proxy.url(), { timeoutMs: 250 });
  proxy.blackhole();
  await untilMode(cache, 'memory');
  const { connections } = proxy;
  let most = 0;
  await until(async () => {
    await Promise.all(Array.from({ length: 50 }, () => cache.get('k')));
    most = Math.max(most, dialled(proxy.port));
    return proxy.connections >= connections + 3;
  });
  expect(most).toBe(1);
});

test('fault 9: a refused port is tried for ever, until somebody listens', async () => {
  const cache = await connected(proxy.url());
  proxy.refuse();
  proxy.reset();
  await untilMode(cache, 'memory');
  await until(() => cache.health().lastError.kind === 'connect');
  await proxy.accept();
  await untilMode(cache, 'redis');
});

test('fault 11: replies that come one byte at a time are right', async () => {
  const cache = await connected(proxy.url());
  proxy.inject({ trickle: true });
  await cache.setMany({ a: { n: 1 }, b: 'text', c: null });
  expect(await cache.getMany(['a', 'nothing', 'b', 'c'])).toEqual([{ n: 1 }, null, 'text', null]);
  expect(cache.getMode()).toBe('redis');
});
