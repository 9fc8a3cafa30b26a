// The journal, which faults 6, 8, 22 and 30 rest on: what was deleted or written while Redis was away is undone there
// before anything is read, nobody else's keys are touched for it, and what cannot be undone keeps nobody from coming
// back.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { closeCaches, openCache, openWatched } = require('../../support/holdfast');
const { startProxy } = require('../../support/network/fault-proxy');
const { startRedis } = require('../../support/redis-server');
const { untilMode, until } = require('../../support/until');

let server;
let proxy;
beforeEach(async () => {
  server = await startRedis({ acl: ['user app on >pass ~* &* +@all'] });
  proxy = await startProxy(server);
});
afterEach(async () => {
  await closeCaches();
  await proxy.stop();
  await server.stop();
});

const connected = (options) => openWatched({ url: proxy.url(), namespace: 'n', timeoutMs: 250, ...options });

async function away(cache) {
  proxy.refuse();
  proxy.reset();
  await untilMode(cache, 'memory');
}

async function back(...caches) {
  await proxy.accept();
  for (const { told } of caches) await until(() => told.count('recovered') === 1, 'recovered');
}

const recovered = ({ events }) => events.find(([name]) => name === 'recovered')[1];

test('fault 8: nothing that was deleted is read again at any time, before, during and after the recovery', async () => {
  const { cache, told } = await connected();
  const keys = Array.from({ length: 3_000 }, (_, i) => `k${i}`);
  await cache.setMany(keys.map((key) => [key, 'old']));
  for (let n = 0; n < 4; n++) await cache.get('k0');
  await away(cache);
  await cache.del(keys);
  let old = 0;
  let done = false;
  const reading = Promise.all(
    ['k0', 'k1', 'k2999'].map(async (key) => {
      while (!done) {
        if ((await cache.get(key)) === 'old') old++;
        await new Promise(setImmediate);
      }
    }),
  );
  proxy.inject({ replyDelayMs: 20 }); // a recovery that takes its time
  await back({ told });
  for (let n = 0; n < 20; n++) await cache.getMany(keys);
  done = true;
  await reading;
  expect(old).toBe(0);
  expect(recovered(told)).toEqual({ outageMs: expect.any(Number), dropped: expect.any(Number), replayed: keys.length });
  expect(await server.cli('dbsize')).toBe('0');
});

test('fault 8: another instance, which was never cut off, reads nothing of it once its push has come', async () => {
  const { cache, told } = await connected();
  const other = await openCache({ url: server.url(), namespace: 'n' });
  await cache.set('k', 'old');
  for (let n = 0; n < 4; n++) expect(await other.get('k')).toBe('old');
  await away(cache);
  await cache.del('k');
  expect(await other.get('k')).toBe('old');
  await back({ told });
  await until(async () => (await other.get('k')) === null);
  await other.set('k', 'newer');
  await until(async () => (await cache.get('k')) === 'newer');
});

test('fault 8: a connection lost in the middle of the replay: the next one goes on, and nothing is forgotten', async () => {
  const { cache, told } = await connected();
  const keys = Array.from({ length: 20_000 }, (_, i) => `k${i}`);
  await cache.setMany(keys.map((key) => [key, 1]));
  await away(cache);
  await cache.del(keys);
  await proxy.accept();
  let cuts = 0;
  await until(() => {
    // Each connection gets so far, and no further.
    if (proxy.live > 0 && cuts < 3 && proxy.bytesToClient > 0) {
      cuts++;
      proxy.inject({ cutAfter: 700 });
      proxy.bytesToClient = 0;
    }
    return told.count('recovered') === 1;
  });
  expect(await server.cli('dbsize')).toBe('0');
  expect(cache.health().journal).toBe(0);
});

