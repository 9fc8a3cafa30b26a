// Contract: increment.
'use strict';

const { expectCode } = require('../../support/holdfast');

module.exports = function increment(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  test('a counter begins at nothing and adds 1', async () => {
    expect(await cache.increment('n')).toBe(1);
    expect(await cache.increment('n')).toBe(2);
    expect(await cache.increment('n', undefined, undefined)).toBe(3);
    expect(await cache.get('n')).toBe(3);
  });

  test('the amount may be any safe integer', async () => {
    expect(await cache.increment('n', 10)).toBe(10);
    expect(await cache.increment('n', -25)).toBe(-15);
    expect(await cache.increment('n', 0)).toBe(-15);
    expect(await cache.increment('big', Number.MAX_SAFE_INTEGER)).toBe(Number.MAX_SAFE_INTEGER);
    expect(await cache.increment('small', Number.MIN_SAFE_INTEGER)).toBe(Number.MIN_SAFE_INTEGER);
  });

  test('a number that was set can be counted on', async () => {
    await cache.set('n', 41);
    expect(await cache.increment('n')).toBe(42);
  });

  test('counts made at once are all counted', async () => {
    const sums = await Promise.all(Array.from({ length: 500 }, () => cache.increment('n')));
    expect(sums.sort((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
  });

  test('a counter has no expiry unless told', async () => {
    await cache.increment('n');
    expect(await cache.ttl('n')).toBe(Infinity);
    await cache.increment('m', 1, { ttl: Infinity });
    expect(await cache.ttl('m')).toBe(Infinity);
  });

  test('the ttl applies when the counter is created, not later', async () => {
    await cache.increment('n', 1, { ttl: 1_000 });
    await cache.increment('n', 1, { ttl: 50_000 });
    const left = await cache.ttl('n');
    expect(left).toBeLessThanOrEqual(1_000);
    expect(left).toBeGreaterThan(900);
    await cache.increment('eternal');
    await cache.increment('eternal', 1, { ttl: 10 });
    expect(await cache.ttl('eternal')).toBe(Infinity);
  });

  test('counting keeps the expiry of the entry', async () => {
    await cache.set('n', 1, 1_000);
    await cache.increment('n');
    expect(await cache.ttl('n')).toBeLessThanOrEqual(1_000);
  });

  test('what is no integer is not counted on, and stays', async () => {
    for (const value of ['text', '5', 1.5, 1e30, { n: 1 }, [1], true, null, '']) {
      await cache.set('k', value);
      await expectCode(() => cache.increment('k'), 'ERR_NOT_AN_INTEGER');
      expect(await cache.get('k')).toEqual(value);
    }
  });

  test('a sum that no number of JavaScript holds exactly is refused, and the counter stays', async () => {
    for (const sign of [1, -1]) {
      const limit = sign * Number.MAX_SAFE_INTEGER;
      await cache.set('n', limit - sign);
      expect(await cache.increment('n', sign)).toBe(limit);
      await expectCode(() => cache.increment('n', sign), 'ERR_UNSAFE_INTEGER');
      await expectCode(() => cache.increment('n', limit), 'ERR_UNSAFE_INTEGER');
      expect(await cache.get('n')).toBe(limit);
      expect(await cache.increment('n', -sign)).toBe(limit - sign);
    }
  });

  test('a sum that is refused takes nothing from what is written behind it', async () => {
    await cache.set('n', Number.MAX_SAFE_INTEGER);
    await Promise.all([expectCode(() => cache.increment('n', 1_000), 'ERR_UNSAFE_INTEGER'), cache.set('n', 5)]);
    // Without scripts it is taken back in a trip of its own, from whatever is there by then.
    expect(await cache.increment('n', 1)).toBe(mode.scripts ? 6 : -994);
  });

  test('refused sums that are under way together leave the counter and its expiry as they were', async () => {
    await cache.increment('n', Number.MAX_SAFE_INTEGER, { ttl: 1_000 });
    const results = await Promise.allSettled(Array.from({ length: 100 }, (_, i) => cache.increment('n', i + 1)));
    expect(results.map(({ reason }) => reason?.code)).toEqual(Array(100).fill('ERR_UNSAFE_INTEGER'));
    expect(await cache.increment('n', 0)).toBe(Number.MAX_SAFE_INTEGER);
    expect(await cache.ttl('n')).toBeLessThanOrEqual(1_000);
  });

  test('what is no amount is refused', async () => {
    for (const amount of [1.5, NaN, Infinity, '1', 1n, null, {}, 2 ** 53]) {
      await expectCode(() => cache.increment('n', amount), 'ERR_INVALID_AMOUNT');
    }
    expect(await cache.exists('n')).toBe(false);
  });

  test('with what is left of its time', async () => {
    const first = await cache.incrementWithTtl('n', 5, { ttl: 1_000 });
    expect(first.value).toBe(5);
    expect(first.ttl).toBeLessThanOrEqual(1_000);
    expect(first.ttl).toBeGreaterThan(900);
    const second = await cache.incrementWithTtl('n', 2, { ttl: 50_000 });
    expect(second.value).toBe(7);
    expect(second.ttl).toBeLessThanOrEqual(first.ttl);
    expect(await cache.incrementWithTtl('eternal')).toEqual({ value: 1, ttl: Infinity });
  });

  test('of many at once each has its own sum, and what was called behind them changes none', async () => {
    const counted = Array.from({ length: 50 }, () => cache.incrementWithTtl('n', 1, { ttl: 100 }));
    const deleted = cache.del('n');
    const results = await Promise.all(counted);
    expect(results.map(({ value }) => value)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
    for (const { ttl } of results) expect(ttl).toBeGreaterThan(90);
    expect(await deleted).toBe(1);
  });

  test('what increment refuses is refused with its time, too', async () => {
    await cache.set('text', 'no number');
    await expectCode(() => cache.incrementWithTtl('text'), 'ERR_NOT_AN_INTEGER');
    await expectCode(() => cache.incrementWithTtl(5), 'ERR_INVALID_KEY');
    await expectCode(() => cache.incrementWithTtl('n', 1.5), 'ERR_INVALID_AMOUNT');
    await expectCode(() => cache.incrementWithTtl('n', 1, { ttl: 0 }), 'ERR_INVALID_TTL');
  });
};
