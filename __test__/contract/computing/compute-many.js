// Contract: getOrComputeMany, alone and beside getOrCompute of the same keys.
'use strict';

const { expectCode, freshNamespace, stored } = require('../../support/holdfast');
const { computation, outlast } = require('../../support/computation');
const { until } = require('../../support/until');

const failure = Object.assign(new TypeError('no such traders'), { status: 404 });
const notRun = () => {
  throw new Error('the function must not run');
};

module.exports = function computeMany(mode) {
  let cache;
  let namespace;
  let asked;
  beforeEach(async () => {
    namespace = freshNamespace();
    cache = await mode.cache({ namespace });
    asked = [];
  });
  /** Computes each key as an object of its own, and notes what it was asked for. */
  const compute = async (keys) => {
    asked.push(keys);
    return keys.map((key) => ({ key }));
  };
  const of = (...keys) => keys.map((key) => ({ key }));

  test('one call of the function computes all that is missing, in the order of the keys', async () => {
    await cache.setMany({ b: 'hit', d: null });
    const keys = ['e', 'b', 'a', 'd', 'c'];
    expect(await cache.getOrComputeMany(keys, compute)).toEqual([...of('e'), 'hit', ...of('a'), null, ...of('c')]);
    expect(asked).toEqual([['e', 'a', 'c']]);
    expect(await cache.getMany(keys)).toEqual([...of('e'), 'hit', ...of('a'), null, ...of('c')]);
  });

  test('when nothing is missing the function does not run', async () => {
    await cache.setMany({ a: 1, b: 2 });
    expect(await cache.getOrComputeMany(['b', 'a'], notRun)).toEqual([2, 1]);
    for (let i = 0; i < 5; i++) await cache.getMany(['a', 'b']);
    for (let i = 0; i < 5; i++) await cache.get('a');
    expect(await cache.getOrComputeMany(['a', 'b', 'a'], notRun)).toEqual([1, 2, 1]);
    expect(await cache.getOrComputeMany([], notRun)).toEqual([]);
  });

  test('a key that is named twice is computed once, and each place has a value of its own', async () => {
    const values = await cache.getOrComputeMany(['a', 'b', 'a', 'a'], compute);
    expect(asked).toEqual([['a', 'b']]);
    for (const again of [values, await cache.getOrComputeMany(['a', 'b', 'a', 'a'], notRun)]) {
      expect(again).toEqual(of('a', 'b', 'a', 'a'));
      expect(new Set(again).size).toBe(4);
    }
  });

  test('the values of a function that is not asynchronous, and a TTL for all', async () => {
    expect(await cache.getOrComputeMany(['a', 'b'], (keys) => keys, 1_000)).toEqual(['a', 'b']);
    expect(await cache.getOrComputeMany(['c'], (keys) => keys, { ttl: Infinity })).toEqual(['c']);
    for (const key of ['a', 'b']) {
      expect(await cache.ttl(key)).toBeLessThanOrEqual(1_000);
      expect(await cache.ttl(key)).toBeGreaterThan(900);
    }
    expect(await cache.ttl('c')).toBe(Infinity);
  });

  test('lists that change afterwards change nothing', async () => {
    const keys = ['a', 'b'];
    const result = cache.getOrComputeMany(keys, async (missing) => {
      const values = missing.map((key) => key.toUpperCase());
      missing.reverse().pop();
      return values;
    });
    keys.reverse();
    expect(await result).toEqual(['A', 'B']);
    expect(await cache.getMany(['a', 'b'])).toEqual(['A', 'B']);
  });

  // Thousands of leases need a thread that gets to renew them within 3 s each; a busy machine may not give it that.
  test.each([
    [1_000, {}],
    [10_000, { lock: false }],
  ])('%i keys are one call of the function', async (count, options) => {
    const keys = Array.from({ length: count }, (_, i) => `k${i}`);
    await cache.setMany(keys.filter((_, i) => i % 10 === 0).map((key) => [key, 'hit']));
    const expected = keys.map((key, i) => (i % 10 === 0 ? 'hit' : { key }));
    expect(await cache.getOrComputeMany(keys, compute, options)).toEqual(expected);
    expect(asked).toEqual([keys.filter((_, i) => i % 10 !== 0)]);
    expect(await cache.getOrComputeMany(keys, notRun, options)).toEqual(expected);
  });

  test('an element that is undefined is given back and not stored', async () => {
    expect(await cache.getOrComputeMany(['a', 'b'], () => [undefined, 2])).toEqual([undefined, 2]);
    expect(await cache.exists('a')).toBe(false);
    expect(await cache.getOrComputeMany(['a', 'b'], compute)).toEqual([...of('a'), 2]);
    expect(asked).toEqual([['a']]);
  });

  test.each([
    ['too few values', ['a']],
    ['too many', ['a', 'b', 'c']],
    ['none', undefined],
    ['an object', { a: 1, b: 2 }],
    ['a text', 'ab'],
    ['a Set', new Set(['a', 'b'])],
  ])('a function that returns %s: its callers are told, and nothing is stored', async (_, returned) => {
    const single = computation();
    const result = cache.getOrComputeMany(['a', 'b'], () => single.fn());
    await single.begun();
    const follower = cache.getOrCompute('b', notRun);
    await cache.get('other'); // a round trip: it has been handed over
    single.open(returned);
    await expectCode(() => result, 'ERR_INVALID_ARGUMENT');
    await expectCode(() => follower, 'ERR_INVALID_ARGUMENT');
    expect(await cache.getMany(['a', 'b'])).toEqual([null, null]);
    expect(await cache.getOrComputeMany(['a', 'b'], compute)).toEqual(of('a', 'b'));
  });

  test.each([
    ['rejects with', async () => Promise.reject(failure)],
    [
      'throws',
      () => {
        throw failure;
      },
    ],
  ])('what the function %s reaches its caller unchanged, and nothing stays in flight', async (_, fn) => {
    await cache.set('hit', 1);
    await expect(cache.getOrComputeMany(['a', 'hit', 'b'], fn)).rejects.toBe(failure);
    expect(await cache.getMany(['a', 'hit', 'b'])).toEqual([null, 1, null]);
    expect(await cache.getOrComputeMany(['a', 'hit', 'b'], compute)).toEqual([...of('a'), 1, ...of('b')]);
    expect(await cache.getOrCompute('a', notRun)).toEqual({ key: 'a' });
  });

  test('a value that has no JSON form rejects and is not stored', async () => {
    await expectCode(() => cache.getOrComputeMany(['a', 'b'], () => [10n, 2]), 'ERR_UNSERIALIZABLE');
    expect(await cache.exists('a')).toBe(false);
    expect(await cache.getOrComputeMany(['a', 'b'], (keys) => keys.map(() => 2))).toEqual([2, 2]);
  });

  test('a key that a single call computes is waited for, not computed again', async () => {
    const single = computation();
    const first = cache.getOrCompute('b', single.fn);
    await single.begun();
    const many = cache.getOrComputeMany(['a', 'b', 'c'], compute);
    await until(() => asked.length > 0, 'the function for the others runs meanwhile');
    expect(asked).toEqual([['a', 'c']]);
    single.open('single');
    expect(await many).toEqual([...of('a'), 'single', ...of('c')]);
    expect(await first).toBe('single');
    expect(asked).toHaveLength(1);
  });

  test('single calls share what a call of many computes', async () => {
    const made = computation();
    const many = cache.getOrComputeMany(['a', 'b'], made.fn);
    await made.begun();
    const singles = ['b', 'a', 'b'].map((key) => cache.getOrCompute(key, notRun));
    await cache.get('other'); // a round trip: they have been handed over
    made.open([{ n: 1 }, { n: 2 }]);
    const values = [...(await many), ...(await Promise.all(singles))];
    expect(values).toEqual([1, 2, 2, 1, 2].map((n) => ({ n })));
    expect(new Set(values).size).toBe(5);
    expect(made.runs).toBe(1);
  });

  test('two calls of many in opposite order compute each key once', async () => {
    const keys = Array.from({ length: 100 }, (_, i) => `k${i}`);
    const forth = cache.getOrComputeMany(keys.slice(0, 70), compute);
    const back = cache.getOrComputeMany(keys.slice(30).reverse(), compute);
    expect(await forth).toEqual(of(...keys.slice(0, 70)));
    expect(await back).toEqual(of(...keys.slice(30).reverse()));
    expect(asked.flat().sort()).toEqual([...keys].sort());
  });

  test('a key that is deleted meanwhile is not stored, the others are', async () => {
    const made = computation();
    const many = cache.getOrComputeMany(['a', 'b', 'c'], made.fn);
    await made.begun();
    await cache.del('b');
    await cache.set('c', 'set');
    made.open([1, 2, 3]);
    expect(await many).toEqual([1, 2, 3]);
    expect(await cache.getMany(['a', 'b', 'c'])).toEqual([1, null, 'set']);
  });

  test('a function that takes too long: its callers are told, the next one runs anew, what it returns is stored', async () => {
    const slow = computation();
    const keys = ['a', 'b'];
    await outlast(slow, () => cache.getOrComputeMany(keys, slow.fn, { hardTimeout: 0.05 }));
    expect(await cache.getOrComputeMany(['b'], compute)).toEqual(of('b'));
    slow.open(['late', 'late']);
    await until(async () => (await cache.get('a')) === 'late');
  });

  test('a function that asks for one of its keys is told so', async () => {
    await expectCode(
      () => cache.getOrComputeMany(['a', 'b'], () => cache.getOrComputeMany(['c', 'b'], compute)),
      'ERR_COMPUTE_DEADLOCK',
    );
    await expectCode(
      () => cache.getOrComputeMany(['a', 'b'], () => cache.getOrCompute('b', notRun)),
      'ERR_COMPUTE_DEADLOCK',
    );
    const nested = (keys) => cache.getOrComputeMany(['c', 'd'], compute).then(() => keys);
    expect(await cache.getOrComputeMany(['a', 'b'], nested)).toEqual(['a', 'b']);
  });

  describe('with values whose TTL is over', () => {
    beforeEach(async () => {
      await cache.getOrComputeMany(['old1', 'old2'], (keys) => keys.map(() => 'old'), { ttl: 0.05, grace: 60 });
      await until(async () => (await cache.getMany(['old1', 'old2'])).every((value) => value === null));
    });

    test('swr serves them at once, and one call of the function refreshes them behind', async () => {
      const refresh = computation();
      await cache.set('hit', 'hit');
      const values = await cache.getOrComputeMany(['old1', 'hit', 'old2'], refresh.fn, { swr: 60 });
      expect(values).toEqual(['old', 'hit', 'old']);
      await refresh.begun();
      refresh.open(['new1', 'new2']);
      await until(async () => (await cache.get('old2')) === 'new2');
      expect(await cache.getMany(['old1', 'old2'])).toEqual(['new1', 'new2']);
      expect(refresh.runs).toBe(1);
      expect((await cache.getStats()).staleServed).toBe(2);
    });

    test('swr beside keys that are missing: these are waited for, and each key is computed once', async () => {
      expect(await cache.getOrComputeMany(['old1', 'a', 'old2', 'b'], compute, { swr: 60 })).toEqual([
        'old',
        { key: 'a' },
        'old',
        { key: 'b' },
      ]);
      await until(async () => (await cache.getMany(['old1', 'old2'])).every((value) => value?.key));
      expect(asked.flat().sort()).toEqual(['a', 'b', 'old1', 'old2']);
    });

    test('grace serves them when the function throws, or is slower than timeout', async () => {
      expect(await cache.getOrComputeMany(['old1'], () => Promise.reject(failure), { grace: 60 })).toEqual(['old']);
      const slow = computation();
      const values = cache.getOrComputeMany(['old2'], slow.fn, { grace: 60, timeout: 0.02 });
      expect(await values).toEqual(['old']);
      slow.open(['new']);
      await until(async () => (await cache.get('old2')) === 'new');
    });

    test('a key without an old value gets the error of the function', async () => {
      const fail = () => Promise.reject(failure);
      await expect(cache.getOrComputeMany(['old1', 'a'], fail, { grace: 60 })).rejects.toBe(failure);
      await expect(cache.getOrComputeMany(['old2'], fail)).rejects.toBe(failure);
    });
  });

  test('what is no list of keys, no function or no option is refused', async () => {
    for (const keys of [undefined, null, 'abc', 5, { 0: 'a', length: 1 }, new Set(['a'])]) {
      await expectCode(() => cache.getOrComputeMany(keys, notRun), 'ERR_INVALID_ARGUMENT');
    }
    for (const keys of [[''], ['a', 5], ['a', undefined], ['a', '\ud800'], ['x'.repeat(65_536)], new Array(1)]) {
      await expectCode(() => cache.getOrComputeMany(keys, notRun), 'ERR_INVALID_KEY');
    }
    for (const fn of [undefined, null, 'text', 5, {}, Promise.resolve([])]) {
      await expectCode(() => cache.getOrComputeMany(['a'], fn), 'ERR_INVALID_ARGUMENT');
    }
    for (const ttl of [0, -1, NaN, '5', null]) {
      await expectCode(() => cache.getOrComputeMany(['a'], notRun, ttl), 'ERR_INVALID_TTL');
      await expectCode(() => cache.getOrComputeMany(['a'], notRun, { ttl }), 'ERR_INVALID_TTL');
    }
    await expectCode(() => cache.getOrComputeMany(['a'], notRun, { ttl: 5, size: 1 }), 'ERR_INVALID_ARGUMENT');
    await cache.close();
    await expectCode(() => cache.getOrComputeMany(['a'], notRun), 'ERR_CLOSED');
    await expectCode(() => cache.getOrComputeMany([], notRun), 'ERR_CLOSED');
    await expectCode(() => cache.invalidateTags('a'), 'ERR_CLOSED');
  });

  if (!mode.shared) return;

  test('keys that lie in Redis and keys that do not travel in one read', async () => {
    await mode.server.cli('set', `${namespace}:theirs`, '{"by":"another"}');
    await mode.server.cli('set', `${namespace}:bad`, 'no json');
    expect(await cache.getOrComputeMany(['bad', 'theirs', 'a'], compute)).toEqual([
      { key: 'bad' },
      { by: 'another' },
      { key: 'a' },
    ]);
    expect(asked).toEqual([['bad', 'a']]);
    await stored(cache);
    expect(await mode.server.cli('get', `${namespace}:bad`)).toBe('{"key":"bad"}');
  });
};
