// Slots that nobody serves: without an owner, in a cluster that is down, or half on their way to another server.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { closeCaches, freshNamespace, makeCache, openCache, watch } = require('../../support/holdfast');
const { Callers } = require('../../support/fleet/callers');
const { ask } = require('../../support/fleet/client');
const { startCluster } = require('../../support/fleet/cluster');
const { slotOf } = require('../../support/fleet/slots');
const { startProxy } = require('../../support/network/fault-proxy');
const { until, untilMode } = require('../../support/until');

let cluster;
beforeAll(async () => {
  const config = ['cluster-require-full-coverage no', 'cluster-allow-replica-migration no'];
  cluster = await startCluster({ replicas: 0, config });
});
afterAll(() => cluster.stop());
afterEach(closeCaches);

const askAll = (...args) => Promise.all(cluster.nodes.map((node) => ask(node, ...args)));

/** Takes a slot from its owner, in the eyes of all; resolves to the owner. */
async function takeAway(slot) {
  const owner = await cluster.ownerOf(slot);
  await askAll('CLUSTER', 'DELSLOTS', slot);
  return owner;
}

test('fault 50: a slot without an owner: its calls are answered in process, and Redis serves it once it has one', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: cluster.url(), namespace });
  const [key, ...others] = ['{u}n', 'a', 'b', 'c', 'd', 'e', 'f'];
  await cache.setMany([key, ...others].map((each) => [each, 0]));
  const owner = await takeAway(slotOf(`${namespace}:${key}`));
  const callers = new Callers([cache], [key, ...others]);
  const unserved = () => cache.health().nodes.filter(({ address }) => address === null);
  await until(() => unserved().length === 1, 'the slot is known to be unserved');
  expect(unserved()).toEqual([{ address: null, role: null, mode: 'memory', slots: 1 }]);
  expect(cache.health().status).toBe('degraded');
  expect(cache.getMode()).toBe('redis');
  await callers.goOn();
  // All servers serve the rest again.
  await until(
    () => cache.health().nodes.every(({ address, mode }) => address === null || mode === 'redis'),
    'the rest',
  );
  await cache.set('beside', 'all');
  expect(await cache.getMany(['beside', ...others])).not.toContain(null);
  await ask(owner, 'CLUSTER', 'ADDSLOTS', slotOf(`${namespace}:${key}`));
  await until(() => cache.health().status === 'ok', 'it has an owner again');
  await callers.goOn();
  expect(await callers.stop()).toEqual({ rejected: 0, unsettled: 0 });
  for (const each of [key, ...others]) {
    const stored = Number(await (await cluster.ownerOf(`${namespace}:${each}`)).cli('get', `${namespace}:${each}`));
    expect(stored).toBeLessThanOrEqual(callers.answered(each));
    expect(await cache.get(each)).toBe(stored);
  }
});

test('fault 50: a slot without an owner: what was deleted meanwhile is not read once it has one', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: cluster.url(), namespace });
  const key = '{d}k';
  await cache.set(key, 'old');
  const slot = slotOf(`${namespace}:${key}`);
  const owner = await takeAway(slot);
  await cache.get(key);
  await until(() => cache.health().nodes.some(({ address }) => address === null), 'the slot is unserved');
  await cache.del(key);
  expect(await cache.get(key)).toBeNull();
  // It has the key yet.
  await ask(owner, 'CLUSTER', 'ADDSLOTS', slot);
  await until(() => cache.health().status === 'ok', 'it has an owner again');
  expect(await cache.get(key)).toBeNull();
  expect(await owner.cli('exists', `${namespace}:${key}`)).toBe('0');
});

test('fault 46: what was deleted before the cluster was found is not read once it is', async () => {
  const namespace = freshNamespace();
  const other = await openCache({ url: cluster.url(), namespace });
  const keys = Array.from({ length: 30 }, (_, n) => `k${n}`);
  await other.setMany(keys.map((key) => [key, 'old']));
  const proxy = await startProxy(cluster.nodes[0]);
  try {
    proxy.refuse();
    const cache = makeCache({ url: proxy.url(), namespace, timeoutMs: 300 });
    await untilMode(cache, 'memory');
    await Promise.all(keys.slice(0, 10).map((key) => cache.del(key)));
    await Promise.all(keys.slice(10, 20).map((key) => cache.set(key, 'new')));
    await cache.delPattern('k2*');
    await proxy.accept();
    await until(() => cache.health().status === 'ok' && cache.getMode() === 'redis', 'the cluster is found');
    for (const value of await cache.getMany(keys)) expect([null, 'new']).toContain(value);
    await until(async () => !(await other.getMany(keys)).includes('old'), 'the other instance');
  } finally {
    await closeCaches();
    await proxy.stop();
  }
});

