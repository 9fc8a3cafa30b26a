// Contract: expiresAt, the moment at which an entry ends.
'use strict';

const vm = require('node:vm');
const { expectCode } = require('../../support/holdfast');
const { sleep, until } = require('../../support/until');

const LONG_MS = 1_000_000;
const past = () => Date.now() - 1_000;

/** `seconds` left until a moment LONG_MS ahead, given a moment ago. The call's way to Redis is not subtracted. */
function expectLeft(seconds) {
  expect(seconds).toBeLessThanOrEqual(LONG_MS / 1_000 + 60);
  expect(seconds).toBeGreaterThan(LONG_MS / 1_000 - 60);
}

module.exports = function moments(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  // Each stores, or changes, the entry at `k`.
  const CALLS = [
    ['set', (options) => cache.set('k', 1, options)],
    ['setMany', (options) => cache.setMany({ k: 1 }, options)],
    ['getOrCompute', (options) => cache.getOrCompute('k', () => 1, options)],
    ['getOrComputeMany', (options) => cache.getOrComputeMany(['k'], () => [1], options)],
    ['increment', (options) => cache.increment('k', 1, options)],
    ['expire', (options) => cache.set('k', 1, 50).then(() => cache.expire('k', options))],
  ];

  test.each(CALLS)('%s takes a Date or milliseconds since 1970', async (_name, call) => {
    const moment = Date.now() + LONG_MS;
    const given = [moment, moment + 0.25, new Date(moment), vm.runInNewContext(`new Date(${moment})`)];
    for (const expiresAt of given) {
      await cache.del('k');
      await call({ expiresAt, ttl: undefined });
      expectLeft(await cache.ttl('k'));
    }
  });

  test.each(CALLS)('%s takes Infinity for no expiry', async (_name, call) => {
    await call({ expiresAt: Infinity });
    expect(await cache.ttl('k')).toBe(Infinity);
  });

  test.each(CALLS)('%s takes the last moment that a Date can name', async (_name, call) => {
    await call({ expiresAt: new Date(8.64e15) });
    expect(await cache.ttl('k')).toBeGreaterThan(8e12);
  });

  test('an entry is there until its moment, and then a miss', async () => {
    await cache.set('k', 1, { expiresAt: Date.now() + LONG_MS });
    expect(await cache.get('k')).toBe(1);
    await cache.set('k', 2, { expiresAt: new Date(Date.now() + 50) });
    await until(async () => (await cache.get('k')) === null);
  });

  test('set with a moment in the past resolves, and reads behind it miss', async () => {
    for (const expiresAt of [past(), new Date(past()), 0, -1]) {
      await cache.set('k', 'old', LONG_MS);
      const calls = [cache.get('k'), cache.set('k', 'new', { expiresAt, tags: ['t'] }), cache.get('k')];
      expect(await Promise.all(calls)).toEqual(['old', undefined, null]);
      expect(await cache.exists('k')).toBe(false);
    }
  });

  test('a value whose time is over is checked as any other, and what is stored stays', async () => {
    const small = await mode.cache({ maxValueBytes: 1_024 });
    await small.setMany({ k: 'old', other: 'old' });
    const options = { expiresAt: past() };
    await expectCode(() => small.set('k', 10n, options), 'ERR_UNSERIALIZABLE');
    await expectCode(() => small.set('k', 'x'.repeat(2_000), options), 'ERR_VALUE_TOO_LARGE');
    await expectCode(() => small.setMany({ other: 1, k: 10n }, options), 'ERR_UNSERIALIZABLE');
    await expectCode(() => small.getOrCompute('none', () => 10n, options), 'ERR_UNSERIALIZABLE');
    expect(await small.getMany(['k', 'other'])).toEqual(['old', 'old']);
  });

  test('setMany with a moment in the past removes its keys and no others', async () => {
    const keys = Array.from({ length: 10_000 }, (_, i) => `k${i}`);
    await cache.setMany(keys.map((key) => [key, 1]));
    await cache.set('kept', 1);
    const removed = cache.setMany(
      keys.map((key) => [key, 2]),
      { expiresAt: past(), tags: ['t'] },
    );
    expect(await cache.getMany([keys[0], keys[9_999], 'kept'])).toEqual([null, null, 1]);
    await expect(removed).resolves.toBeUndefined();
    expect(new Set(await cache.getMany(keys))).toEqual(new Set([null]));
  });

  test('a write whose time is over keeps the result of a computation that runs from being stored', async () => {
    const value = await cache.getOrCompute('k', async () => {
      await cache.set('k', 2, { expiresAt: past() });
      return 1;
    });
    expect([value, await cache.get('k')]).toEqual([1, null]);
  });

  test('getOrCompute with a moment in the past returns the value, and stores nothing', async () => {
    const options = { expiresAt: past(), swr: 60, grace: 60, jitter: 0.5, tags: ['t'] };
    expect(await cache.getOrCompute('k', () => 1, options)).toBe(1);
    expect(await cache.getOrCompute('k', () => 2, options)).toBe(2);
    expect(await cache.getOrComputeMany(['k', 'l'], () => [3, 4], options)).toEqual([3, 4]);
    expect(await cache.existsMany(['k', 'l'])).toEqual([false, false]);
  });

  test('getOrCompute with a moment in the past returns what is stored, and leaves it', async () => {
    await cache.set('k', 'stored', LONG_MS);
    expect(await cache.getOrCompute('k', () => 'computed', { expiresAt: past() })).toBe('stored');
    expect(await cache.get('k')).toBe('stored');
  });

  test('a result is not stored if its moment came while the function ran', async () => {
    const expiresAt = Date.now() + 50;
    const slow = async () => {
      while (Date.now() <= expiresAt) await sleep(5);
      return 1;
    };
    expect(await cache.getOrCompute('k', slow, { expiresAt })).toBe(1);
    expect(await cache.exists('k')).toBe(false);
  });

  test('a counter that increment makes with a moment in the past ends', async () => {
    expect(await cache.increment('n', 5, { expiresAt: past() })).toBe(5);
    await until(async () => !(await cache.exists('n')));
  });

  test('increment applies a moment only to a counter that it makes', async () => {
    await cache.set('n', 5, LONG_MS / 1_000);
    expect(await cache.increment('n', 1, { expiresAt: past() })).toBe(6);
    expect(await cache.increment('n', 1, { expiresAt: Infinity })).toBe(7);
    expectLeft(await cache.ttl('n'));
  });

  test('expire with a moment in the past removes the key, and tells whether it existed', async () => {
    await cache.set('k', 1);
    const calls = [cache.expire('k', { expiresAt: past() }), cache.get('k')];
    expect(await Promise.all(calls)).toEqual([true, null]);
    expect(await cache.expire('k', { expiresAt: new Date(past()) })).toBe(false);
    expect(await cache.expire('k', { expiresAt: Date.now() + LONG_MS })).toBe(false);
  });

  test('expire takes its ttl as an option, too', async () => {
    await cache.set('k', 1, 50);
    expect(await cache.expire('k', { ttl: LONG_MS / 1_000 })).toBe(true);
    expectLeft(await cache.ttl('k'));
    await expectCode(() => cache.expire('k', {}), 'ERR_INVALID_TTL');
    await expectCode(() => cache.expire('k', { ttl: '50' }), 'ERR_INVALID_TTL');
    await expectCode(() => cache.expire('k', { ttl: 50, tags: [] }), 'ERR_INVALID_ARGUMENT');
  });

  test('what is no moment is refused by every function that takes one, and changes nothing', async () => {
    const bad = [NaN, -Infinity, 1e300, new Date(NaN), `${Date.now()}`, 60n, null, true, [60], {}, Symbol('s')];
    const calls = [...CALLS.slice(0, 5).map(([, call]) => call), (options) => cache.expire('k', options)];
    await cache.set('k', 'kept', LONG_MS / 1_000);
    for (const call of calls) {
      for (const expiresAt of bad) await expectCode(() => call({ expiresAt }), 'ERR_INVALID_TTL');
      // Of both, neither goes first.
      for (const expiresAt of [Date.now() + LONG_MS, new Date(), Infinity, NaN])
        await expectCode(() => call({ ttl: 60, expiresAt }), 'ERR_INVALID_ARGUMENT');
    }
    expect(await cache.get('k')).toBe('kept');
    expectLeft(await cache.ttl('k'));
  });

  if (!mode.shared) return;

  test('Redis no longer holds what was stored with a moment in the past', async () => {
    const raw = await mode.cache({ namespace: '' });
    for (const call of [
      () => raw.set('moment', 2, { expiresAt: past() }),
      () => raw.setMany({ moment: 2 }, { expiresAt: past() }),
      () => raw.expire('moment', { expiresAt: past() }),
    ]) {
      await raw.set('moment', 1);
      await call();
      expect(await mode.server.cli('exists', 'moment')).toBe('0');
    }
  });
};
