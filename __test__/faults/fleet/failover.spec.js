// Primaries that die, stop, or hand their place over, under the load of a hundred callers.
'use strict';

const { closeCaches, freshNamespace, openCache, watch } = require('../../support/holdfast');
const { Callers } = require('../../support/fleet/callers');
const { ask } = require('../../support/fleet/client');
const { startCluster } = require('../../support/fleet/cluster');
const { until } = require('../../support/until');

let cluster;
beforeAll(async () => {
  cluster = await startCluster({ config: ['cluster-require-full-coverage no'] });
});
afterAll(() => cluster.stop());
afterEach(async () => {
  await closeCaches();
  const away = cluster.nodes.filter(({ running }) => !running);
  // One that is dead cannot be continued.
  await Promise.all(away.map((node) => node.kill('SIGCONT').catch(() => node.restart())));
  await cluster.settled();
});

const place = ({ host, port }) => `${host}:${port}`;
const names = (count) => Array.from({ length: count }, (_, n) => `k${n}`);

/** What lies in Redis at a counter, in the eyes of the owner of its key. */
async function storedAt(namespace, key) {
  const stored = `${namespace}:${key}`;
  return Number(await (await cluster.ownerOf(stored)).cli('get', stored));
}

/** The keys of a server, and those of the others. */
async function sortedBy(server, namespace, keys) {
  const owners = await cluster.ownersOf(keys.map((key) => `${namespace}:${key}`));
  return {
    his: keys.filter((_, at) => owners[at] === server),
    others: keys.filter((_, at) => owners[at] !== server),
  };
}

test.each(['SIGKILL', 'SIGSTOP'])(
  'fault 46: %s of a primary under a hundred callers: the others go on',
  async (signal) => {
    const namespace = freshNamespace();
    const cache = await openCache({ url: cluster.url(), namespace, timeoutMs: 250 });
    const told = watch(cache);
    const victim = await cluster.ownerOf(`${namespace}:k0`);
    const { his, others } = await sortedBy(victim, namespace, names(100));
    const callers = new Callers([cache], names(100));
    await callers.goOn();
    await victim.kill(signal);
    // While he is away, and before anybody takes his place or knows of it.
    await callers.goOn(others, 5);
    await until(() => told.count('fallback') > 0, 'his outage');
    expect(cache.getMode()).toBe('redis');
    const away = cache.health().nodes.filter(({ mode }) => mode === 'memory');
    expect(away.map(({ address }) => address)).toEqual([place(victim)]);
    // His keys are answered in process.
    await callers.goOn();
    await cluster.primaryAfter(victim);
    await until(() => cache.health().status === 'ok', 'his heir');
    await callers.goOn();
    expect(await callers.stop()).toEqual({ rejected: 0, unsettled: 0 });
    // Every call of the others was done by Redis, once; of his, none twice.
    for (const key of others.slice(0, 30)) {
      const sums = callers.sums.get(key);
      expect(sums).toEqual(sums.map((_, at) => at + 1));
      expect([key, await storedAt(namespace, key)]).toEqual([key, sums.length]);
    }
    for (const key of his.slice(0, 20)) {
      expect(await storedAt(namespace, key)).toBeLessThanOrEqual(callers.answered(key));
      expect(await cache.get(key)).toBe(await storedAt(namespace, key));
    }
    expect(new Set(told.events.filter(([name]) => name === 'fallback').map(([, { node }]) => node))).toEqual(
      new Set([place(victim)]),
    );
  },
);

test('fault 46: in one turn, the calls of the other servers are answered before those of one that is stopped', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: cluster.url(), namespace, nearCache: false, timeoutMs: 500 });
  const keys = names(60);
  await cache.setMany(keys.map((key) => [key, 1]));
  const victim = await cluster.ownerOf(`${namespace}:k0`);
  const { his, others } = await sortedBy(victim, namespace, keys);
  await victim.kill('SIGSTOP');
  const order = [];
  const note = (which, call) => call.then(() => order.push(which));
  const calls = [...his.map((key) => note('his', cache.increment(key, 1)))];
  calls.push(...others.map((key) => note('other', cache.get(key))));
  await Promise.all(calls);
  expect(order).toEqual([...others.map(() => 'other'), ...his.map(() => 'his')]);
});

