// Addresses of servers that are no single Redis: nodes of a cluster, however these say so, and Sentinels; and where
// that is of no use, memory mode, and the reason.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { makeFolder } = require('../../support/folder');
const { closeCaches, makeCache, openWatched, watch } = require('../../support/holdfast');
const { startProxy } = require('../../support/network/fault-proxy');
const { freePort, startRedis } = require('../../support/redis-server');
const { until, untilMode } = require('../../support/until');

const running = [];
afterEach(async () => {
  await closeCaches();
  await Promise.all(running.splice(0).map((each) => each.stop()));
});

async function redis(options) {
  const server = await startRedis(options);
  running.push(server);
  return server;
}

/** A cluster of one node, which has all slots or none. */
async function node({ slots = true, config = [], ...options } = {}) {
  const server = await redis({ ...options, config: ['cluster-enabled yes', ...config] });
  if (slots) {
    await server.cli('cluster', 'addslotsrange', '0', '16383');
    await until(async () => (await server.cli('cluster', 'info')).startsWith('cluster_state:ok'));
  }
  return server;
}

async function expectRefused(url, kind, words) {
  const cache = makeCache({ url, namespace: 'n', timeoutMs: 250 });
  const { events, count } = watch(cache);
  await cache.set('k', 1);
  await until(() => cache.health().lastError?.kind === kind, `an error of the kind ${kind}`);
  await until(() => count('fallback') > 0, 'fallback');
  expect(cache.getMode()).toBe('memory');
  expect(cache.health()).toMatchObject({ status: 'degraded', lastError: { message: expect.stringMatching(words) } });
  expect(cache.health().lastError.message).not.toMatch(/ACL/);
  expect(events.map(([name]) => name)).not.toContain('ready');
  // It works all the same.
  await cache.set('k', 2);
  expect(await cache.get('k')).toBe(2);
  expect(await cache.delPattern('k*')).toBe(1);
  expect(await cache.clear()).toBe(0);
  expect(await cache.get('k')).toBeNull();
  expect((await cache.getStats()).errors[kind]).toBeGreaterThan(0);
  return cache;
}

describe('a server in cluster mode', () => {
  test.each([
    ['says so in HELLO', {}],
    ['says so in INFO, to a client of RESP2', { config: ['rename-command HELLO ""'] }],
    ['says so in HELLO, where INFO is denied', { acl: ['user default on nopass ~* &* +@all -info'] }],
    ['says so in HELLO, and knows no MGET', { config: ['rename-command MGET ""'] }],
  ])('%s: it is used as the cluster that it is', async (_, options) => {
    const server = await node(options);
    const cache = makeCache({ url: server.url(), namespace: 'n' });
    await untilMode(cache, 'redis');
    await cache.setMany({ a: 1, b: 2 });
    expect(await cache.getMany(['a', 'b', 'c'])).toEqual([1, 2, null]);
    expect(await server.cli('dbsize')).toBe('2');
    expect(cache.health()).toMatchObject({ status: 'ok', nodes: [{ mode: 'redis', role: 'primary', slots: 16_384 }] });
  });

  test.each([
    ['says so only by what it refuses', { config: ['rename-command HELLO ""', 'rename-command INFO ""'] }],
    [
      'has no slots, and says nothing else',
      { slots: false, config: ['rename-command HELLO ""', 'rename-command INFO ""'] },
    ],
    [
      'says so only by what it refuses, and knows no MGET',
      { config: ['rename-command HELLO ""', 'rename-command INFO ""', 'rename-command MGET ""'] },
    ],
  ])('%s: memory mode with the reason, and nothing is written there', async (_, options) => {
    const server = await node(options);
    await expectRefused(server.url(), 'cluster', /for the sake of its slot/);
    expect(await server.cli('dbsize')).toBe('0');
  });

  test('a database number is refused, as a cluster has none', async () => {
    const server = await node();
    await expectRefused(server.url({ db: '3' }), 'config', /only database 0/);
  });

  test('once the address is that of a single server, it is used without a restart', async () => {
    const server = await node();
    const cache = makeCache({ url: server.url(), namespace: 'n', timeoutMs: 250 });
    await untilMode(cache, 'redis');
    await cache.set('k', 2);
    const { port } = server;
    await server.stop();
    await untilMode(cache, 'memory');
    await redis({ port });
    await untilMode(cache, 'redis');
    await cache.set('k', 3);
    expect(await cache.get('k')).toBe(3);
    expect(cache.health()).toMatchObject({ status: 'ok', lastError: null });
  });

  test('once the address is that of a cluster, it is used without a restart', async () => {
    const server = await redis();
    const cache = makeCache({ url: server.url(), namespace: 'n', timeoutMs: 250 });
    await untilMode(cache, 'redis');
    const { port } = server;
    await server.stop();
    await untilMode(cache, 'memory');
    await node({ port });
    await untilMode(cache, 'redis');
    await cache.set('k', 3);
    expect(await cache.get('k')).toBe(3);
    expect(cache.health()).toMatchObject({ status: 'ok', nodes: [{ slots: 16_384 }] });
  });

  test('what is named as a cluster has to be one', async () => {
    const server = await redis();
    const { host = '127.0.0.1', port } = server;
    for (const url of [`redis+cluster://${host}:${port}`, `redis://${host}:${port},${host}:${port}`]) {
      await expectRefused(url, 'cluster', /no node of a cluster/);
      await closeCaches();
    }
  });
});

