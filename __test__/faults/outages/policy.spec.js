// What an outage lets callers have (fault 1): what was held, for how long; what was written; counters; the breaker;
// several caches on one connection; and a server that comes and goes.
'use strict';

const { closeCaches, expectCode, freshNamespace, makeCache, openCache, watch } = require('../../support/holdfast');
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

const connected = (options) => openCache({ url: proxy.url(), namespace, timeoutMs: 250, ...options });

test('a counter that begins in an outage lives no longer than outageTtl', async () => {
  const cache = makeCache({ url: proxy.url(), namespace, outageTtl: 5 });
  await proxy.stop();
  await untilMode(cache, 'memory');
  await cache.increment('n');
  await cache.increment('m', 1, { ttl: 1_000 });
  await cache.increment('brief', 1, { ttl: 2 });
  expect(await cache.ttl('n')).toBeLessThanOrEqual(5);
  expect(await cache.ttl('m')).toBeLessThanOrEqual(5);
  expect(await cache.ttl('brief')).toBeLessThanOrEqual(2);
});

async function away(...caches) {
  proxy.refuse();
  proxy.reset();
  for (const cache of caches) await untilMode(cache, 'memory');
}

async function back(...caches) {
  await proxy.accept();
  for (const cache of caches) await untilMode(cache, 'redis');
}

/** Reads until it is near, and hot. */
async function heat(cache, ...keys) {
  for (let n = 0; n < 4; n++) for (const key of keys) await cache.get(key);
}

describe('fault 1: what the near cache held', () => {
  test('is served while Redis is away, unless it was written or deleted since, and never once Redis is back', async () => {
    const cache = await connected();
    await cache.setMany({ held: { a: 1 }, written: 'old', deleted: 'old', matched: 'old', unread: 'old', counted: 5 });
    await heat(cache, 'held', 'written', 'deleted', 'matched', 'counted');
    await away(cache);
    expect(await cache.get('held')).toEqual({ a: 1 });
    expect(await cache.getMany(['held', 'unread'])).toEqual([{ a: 1 }, null]);
    expect(await cache.getOrCompute('held', () => 'computed')).toEqual({ a: 1 });
    expect(await cache.exists('held')).toBe(true);
    await cache.set('written', 'new');
    await cache.del('deleted');
    await cache.delPattern('match*');
    expect(await cache.getMany(['written', 'deleted', 'matched'])).toEqual(['new', null, null]);
    await server.cli('set', `${namespace}:held`, '"newer"');
    await back(cache);
    expect(await cache.getMany(['held', 'written', 'deleted', 'matched'])).toEqual(['newer', null, null, null]);
  });

  test('is not served with outageStale: 0', async () => {
    const cache = await connected({ outageStale: 0 });
    await cache.set('held', 'old');
    await heat(cache, 'held');
    await away(cache);
    expect(await cache.get('held')).toBeNull();
    expect(await cache.exists('held')).toBe(false);
    expect(await cache.getOrCompute('held', () => 'computed')).toBe('computed');
  });

  test('is served for outageStale and no longer', async () => {
    const cache = await connected({ outageStale: 0.3 });
    await cache.set('held', 'old');
    await heat(cache, 'held');
    await away(cache);
    await until(async () => (await cache.get('held')) === null);
    expect(cache.getMode()).toBe('memory');
  });

  test('is served within its TTL and no longer', async () => {
    const cache = await connected();
    await cache.set('held', 'old', 1);
    await heat(cache, 'held');
    const end = performance.now() + 1_050; // with the slack of the contract
    await away(cache);
    await until(async () => (await cache.get('held')) === null || performance.now() > end);
    expect(await cache.get('held')).toBeNull();
    expect(cache.getMode()).toBe('memory');
  });

  test('is not there without a near cache', async () => {
    const cache = await connected({ nearCache: false });
    await cache.set('k', 'old');
    await heat(cache, 'k');
    await away(cache);
    expect(await cache.get('k')).toBeNull();
  });
});

test('fault 1: what is written while Redis is away lives for outageTtl at most, and is never written back', async () => {
  const cache = await connected({ outageTtl: 0.5 });
  const patient = await connected({ namespace: freshNamespace() });
  await away(cache, patient);
  await cache.set('k', 1, 1_000);
  await cache.set('forever', 1, Infinity);
  await cache.getOrCompute('computed', () => 1, 1_000);
  // None is left of it where the machine was slow.
  const left = async (key) => (await cache.ttl(key)) ?? 0;
  for (const key of ['k', 'forever', 'computed']) expect(await left(key)).toBeLessThanOrEqual(0.5);
  await cache.expire('k', 1_000);
  expect(await left('k')).toBeLessThanOrEqual(0.5);
  await patient.set('k', 1, Infinity);
  expect(await patient.ttl('k')).toBeLessThanOrEqual(60);
  expect(await patient.ttl('k')).toBeGreaterThan(30);
  await until(async () => (await cache.getMany(['k', 'forever', 'computed'])).every((value) => value === null));
  expect(await patient.get('k')).toBe(1);
  await back(cache, patient);
  expect(await server.cli('dbsize')).toBe('0');
  await cache.set('k', 1, 1_000);
  expect(await cache.ttl('k')).toBeGreaterThan(900);
});

