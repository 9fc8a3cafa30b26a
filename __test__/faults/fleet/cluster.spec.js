// A cluster: found by one of its nodes, split by slots, followed through moves and failovers.
'use strict';

const { closeCaches, freshNamespace, makeCache, openCache, watch } = require('../../support/holdfast');
const { startCluster } = require('../../support/fleet/cluster');
const { slotOf } = require('../../support/fleet/slots');
const { freePort } = require('../../support/redis-server');
const { until, untilMode } = require('../../support/until');

let cluster;
beforeAll(async () => {
  cluster = await startCluster({ replicas: 1 });
});
afterAll(() => cluster.stop());
afterEach(closeCaches);

const names = (count) => Array.from({ length: count }, (_, i) => `k${i}`);

test('a URL of one node is enough: the others are found, and each key lies where it belongs', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: cluster.url(), namespace });
  const keys = names(300);
  await cache.setMany(keys.map((key, i) => [key, i]));
  expect(await cache.getMany([...keys, 'none', keys[0]])).toEqual([...keys.map((_, i) => i), null, 0]);
  for (const key of keys.slice(0, 20)) {
    const owner = await cluster.ownerOf(`${namespace}:${key}`);
    expect(await owner.cli('get', `${namespace}:${key}`)).toBe(String(keys.indexOf(key)));
  }
  const { status, nodes } = cache.health();
  expect(status).toBe('ok');
  expect(nodes.map(({ mode, role }) => [mode, role])).toEqual(Array(3).fill(['redis', 'primary']));
  expect(nodes.reduce((sum, { slots }) => sum + slots, 0)).toBe(16_384);
  expect((await cache.getStats()).redis.keys).toBeGreaterThanOrEqual(300);
  expect(await cache.delPattern('k1*')).toBe(111);
  expect(await cache.clear()).toBe(189);
});

test('keys with braces of their own, and what belongs to them', async () => {
  const cache = await openCache({ url: cluster.url() });
  for (const key of ['{}', 'a}b', '{a}{b}', '{{a}}', 'foo{bar', '{user}:1']) {
    await cache.set(key, key, { ttl: 60, tags: ['one', 'two'] });
    expect(await cache.get(key)).toBe(key);
    expect(await cache.getOrCompute(`${key}:c`, () => 1, { ttl: 10, swr: 60, tags: ['two'] })).toBe(1);
    expect(await cache.increment(`${key}:n`, 2, { ttl: 60 })).toBe(2);
    expect(await cache.expire(key, 30)).toBe(true);
  }
  await cache.invalidateTags(['two']);
  for (const key of ['{}', 'a}b', '{a}{b}', '{{a}}', 'foo{bar', '{user}:1']) {
    expect(await cache.get(key)).toBeNull();
    expect(await cache.exists(`${key}:c`)).toBe(false);
    expect(await cache.get(`${key}:n`)).toBe(2);
  }
});

test('another instance sees writes and deletes, and computations are made once', async () => {
  const namespace = freshNamespace();
  const [a, b] = [
    await openCache({ url: cluster.url(), namespace }),
    await openCache({ url: cluster.url(cluster.nodes[1]), namespace }),
  ];
  const keys = names(50);
  await a.setMany(keys.map((key) => [key, 'old']));
  await b.getMany(keys);
  await b.getMany(keys);
  await a.setMany(keys.map((key) => [key, 'new']));
  await until(async () => (await b.getMany(keys)).every((value) => value === 'new'), 'invalidations');
  await Promise.all(keys.map((key) => b.del(key)));
  await until(async () => (await a.getMany(keys)).every((value) => value === null), 'deletes');
  let runs = 0;
  const compute = async () => {
    runs++;
    await new Promise((resolve) => setTimeout(resolve, 50));
    return 'computed';
  };
  const all = await Promise.all([a, b].flatMap((cache) => keys.map((key) => cache.getOrCompute(key, compute, 60))));
  expect(new Set(all)).toEqual(new Set(['computed']));
  expect(runs).toBe(keys.length);
});

test('fault 48: a slot that moves with its keys, and without, under load', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: cluster.url(), namespace });
  const other = await openCache({ url: cluster.url(), namespace });
  const key = 'moving';
  const stored = `${namespace}:${key}`;
  let stop = false;
  let last = 0;
  const load = (async () => {
    while (!stop) {
      await cache.set(key, ++last);
      // Its own writes are read, or a miss where the slot moved without its keys.
      const value = await cache.get(key);
      if (value !== null) expect(value).toBe(last);
      await other.get(key);
    }
  })();
  for (const migrate of [true, false, true]) {
    const from = await cluster.ownerOf(stored);
    const to = (await cluster.primaries()).find((node) => node !== from);
    await cluster.moveSlot(slotOf(stored), to, { migrate });
    const before = last;
    await until(() => last > before + 100, 'calls go on');
    expect(await cluster.ownerOf(stored)).toBe(to);
  }
  stop = true;
  await load;
  await cache.set(key, 'end');
  await until(async () => (await other.get(key)) === 'end', 'the other instance');
  expect(await (await cluster.ownerOf(stored)).cli('get', stored)).toBe('"end"');
  expect(cache.health().status).toBe('ok');
});

