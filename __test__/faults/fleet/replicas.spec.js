// A cluster's replicas, where they are read (`readFrom: 'replica'`): what goes there, and what never does.
'use strict';

const { closeCaches, expectThrows, freshNamespace, makeCache, openCache, watch } = require('../../support/holdfast');
const { ask } = require('../../support/fleet/client');
const { startCluster } = require('../../support/fleet/cluster');
const { runForJson } = require('../../support/run-script');
const { until } = require('../../support/until');

// A slot that was written to is read from its primary for 2.5 s and so much; both are waited for often.
const TIMEOUT_MS = 1_000;
/** A primary in use is trusted with its replicas behind that, and a replica once it was asked twice. */
const SETTLES_MS = 10_000;
/** What is read from a replica is no older. */
const LAG_MS = 2_000;
/** One that is well, and listed by its cluster, is read again within this: docs/cluster.md. */
const AGAIN_MS = 10_000;
/** And within this where it was listed, and connected, all the time. */
const SOON_MS = 4_000;

let cluster;
let namespace;
beforeAll(async () => {
  cluster = await startCluster({ replicas: 1 });
});
afterAll(() => cluster.stop());
beforeEach(() => {
  namespace = freshNamespace();
});
afterEach(closeCaches);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const names = (count) => Array.from({ length: count }, (_, i) => `k${i}`);

/** How often these servers were sent a command, or gave an error, all in all. */
async function countOf(nodes, section, name) {
  const infos = await Promise.all(nodes.map((node) => ask(node, 'INFO', section)));
  return infos.reduce(
    (sum, info) => sum + Number(new RegExp(`${name}:(?:calls|count)=(\\d+)`).exec(info)?.[1] ?? 0),
    0,
  );
}

async function replicas() {
  const primaries = await cluster.primaries();
  return (await Promise.all(primaries.map((primary) => cluster.replicasOf(primary)))).flat();
}

/** Waits until each of these servers answers reads of the cache. */
async function untilRead(cache, nodes, boundMs = 3 * SETTLES_MS) {
  const keys = names(300).map((key) => `nobody-${key}`);
  const counts = () => Promise.all(nodes.map((node) => countOf([node], 'commandstats', 'cmdstat_get')));
  const before = await counts();
  const are = async () => {
    await cache.getMany(keys);
    return (await counts()).every((count, i) => count > before[i]);
  };
  await until(are, 'replicas are read', boundMs, 100);
}

/** The cluster is well, and each of its nodes lists this replica: from then on it is read within `AGAIN_MS`. */
async function untilReadAgain(cache, replica) {
  await cluster.settled();
  const lists = async (node) =>
    (await ask(node, 'CLUSTER', 'SLOTS')).some(([, , ...nodes]) => nodes.some(([, port]) => port === replica.port));
  await until(async () => (await Promise.all(cluster.nodes.map(lists))).every(Boolean), 'it is listed');
  await untilRead(cache, [replica], AGAIN_MS);
}

function isKnown(cache, { port }) {
  return cache.health().nodes.some(({ address }) => address === `127.0.0.1:${port}`);
}

/** A cache that reads replicas, once it does; and another instance, which writes. */
async function openBoth() {
  const reader = await openCache({ url: cluster.url(), namespace, readFrom: 'replica', timeoutMs: TIMEOUT_MS });
  const writer = await openCache({ url: cluster.url(), namespace, nearCache: false });
  return { reader, writer, settled: async () => untilRead(reader, await replicas()) };
}

/**
 * Cuts a replica off from its primary, which goes on to refuse it. Its login, and not PSYNC: a replica that is refused
 * PSYNC asks for SYNC at once, a thousand times a second. Where that is let through first it is linked as servers of
 * old were, for good, and does not know how far it is.
 */
async function cut(replica) {
  await logIn(replica, 'nobody');
  const [, host, port] = await ask(replica, 'ROLE');
  await ask({ host, port, password: null, tls: null }, 'CLIENT', 'KILL', 'TYPE', 'replica');
}