const REDIRECTS = [
  'MOVED 3999 127.0.0.1:1',
  'ASK 3999 127.0.0.1:1',
  "CROSSSLOT Keys in request don't hash to the same slot",
  'CLUSTERDOWN The cluster is down',
  'TRYAGAIN Multiple keys request during rehashing of slot',
];
/** Calls, and how many replies of Redis each waits for. */
const CALLS = [
  ['get', 1, (cache) => cache.get('k')],
  ['set', 1, (cache) => cache.set('k', 'new')],
  ['del', 1, (cache) => cache.del('k')],
  ['increment', 1, (cache) => cache.increment('n')],
  ['increment with a ttl', 4, (cache) => cache.increment('n', 1, { ttl: 5 })],
  ['exists', 2, (cache) => cache.exists('k')],
  ['ttl', 2, (cache) => cache.ttl('k')],
  ['expire', 1, (cache) => cache.expire('k', 5)],
  ['getOrCompute', 1, (cache) => cache.getOrCompute('c', () => 'computed')],
  ['delPattern', 1, (cache) => cache.delPattern('k*')],
  ['clear', 1, (cache) => cache.clear()],
];

test.each(REDIRECTS)('%s in place of a reply is an outage of the kind cluster, whatever was called', async (error) => {
  const server = await redis();
  const proxy = await startProxy(server);
  running.push(proxy);
  for (const [name, replies, call] of CALLS) {
    const { cache, told } = await openWatched({ url: proxy.url(), nearCache: false });
    const { events, count } = told;
    // The number at the end of a pipeline is what any server gives back.
    const mark = (bytes) => /(\$\d+\r\n\d{10,20}\r\n)?$/.exec(bytes.toString('latin1'))[0];
    proxy.inject({ rewriteOnce: (bytes) => Buffer.from(`-${error}\r\n`.repeat(replies) + mark(bytes)) });
    await call(cache);
    await until(() => count('fallback') > 0, `${name} meets ${error}`);
    const [, { kind }] = events.find(([event]) => event === 'fallback');
    expect([name, kind]).toEqual([name, 'cluster']);
    await closeCaches();
  }
});

test('a Sentinel says so, and is no server', async () => {
  const port = await freePort('127.0.0.1');
  const { dir, remove } = makeFolder('sentinel');
  const file = path.join(dir, 'sentinel.conf');
  fs.writeFileSync(file, `port ${port}\nbind 127.0.0.1\ndir ${dir}\n`);
  const sentinel = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' });
  const ended = new Promise((resolve) => sentinel.once('exit', resolve));
  running.push({
    async stop() {
      sentinel.kill('SIGKILL');
      await ended;
      remove();
    },
  });
  for (const db of ['', '2']) {
    await expectRefused(`redis://127.0.0.1:${port}/${db}`, 'sentinel', /Sentinel/);
    await closeCaches();
  }
});
