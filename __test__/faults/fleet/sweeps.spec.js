// Calls that concern all servers of a cluster at once, while one is away or slots are on their way.
'use strict';

const { setImmediate: turn } = require('node:timers/promises');
const { closeCaches, freshNamespace, openCache, watch } = require('../../support/holdfast');
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

const names = (count) => Array.from({ length: count }, (_, n) => `k${n}`);
const nulls = (keys) => keys.map(() => null);

/** All keys of a namespace that lie in Redis, tokens of tags and leases apart. */
async function storedIn(namespace) {
  const lists = await Promise.all(cluster.nodes.map((node) => node.cli('--scan', '--pattern', `${namespace}:k*`)));
  return lists.flatMap((list) => list.split('\n').filter((line) => line !== ''));
}

describe('fault 54: while a server is away', () => {
  let namespace;
  let cache;
  let other;
  let victim;
  let his;
  let others;

  beforeEach(async () => {
    namespace = freshNamespace();
    const open = (node) => openCache({ url: cluster.url(node), namespace, timeoutMs: 300 });
    [cache, other] = [await open(cluster.nodes[0]), await open(cluster.nodes[1])];
    const keys = names(60);
    await cache.setMany(
      keys.map((key) => [key, 'old']),
      { ttl: 60, tags: ['t'] },
    );
    [victim] = cluster.nodes;
    const owners = await cluster.ownersOf(keys.map((key) => `${namespace}:${key}`));
    his = keys.filter((_, at) => owners[at] === victim);
    others = keys.filter((_, at) => owners[at] !== victim);
    await victim.kill('SIGSTOP');
  });

  async function back() {
    await victim.kill('SIGCONT');
    await until(() => [cache, other].every((each) => each.health().status === 'ok'), 'he is back');
  }

  /** Whether the other instance has come to see of these keys what it is to. */
  const otherSees = (keys, value) =>
    until(async () => (await other.getMany(keys)).every((each) => each === value), `the other instance sees ${value}`);

  test('getMany gives what the others have, and setMany what was set', async () => {
    const value = await cache.getMany([...others, ...his]);
    expect(value.slice(0, others.length)).toEqual(others.map(() => 'old'));
    await cache.setMany([...others, ...his].map((key) => [key, 'new']));
    expect(await cache.getMany([...others, ...his])).toEqual([...others, ...his].map(() => 'new'));
    await otherSees(others, 'new');
    await back();
    // What was set while he was away may be gone; nothing older is there.
    for (const each of await cache.getMany(his)) expect([null, 'new']).toContain(each);
    await until(async () => !(await other.getMany(his)).includes('old'), 'the other instance');
  });

  test('getOrComputeMany computes what he has, and what nobody has, and stores what it can', async () => {
    const asked = [];
    const compute = (keys) => {
      asked.push(...keys);
      return keys.map((key) => `computed ${key}`);
    };
    const keys = [...others, ...his, 'none'];
    const expected = [...others.map(() => 'old'), ...his.map((key) => `computed ${key}`), 'computed none'];
    expect(await cache.getOrComputeMany(keys, compute, { ttl: 60 })).toEqual(expected);
    expect(asked.sort()).toEqual([...his, 'none'].sort());
    await back();
    expect(await cache.getMany(others)).toEqual(others.map(() => 'old'));
  });

  test('clear, delPattern and invalidateTags hold for all keys, his as soon as he is back', async () => {
    for (const sweep of [
      () => cache.clear(),
      () => cache.delPattern('k*'),
      () => cache.invalidateTags(['t']),
      () => Promise.all([...his, ...others].map((key) => cache.del(key))),
    ]) {
      await sweep();
      expect(await cache.getMany([...his, ...others])).toEqual(nulls([...his, ...others]));
      await otherSees(others, null);
      await back();
      expect(await cache.getMany([...his, ...others])).toEqual(nulls([...his, ...others]));
      await otherSees([...his, ...others], null);
      await cache.setMany(
        [...his, ...others].map((key) => [key, 'old']),
        { ttl: 60, tags: ['t'] },
      );
      await otherSees([...his, ...others], 'old');
      await victim.kill('SIGSTOP');
    }
  });

  test('getStats tells of the others, and no call is left', async () => {
    await cache.get(his[0]);
    expect((await cache.getStats()).redis ?? null).toEqual(expect.anything());
    await back();
    expect(cache.health().inFlight).toBe(0);
  });
});

describe('fault 54: while slots move', () => {
  test('getMany, getOrComputeMany and invalidateTags over all servers, in the middle of moves', async () => {
    const namespace = freshNamespace();
    const cache = await openCache({ url: cluster.url(), namespace });
    const other = await openCache({ url: cluster.url(cluster.nodes[1]), namespace });
    const told = [cache, other].map(watch);
    const keys = [...names(50), ...names(50).map((key) => `{m}${key}`)];
    let [rounds, stop, wrong] = [0, false, 0];
    const working = (async () => {
      for (; !stop; rounds++) {
        await turn();
        const tags = [`t${rounds}`];
        await cache.setMany(
          keys.map((key) => [key, rounds]),
          { ttl: 60, tags },
        );
        // A miss is one where a token was on its way.
        for (const value of await cache.getMany(keys)) if (value !== rounds) wrong++;
        await cache.invalidateTags(tags);
        for (const value of await cache.getMany(keys)) if (value !== null) wrong++;
        const round = rounds;
        const computed = await cache.getOrComputeMany(keys, (missing) => missing.map(() => round + 0.5), { ttl: 60 });
        for (const value of computed) if (value !== round + 0.5) wrong++;
      }
    })();
    const slot = slotOf(`${namespace}:{m}k0`);
    for (let n = 0; n < 3; n++) {
      const from = await cluster.ownerOf(slot);
      const before = rounds;
      const to = cluster.nodes.find((node) => node !== from);
      await cluster.beginMove(slot, to);
      await until(() => rounds >= before + 2, 'rounds in the middle of a move');
      await cluster.migrate(slot, to);
      await cluster.endMove(slot, to);
      await until(() => rounds >= before + 4, 'rounds behind it');
    }
    stop = true;
    await working;
    expect(wrong).toBe(0);
    await until(async () => (await other.getMany(keys)).every((value) => value === rounds - 0.5), 'the other instance');
    expect(told.map(({ count }) => count('fallback'))).toEqual([0, 0]);
  });

  test('clear and delPattern leave nothing of a slot that has moved before, and touch no other namespace', async () => {
    const namespace = freshNamespace();
    const cache = await openCache({ url: cluster.url(), namespace });
    const foreign = await openCache({ url: cluster.url(), namespace: `${namespace}x` });
    const keys = [...names(30), ...names(30).map((key) => `{m}${key}`)];
    await foreign.setMany(keys.map((key) => [key, 'foreign']));
    for (const sweep of [() => cache.clear(), () => cache.delPattern('*k*')]) {
      await cache.setMany(keys.map((key) => [key, 'old']));
      const slot = slotOf(`${namespace}:{m}k0`);
      const from = await cluster.ownerOf(slot);
      await cluster.moveSlot(
        slot,
        cluster.nodes.find((node) => node !== from),
      );
      // It has not been told yet: the sweep is the first call behind the move.
      await sweep();
      expect(await cache.getMany(keys)).toEqual(nulls(keys));
      expect(await storedIn(namespace)).toEqual([]);
    }
    expect(await foreign.getMany(keys)).toEqual(keys.map(() => 'foreign'));
  });
});
