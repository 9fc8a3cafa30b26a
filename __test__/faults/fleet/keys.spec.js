// Keys with braces of their own on a cluster: what belongs to them lies in slots of its own, and moves with them.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { closeCaches, freshNamespace, openCache } = require('../../support/holdfast');
const { startCluster } = require('../../support/fleet/cluster');
const { slotOf } = require('../../support/fleet/slots');
const { until } = require('../../support/until');

const KEYS = [
  '{}',
  '{}{a}',
  'a}b',
  '{a}{b}',
  '{{a}}',
  'foo{bar',
  '}{',
  '{user}:1',
  '{user}:2',
  'a{b}c{d}',
  '{é}',
  '{a\n}',
];

let cluster;
beforeAll(async () => {
  cluster = await startCluster({ replicas: 0, config: ['cluster-allow-replica-migration no'] });
});
afterAll(() => cluster.stop());
afterEach(closeCaches);

/** Two caches of one namespace with no engine in common, as two processes have. */
async function openTwo(options = {}) {
  const namespace = freshNamespace();
  const open = (node) => openCache({ url: cluster.url(node), namespace, ...options });
  return { namespace, caches: [await open(cluster.nodes[0]), await open(cluster.nodes[1])] };
}

test('fault 51: each lies where the servers say that it belongs', async () => {
  const { namespace, caches } = await openTwo();
  const [cache, other] = caches;
  await cache.setMany(KEYS.map((key) => [key, key]));
  expect(await other.getMany(KEYS)).toEqual(KEYS);
  for (const key of KEYS) {
    const stored = `${namespace}:${key}`;
    const owner = await cluster.ownerOf(Number(await cluster.nodes[0].cli('cluster', 'keyslot', stored)));
    expect([key, await owner.cli('exists', stored)]).toEqual([key, '1']);
  }
  expect(await cache.clear()).toBe(KEYS.length);
});

test('fault 51: one computation of two instances, with a lease, for each', async () => {
  const { caches } = await openTwo();
  let runs = 0;
  const compute = async () => {
    runs++;
    await sleep(30);
    return 'computed';
  };
  const calls = caches.flatMap((cache) => KEYS.map((key) => cache.getOrCompute(key, compute, { ttl: 60 })));
  expect(new Set(await Promise.all(calls))).toEqual(new Set(['computed']));
  expect(runs).toBe(KEYS.length);
});

test('fault 51: a delete, a write or an invalidation ends a computation: its result is not stored', async () => {
  const { caches } = await openTwo();
  const [cache, other] = caches;
  const ends = [
    (key) => other.del(key),
    (key) => other.set(key, 'newer', { ttl: 60 }),
    () => other.invalidateTags(['t']),
  ];
  for (const [n, end] of ends.entries()) {
    for (const key of KEYS) {
      const compute = async () => {
        await end(`${key}${n}`);
        return 'older';
      };
      expect(await cache.getOrCompute(`${key}${n}`, compute, { ttl: 60, tags: ['t'] })).toBe('older');
    }
    const keys = KEYS.map((key) => `${key}${n}`);
    const expected = keys.map(() => (n === 1 ? 'newer' : null));
    await until(async () => JSON.stringify(await cache.getMany(keys)) === JSON.stringify(expected), 'the pushes');
    expect(await other.getMany(keys)).toEqual(expected);
  }
});

test('fault 51: each is refreshed once behind an old value', async () => {
  const { caches } = await openTwo();
  const runs = new Map();
  const compute = (key) => () => {
    runs.set(key, (runs.get(key) ?? 0) + 1);
    return `run ${runs.get(key)}`;
  };
  const options = { ttl: 1, swr: 60 };
  const ask = (cache, key) => cache.getOrCompute(key, compute(key), options);
  await Promise.all(KEYS.map((key) => ask(caches[0], key)));
  await sleep(1_100);
  // The longer life of what is stored next shows that the refresh is there.
  options.ttl = 60;
  for (const value of await Promise.all(caches.flatMap((cache) => KEYS.map((key) => ask(cache, key))))) {
    expect(['run 1', 'run 2']).toContain(value);
  }
  const values = () => Promise.all(caches.flatMap((cache) => KEYS.map((key) => ask(cache, key))));
  await until(async () => (await values()).every((value) => value === 'run 2'), 'the refreshes');
  expect([...runs.values()]).toEqual(KEYS.map(() => 2));
});

test('fault 51: tags, lives and counters of each, in the middle of moves of their slots and behind them', async () => {
  const { namespace, caches } = await openTwo();
  const [cache, other] = caches;
  const keys = ['{user}:1', '{a}{b}', '{}'];
  await cache.setMany(
    keys.map((key) => [key, key]),
    { ttl: 60, tags: ['a', 't'] },
  );
  for (const key of keys) await cache.increment(`${key}n`, 1, { ttl: 60 });
  const moves = [];
  for (const key of keys) {
    const slot = slotOf(`${namespace}:${key}`);
    const from = await cluster.ownerOf(slot);
    const to = cluster.nodes.find((node) => node !== from);
    await cluster.beginMove(slot, to);
    await cluster.migrate(slot, to, [`${namespace}:${key}`]);
    moves.push([slot, to]);
  }
  expect(await other.getMany(keys)).toEqual(keys);
  for (const key of keys) {
    expect(await cache.expire(key, 30)).toBe(true);
    expect(await other.ttl(key)).toBeLessThanOrEqual(30);
    expect(await other.increment(`${key}n`, 1, { ttl: 60 })).toBe(2);
  }
  await other.invalidateTags(['t']);
  await until(async () => (await cache.getMany(keys)).every((value) => value === null), 'the tag has ended');
  await cache.setMany(
    keys.map((key) => [key, 'new']),
    { ttl: 60, tags: ['t'] },
  );
  for (const [slot, to] of moves) {
    await cluster.migrate(slot, to);
    await cluster.endMove(slot, to);
  }
  for (const each of caches) {
    await until(async () => (await each.getMany(keys)).every((value) => value === 'new'), 'what was set last');
    expect(await each.getMany(keys.map((key) => `${key}n`))).toEqual([2, 2, 2]);
  }
  await cache.setMany(
    keys.map((key) => [key, 'newer']),
    { ttl: 60, tags: ['{user}'] },
  );
  expect(await cache.getMany(keys)).toEqual(['newer', 'newer', 'newer']);
  await cache.invalidateTags(['{user}']);
  expect(await cache.getMany(keys)).toEqual([null, null, null]);
});
