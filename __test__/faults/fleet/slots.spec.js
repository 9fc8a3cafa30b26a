// Slots of a cluster that move under load, with their keys and without, and servers that redirect calls in a loop.
'use strict';

const { setImmediate: turn } = require('node:timers/promises');
const { closeCaches, freshNamespace, openCache, watch } = require('../../support/holdfast');
const { Callers } = require('../../support/fleet/callers');
const { ask } = require('../../support/fleet/client');
const { startCluster } = require('../../support/fleet/cluster');
const { slotOf } = require('../../support/fleet/slots');
const { startProxy } = require('../../support/network/fault-proxy');
const { until } = require('../../support/until');

let cluster;
beforeAll(async () => {
  // A primary whose last slot has gone stays one.
  cluster = await startCluster({ replicas: 0, config: ['cluster-allow-replica-migration no'] });
});
afterAll(() => cluster.stop());
afterEach(closeCaches);

const place = ({ host, port }) => `${host}:${port}`;

/** The slot of a key, its owner, and another primary. */
async function movable(stored) {
  const from = await cluster.ownerOf(stored);
  return { slot: slotOf(stored), from, to: cluster.nodes.find((node) => node !== from) };
}

/** Two caches of one namespace that have no engine in common. */
async function openTwo(options = {}) {
  const namespace = freshNamespace();
  const open = (node) => openCache({ url: cluster.url(node), namespace, ...options });
  return { namespace, caches: [await open(cluster.nodes[0]), await open(cluster.nodes[1])] };
}

test('fault 48: no call is lost or made twice while a slot moves to and fro under load', async () => {
  const { namespace, caches } = await openTwo({ nearCache: false });
  const told = caches.map(watch);
  const keys = ['{s}a', '{s}b', '{s}c', 'x', 'y', 'z'];
  const callers = new Callers(caches, keys, { depth: 10 });
  for (let round = 0; round < 4; round++) {
    const { slot, to } = await movable(`${namespace}:{s}a`);
    await cluster.moveSlot(slot, to);
    await callers.goOn();
  }
  expect(await callers.stop()).toEqual({ rejected: 0, unsettled: 0 });
  for (const key of keys) {
    const sums = callers.sums.get(key);
    expect([...sums].sort((a, b) => a - b)).toEqual(sums.map((_, at) => at + 1));
    expect(await caches[0].get(key)).toBe(sums.length);
  }
  expect(told.map(({ count }) => count('fallback'))).toEqual([0, 0]);
});

test('fault 48: the calls of a key keep their order while its slot moves', async () => {
  const { namespace, caches } = await openTwo();
  const [cache, other] = caches;
  let stop = false;
  let last = 0;
  let wrong = 0;
  const writing = (async () => {
    for (; !stop; await turn()) {
      const reads = [];
      for (let n = 0; n < 10; n++) {
        const value = ++last;
        cache.set('{o}k', value);
        reads.push(cache.get('{o}k').then((read) => read !== value && wrong++));
      }
      cache.del('{o}k');
      reads.push(cache.get('{o}k').then((read) => read !== null && wrong++));
      cache.set('{o}k', last);
      await Promise.all(reads);
    }
  })();
  let backwards = 0;
  const reading = (async () => {
    for (let newest = 0; !stop; await turn()) {
      const [value] = await other.getMany(['{o}k', 'beside', '{o}other']);
      if (value !== null && value < newest) backwards++;
      newest = Math.max(newest, value ?? 0);
    }
  })();
  for (let round = 0; round < 3; round++) {
    const { slot, to } = await movable(`${namespace}:{o}k`);
    await cluster.moveSlot(slot, to);
    const before = last;
    await until(() => last > before + 100, 'calls go on');
  }
  stop = true;
  await Promise.all([writing, reading]);
  expect({ wrong, backwards }).toEqual({ wrong: 0, backwards: 0 });
});

test('fault 48: a long list of tags is read whole where its key has left before its slot', async () => {
  const { namespace, caches } = await openTwo({ nearCache: false });
  const [cache] = caches;
  const tags = Array.from({ length: 60 }, (_, n) => `${n}`.padStart(100, 'tag'));
  await cache.set('{l}k', 'value', { ttl: 100, tags });
  const { slot, to } = await movable(`${namespace}:{l}k`);
  await cluster.beginMove(slot, to);
  await cluster.migrate(slot, to);
  expect(await cache.exists('{l}k')).toBe(true);
  expect(await cache.ttl('{l}k')).toBeGreaterThan(0);
  expect(await cache.inspect('{l}k')).toMatchObject({ state: 'fresh', tags });
  await cluster.endMove(slot, to);
  expect(await cache.inspect('{l}k')).toMatchObject({ state: 'fresh', tags });
});

