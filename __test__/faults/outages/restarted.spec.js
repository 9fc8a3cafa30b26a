// Faults 5 and 6: the server comes back as another one: empty, or as an old snapshot of itself.
'use strict';

const net = require('node:net');
const { closeCaches, openWatched } = require('../../support/holdfast');
const { startProxy } = require('../../support/network/fault-proxy');
const { startRedis } = require('../../support/redis-server');
const { until, untilMode } = require('../../support/until');

let server;
let proxy;
beforeEach(async () => {
  server = await startRedis();
  proxy = await startProxy(server);
});
afterEach(async () => {
  await closeCaches();
  await proxy.stop();
  await server.stop();
});

/** Caches behind the proxy, which lets nobody in until it is told to. */
const connected = (options) => openWatched({ url: proxy.url(), namespace: 'n', timeoutMs: 250, ...options });

async function runId() {
  return /run_id:(\w+)/.exec(await server.cli('info', 'server'))[1];
}

async function ended(cache) {
  proxy.refuse();
  await server.kill('SIGKILL');
  await untilMode(cache, 'memory');
}

async function back(told) {
  await proxy.accept();
  await until(() => told.count('recovered') === 1);
}

test('fault 5: after a restart the near cache is empty, and tracking is armed again', async () => {
  const { cache, told } = await connected();
  await cache.setMany({ a: 'old', b: 'old' });
  for (let n = 0; n < 4; n++) await cache.getMany(['a', 'b']);
  for (let n = 0; n < 4; n++) await cache.get('a'); // hot
  await ended(cache);
  await server.restart();
  await server.cli('set', 'n:b', '"new"');
  await back(told);
  expect(await cache.getMany(['a', 'b'])).toEqual([null, 'new']);
  // It is near again, and pushes come.
  const { near } = (await cache.getStats()).hits;
  for (let n = 0; n < 4; n++) expect(await cache.get('b')).toBe('new');
  expect((await cache.getStats()).hits.near).toBeGreaterThan(near);
  await server.cli('set', 'n:b', '"newest"');
  await until(async () => (await cache.get('b')) === 'newest');
});

test('fault 5: scripts are loaded again, leases included', async () => {
  const { cache, told } = await connected();
  expect(await cache.getOrCompute('before', () => 1)).toBe(1);
  await ended(cache);
  expect(await cache.getOrCompute('during', () => 2)).toBe(2);
  await server.restart();
  await back(told);
  expect(await server.cli('info', 'commandstats')).toMatch(/cmdstat_script\|load:calls=[1-9]/);
  expect(await cache.getOrCompute('after', () => 3, { swr: 10 })).toBe(3);
  expect(await cache.increment('n', 1, { ttl: 100 })).toBe(1);
  expect(await cache.getMany(['before', 'during'])).toEqual([null, null]);
});

test('fault 6: an old snapshot: deletes of the outage are replayed, and nothing of them comes back', async () => {
  const { cache, told } = await connected();
  const keys = Array.from({ length: 2_500 }, (_, i) => `k${i}`);
  await cache.setMany(keys.map((key) => [key, 'old']));
  await cache.setMany({ 'matched:1': 'old', written: 'old', kept: 'old' });
  await server.cli('set', 'foreign', 'theirs');
  await server.cli('save');
  await cache.set('kept', 'newer');
  const before = await runId();
  await ended(cache);
  await cache.del(keys);
  await cache.delPattern('matched:*');
  await cache.set('written', 'fallback');
  expect(cache.health().journal).toBe(keys.length + 2);
  await server.restart();
  expect(await runId()).not.toBe(before);
  expect(await server.cli('get', 'n:k0')).toBe('"old"');
  await back(told);
  expect(await cache.getMany([...keys, 'matched:1', 'written'])).toEqual(Array(keys.length + 2).fill(null));
  expect(await cache.get('kept')).toBe('old'); // what the snapshot has, and nobody here knows better
  expect(await server.cli('get', 'foreign')).toBe('theirs');
  expect(await server.cli('dbsize')).toBe('2');
  expect(told.events.find(([name]) => name === 'recovered')[1].replayed).toBe(keys.length + 2);
});

test('fault 6: another server gives the number of our old connection to somebody else, who is left alone', async () => {
  for (let n = 0; n < 20; n++) await server.cli('ping'); // each of them takes a number
  const { cache, told } = await connected();
  const ours = Number(/id=(\d+) .*name=holdfast/.exec(await server.cli('client', 'list'))[1]);
  await ended(cache);
  await server.restart();
  const others = Array.from({ length: ours + 10 }, () => net.connect(server.socket));
  try {
    const ids = await Promise.all(
      others.map((other) => new Promise((resolve) => other.once('data', resolve).write('CLIENT ID\r\n'))),
    );
    expect(ids.map((id) => Number(String(id).slice(1)))).toContain(ours);
    await back(told);
    await cache.set('k', 1);
    const alive = await server.cli('client', 'list', 'id', String(ours));
    expect(alive).toContain(`id=${ours} `);
  } finally {
    for (const other of others) other.destroy();
  }
});
