// What getCounters() says of outages, leases, other threads and hot values, which the contract suite does not bring
// about.
'use strict';

const { Worker } = require('node:worker_threads');
const { startCluster } = require('./support/fleet/cluster');
const { closeCaches, freshNamespace, makeCache, openCache, stateOf, stored } = require('./support/holdfast');
const { serverForAll, startRedis } = require('./support/redis-server');
const { runForJson } = require('./support/run-script');
const { sleep, until, untilMode } = require('./support/until');

const server = serverForAll();
afterEach(closeCaches);

test('hits in JavaScript are told apart, as a part of those near', async () => {
  const cache = await openCache({ url: server.url() });
  await cache.set('k', { a: 1 });
  for (let n = 0; n < 10; n++) await cache.get('k');
  const { hits } = cache.getCounters();
  expect(hits).toMatchObject({ total: 10, near: 9, redis: 1, memory: 0 });
  expect(hits.hot).toBe(stateOf(cache).hot.hits);
  expect(hits.hot).toBeGreaterThan(0);
  expect((await cache.getStats()).hits).toEqual(hits);
});

test('an outage counts while it lasts and stays counted, and so do the reconnect and who answered', async () => {
  const own = await startRedis();
  const cache = await openCache({ url: own.url() });
  expect(cache.getCounters()).toMatchObject({ outages: 0, outageSeconds: 0, reconnects: 0 });
  await own.stop();
  await untilMode(cache, 'memory');
  const { outages, outageSeconds } = await until(() => {
    const counters = cache.getCounters();
    return counters.outageSeconds > 0 && counters;
  });
  expect(outages).toBe(1);
  await until(() => cache.getCounters().outageSeconds > outageSeconds, 'it goes on');
  await cache.set('k', 1);
  await cache.get('k');
  await cache.get('nothing');
  const away = cache.getCounters();
  expect(away).toMatchObject({ hits: { memory: 1 }, misses: { memory: 1, redis: 0 } });
  const failures = away.errors.connection + away.errors.connect;
  expect(failures).toBeGreaterThan(0);

  const again = await startRedis({ port: own.port });
  await untilMode(cache, 'redis');
  const back = cache.getCounters();
  expect(back).toMatchObject({ outages: 1, reconnects: 1, hits: { memory: 1 } });
  expect(back.outageSeconds).toBeGreaterThanOrEqual(away.outageSeconds);
  expect(back.batchSeconds.count).toBeGreaterThanOrEqual(away.batchSeconds.count);
  await cache.set('k', 2);
  expect(cache.getCounters().outageSeconds).toBe(back.outageSeconds);
  await again.stop();
});

test('a Redis that was never there is an outage', async () => {
  const cache = makeCache({ url: 'redis://127.0.0.1:1' });
  expect(await cache.ready()).toBe('memory');
  await until(() => cache.getCounters().outageSeconds > 0);
  expect(cache.getCounters().outages).toBe(1);
});

test('on a cluster an outage is that of a node, ends with its slots, and what the node had counted stays', async () => {
  const cluster = await startCluster();
  try {
    const cache = await openCache({ url: cluster.url(), timeoutMs: 1_000 });
    await cache.setMany(Array.from({ length: 60 }, (_, n) => [`k${n}`, n]));
    await cache.getMany(Array.from({ length: 60 }, (_, n) => `k${n}`));
    const before = cache.getCounters();
    expect(before).toMatchObject({ outages: 0, outageSeconds: 0 });
    const dead = await cluster.ownerOf('any key');
    await dead.kill('SIGKILL');
    await until(() => cache.getCounters().outages === 1, 'the outage');
    await cluster.primaryAfter(dead);
    await until(() => cache.health().status === 'ok', 'its heir');
    // The dead one serves no slot: nobody misses it, though it is away still.
    const after = cache.getCounters();
    expect(after.outageSeconds).toBeGreaterThan(0);
    await sleep(20);
    const later = cache.getCounters();
    expect(later.outageSeconds).toBe(after.outageSeconds);
    for (const name of ['batchSeconds', 'bytesSent', 'bytesReceived', 'evictions', 'expired'])
      expect(later[name].count ?? later[name]).toBeGreaterThanOrEqual(before[name].count ?? before[name]);
  } finally {
    await closeCaches();
    await cluster.stop();
  }
});