test('fault 48: what was held of a slot that moved without its keys ends with the first call that is redirected', async () => {
  const { namespace, caches } = await openTwo();
  const [cache, other] = caches;
  for (let round = 0; round < 3; round++) {
    await cache.setMany([
      ['{n}a', `old ${round}`],
      ['{n}b', `old ${round}`],
    ]);
    // Held, and hot, at the beginning; in later rounds by servers that had the slot before.
    await until(async () => (await other.get('{n}a')) === `old ${round}`, 'the other instance');
    for (let n = 0; n < 50; n++) expect(await other.get('{n}a')).toBe(`old ${round}`);
    const { slot, to } = await movable(`${namespace}:{n}a`);
    await cluster.moveSlot(slot, to, { migrate: false });
    await ask(to, 'SET', `${namespace}:{n}a`, `"new ${round}"`);
    expect(await other.get(`{n}unknown ${round}`)).toBeNull();
    for (let n = 0; n < 50; n++) expect(await other.get('{n}a')).toBe(`new ${round}`);
    // No key of it is read from the old owner again, whatever that one has.
    expect(await other.get('{n}b')).toBeNull();
  }
});

describe('fault 48: redirects without an end', () => {
  const keys = Array.from({ length: 60 }, (_, n) => `k${n}`);

  test('a server that says MOVED to itself: its calls end within their deadline, the others are served', async () => {
    const [known, lost] = cluster.nodes;
    const namespace = freshNamespace();
    // All that is said to be at `lost` is looked for at `known`, which says that it is at `lost`.
    const addressMap = { [place(lost)]: place(known) };
    const url = cluster.url(known);
    const cache = await openCache({ url, namespace, cluster: { addressMap }, timeoutMs: 400, nearCache: false });
    const owners = await cluster.ownersOf(keys.map((key) => `${namespace}:${key}`));
    const settled = [];
    const calls = keys.map((key, at) => cache.increment(key, 1).then(() => settled.push(owners[at])));
    await Promise.all(calls);
    // Keys of the other servers did not wait for those of the lost one.
    const first = settled.indexOf(lost);
    expect(first).toBe(owners.filter((owner) => owner !== lost).length);
    for (const [at, key] of keys.entries()) {
      const count = Number(await owners[at].cli('get', `${namespace}:${key}`));
      expect([place(owners[at]), count]).toEqual([place(owners[at]), owners[at] === lost ? 0 : 1]);
    }
  });

  test('servers that send a call in circles: it is answered in process, and no server is believed to be away', async () => {
    const [first, second, third] = cluster.nodes;
    const proxies = [await startProxy(first), await startProxy(second)];
    try {
      const [one, two] = proxies.map(({ port }) => `127.0.0.1:${port}`);
      // What is at `third` is looked for at `first`, which sends it to `second`, which sends it to `first`.
      const addressMap = { [place(first)]: one, [place(second)]: two, [place(third)]: one };
      const namespace = freshNamespace();
      const options = { url: cluster.url(first), namespace, cluster: { addressMap }, nearCache: false };
      const cache = await openCache(options);
      const told = watch(cache);
      const sendTo = (node) => (bytes) =>
        Buffer.from(bytes.toString('latin1').replace(/-MOVED (\d+) \S+/g, `-MOVED $1 ${place(node)}`), 'latin1');
      proxies[0].inject({ rewrite: sendTo(second) });
      proxies[1].inject({ rewrite: sendTo(first) });
      const owners = await cluster.ownersOf(keys.map((key) => `${namespace}:${key}`));
      for (const sum of [1, 2]) {
        expect(await Promise.all(keys.map((key) => cache.increment(key, 1)))).toEqual(keys.map(() => sum));
      }
      expect(told.count('fallback')).toBe(0);
      for (const [at, key] of keys.entries()) {
        const count = Number(await owners[at].cli('get', `${namespace}:${key}`));
        expect([place(owners[at]), count]).toEqual([place(owners[at]), owners[at] === third ? 0 : 2]);
      }
    } finally {
      await closeCaches();
      await Promise.all(proxies.map((proxy) => proxy.stop()));
    }
  });
});