describe('fault 30: a database that is shared with others', () => {
  const FOREIGN = ['queue:1', 'n', 'n2:k', 'N:k', 'nn:k', 'xn:k', 'k1', 'other:k1'];

  beforeEach(() => server.cli('mset', ...FOREIGN.flatMap((key) => [key, 'theirs'])));

  async function expectForeign() {
    const values = (await server.cli('mget', ...FOREIGN)).split('\n');
    expect(values).toEqual(FOREIGN.map(() => 'theirs'));
    expect(await server.cli('dbsize')).toBe(String(FOREIGN.length));
  }

  test('clear and delPattern of an outage reach this namespace alone', async () => {
    const { cache, told } = await connected();
    await cache.setMany({ k1: 1, k2: 2, 'a*': 3 });
    await away(cache);
    await cache.delPattern('*1');
    await cache.delPattern('a\\*');
    await cache.clear();
    await back({ told });
    await expectForeign();
  });

  test('a journal that overflowed clears its namespace, and no other key', async () => {
    const { cache, told } = await connected();
    await cache.setMany(Array.from({ length: 1_000 }, (_, i) => [`k${i}`, i]));
    await away(cache);
    for (let n = 0; n <= 100_000; n += 1_000) await cache.del(Array.from({ length: 1_000 }, (_, i) => `gone${n + i}`));
    // The namespace, in the place of all keys until then, and those that were deleted since.
    expect(cache.health().journal).toBe(1_000);
    await back({ told });
    expect(await cache.get('k1')).toBeNull();
    await expectForeign();
    expect(told.count('error')).toBe(0);
  });

  test('raw keys cannot be cleared: what does not fit is said once and counted, and every other key stays', async () => {
    const { cache, told } = await connected({ namespace: '' });
    await cache.setMany({ gone0: 'old', gone100500: 'old' });
    await away(cache);
    for (let n = 0; n <= 100_000; n += 1_000) await cache.del(Array.from({ length: 1_000 }, (_, i) => `gone${n + i}`));
    expect(cache.health().journal).toBe(100_000);
    await until(() => told.count('error') === 1);
    expect(told.events.find(([name]) => name === 'error')[1]).toMatchObject({ kind: 'journal' });
    expect((await cache.getStats()).errors.journal).toBe(1_000);
    await back({ told });
    expect(await server.cli('mget', 'gone0', 'gone100500')).toBe('\n"old"');
    expect(recovered(told).replayed).toBe(100_000);
    await server.cli('del', 'gone100500');
    await expectForeign();
    // The next outage begins with an empty journal, and says it again.
    expect(cache.health().journal).toBe(0);
    expect(told.count('error')).toBe(1);
  });
});

describe('fault 26: what the server refuses to undo keeps nobody from coming back', () => {
  /** A user who is told `rules` once connected, and the outage that follows. */
  async function outageOf(rules, during, options) {
    const url = `redis://app:pass@127.0.0.1:${proxy.port}`;
    const one = await connected({ url, ...options });
    await one.cache.setMany({ k: 'old', other: 'old' });
    await server.cli('acl', 'setuser', 'app', ...rules);
    await away(one.cache);
    await during(one.cache);
    await back(one);
    return one;
  }

  test('a key that this user may not write reads as a miss here', async () => {
    const { cache } = await outageOf(['resetkeys', '%R~*'], (each) => each.del('k'));
    expect(await cache.get('k')).toBeNull();
    expect(await cache.get('other')).toBe('old');
  });

  test('a pattern that needs SCAN', async () => {
    const { cache } = await outageOf(['-scan'], (each) => each.delPattern('k*'));
    expect(cache.getMode()).toBe('redis');
    await cache.set('later', 1);
    expect(await cache.get('later')).toBe(1);
    expect((await cache.getStats()).errors.denied).toBeGreaterThan(0);
  });

  test('UNLINK, where DEL is allowed', async () => {
    const { cache } = await outageOf(['-unlink'], (each) => each.del('k'));
    expect(await server.cli('exists', 'n:k')).toBe('0');
    expect(await cache.get('k')).toBeNull();
  });

  test('every way to delete', async () => {
    const { cache } = await outageOf(['-unlink', '-del'], (each) => each.del('k'));
    expect(await cache.get('k')).toBeNull();
    expect(await cache.get('other')).toBe('old');
  });

  test('CLIENT, so that the old connection cannot be killed', async () => {
    const { cache } = await outageOf(['-client'], (each) => each.del('k'));
    expect(await cache.get('k')).toBeNull();
  });

  test('a write that a connected server refused, and then an outage', async () => {
    const url = `redis://app:pass@127.0.0.1:${proxy.port}`;
    const { cache, told } = await connected({ url });
    await cache.set('k', 'old');
    await server.cli('acl', 'setuser', 'app', 'resetkeys', '%R~*');
    await cache.set('k', 'refused');
    expect(await cache.get('k')).toBeNull();
    await away(cache);
    await back({ told });
    expect(await cache.get('k')).toBeNull();
  });

  test('a delete that a connected server refused is a miss here', async () => {
    const url = `redis://app:pass@127.0.0.1:${proxy.port}`;
    const { cache } = await connected({ url });
    await cache.set('k', 'old');
    await server.cli('acl', 'setuser', 'app', 'resetkeys', '%R~*');
    await cache.del('k');
    expect(await cache.get('k')).toBeNull();
  });
});