async function mend(replica) {
  await logIn(replica, '');
}

async function logIn(replica, name) {
  await ask(replica, 'CONFIG', 'SET', 'masteruser', name);
  await ask(replica, 'CONFIG', 'SET', 'masterauth', name);
}

test('reads arrive at replicas, and nothing else does', async () => {
  const { reader, writer, settled } = await openBoth();
  const keys = names(100);
  await writer.setMany(keys.map((key, i) => [key, i]));
  await settled();
  const [above, below] = [await cluster.primaries(), await replicas()];
  const counts = async (nodes) =>
    Promise.all(['get', 'getrange'].map((name) => countOf(nodes, 'commandstats', `cmdstat_${name}`)));
  let [atPrimaries, atReplicas] = [await counts(above), await counts(below)];
  const refused = await countOf(below, 'errorstats', 'errorstat_MOVED');
  expect(await reader.getMany(keys)).toEqual(keys.map((_, i) => i));
  expect(await reader.get('k7')).toBe(7);
  expect(await reader.exists('k7')).toBe(true);
  expect(await reader.ttl('k7')).toBeGreaterThan(100);
  expect(await counts(above)).toEqual(atPrimaries);
  expect(await counts(below)).toEqual([atReplicas[0] + 101, atReplicas[1] + 2]);
  // What begins a computation, and a tag's token.
  [atPrimaries, atReplicas] = [await counts(above), await counts(below)];
  expect(await Promise.all(keys.map((key) => reader.getOrCompute(key, () => 'no', 60)))).toEqual(keys.map((_, i) => i));
  expect(await counts(below)).toEqual(atReplicas);
  expect((await counts(above))[0]).toBe(atPrimaries[0] + 100);
  await reader.set('tagged', 1, { ttl: 60, tags: ['a', 'b'] });
  await reader.increment('n', 1);
  await reader.expire('k7', 60);
  await reader.invalidateTags(['a']);
  expect(await reader.delPattern('k1*')).toBe(11);
  expect(await countOf(below, 'errorstats', 'errorstat_MOVED')).toBe(refused);
  const { status, nodes } = reader.health();
  expect(status).toBe('ok');
  expect(nodes.map(({ role, mode }) => `${role} ${mode}`).sort()).toEqual([
    ...Array(3).fill('primary redis'),
    ...Array(3).fill('replica redis'),
  ]);
  expect(nodes.reduce((sum, { slots }) => sum + slots, 0)).toBe(16_384);
  const addresses = nodes.filter(({ role }) => role === 'primary').map(({ address }) => address);
  expect(nodes.flatMap(({ of }) => of ?? []).sort()).toEqual(addresses.sort());
});

test('fault 55: a replica that lost its link: own writes, tags and computations are as of now, the rest soon', async () => {
  const { reader, writer, settled } = await openBoth();
  const [own, deleted, others, computed, tagged] = ['own', 'deleted', 'others', 'computed', 'tagged'].map(
    (k) => `{x}${k}`,
  );
  await writer.setMany([own, deleted, others, computed].map((key) => [key, 'old']));
  await writer.set(tagged, 'old', { ttl: 60, tags: ['t'] });
  await settled();
  const primary = await cluster.ownerOf(`${namespace}:${own}`);
  const [replica] = await cluster.replicasOf(primary);
  expect(await reader.getMany([own, deleted, others, computed, tagged])).toEqual(Array(5).fill('old'));
  await cut(replica);
  // The replica still counts as near, for as long as it is known to be, and lacks all of this.
  await writer.setMany([others, computed].map((key) => [key, 'new']));
  await writer.invalidateTags(['t']);
  const reads = await countOf([replica], 'commandstats', 'cmdstat_get');
  expect(await reader.get(others)).toBe('old');
  expect(await reader.get(tagged)).toBeNull();
  expect(await countOf([replica], 'commandstats', 'cmdstat_get')).toBe(reads + 2);
  expect(await reader.getOrCompute(computed, () => 'not computed', 60)).toBe('new');
  // In one turn as well.
  expect((await Promise.all([reader.set(own, 'new'), reader.get(own), reader.del(deleted)]))[1]).toBe('new');
  const late = Date.now() + LAG_MS + 500;
  while (Date.now() < late) {
    expect(await reader.getMany([own, deleted])).toEqual(['new', null]);
    await pause(20);
  }
  // Others' changes are late by so much at the most, however long the link is down.
  for (let i = 0; i < 30; i++) {
    expect(await reader.getMany([own, deleted, others, computed])).toEqual(['new', null, 'new', 'new']);
    await pause(100);
  }
  const replicaOf = ({ role, of }) => role === 'replica' && of === `${primary.host}:${primary.port}`;
  expect(reader.health().nodes.find(replicaOf).mode).toBe('memory');
  expect(reader.health().status).toBe('ok');
  await mend(replica);
  await untilReadAgain(reader, replica);
  expect(await reader.get(own)).toBe('new');
});