test('fault 50: a cluster that is down as a whole is an outage, and is used again without a restart', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: cluster.url(), namespace });
  const told = watch(cache);
  const keys = Array.from({ length: 30 }, (_, n) => `k${n}`);
  await cache.setMany(keys.map((key) => [key, 1]));
  await askAll('CONFIG', 'SET', 'cluster-require-full-coverage', 'yes');
  const slot = slotOf(`${namespace}:k0`);
  const owner = await takeAway(slot);
  await cluster.waitFor('fail');
  const callers = new Callers([cache], ['n', 'm', 'o', 'p']);
  await until(async () => {
    await Promise.all(keys.map((key) => cache.set(key, 2)));
    return cache.getMode() === 'memory';
  }, 'memory mode');
  expect(cache.health().lastError.kind).toBe('cluster');
  expect(await cache.getMany(keys)).toEqual(keys.map(() => 2));
  await cache.del('k1');
  await callers.goOn();
  await askAll('CONFIG', 'SET', 'cluster-require-full-coverage', 'no');
  await ask(owner, 'CLUSTER', 'ADDSLOTS', slot);
  await until(() => cache.health().status === 'ok', 'it is up again');
  await callers.goOn();
  expect(await callers.stop()).toEqual({ rejected: 0, unsettled: 0 });
  expect(await cache.get('k1')).toBeNull();
  // What was set in the outage may be gone, and nothing older is there.
  for (const value of await cache.getMany(keys)) expect([null, 2]).toContain(value);
  expect(told.count('fallback')).toBeGreaterThan(0);
});

test('fault 50: half of a slot is elsewhere (TRYAGAIN): computations, refreshes and tags are answered', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: cluster.url(), namespace, nearCache: false });
  const told = watch(cache);
  let runs = 0;
  const compute = () => `run ${++runs}`;
  // Each has a lease beside it that is not there yet: a server that gives its slot away has one of the two.
  await cache.getOrCompute('{t}old', compute, { ttl: 0.5, swr: 60 });
  await cache.set('{t}tagged', 'set', { ttl: 60, tags: ['a'] });
  await cache.increment('{t}n', 1, { ttl: 60 });
  const slot = slotOf(`${namespace}:{t}old`);
  const from = await cluster.ownerOf(slot);
  const to = cluster.nodes.find((node) => node !== from);
  await cluster.beginMove(slot, to);
  await sleep(600);
  expect(await cache.getOrCompute('{t}old', compute, { ttl: 0.5, swr: 60 })).toBe('run 1');
  expect(await cache.getOrCompute('{t}tagged', compute, { ttl: 60, tags: ['a'] })).toBe('set');
  await cache.invalidateTags(['a']);
  expect(await cache.getOrCompute('{t}tagged', compute, { ttl: 60, tags: ['a'] })).toMatch(/^run \d$/);
  expect(await cache.getOrCompute('{t}fresh', compute, { ttl: 60 })).toMatch(/^run \d$/);
  expect(await cache.increment('{t}n', 1, { ttl: 60 })).toBe(2);
  expect(await cache.expire('{t}n', 30)).toBe(true);
  const many = (keys) => keys.map((key) => `many ${key}`);
  const options = { ttl: 60 };
  expect(await cache.getOrComputeMany(['{t}n', '{t}none', 'beside'], many, options)).toEqual([
    2,
    'many {t}none',
    'many beside',
  ]);
  const runsThen = runs;
  await cluster.migrate(slot, to);
  await cluster.endMove(slot, to);
  expect(await cache.getMany(['{t}n', 'beside'])).toEqual([2, 'many beside']);
  // The refresh that could not be had is made by a later caller.
  await until(async () => {
    await cache.getOrCompute('{t}old', compute, { ttl: 0.5, swr: 60 });
    return runs > runsThen;
  }, 'a refresh');
  expect(told.count('fallback')).toBe(0);
});
