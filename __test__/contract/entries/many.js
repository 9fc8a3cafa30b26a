// Contract: getMany, setMany, delMany and existsMany.
'use strict';

const { expectCode } = require('../../support/holdfast');

module.exports = function many(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  test('fault 35: getMany keeps the order of the keys, duplicates and misses included', async () => {
    await cache.setMany({ a: 1, b: { n: 2 }, c: null });
    expect(await cache.getMany(['c', 'b', 'nothing', 'a', 'b'])).toEqual([null, { n: 2 }, null, 1, { n: 2 }]);
  });

  test('fault 35: duplicates do not share their objects', async () => {
    await cache.set('k', { n: 1 });
    const [first, second] = await cache.getMany(['k', 'k']);
    first.n = 2;
    expect(second).toEqual({ n: 1 });
  });

  test('fault 35: getMany of nothing is an empty list', async () => {
    expect(await cache.getMany([])).toEqual([]);
  });

  test('thousands of keys travel in one call', async () => {
    const pairs = Array.from({ length: 5_000 }, (_, i) => [`k${i}`, { i, text: 'x'.repeat(i % 100) }]);
    await cache.setMany(pairs);
    const keys = pairs.map(([key]) => key).reverse();
    expect(await cache.getMany(keys)).toEqual(pairs.map(([, value]) => value).reverse());
  });

  test('setMany takes a Map, pairs, a generator and a plain object', async () => {
    function* generated() {
      yield ['c', 3];
      yield ['d', 4];
    }
    const own = JSON.parse('{ "e": 5, "__proto__": 6 }');
    await expect(cache.setMany(new Map([['a', 1]]))).resolves.toBeUndefined();
    await cache.setMany([['b', 2]]);
    await cache.setMany(generated());
    await cache.setMany(own);
    expect(await cache.getMany(['a', 'b', 'c', 'd', 'e', '__proto__'])).toEqual([1, 2, 3, 4, 5, 6]);
    await cache.setMany({});
    await cache.setMany([]);
  });

  test('the last of two entries with one key wins', async () => {
    await cache.setMany([
      ['k', 1],
      ['k', 2],
    ]);
    expect(await cache.get('k')).toBe(2);
  });

  test('nothing is stored when one entry is bad', async () => {
    const good = ['good', 1];
    await expectCode(() => cache.setMany([good, ['', 1]]), 'ERR_INVALID_KEY');
    await expectCode(() => cache.setMany([good, ['bad', 10n]]), 'ERR_UNSERIALIZABLE');
    await expectCode(() => cache.setMany({ good: 1, bad: undefined }), 'ERR_UNSERIALIZABLE');
    await expectCode(() => cache.setMany([good, ['x', 1]], -1), 'ERR_INVALID_TTL');
    expect(await cache.getMany(['good', 'x'])).toEqual([null, null]);
  });

  test('what a generator throws reaches the caller, and nothing is stored', async () => {
    const failure = new Error('from the generator');
    function* failing() {
      yield ['good', 1];
      throw failure;
    }
    await expect(cache.setMany(failing())).rejects.toBe(failure);
    expect(await cache.get('good')).toBeNull();
  });

  test('delMany tells of each key whether it existed, and removes it', async () => {
    await cache.setMany({ a: 1, b: null, kept: 2 });
    expect(await cache.delMany(['nothing', 'b', 'a'])).toEqual([false, true, true]);
    expect(await cache.getMany(['a', 'b', 'kept'])).toEqual([null, null, 2]);
    expect(await cache.delMany(['a', 'b'])).toEqual([false, false]);
  });

  test('of a key that delMany is given twice, the first is true', async () => {
    await cache.set('k', 1);
    expect(await cache.delMany(['k', 'nothing', 'k', 'k'])).toEqual([true, false, false, false]);
  });

  test('existsMany tells of each key whether it exists, duplicates included, and counts no reads', async () => {
    await cache.setMany({ a: 1, b: null });
    expect(await cache.existsMany(['b', 'nothing', 'a', 'b'])).toEqual([true, false, true, true]);
    const { hits, misses } = await cache.getStats();
    expect([hits.total, misses]).toEqual([0, 0]);
  });

  test('delMany and existsMany of nothing are empty lists', async () => {
    expect(await cache.delMany([])).toEqual([]);
    expect(await cache.existsMany([])).toEqual([]);
  });

  test('delMany and existsMany take thousands of keys', async () => {
    const keys = Array.from({ length: 10_000 }, (_, i) => `k${i}`);
    const stored = keys.filter((_, i) => i % 7 === 0);
    await cache.setMany(stored.map((key) => [key, 1]));
    const expected = keys.map((_, i) => i % 7 === 0);
    expect(await cache.existsMany(keys)).toEqual(expected);
    expect(await cache.delMany(keys)).toEqual(expected);
    expect(new Set(await cache.existsMany(keys))).toEqual(new Set([false]));
  });

  test('reads behind delMany and existsMany in one turn find what they left', async () => {
    await cache.set('k', 1);
    const calls = [
      cache.existsMany(['k']),
      cache.get('k'),
      cache.delMany(['k']),
      cache.existsMany(['k']),
      cache.get('k'),
    ];
    expect(await Promise.all(calls)).toEqual([[true], 1, [true], [false], null]);
  });

  test('nothing is removed when one key of delMany is bad', async () => {
    await cache.set('good', 1);
    for (const bad of ['', 5, '\ud800', 'x'.repeat(65_536), '\u00e4'.repeat(40_000)]) {
      await expectCode(() => cache.delMany(['good', bad]), 'ERR_INVALID_KEY');
      await expectCode(() => cache.existsMany(['good', bad]), 'ERR_INVALID_KEY');
    }
    expect(await cache.exists('good')).toBe(true);
  });

  test('what is no list of keys is refused', async () => {
    for (const keys of [undefined, null, 'abc', 5, { 0: 'a', length: 1 }, new Set(['a'])]) {
      for (const call of ['getMany', 'delMany', 'existsMany'])
        await expectCode(() => cache[call](keys), 'ERR_INVALID_ARGUMENT');
    }
    for (const keys of [[''], ['a', 5], ['a', undefined]]) {
      await expectCode(() => cache.getMany(keys), 'ERR_INVALID_KEY');
      await expectCode(() => cache.del(keys), 'ERR_INVALID_KEY');
    }
  });

  test('what are no entries is refused', async () => {
    for (const entries of [undefined, null, 'ab', 5, ['ab'], [['k', 1], null], [[]]]) {
      await expect(cache.setMany(entries)).rejects.toMatchObject({
        name: 'HoldfastError',
        code: expect.stringMatching(/^ERR_INVALID_(ARGUMENT|KEY)$/),
      });
    }
  });
};