describe('fault 4: counters', () => {
  test('count apart while Redis is away; its counter goes on where it was', async () => {
    const cache = await connected();
    await cache.increment('n', 5);
    await away(cache);
    expect(await cache.increment('n', 2)).toBe(2);
    expect(await cache.increment('n', 2, { onOutage: 'local' })).toBe(4);
    expect(await cache.get('n')).toBe(4);
    await back(cache);
    expect(await cache.get('n')).toBe(5);
    expect(await cache.increment('n')).toBe(6);
  });

  test('reject where they are told to', async () => {
    const cache = await connected();
    const reject = { onOutage: 'reject' };
    expect(await cache.increment('n', 5, reject)).toBe(5);
    await away(cache);
    await expectCode(() => cache.increment('n', 2, reject), 'ERR_REDIS_UNAVAILABLE');
    await expectCode(() => cache.increment('n', 2, { ttl: 10, ...reject }), 'ERR_REDIS_UNAVAILABLE');
    await back(cache);
    expect(await cache.increment('n', 1, reject)).toBe(6);
  });

  test('a count whose reply is lost rejects then, and counts once at most', async () => {
    const cache = await connected();
    proxy.inject({ dropReplies: true });
    await expectCode(() => cache.increment('n', 5, { onOutage: 'reject' }), 'ERR_REDIS_UNAVAILABLE');
    expect(await server.cli('get', `${namespace}:n`)).toBe('5');
    proxy.heal();
    proxy.reset();
    await untilMode(cache, 'redis');
    expect(await cache.increment('n', 1, { onOutage: 'reject' })).toBe(6);
  });

  test('what is no policy is refused', async () => {
    const cache = await connected();
    for (const onOutage of ['retry', null, 0, true])
      await expectCode(() => cache.increment('n', 1, { onOutage }), 'ERR_INVALID_ARGUMENT');
  });
});

test('fault 1: the breaker is closed, then open between dials and half-open while one is tried, then closed', async () => {
  const cache = await connected();
  expect(cache.health()).toMatchObject({ breaker: 'closed', status: 'ok', mode: 'redis' });
  proxy.blackhole();
  const seen = new Set();
  await until(() => {
    const { breaker, mode } = cache.health();
    if (mode === 'memory') seen.add(breaker);
    return seen.size === 2;
  });
  expect([...seen].toSorted()).toEqual(['half-open', 'open']);
  proxy.reset();
  proxy.heal();
  await untilMode(cache, 'redis');
  expect(cache.health()).toMatchObject({ breaker: 'closed', status: 'ok', lastError: null });
  expect(makeCache({ url: '' }).health().breaker).toBe('closed');
});

test('fault 1: caches of one connection share its outage: one event each, and the keys of all are undone', async () => {
  const names = [namespace, freshNamespace(), ''];
  const caches = [];
  for (const each of names) caches.push(await connected({ namespace: each }));
  const told = caches.map(watch);
  for (const [i, cache] of caches.entries()) await cache.setMany({ deleted: i, kept: i });
  expect(proxy.live).toBe(1);
  await away(...caches);
  for (const cache of caches) await cache.del('deleted');
  expect(caches.map((cache) => cache.health().journal)).toEqual([3, 3, 3]);
  await back(...caches);
  for (const { count } of told) await until(() => count('recovered') === 1);
  expect(told.map(({ count }) => [count('fallback'), count('error')])).toEqual([
    [1, 0],
    [1, 0],
    [1, 0],
  ]);
  for (const { events } of told) expect(events.find(([name]) => name === 'recovered')[1].replayed).toBe(3);
  for (const [i, cache] of caches.entries()) expect(await cache.getMany(['deleted', 'kept'])).toEqual([null, i]);
  expect(await server.cli('dbsize')).toBe('3');
});

// Callers that pause for a moment after each pair of calls. Says when an outage begins and ends, and each time that so
// many calls more were answered in it.
const FLAPPED = `
  const { createCache } = require('holdfast');
  const cache = createCache({ namespace: 'flap', timeoutMs: 250 });
  const ANSWERED = Number(process.argv[2]);
  let outages = 0;
  let answered = 0;
  let wrong = 0;
  cache.on('fallback', () => {
    answered = 0;
    console.log('away ' + ++outages + ';');
  });
  cache.on('recovered', () => console.log('back ' + outages + ';'));
  const caller = async (id) => {
    for (let n = 0; ; n++) {
      await cache.set('k' + id, n);
      const value = await cache.get('k' + id);
      // What a recovery unlinks between the two is a miss.
      if (value !== n && value !== null) wrong++;
      if (cache.getMode() === 'memory') answered += 2;
      if (answered >= ANSWERED) {
        answered = -Infinity;
        console.log('answered ' + outages + ' wrong ' + wrong + ';');
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  cache.on('ready', () => console.log('up'));
  for (let id = 0; id < 20; id++) caller(id);
`;

test('fault 1: a server that is there and away again and again: calls wait for it once, and it is used each time', async () => {
  // Calls that each waited for the deadline would need 37 s for them, twenty at a time.
  const ANSWERED = 3_000;
  const env = { REDIS_URL: server.url(), HOLDFAST_LOG: 'silent' };
  const script = startScript(FLAPPED, { env, args: [String(ANSWERED)], boundMs: 110_000 });
  await script.says('up');
  for (let n = 0; n < 3; n++) {
    script.stdout = '';
    await server.kill('SIGSTOP');
    await script.says('away ');
    await until(() => /answered \d+ wrong 0;/.test(script.stdout), 'calls are answered');
    await server.kill('SIGCONT');
    await script.says('back ');
  }
  expect(script.stdout).not.toMatch(/wrong [1-9]/);
  script.kill('SIGKILL');
  await script.result;
});
