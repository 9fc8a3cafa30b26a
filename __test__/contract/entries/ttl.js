// Contract: ttl, expire, and how long an entry lives.
'use strict';

const { expectCode } = require('../../support/holdfast');
const { until } = require('../../support/until');

/** `seconds` left of a TTL set a moment ago: the exact figure at most, and less than a minute below. */
function expectLeft(seconds, set) {
  expect(seconds).toBeLessThanOrEqual(set);
  expect(seconds).toBeGreaterThan(set - 60);
}

module.exports = function ttl(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  test('without a ttl an entry lives 300 seconds', async () => {
    await cache.set('k', 1);
    expectLeft(await cache.ttl('k'), 300);
    await cache.set('k', 1, {});
    expectLeft(await cache.ttl('k'), 300);
    await cache.set('k', 1, undefined);
    expectLeft(await cache.ttl('k'), 300);
  });

  test('the ttl of the cache is the default of its calls', async () => {
    const other = await mode.cache({ ttl: 1_000 });
    await other.set('set', 1);
    await other.setMany({ many: 1 });
    await other.getOrCompute('computed', () => 1);
    for (const key of ['set', 'many', 'computed']) expectLeft(await other.ttl(key), 1_000);
    const eternal = await mode.cache({ ttl: Infinity });
    await eternal.set('k', 1);
    expect(await eternal.ttl('k')).toBe(Infinity);
  });

  test('a ttl is given as a number or as an option', async () => {
    await cache.set('a', 1, 1_000);
    await cache.set('b', 1, { ttl: 1_000 });
    await cache.setMany({ c: 1 }, 1_000);
    await cache.setMany({ d: 1 }, { ttl: 1_000 });
    await cache.getOrCompute('e', () => 1, 1_000);
    await cache.getOrCompute('f', () => 1, { ttl: 1_000 });
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) expectLeft(await cache.ttl(key), 1_000);
  });

  test('Infinity means no expiry', async () => {
    await cache.set('k', 1, Infinity);
    expect(await cache.ttl('k')).toBe(Infinity);
  });

  test('ttl of a missing key is null', async () => {
    expect(await cache.ttl('nothing')).toBeNull();
  });

  test('a fraction is rounded to whole milliseconds', async () => {
    for (const [given, rounded] of [
      [1_000.0004, 1_000],
      [1_000.0006, 1_000.001],
      [1_000.25, 1_000.25],
    ]) {
      await cache.set('k', 1, given);
      const left = await cache.ttl('k');
      expectLeft(left, rounded);
      expect(Math.round(left * 1_000) / 1_000).toBe(left);
    }
  });

  test('the shortest ttl is one millisecond, not none and not for ever', async () => {
    await cache.set('k', 1, 1e-9);
    await until(async () => (await cache.ttl('k')) === null);
    expect(await cache.get('k')).toBeNull();
  });

  test('the longest ttl is honoured', async () => {
    await cache.set('k', 1, 9_007_199_254_740);
    expectLeft(await cache.ttl('k'), 9_007_199_254_740);
    expect(await cache.get('k')).toBe(1);
  });

  test('an entry whose time is over is a miss to every function', async () => {
    await cache.set('k', 'old', 0.05);
    await until(async () => (await cache.get('k')) === null);
    expect(await cache.exists('k')).toBe(false);
    expect(await cache.ttl('k')).toBeNull();
    expect(await cache.expire('k', 10)).toBe(false);
    expect(await cache.getMany(['k'])).toEqual([null]);
    expect(await cache.del('k')).toBe(0);
    expect(await cache.getOrCompute('k', () => 'new')).toBe('new');
  });

  test('a write sets the ttl anew', async () => {
    await cache.set('k', 1, Infinity);
    await cache.set('k', 2, 1_000);
    expectLeft(await cache.ttl('k'), 1_000);
  });

  test('expire sets a new ttl, and Infinity removes it', async () => {
    await cache.set('k', 1, 10);
    expect(await cache.expire('k', 1_000)).toBe(true);
    expectLeft(await cache.ttl('k'), 1_000);
    expect(await cache.expire('k', Infinity)).toBe(true);
    expect(await cache.ttl('k')).toBe(Infinity);
    expect(await cache.expire('k', Infinity)).toBe(true);
    expect(await cache.expire('k', 1e-9)).toBe(true);
    await until(async () => !(await cache.exists('k')));
  });

  test('expire of a missing key is false', async () => {
    expect(await cache.expire('nothing', 10)).toBe(false);
    expect(await cache.expire('nothing', Infinity)).toBe(false);
  });

  test('fault 32: what is no ttl is refused by every function that takes one', async () => {
    const bad = [NaN, 0, -0, -1, -Infinity, '60', 60n, null, true, [60], Symbol('s'), 1e300, 9_007_199_254_741];
    const calls = [
      (ttl) => cache.set('k', 'new', ttl),
      (ttl) => cache.set('k', 'new', { ttl }),
      (ttl) => cache.setMany({ k: 'new' }, ttl),
      (ttl) => cache.setMany({ k: 'new' }, { ttl }),
      (ttl) => cache.expire('k', ttl),
      (ttl) => cache.getOrCompute('other', () => 'computed', ttl),
      (ttl) => cache.getOrCompute('other', () => 'computed', { ttl }),
      (ttl) => cache.increment('other', 1, { ttl }),
    ];
    await cache.set('k', 'kept', 1_000);
    for (const call of calls) {
      for (const ttl of bad) await expectCode(() => call(ttl), 'ERR_INVALID_TTL');
    }
    await expectCode(() => cache.expire('k'), 'ERR_INVALID_TTL');
    expect(await cache.get('k')).toBe('kept');
    expectLeft(await cache.ttl('k'), 1_000);
    expect(await cache.get('other')).toBeNull();
  });

  if (!mode.shared) return;

  test('Redis is told whole milliseconds, at least one', async () => {
    const raw = await mode.cache({ namespace: '' });
    // The log then holds every command, newest first.
    await mode.server.cli('config', 'set', 'slowlog-log-slower-than', '0');
    for (const [seconds, ms] of [
      [1_000.0004, 1_000_000],
      [1_000.0006, 1_000_001],
      [0.0015, 2],
      [1e-9, 1],
      [9_007_199_254_740, 9_007_199_254_740_000],
    ]) {
      await raw.set('k', 1, seconds);
      const log = await (await mode.serverOf('k')).cli('slowlog', 'get', '20');
      expect(/\nPX\n(\d+)\n/i.exec(log)[1]).toBe(String(ms));
    }
    await mode.server.cli('config', 'set', 'slowlog-log-slower-than', '-1');
  });

  test('Redis holds the same ttl, in milliseconds', async () => {
    const raw = await mode.cache({ namespace: '' });
    await raw.set('px', 1, 1_000.25);
    const left = Number(await mode.server.cli('pttl', 'px'));
    expectLeft(left / 1_000, 1_000.25);
    await raw.set('px', 1, Infinity);
    expect(await mode.server.cli('pttl', 'px')).toBe('-1');
  });
};