test('what Redis tells of changes is counted', async () => {
  const cache = await openCache({ url: server.url(), namespace: 'told' });
  const before = cache.getCounters().invalidations;
  await cache.setMany({ a: 1, b: 1 });
  await cache.getMany(['a', 'b']);
  await server.cli('del', 'told:a', 'told:b');
  await until(() => cache.getCounters().invalidations.keys >= before.keys + 2);
  await server.cli('flushall');
  await until(() => cache.getCounters().invalidations.flushes === before.flushes + 1);
  expect(cache.getCounters().invalidations.pushes).toBeGreaterThan(before.pushes);
});

test('waits for the lease of another process are counted, and those that brought nothing', async () => {
  const namespace = freshNamespace();
  // Another heartbeat is another connection, with leases of its own, as in another process.
  const [one, two] = await Promise.all(
    [5, 6].map((heartbeat) => openCache({ url: server.url(), namespace, heartbeat })),
  );
  let end;
  const held = () => new Promise((resolve) => (end = resolve));
  const leading = one.getOrCompute('k', held);
  await until(() => end !== undefined);
  const waiting = two.getOrCompute('k', () => 'two');
  await until(() => two.getCounters().leaseWaits === 1, 'the wait');
  end('one');
  expect([await leading, await waiting]).toEqual(['one', 'one']);
  expect(two.getCounters()).toMatchObject({ leaseWaits: 1, leaseTakeovers: 0, computes: 0 });
  expect(one.getCounters()).toMatchObject({ leaseWaits: 0, leaseTakeovers: 0, computes: 1 });

  end = undefined;
  const failing = one.getOrCompute('f', () => held().then(() => Promise.reject(new Error('no'))));
  await until(() => end !== undefined);
  const taking = two.getOrCompute('f', () => 'two');
  await until(() => two.getCounters().leaseWaits === 2, 'the second wait');
  end();
  await expect(failing).rejects.toThrow('no');
  expect(await taking).toBe('two');
  await stored(two);
  expect(two.getCounters()).toMatchObject({ leaseWaits: 2, leaseTakeovers: 1, computes: 1 });
});

test('a cache of another thread has counts of its own, and names the same ones of the connection', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: server.url(), namespace, io: 'thread' });
  await cache.set('mine', 1);
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     const { createCache } = require(workerData.root);
     const cache = createCache({ ...workerData.options, logger: null });
     (async () => {
       await cache.ready();
       await cache.setMany({ a: 1, b: 2 });
       await cache.get('a');
       parentPort.postMessage(cache.getCounters());
       await cache.close();
     })();`,
    {
      eval: true,
      workerData: {
        root: require.resolve('..'),
        options: { url: server.url(), namespace, io: 'thread', timeoutMs: 5_000 },
      },
    },
  );
  const theirs = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  const ours = cache.getCounters();
  expect([ours.sets, theirs.sets, ours.hits.total, theirs.hits.total]).toEqual([1, 2, 0, 1]);
  expect(theirs.batchSeconds.count).toBeGreaterThanOrEqual(3);
  expect(ours.batchSeconds.count).toBeGreaterThanOrEqual(theirs.batchSeconds.count);
  await worker.terminate();
});

test('the default cache has them, also when it was closed before it was used', async () => {
  const counted = await runForJson(`
    const { close, getCounters } = require('holdfast');
    const numbers = (value) => Object.values(value).flatMap((inner) => (typeof inner === 'object' ? numbers(inner) : [inner]));
    close().then(() => {
      const { hits, sets, bytesSent, computeSeconds } = getCounters();
      console.log(JSON.stringify({ hits, sets, bytesSent, count: computeSeconds.count, all: numbers(getCounters()).every(Number.isFinite) }));
    });`);
  const none = { total: 0, near: 0, hot: 0, redis: 0, memory: 0 };
  expect(counted).toEqual({ hits: none, sets: 0, bytesSent: 0, count: 0, all: true });
  const used = await runForJson(
    `const { set, getCounters, ready } = require('holdfast');
     ready().then(() => set('k', 1)).then(() => console.log(JSON.stringify(getCounters().sets)));`,
    { env: { REDIS_URL: server.url() } },
  );
  expect(used).toBe(1);
});
