// Contract: getMany and setMany.
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

  test('what is no list of keys is refused', async () => {
    for (const keys of [undefined, null, 'abc', 5, { 0: 'a', length: 1 }, new Set(['a'])]) {
      await expectCode(() => cache.getMany(keys), 'ERR_INVALID_ARGUMENT');
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
