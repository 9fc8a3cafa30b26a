// The event `invalidate` where connections are lost, listeners throw, the event loop is blocked, and keys are many.
'use strict';

const { execFileSync } = require('node:child_process');
const { closeCaches, freshNamespace, openCache } = require('./support/holdfast');
const { serverForAll, startRedis } = require('./support/redis-server');
const { startCluster } = require('./support/fleet/cluster');
const { slotOf } = require('./support/fleet/slots');
const { runScript } = require('./support/run-script');
const { until, untilMode } = require('./support/until');

const server = serverForAll();
afterEach(closeCaches);

const IO = ['thread', 'loop'];
const listen = (cache) => {
  const told = [];
  cache.on('invalidate', (keys, tags) => told.push([keys, tags]));
  return told;
};
const ANYTHING = [null, null];

test.each(IO)('a lost connection may have lost pushes, and so may the outage behind it, io: %s', async (io) => {
  const own = await startRedis();
  const cache = await openCache({ url: own.url(), io });
  const told = listen(cache);
  await cache.set('k', 1);
  await cache.get('k');
  await own.stop();
  await untilMode(cache, 'memory');
  await until(() => told.length === 1, 'the loss');
  const again = await startRedis({ port: own.port });
  await untilMode(cache, 'redis');
  await until(() => told.length === 2, 'the return');
  expect(told).toEqual([ANYTHING, ANYTHING]);
  await again.stop();
});

test.each(IO)('our own changes are left out without marks behind the pipelines, too, io: %s', async (io) => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: server.url(), namespace, io, marks: false });
  const told = listen(cache);
  const before = cache.getCounters().invalidations.keys;
  for (let n = 0; n < 20; n++) {
    await cache.get('k');
    await cache.set('k', n);
    await Promise.all([cache.get('k'), cache.get('other'), cache.increment('n'), cache.get('n'), cache.del('k')]);
  }
  expect(cache.getCounters().invalidations.keys - before).toBeGreaterThan(10);
  await cache.set('fence', 1);
  await cache.get('fence');
  await server.cli('set', `${namespace}:fence`, '2');
  await until(() => told.length > 0, 'the fence');
  expect(told).toEqual([[['fence'], []]]);
});

test('neither the first connection says that anything has changed, nor closing the cache', async () => {
  const cache = await openCache({ url: server.url() });
  const told = listen(cache);
  await cache.set('k', 1);
  await cache.get('k');
  await cache.close();
  expect(told).toEqual([]);
});

test.each(IO)('what comes while the event loop is blocked is one event, io: %s', async (io) => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: server.url(), namespace, io });
  const told = listen(cache);
  const keys = Array.from({ length: 200 }, (_, n) => `k${n}`);
  await cache.setMany(keys.map((key) => [key, 1]));
  await cache.getMany(keys);
  const stored = keys.map((key) => `${namespace}:${key}`);
  // Blocks this event loop until the server has removed them all.
  execFileSync('redis-cli', ['-s', server.socket, 'unlink', ...stored]);
  await until(() => told.flatMap(([names]) => names).length === keys.length, 'all names');
  expect(told).toEqual([[[...keys].sort(), []]]);
});

test('slots that move may have been changed meanwhile', async () => {
  const cluster = await startCluster();
  try {
    const namespace = freshNamespace();
    const cache = await openCache({ url: cluster.url(), namespace, timeoutMs: 5_000 });
    const told = listen(cache);
    await cache.set('k', 1);
    await cache.get('k');
    const stored = `${namespace}:k`;
    const from = await cluster.ownerOf(stored);
    const to = (await cluster.primaries()).find(({ port }) => port !== from.port);
    await cluster.moveSlot(slotOf(stored), to);
    await until(async () => {
      await cache.set('k', 2);
      return told.some(([names]) => names === null);
    }, 'anything');
  } finally {
    await closeCaches();
    await cluster.stop();
  }
});

test('a listener that throws is an uncaught exception, and keeps no call from settling', async () => {
  const { code, stdout, stderr } = await runScript(
    `const { createCache } = require('holdfast');
     const own = createCache({ namespace: 'thrown', logger: null });
     // Another heartbeat is another connection: another client of the server.
     const other = createCache({ namespace: 'thrown', logger: null, heartbeat: 7 });
     let thrown = 0;
     process.on('uncaughtException', (error) => { if (error.message === 'on purpose') thrown++; });
     own.on('invalidate', () => { throw new Error('on purpose'); });
     (async () => {
       await Promise.all([own.ready(), other.ready()]);
       for (let n = 1; n <= 20; n++) {
         await own.set('k', -n);
         await own.get('k');
         await other.set('k', n);
         let calls;
         do {
           calls = await Promise.all([own.get('k'), own.get('other'), own.exists('k')]);
         } while (calls[0] !== n);
         await new Promise(setImmediate);
       }
       console.log(thrown > 0 && own.health().inFlight === 0);
       await Promise.all([own.close(), other.close()]);
     })();`,
    { env: { REDIS_URL: server.url() } },
  );
  expect({ code, stdout: stdout.trim(), stderr }).toEqual({ code: 0, stdout: 'true', stderr: '' });
});
