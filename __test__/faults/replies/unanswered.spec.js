// Faults 2, 3, 8 and 13: what was sent and never answered, or too late. Redis may have done it, or may still do it.
'use strict';

const { closeCaches, freshNamespace, openCache, watch } = require('../../support/holdfast');
const { startProxy } = require('../../support/network/fault-proxy');
const { serverForAll } = require('../../support/redis-server');
const { startScript } = require('../../support/run-script');
const { until, untilMode } = require('../../support/until');

const server = serverForAll();
let proxy;
let namespace;
beforeEach(async () => {
  await server.cli('flushall');
  proxy = await startProxy(server);
  namespace = freshNamespace();
});
afterEach(async () => {
  await server.kill('SIGCONT');
  await closeCaches();
  await proxy.stop();
});

const connected = (options) => openCache({ url: server.url(), namespace, timeoutMs: 250, ...options });

const stored = (key) => server.cli('get', `${namespace}:${key}`);

// The server is stopped in the turn that makes the calls: a heartbeat that goes unanswered before them would be the
// outage, and none would be in flight. Then the outage goes on, with as many calls a round.
const IN_FLIGHT = `
  const { createCache } = require('holdfast');
  const CALLS = 5000;
  // Long enough for a busy machine to have all of them in flight at once.
  const cache = createCache({ namespace: 'flight', timeoutMs: 3000, logger: null });
  const kinds = [
    (key, i) => cache.set(key, { i, text: 'x'.repeat(200) }),
    (key) => cache.get(key),
    (key) => cache.del(key),
    (key) => cache.getOrCompute(key, () => 1),
    (key) => cache.increment('n' + key),
    (key) => cache.getMany([key, 'other']),
  ];
  const round = () => Promise.allSettled(Array.from({ length: CALLS }, (_, i) => kinds[i % kinds.length]('k' + (i % 1000), i)));
  const rss = async (rounds) => {
    for (let n = 0; n < rounds; n++) await round();
    gc();
    return process.memoryUsage.rss();
  };
  const up = async () => { while (cache.getMode() !== 'redis') await new Promise((resolve) => setTimeout(resolve, 5)); };
  process.stdin.once('data', async (pid) => {
    process.kill(Number(pid), 'SIGSTOP');
    const calls = round();
    let inFlight = 0;
    while (inFlight < CALLS && cache.getMode() === 'redis') {
      await new Promise(setImmediate);
      inFlight = Math.max(inFlight, cache.health().inFlight);
    }
    const settled = (await calls).filter(({ status }) => status === 'fulfilled').length;
    const warm = Math.max(await rss(20), await rss(10), await rss(10));
    const grown = Math.min(await rss(10), await rss(10), await rss(10)) - warm;
    console.log(JSON.stringify({ inFlight, settled, left: cache.health().inFlight, mode: cache.getMode(), grown }));
    process.exit();
  });
  up().then(() => console.log('connected'));
`;

test('fault 2: 5,000 calls in flight when the server stops all settle, and the memory stays as it is', async () => {
  const script = startScript(IN_FLIGHT, { env: { REDIS_URL: server.url() }, input: true, nodeArgs: ['--expose-gc'] });
  await script.says('connected');
  script.child.stdin.write(`${server.pid}`);
  await script.says('"grown"');
  const { grown, ...rest } = JSON.parse(script.stdout.trimEnd().split('\n').at(-1));
  expect(rest).toMatchObject({ settled: 5_000, left: 0, mode: 'memory' });
  expect(rest.inFlight).toBeGreaterThanOrEqual(5_000);
  expect(grown).toBeLessThan(10 * 1024 * 1024);
});

describe('fault 3: writes that still lie in a buffer do not undo a later delete', () => {
  test('in the socket of a stopped server', async () => {
    const cache = await connected();
    const keys = Array.from({ length: 500 }, (_, i) => `k${i}`);
    await cache.setMany(keys.map((key) => [key, 'before']));
    await server.kill('SIGSTOP');
    const writes = keys.map((key) => cache.set(key, 'buffered'));
    await Promise.all(writes);
    await untilMode(cache, 'memory');
    await cache.del(keys);
    expect(cache.health().journal).toBe(keys.length);
    await server.kill('SIGCONT');
    await untilMode(cache, 'redis');
    for (let n = 0; n < 20; n++) {
      expect(await cache.getMany(keys)).toEqual(keys.map(() => null));
      expect(await stored('k0')).toBe('');
    }
    expect(await server.cli('dbsize')).toBe('0');
  });

  test('in the network, delivered after the recovery: the old connection was killed', async () => {
    const cache = await connected({ url: proxy.url() });
    await cache.set('k', 'before');
    await cache.del('k');
    proxy.strand();
    await cache.set('k', 'stranded');
    await cache.del('k');
    await untilMode(cache, 'redis');
    expect(await cache.get('k')).toBeNull();
    await cache.set('later', 1);
    await proxy.deliver();
    expect(await stored('k')).toBe('');
    expect(await cache.get('k')).toBeNull();
    expect(await cache.get('later')).toBe(1);
  });

  test('in the network, with a newer value in its place', async () => {
    const cache = await connected({ url: proxy.url() });
    proxy.strand();
    await cache.set('k', 'stranded');
    await untilMode(cache, 'redis');
    await cache.set('k', 'newer');
    await proxy.deliver();
    expect(await stored('k')).toBe('"newer"');
    expect(await cache.get('k')).toBe('newer');
  });
});