test('a replica that is linked and behind: what others wrote is read within two seconds, and it again once it has it', async () => {
  const { reader, writer, settled } = await openBoth();
  await writer.set('k', 'old');
  await settled();
  const [replica] = await cluster.replicasOf(await cluster.ownerOf(`${namespace}:k`));
  // It takes nothing from its primary meanwhile, and answers reads.
  await ask(replica, 'CLIENT', 'PAUSE', 5_000, 'WRITE');
  await writer.set('k', 'new');
  const written = Date.now();
  expect(await reader.get('k')).toBe('old');
  await until(async () => (await reader.get('k')) === 'new', 'the change is read', LAG_MS + TIMEOUT_MS);
  while (Date.now() - written < 4_000) {
    expect(await reader.get('k')).toBe('new');
    await pause(50);
  }
  await ask(replica, 'CLIENT', 'UNPAUSE');
  await untilRead(reader, [replica], SOON_MS);
  expect(await reader.get('k')).toBe('new');
});

test('behind delPattern and clear nothing is read that was there', async () => {
  const { reader, writer, settled } = await openBoth();
  const keys = names(60);
  await writer.setMany(keys.map((key, i) => [key, i]));
  await settled();
  const all = await replicas();
  await Promise.all(all.map(cut));
  expect(await reader.delPattern('k*')).toBe(60);
  expect((await reader.getMany(keys)).filter((value) => value !== null)).toEqual([]);
  await Promise.all(all.map(mend));
  await cluster.settled();
});

test('a replica that stopped, or refuses: its primary answers within the time of the call, and no caller hears of it', async () => {
  const { reader, writer, settled } = await openBoth();
  const told = watch(reader);
  const keys = names(60);
  await writer.setMany(keys.map((key, i) => [key, i]));
  await settled();
  const [replica] = await replicas();
  await replica.kill('SIGSTOP');
  const lost = Date.now();
  let slowest = 0;
  // And until its cluster lists it no more, and we know.
  while (Date.now() - lost < 3_000 || isKnown(reader, replica)) {
    const began = Date.now();
    expect(await reader.getMany(keys)).toEqual(keys.map((_, i) => i));
    slowest = Math.max(slowest, Date.now() - began);
    await pause(20);
  }
  await replica.kill('SIGCONT');
  await untilReadAgain(reader, replica);
  expect(slowest).toBeGreaterThanOrEqual(TIMEOUT_MS / 2 - 50);
  expect(slowest).toBeLessThan(TIMEOUT_MS);
  expect(reader.health().status).toBe('ok');
  expect(reader.getMode()).toBe('redis');
  // MASTERDOWN: at once.
  const others = (await replicas()).filter((node) => node !== replica);
  await untilRead(reader, others);
  await Promise.all(others.map((node) => ask(node, 'CONFIG', 'SET', 'replica-serve-stale-data', 'no')));
  await Promise.all(others.map(cut));
  expect(await reader.getMany(keys)).toEqual(keys.map((_, i) => i));
  expect(told.events.filter(([name]) => name !== 'ready')).toEqual([]);
  await Promise.all(others.map((node) => ask(node, 'CONFIG', 'SET', 'replica-serve-stale-data', 'yes')));
  await Promise.all(others.map(mend));
  await cluster.settled();
});