test('fault 48: calls of a slot that is half moved are redirected for once', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: cluster.url(), namespace, nearCache: false });
  const stored = (key) => `${namespace}:${key}`;
  const slot = slotOf(stored('{s}here'));
  await cache.set('{s}here', 1);
  await cache.set('{s}gone', 2);
  const from = await cluster.ownerOf(slot);
  const target = (await cluster.primaries()).find((node) => node !== from);
  await cluster.beginMove(slot, target);
  await cluster.migrate(slot, target, [stored('{s}gone')]);
  expect(await cache.getMany(['{s}here', '{s}gone', '{s}new'])).toEqual([1, 2, null]);
  await cache.set('{s}new', 3);
  expect(await cache.increment('{s}n', 5, { ttl: 60 })).toBe(5);
  expect(await cache.increment('{s}n', 5, { ttl: 60 })).toBe(10);
  expect(await cache.getOrCompute('{s}c', () => 'computed', 60)).toBe('computed');
  expect(await cache.exists('{s}c')).toBe(true);
  expect(await cache.del('{s}gone')).toBe(1);
  expect(await cache.getMany(['{s}here', '{s}gone', '{s}new', '{s}n'])).toEqual([1, null, 3, 10]);
  await cluster.migrate(slot, target);
  await cluster.endMove(slot, target);
  expect(await cache.getMany(['{s}here', '{s}gone', '{s}new', '{s}n'])).toEqual([1, null, 3, 10]);
  expect(cache.health().status).toBe('ok');
});

test('fault 46: a primary killed under load keeps the keys of the others waiting for nothing', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: cluster.url(), namespace, timeoutMs: 250 });
  const told = watch(cache);
  const keys = names(60);
  await cache.setMany(keys.map((key) => [key, 0]));
  const victim = await cluster.ownerOf(`${namespace}:k0`);
  const owners = await Promise.all(keys.map((key) => cluster.ownerOf(`${namespace}:${key}`)));
  const others = keys.filter((_, i) => owners[i] !== victim);
  const his = keys.filter((_, i) => owners[i] === victim);
  await victim.kill('SIGKILL');
  await until(() => cache.health().status === 'degraded', 'its outage');
  expect(cache.getMode()).toBe('redis');
  await Promise.all(his.map((key) => cache.set(key, 1)));
  await Promise.all(others.map((key) => cache.set(key, 1)));
  expect(await cache.getMany(keys)).toEqual(keys.map(() => 1));
  await cluster.primaryAfter(victim);
  await until(() => cache.health().status === 'ok', 'its heir');
  await Promise.all(keys.map((key) => cache.set(key, 2)));
  expect(await cache.getMany(keys)).toEqual(keys.map(() => 2));
  for (const key of his.slice(0, 5)) {
    expect(await (await cluster.ownerOf(`${namespace}:${key}`)).cli('get', `${namespace}:${key}`)).toBe('2');
  }
  expect(told.events.some(([name, { node }]) => name === 'fallback' && node === `${victim.host}:${victim.port}`)).toBe(
    true,
  );
  await victim.restart();
  await cluster.settled();
});

test('fault 47: CLUSTER FAILOVER loses no call', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: cluster.url(), namespace });
  await cache.increment('n', 0);
  let stop = false;
  let sum = 0;
  const load = (async () => {
    for (; !stop; sum++) await cache.increment('n', 1);
  })();
  const owner = await cluster.ownerOf(`${namespace}:n`);
  await cluster.failover(owner);
  await until(() => cache.health().status === 'ok', 'its heir');
  stop = true;
  await load;
  expect(await cache.get('n')).toBeLessThanOrEqual(sum);
  await cluster.settled();
});

test('any of several nodes of a URL leads to the cluster, and so do those of the options', async () => {
  const places = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`);
  const away = await freePort('127.0.0.1');
  const mapped = Object.fromEntries(places.map((place) => [place, place.replace('127.0.0.1', 'localhost')]));
  for (const options of [
    { url: `redis://127.0.0.1:${away},${places[1]}` },
    { url: `redis+cluster://${places[2]}` },
    { cluster: { nodes: [`127.0.0.1:${away}`, { host: '127.0.0.1', port: cluster.nodes[0].port }] } },
    { url: `redis://${places[0]}`, cluster: { addressMap: mapped } },
  ]) {
    const cache = makeCache({ ...options, namespace: freshNamespace() });
    await untilMode(cache, 'redis');
    await cache.setMany({ a: 1, b: 2, c: 3 });
    expect(await cache.getMany(['a', 'b', 'c'])).toEqual([1, 2, 3]);
    const host = options.cluster?.addressMap ? 'localhost' : '127.0.0.1';
    for (const { address } of cache.health().nodes) expect(address).toMatch(new RegExp(`^${host}:`));
    await cache.close();
  }
});