const lost = () => proxy.inject({ dropReplies: true });

test.each([
  ['set', (cache) => cache.set('k', 'unknown'), '"unknown"'],
  ['setMany', (cache) => cache.setMany({ k: 'unknown' }), '"unknown"'],
  ['del', (cache) => cache.del('k'), ''],
  ['expire', (cache) => cache.expire('k', 1_000), '"before"'],
])('fault 8: the reply of %s is lost: nobody knows, so the key is unlinked on recovery', async (_, write, there) => {
  const cache = await connected({ url: proxy.url(), nearCache: false });
  await cache.set('k', 'before');
  lost();
  await write(cache);
  await expectUndone(cache, there);
});

test.each([true, false])('fault 8: the same of what was computed, with lock: %s', async (lock) => {
  const cache = await connected({ url: proxy.url(), nearCache: false });
  const compute = () => {
    lost();
    return 'unknown';
  };
  expect(await cache.getOrCompute('k', compute, { lock })).toBe('unknown');
  await expectUndone(cache, '"unknown"');
});

async function expectUndone(cache, there) {
  const { events, count } = watch(cache);
  await untilMode(cache, 'memory');
  expect(await stored('k')).toBe(there);
  expect(cache.health().journal).toBe(1);
  proxy.heal();
  proxy.reset(); // the dial that waits for its replies
  await until(() => count('recovered') === 1);
  expect(events.find(([name]) => name === 'recovered')[1].replayed).toBe(1);
  expect(await stored('k')).toBe('');
  expect(await cache.get('k')).toBeNull();
  expect(cache.health().journal).toBe(0);
}

test.each([
  ['clear', (cache) => cache.clear()],
  ['delPattern', (cache) => cache.delPattern('*')],
])('fault 2: %s in flight takes away what was written before it, also where both meet the outage', async (_, sweep) => {
  const cache = await connected();
  await server.kill('SIGSTOP');
  const written = cache.set('k', 1);
  // In a turn of its own, and so a job of its own.
  await new Promise(setImmediate);
  await Promise.all([written, sweep(cache)]);
  expect(cache.getMode()).toBe('memory');
  expect(await cache.get('k')).toBeNull();
  await server.kill('SIGCONT');
  await untilMode(cache, 'redis');
  expect(await cache.get('k')).toBeNull();
});

test('fault 13: a reply that comes too late is nobody else’s', async () => {
  const cache = await connected({ url: proxy.url(), nearCache: false });
  const keys = Array.from({ length: 50 }, (_, i) => `k${i}`);
  await cache.setMany(keys.map((key) => [key, key]));
  for (let round = 0; round < 3; round++) {
    proxy.inject({ hold: 'replies' });
    // Answered without Redis, where nothing of it is held.
    expect(await Promise.all(keys.map((key) => cache.get(key)))).toEqual(keys.map(() => null));
    proxy.heal();
    const values = await Promise.all(keys.toReversed().map((key) => cache.get(key)));
    for (const [i, value] of values.entries()) expect([null, keys.at(-1 - i)]).toContain(value);
    await untilMode(cache, 'redis');
    for (const key of keys) expect(await cache.get(key)).toBe(key);
  }
});

test('fault 13: a call with little patience does not give its reply to one with more', async () => {
  const hasty = await connected({ url: proxy.url(), nearCache: false });
  const patient = await connected({ url: proxy.url(), nearCache: false, timeoutMs: 10_000 });
  await patient.setMany({ a: 'a', b: 'b' });
  proxy.inject({ hold: 'replies' });
  const calls = [patient.get('a'), hasty.get('b'), patient.get('a'), hasty.get('nothing')];
  expect(await calls[1]).toBeNull();
  proxy.heal();
  for (const value of await Promise.all([calls[0], calls[2]])) expect([null, 'a']).toContain(value);
  await untilMode(patient, 'redis');
  expect(await patient.getMany(['b', 'nothing', 'a'])).toEqual(['b', null, 'a']);
});