test('a replica that dies and comes back with nothing: what its primary has is read throughout', async () => {
  const { reader, writer, settled } = await openBoth();
  const keys = names(60);
  await writer.setMany(keys.map((key, i) => [key, i]));
  await settled();
  const [replica] = await replicas();
  let over = false;
  const reads = (async () => {
    for (; !over; await pause(10)) expect(await reader.getMany(keys)).toEqual(keys.map((_, i) => i));
  })();
  await pause(100);
  // Within the time for which it was known to be near; and until its cluster lists it no more.
  for (const isForgotten of [false, true]) {
    await replica.kill('SIGKILL');
    if (isForgotten) await until(() => !isKnown(reader, replica), 'it is not listed');
    await replica.restart();
    await untilReadAgain(reader, replica);
  }
  over = true;
  await reads;
  expect(reader.health().status).toBe('ok');
});

test('a replica takes over, and the old primary is its replica: each is read as what it is', async () => {
  const { reader, settled } = await openBoth();
  await settled();
  const key = '{x}n';
  await reader.set(key, 0);
  const old = await cluster.ownerOf(`${namespace}:${key}`);
  const heir = await cluster.failover(old);
  let last = 0;
  await until(async () => {
    await reader.set(key, ++last);
    // A write may be lost with the connection; what is read is never older than what was there.
    const value = await reader.get(key);
    expect(value === null || value === last).toBe(true);
    return value === last && reader.health().nodes.some(({ of }) => of === `${heir.host}:${heir.port}`);
  }, 'the heir serves');
  await cluster.settled();
  await untilReadAgain(reader, old);
  expect(await reader.get(key)).toBe(last);
});

test('a primary that dies with a pattern to undo keeps no replica of the others from being read', async () => {
  const { reader, settled } = await openBoth();
  await settled();
  const old = await cluster.ownerOf(`${namespace}:k`);
  await old.kill('SIGKILL');
  await until(() => reader.health().status === 'degraded', 'it is away');
  await reader.delPattern('nobody-*');
  await cluster.primaryAfter(old);
  await until(() => reader.health().status === 'ok', 'the heir serves');
  await untilRead(
    reader,
    (await replicas()).filter((node) => node !== old),
  );
  await old.restart();
  await untilReadAgain(reader, old);
});

test('there is no near cache beside it, nor sentinels, and nonsense is refused', async () => {
  const url = cluster.url();
  const refused = (options, why) => expect(expectThrows(() => makeCache(options), 'ERR_CONFIG').message).toMatch(why);
  refused({ url, readFrom: 'nearest' }, /readFrom/);
  refused({ url, readFrom: true }, /readFrom/);
  refused({ url, readFrom: 'replica', nearCache: true }, /nearCache/);
  refused({ url, readFrom: 'replica', nearCache: { maxAge: 1 } }, /nearCache/);
  refused({ url, readFrom: 'replica', lazy: true }, /lazy/);
  refused({ url: 'redis+sentinel://localhost/main', readFrom: 'replica' }, /sentinels/);
  const cache = await openCache({ url, readFrom: 'replica' });
  await cache.set('k', 1);
  await cache.get('k');
  await cache.get('k');
  expect((await cache.getStats()).hits.near).toBe(0);
  const source = `
    const cache = require('holdfast');
    cache.get('k').then(async () => {
      console.log(JSON.stringify(cache.health().nodes.map(({ role }) => role)));
      await cache.close();
    });`;
  const roles = await runForJson(source, { env: { REDIS_URL: url, HOLDFAST_READ_FROM: 'replica' } });
  expect(roles.sort()).toEqual([...Array(3).fill('primary'), ...Array(3).fill('replica')]);
});