test('fault 8: a FLUSHDB that was cut off is done on recovery, with what was there', async () => {
  const { cache, told } = await connected({ namespace: '' });
  await cache.setMany({ a: 'old', b: 'old' });
  proxy.blackhole();
  await cache.clear({ flushDb: true });
  expect(await cache.getMany(['a', 'b'])).toEqual([null, null]);
  await untilMode(cache, 'memory');
  proxy.reset();
  proxy.heal();
  await until(() => told.count('recovered') === 1);
  expect(await cache.getMany(['a', 'b'])).toEqual([null, null]);
});

describe('patterns of an outage, beside so many keys of others that a sweep takes long', () => {
  const FOREIGN = 40_000;
  const KEYS = Array.from({ length: 200 }, (_, i) => `k${i}`);

  beforeEach(async () => {
    await server.cli('eval', `for i = 1, ${FOREIGN} do redis.call('SET', 'foreign:' .. i, 1) end`, '0');
  });

  test('redis mode returns, once, and stays, although a pattern comes every few milliseconds; nothing old is read', async () => {
    const { cache, told } = await connected();
    await cache.setMany(KEYS.map((key) => [key, 'old']));
    await away(cache);
    await cache.delPattern('k*');
    let over = false;
    let sweeps = 0;
    const sweeping = (async () => {
      while (!over) {
        await Promise.race([cache.delPattern('k*'), sleep(20)]);
        sweeps++;
        await sleep(5);
      }
    })();
    let old = 0;
    const reading = (async () => {
      for (let n = 0; !over; n++) {
        if ((await cache.get(KEYS[n % KEYS.length])) === 'old') old++;
        await new Promise(setImmediate);
      }
    })();
    proxy.inject({ replyDelayMs: 5 });
    await back({ told });
    const before = sweeps;
    await until(() => sweeps > before + 20);
    over = true;
    await Promise.all([sweeping, reading]);
    expect(old).toBe(0);
    expect(cache.getMode()).toBe('redis');
    expect([told.count('fallback'), told.count('recovered')]).toEqual([1, 1]);
    await until(() => cache.health().journal === 0 && cache.health().inFlight === 0);
    expect(await server.cli('dbsize')).toBe(String(FOREIGN));
  });

  test('a connection lost in the middle of the sweep: the next one goes on, and nothing is forgotten', async () => {
    const { cache, told } = await connected();
    await cache.setMany(KEYS.map((key) => [key, 'old']));
    await away(cache);
    await cache.clear();
    await proxy.accept();
    let cuts = 0;
    await until(() => {
      if (proxy.live > 0 && cuts < 4 && proxy.bytesToClient > 0) {
        cuts++;
        proxy.inject({ cutAfter: 3_000 });
        proxy.bytesToClient = 0;
      }
      return told.count('recovered') === 1;
    });
    expect(await cache.getMany(KEYS)).toEqual(KEYS.map(() => null));
    await until(() => cache.health().journal === 0);
    expect(await server.cli('dbsize')).toBe(String(FOREIGN));
  });

  test('what is called behind a sweep sees nothing of it, stays, and waits for none of its steps', async () => {
    const { cache } = await connected();
    await cache.setMany(KEYS.map((key) => [key, 1]));
    for (let n = 0; n < 4; n++) await cache.get('k2');
    proxy.inject({ replyDelayMs: 5 });
    let swept = false;
    const sweep = cache.clear().finally(() => {
      swept = true;
    });
    const read = [cache.get('k1'), cache.get('k2'), cache.exists('k3'), cache.ttl('k3'), cache.increment('k4')];
    cache.set('k5', 'new', { ttl: 60, tags: ['t'] });
    const computed = cache.getOrCompute('k6', () => 'computed');
    expect(await Promise.all(read)).toEqual([null, null, false, null, 1]);
    expect(await Promise.all([cache.get('k5'), computed])).toEqual(['new', 'computed']);
    expect(swept).toBe(false);
    expect(await sweep).toBe(KEYS.length);
    expect(await cache.getMany(['k4', 'k5', 'k6', 'k7'])).toEqual([1, 'new', 'computed', null]);
  });
});
