// Fault 1: Redis stopped by SIGSTOP. TCP still acknowledges everything; only deadlines notice.
'use strict';

const { setImmediate: turn } = require('node:timers/promises');
const { closeCaches, makeCache, openCache, openWatched, watch } = require('../../support/holdfast');
const { serverForAll } = require('../../support/redis-server');
const { startScript } = require('../../support/run-script');
const { until, untilMode } = require('../../support/until');

const server = serverForAll();
afterEach(async () => {
  await server.kill('SIGCONT');
  await closeCaches();
});

const TIMEOUT_MS = 250;
// Calls that each waited for the deadline would need more than the time that Jest gives a test.
const CALLS_WITHOUT_WAITING = 600;

test.each(['thread', 'loop'])(
  'fault 1: under 200 callers every call settles, later calls do not wait, and redis mode returns by itself, io: %s',
  async (io) => {
    const { cache, told } = await openWatched({ url: server.url(), timeoutMs: TIMEOUT_MS, io });
    const { events, count } = told;
    let begun = 0;
    let settled = 0;
    let done = false;
    const caller = async (id) => {
      for (let n = 0; !done; n++) {
        begun++;
        if (n % 3 === 0) await cache.set(`k${id}`, n);
        else if (n % 3 === 1) await cache.get(`k${id}`);
        else await cache.getOrCompute(`c${id}:${n}`, () => n);
        settled++;
        await turn();
      }
    };
    const callers = Array.from({ length: 200 }, (_, id) => caller(id));
    await until(() => settled > 1_000);

    await server.kill('SIGSTOP');
    await untilMode(cache, 'memory');
    const known = settled;
    await until(() => settled > known + 1_000);
    done = true;
    await Promise.all(callers);
    expect(settled).toBe(begun);
    expect(cache.health()).toMatchObject({
      status: 'degraded',
      mode: 'memory',
      inFlight: 0,
      lastError: { kind: 'timeout' },
    });

    const before = (await cache.getStats()).hits;
    for (let n = 0; n < CALLS_WITHOUT_WAITING / 2; n++) {
      await cache.set('outage', n);
      expect(await cache.get('outage')).toBe(n);
    }
    const after = (await cache.getStats()).hits;
    expect(after.memory - before.memory).toBe(CALLS_WITHOUT_WAITING / 2);
    expect(after.redis).toBe(before.redis);
    expect(count('fallback')).toBe(1);

    await server.kill('SIGCONT');
    await untilMode(cache, 'redis');
    expect(cache.health()).toMatchObject({ status: 'ok', mode: 'redis' });
    await cache.set('again', 1);
    await until(async () => {
      expect(await cache.get('again')).toBe(1);
      return (await cache.getStats()).hits.redis > after.redis;
    });
    await until(() => count('recovered') === 1);
    const [, recovered] = events.find(([name]) => name === 'recovered');
    expect(recovered).toEqual({
      outageMs: expect.any(Number),
      dropped: expect.any(Number),
      replayed: expect.any(Number),
    });
    expect(recovered.dropped).toBeGreaterThan(0);
    expect(await cache.get('outage')).toBeNull(); // the fallback's values are never written back
    expect(count('error')).toBe(0);
  },
);

// The engine gives up on the server, and lets this thread compute, while this thread is busy: it learns so from its
// next wake-up. What it asks until then is answered at once, on the in-process tier, and must not keep it from that
// wake-up.
const BUSY = `
  const { createCache } = require('holdfast');
  const cache = createCache({ namespace: 'busy', timeoutMs: 100, nearCache: false, logger: console });
  process.stdin.once('data', async () => {
    let runs = 0;
    const compute = () => cache.getOrCompute('k', async () => ++runs);
    const first = compute();
    await new Promise(setImmediate);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
    // As many as are handed over at once, before the event loop turns.
    const others = Array.from({ length: 256 }, compute);
    console.log(JSON.stringify([...new Set(await Promise.all([first, ...others])), runs, cache.getMode()]));
    process.exit();
  });
  cache.set('before', 1).then(() => console.log(cache.getMode()));
`;

test('fault 42: an outage that begins while the event loop is busy does not keep it busy', async () => {
  const script = startScript(BUSY, { env: { REDIS_URL: server.url() }, input: true });
  await script.says('redis');
  await server.kill('SIGSTOP');
  script.child.stdin.write('go');
  const { stdout, hung } = await script.result;
  expect({ hung, answer: stdout.trimEnd().split('\n').at(-1) }).toEqual({ hung: false, answer: '[1,1,"memory"]' });
});

test('fault 1: without traffic the outage is noticed, and calls do not wait', async () => {
  const cache = await openCache({ url: server.url(), timeoutMs: TIMEOUT_MS });
  await server.kill('SIGSTOP');
  await untilMode(cache, 'memory');
  for (let n = 0; n < CALLS_WITHOUT_WAITING; n++) expect(await cache.get(`nothing${n}`)).toBeNull();
  await server.kill('SIGCONT');
  await untilMode(cache, 'redis');
});

test('fault 1: every kind of call settles when the server stops under it', async () => {
  const cache = await openCache({ url: server.url(), timeoutMs: TIMEOUT_MS });
  await server.kill('SIGSTOP');
  const results = await Promise.all([
    cache.get('k'),
    cache.set('k', 1),
    cache.del('k'),
    cache.delPattern('k*'),
    cache.getOrCompute('computed', () => 'value'),
    cache.increment('n'),
    cache.exists('k'),
    cache.ttl('k'),
    cache.expire('k', 1),
    cache.getMany(['k', 'l']),
    cache.setMany({ l: 1 }),
    cache.clear(),
    cache.getStats(),
  ]);
  expect(results).toHaveLength(13);
  expect(results[4]).toBe('value');
  expect(results[5]).toBe(1);
});

test('fault 1: a cache made while the server is stopped serves from memory, then finds the server', async () => {
  await server.kill('SIGSTOP');
  const cache = makeCache({ url: server.url(), timeoutMs: TIMEOUT_MS });
  const { count } = watch(cache);
  await cache.set('k', 1);
  await untilMode(cache, 'memory');
  await cache.set('k', 2);
  expect(await cache.get('k')).toBe(2);
  await server.kill('SIGCONT');
  await untilMode(cache, 'redis');
  await cache.set('k', 3);
  expect(await cache.get('k')).toBe(3);
  await until(() => count('ready') === 1);
});
