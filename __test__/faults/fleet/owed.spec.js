// What is still to be removed of a slot on its way, or that nobody serves: it follows its slot until it is done.
'use strict';

const { closeCaches, freshNamespace, openCache } = require('../../support/holdfast');
const { ask } = require('../../support/fleet/client');
const { startCluster } = require('../../support/fleet/cluster');
const { slotOf } = require('../../support/fleet/slots');
const { until } = require('../../support/until');

let cluster;
beforeAll(async () => {
  const config = ['cluster-require-full-coverage no', 'cluster-allow-replica-migration no'];
  cluster = await startCluster({ replicas: 0, config });
});
afterAll(() => cluster.stop());
afterEach(async () => {
  await closeCaches();
  await Promise.all(cluster.nodes.filter(({ running }) => !running).map((node) => node.kill('SIGCONT')));
  await cluster.settled();
});

/** Two instances; keys of one slot, its owner, and another server. */
async function started(options = {}) {
  const namespace = freshNamespace();
  const open = (node) => openCache({ url: cluster.url(node), namespace, timeoutMs: 300, ...options });
  const [cache, other] = [await open(cluster.nodes[0]), await open(cluster.nodes[1])];
  const slot = slotOf(`${namespace}:{s}`);
  const from = await cluster.ownerOf(slot);
  const to = cluster.nodes.find((node) => node !== from);
  const storedAt = (node, key) => ask(node, 'EVAL', "return redis.call('EXISTS', KEYS[1])", 1, `${namespace}:${key}`);
  return { namespace, cache, other, slot, from, to, storedAt };
}

test('a server that was away is used again although a key that was deleted meanwhile has left it for another', async () => {
  const { namespace, cache, other, slot, from, to } = await started();
  const keys = ['{s}moved', '{s}stays'];
  await cache.setMany(keys.map((key) => [key, 'old']));
  await cluster.beginMove(slot, to);
  await cluster.migrate(slot, to, [`${namespace}:{s}moved`]);
  await from.kill('SIGSTOP');
  await until(async () => {
    await cache.get('{s}stays');
    return cache.health().status === 'degraded';
  }, 'his outage');
  for (const key of keys) await cache.del(key);
  await from.kill('SIGCONT');
  // The slot is still on its way.
  await until(() => cache.health().status === 'ok', 'he is back');
  expect(await cache.getMany(keys)).toEqual([null, null]);
  await until(async () => (await other.getMany(keys)).every((value) => value === null), 'the other instance');
  await cluster.migrate(slot, to);
  await cluster.endMove(slot, to);
  expect(await cache.getMany(keys)).toEqual([null, null]);
  expect(await to.cli('--scan', '--pattern', `${namespace}:*`)).toBe('');
});

test.each(['delPattern', 'clear'])('%s removes what nobody serves as soon as somebody does', async (sweep) => {
  const { namespace, cache, slot, from } = await started();
  await cache.setMany([
    ['{s}a', 'old'],
    ['elsewhere', 'old'],
  ]);
  await Promise.all(cluster.nodes.map((node) => ask(node, 'CLUSTER', 'DELSLOTS', slot)));
  await (sweep === 'clear' ? cache.clear() : cache.delPattern('*'));
  await ask(from, 'CLUSTER', 'ADDSLOTS', slot);
  await until(() => cache.health().status === 'ok', 'it has an owner again');
  expect(await cache.getMany(['{s}a', 'elsewhere'])).toEqual([null, null]);
  await until(async () => (await from.cli('exists', `${namespace}:{s}a`)) === '0', 'it is gone');
  expect(await cache.get('{s}a')).toBeNull();
});

test('what a server refused to remove is not read where its slot goes either', async () => {
  const { namespace, cache, slot, from, to } = await started();
  await cache.set('{s}a', 'old');
  await ask(from, 'CONFIG', 'SET', 'min-replicas-to-write', 1);
  await cache.del('{s}a');
  await ask(from, 'CONFIG', 'SET', 'min-replicas-to-write', 0);
  expect(await cache.get('{s}a')).toBeNull();
  await cluster.beginMove(slot, to);
  await cluster.migrate(slot, to, [`${namespace}:{s}a`]);
  expect(await cache.get('{s}a')).toBeNull();
  await cluster.migrate(slot, to);
  await cluster.endMove(slot, to);
  expect(await cache.get('{s}a')).toBeNull();
  await cache.set('{s}a', 'new');
  expect(await cache.get('{s}a')).toBe('new');
});

test('a counter begins anew behind a sweep, wherever its slot is on the way', async () => {
  const { namespace, cache, slot, to } = await started();
  expect(await cache.increment('{s}n', 40)).toBe(40);
  await cluster.beginMove(slot, to);
  await cluster.migrate(slot, to, [`${namespace}:{s}n`]);
  const [, sum] = await Promise.all([cache.delPattern('*'), cache.increment('{s}n', 2)]);
  expect(sum).toBe(2);
  await cluster.migrate(slot, to);
  await cluster.endMove(slot, to);
  expect(await cache.increment('{s}n', 2)).toBe(4);
});

test('expire says what was done, also where the server does not write', async () => {
  const { namespace, cache, from } = await started({ nearCache: false });
  await cache.set('{s}plain', 'value', { ttl: 60 });
  await cache.set('{s}tagged', 'value', { ttl: 60, tags: ['t'] });
  const left = async (key) => Number(await from.cli('ttl', `${namespace}:${key}`));
  for (const key of ['{s}plain', '{s}tagged']) {
    expect(await cache.expire(key, 600)).toBe(true);
    expect(await left(key)).toBeGreaterThan(500);
  }
  expect(await cache.expire('{s}none', 600)).toBe(false);
  await ask(from, 'CONFIG', 'SET', 'min-replicas-to-write', 1);
  try {
    expect(await cache.expire('{s}plain', 6_000)).toBe(false);
    expect(await cache.expire('{s}tagged', 6_000)).toBe(false);
  } finally {
    await ask(from, 'CONFIG', 'SET', 'min-replicas-to-write', 0);
  }
  expect(await left('{s}plain')).toBeLessThan(601);
  await cache.invalidateTags(['t']);
  expect(await cache.expire('{s}tagged', 600)).toBe(false);
  // What is written behind it has a time of its own.
  const [met] = await Promise.all([cache.expire('{s}plain', 6_000), cache.set('{s}plain', 'new', { ttl: 60 })]);
  expect(met).toBe(true);
  expect(await left('{s}plain')).toBeLessThan(61);
});