test('fault 46: what was deleted while nobody had his place is not read from his heir', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: cluster.url(), namespace, timeoutMs: 250 });
  const other = await openCache({ url: cluster.url(cluster.nodes[1]), namespace, timeoutMs: 250 });
  const keys = names(40);
  await cache.setMany(keys.map((key) => [key, 'old']));
  const victim = await cluster.ownerOf(`${namespace}:k0`);
  const { his, others } = await sortedBy(victim, namespace, keys);
  await ask(victim, 'WAIT', 1, 5_000);
  await victim.kill('SIGKILL');
  await until(async () => {
    await cache.get(his[0]);
    return cache.health().status === 'degraded';
  }, 'his outage');
  const [deleted, written] = [his.slice(0, 3), his.slice(3, 6)];
  await Promise.all([...deleted, others[0]].map((key) => cache.del(key)));
  await Promise.all(written.map((key) => cache.set(key, 'new')));
  await cache.delPattern(his[6]);
  await cluster.primaryAfter(victim);
  await until(() => [cache, other].every((each) => each.health().status === 'ok'), 'his heir');
  for (const each of [cache, other]) {
    await until(async () => (await each.getMany(deleted)).every((value) => value === null), 'the deletes hold');
    expect(await each.getMany([...deleted, others[0], his[6]])).toEqual(Array(deleted.length + 2).fill(null));
    for (const value of await each.getMany(written)) expect(['new', null]).toContain(value);
  }
  expect(await cache.getMany(others.slice(1))).toEqual(others.slice(1).map(() => 'old'));
});

test.each(['', 'FORCE', 'TAKEOVER'])('fault 47: CLUSTER FAILOVER %s under load', async (mode) => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: cluster.url(), namespace });
  const keys = ['{f}a', '{f}b', '{f}c', 'x', 'y', 'z'];
  const callers = new Callers([cache], keys, { depth: 5 });
  await callers.goOn();
  await cluster.failover(await cluster.ownerOf(`${namespace}:{f}a`), { mode });
  await callers.goOn();
  expect(await callers.stop()).toEqual({ rejected: 0, unsettled: 0 });
  for (const key of keys) {
    const sums = callers.sums.get(key);
    const stored = await storedAt(namespace, key);
    expect(await cache.get(key)).toBe(stored);
    // Nothing is counted twice.
    expect(stored).toBeLessThanOrEqual(sums.length);
  }
});

test('fault 55: replicas are asked for nothing, whether they are behind or not', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: cluster.url(), namespace, nearCache: false });
  const primaries = await cluster.primaries();
  const replicas = cluster.nodes.filter((node) => !primaries.includes(node));
  expect(replicas).toHaveLength(3);
  for (const replica of replicas) await ask(replica, 'CONFIG', 'RESETSTAT');
  const keys = names(60);
  // They do not hear of what is written from here on.
  await Promise.all(replicas.map((replica) => replica.kill('SIGSTOP')));
  await cache.setMany(keys.map((key) => [key, 'new']));
  expect(await cache.getMany(keys)).toEqual(keys.map(() => 'new'));
  await Promise.all(replicas.map((replica) => replica.kill('SIGCONT')));
  await cluster.settled();
  for (let n = 0; n < 10; n++) expect(await cache.getMany(keys)).toEqual(keys.map(() => 'new'));
  for (const replica of replicas) {
    expect(await replica.cli('info', 'commandstats')).not.toMatch(/cmdstat_(m?get|readonly|evalsha|echo):/);
  }
});
