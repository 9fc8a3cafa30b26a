// Contract: getOrCompute within one thread. Other threads are in process/life/workers.spec.js, deletes and writes in
// fences.js.
'use strict';

const { computation, outlast } = require('../../support/computation');
const { expectCode, stored } = require('../../support/holdfast');
const { until, sleep } = require('../../support/until');

/** A promise with its handles, for functions that the test lets finish. */
function gate() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { open: resolve, fail: reject }));
  return made;
}

module.exports = function compute(mode) {
  let cache;
  let runs;
  beforeEach(async () => {
    cache = await mode.cache();
    runs = 0;
  });
  const counted = (result) => () => {
    runs++;
    return result;
  };

  test('a miss runs the function and stores what it returns', async () => {
    expect(await cache.getOrCompute('k', counted({ n: 1 }))).toEqual({ n: 1 });
    expect(await cache.getOrCompute('k', counted({ n: 2 }))).toEqual({ n: 1 });
    expect(await cache.get('k')).toEqual({ n: 1 });
    expect(runs).toBe(1);
  });

  test('what its thread calls then comes behind the store', async () => {
    for (let i = 0; i < 20; i++) {
      expect(await cache.getOrCompute('k', () => i)).toBe(i);
      expect(await cache.get('k')).toBe(i);
      expect(await cache.getOrCompute('n', () => 5)).toBe(5);
      expect(await cache.increment('n', 1)).toBe(6);
      const both = await cache.getOrComputeMany(['x', 'y'], (keys) => keys.map(() => i));
      const gone = cache.del(['k', 'n', 'x', 'y']);
      expect(both).toEqual([i, i]);
      expect(await gone).toBe(4);
      expect(await cache.exists('k')).toBe(false);
      expect(await cache.getMany(['n', 'x', 'y'])).toEqual([null, null, null]);
    }
  });

  test('a hit does not run the function', async () => {
    await cache.set('k', 'stored');
    expect(await cache.getOrCompute('k', counted('computed'))).toBe('stored');
    expect(runs).toBe(0);
  });

  test.each([null, 0, false, '', [], {}])('%j is a value: stored, found, not computed again', async (value) => {
    expect(await cache.getOrCompute('k', counted(value))).toEqual(value);
    expect(await cache.getOrCompute('k', counted('again'))).toEqual(value);
    expect(runs).toBe(1);
    expect(await cache.exists('k')).toBe(true);
  });

  test('callers at once share one run', async () => {
    const finish = gate();
    const callers = Array.from({ length: 100 }, () => cache.getOrCompute('k', counted(finish.promise)));
    await until(() => runs > 0);
    const later = Array.from({ length: 100 }, () => cache.getOrCompute('k', counted(finish.promise)));
    await cache.get('k'); // a round trip: the later callers have been handed over as well
    finish.open({ n: 1 });
    expect(await Promise.all([...callers, ...later])).toEqual(Array(200).fill({ n: 1 }));
    expect(runs).toBe(1);
  });

  test('each caller gets its own copy', async () => {
    const results = await Promise.all(Array.from({ length: 3 }, () => cache.getOrCompute('k', () => ({ n: 1 }))));
    for (const result of results) {
      expect(result).toEqual({ n: 1 });
      result.n = 'changed';
    }
    expect(await cache.get('k')).toEqual({ n: 1 });
  });

  test('different keys are computed beside each other', async () => {
    const keys = ['a', 'b', 'c'];
    const finish = gate();
    const results = keys.map((key) =>
      cache.getOrCompute(key, async () => {
        if (++runs === keys.length) finish.open(); // each waits until all have begun
        await finish.promise;
        return key;
      }),
    );
    expect(await Promise.all(results)).toEqual(keys);
  });

  test('a computation may ask for other keys', async () => {
    const outer = () => cache.getOrCompute('inner', () => 20).then((n) => n + 1);
    expect(await cache.getOrCompute('outer', outer)).toBe(21);
    expect(await cache.getMany(['inner', 'outer'])).toEqual([20, 21]);
  });

  test('undefined reaches every caller and is not stored', async () => {
    const finish = gate();
    const callers = Array.from({ length: 5 }, () => cache.getOrCompute('k', counted(finish.promise)));
    await until(() => runs > 0);
    finish.open(undefined);
    expect(await Promise.all(callers)).toEqual(Array(5).fill(undefined));
    expect(await cache.exists('k')).toBe(false);
    expect(await cache.getOrCompute('k', counted('again'))).toBe('again');
  });

  const failure = Object.assign(new TypeError('no such trader'), { status: 404 });
  test.each([
    ['an error', failure],
    ['a string', 'not an Error'],
    ['undefined', undefined],
    ['null', null],
  ])('fault 36: %s that the function rejects with reaches every caller unchanged', async (_, reason) => {
    const finish = gate();
    const callers = Array.from({ length: 5 }, () => cache.getOrCompute('k', counted(finish.promise)));
    const settled = Promise.allSettled(callers);
    await until(() => runs > 0);
    finish.fail(reason);
    for (const result of await settled) {
      expect(result.status).toBe('rejected');
      expect(result.reason).toBe(reason);
    }
    expect(runs).toBe(1);
    expect(await cache.exists('k')).toBe(false);
    expect(await cache.getOrCompute('k', counted('recovered'))).toBe('recovered');
  });

  test('fault 36: what the function throws at once rejects, too', async () => {
    const thrower = () => {
      throw failure;
    };
    await expect(cache.getOrCompute('k', thrower)).rejects.toBe(failure);
    expect(await cache.getOrCompute('k', () => 'recovered')).toBe('recovered');
  });

  test('a result without a JSON form rejects and is not stored', async () => {
    await expectCode(() => cache.getOrCompute('k', () => ({ n: 10n })), 'ERR_UNSERIALIZABLE');
    expect(await cache.getOrCompute('k', () => 'next')).toBe('next');
  });

  test('fault 36: a function that takes too long: its callers are told, the next one runs anew', async () => {
    const never = () => new Promise(() => {});
    const options = { hardTimeout: 0.05 };
    const callers = [1, 2].map(() => expectCode(() => cache.getOrCompute('k', never, options), 'ERR_COMPUTE_TIMEOUT'));
    await Promise.all(callers);
    expect(await cache.getOrCompute('k', () => 'anew')).toBe('anew');
  });

  test('what a function returns after its time-out is still stored', async () => {
    const finish = computation();
    await outlast(finish, () => cache.getOrCompute('k', finish.fn, { hardTimeout: 0.05 }));
    expect(await cache.get('k')).toBeNull();
    finish.open('late');
    await until(async () => (await cache.get('k')) === 'late');
  });

  test('what a function throws after its time-out harms nobody', async () => {
    const finish = gate();
    await expectCode(() => cache.getOrCompute('k', () => finish.promise, { hardTimeout: 0.05 }), 'ERR_COMPUTE_TIMEOUT');
    finish.fail(new Error('late')); // an unhandled rejection would fail the test run
    await sleep(20);
    expect(await cache.getOrCompute('k', () => 'next')).toBe('next');
  });

  test('hardTimeout can be turned off', async () => {
    expect(await cache.getOrCompute('k', () => sleep(100, 'slow'), { hardTimeout: Infinity })).toBe('slow');
  });

  test('what is no hardTimeout is refused', async () => {
    for (const hardTimeout of [0, -1, NaN, '5', null]) {
      await expect(cache.getOrCompute('k', counted(1), { hardTimeout })).rejects.toMatchObject({
        name: 'HoldfastError',
      });
    }
    expect(runs).toBe(0);
  });

  test('jitter shortens TTLs by at most its part, and not all alike', async () => {
    const keys = Array.from({ length: 20 }, (_, i) => `jitter:${i}`);
    await Promise.all(keys.map((key) => cache.getOrCompute(key, () => 1, { ttl: 1_000, jitter: 0.5 })));
    const left = await Promise.all(keys.map((key) => cache.ttl(key)));
    expect(Math.max(...left)).toBeLessThanOrEqual(1_000);
    expect(Math.min(...left)).toBeGreaterThan(400);
    expect(new Set(left.map((seconds) => Math.round(seconds / 10))).size).toBeGreaterThan(3);
    expect(await cache.getOrCompute('for ever', () => 1, { ttl: Infinity, jitter: 1 })).toBe(1);
    expect(await cache.ttl('for ever')).toBe(Infinity);
    for (const jitter of [-0.1, 1.1, NaN, '0.1', null]) {
      await expectCode(() => cache.getOrCompute('k', counted(1), { jitter }), 'ERR_INVALID_ARGUMENT');
    }
  });

  test('fault 36: a function that asks for its own key is told so, not left waiting', async () => {
    const outer = () => cache.getOrCompute('k', () => 'inner');
    await expectCode(() => cache.getOrCompute('k', outer), 'ERR_COMPUTE_DEADLOCK');
    expect(await cache.getOrCompute('k', () => 'next')).toBe('next');
  });

  test('fault 36: a function that asks for its own key after an await ends by hardTimeout', async () => {
    const outer = async () => {
      await sleep(1);
      return cache.getOrCompute('k', () => 'inner', { hardTimeout: 0.2 });
    };
    const error = await cache.getOrCompute('k', outer, { hardTimeout: 0.2 }).catch((reason) => reason);
    expect(error.code).toMatch(/^ERR_COMPUTE_(TIMEOUT|DEADLOCK)$/);
  });

  test('what is no function is refused', async () => {
    for (const fn of [undefined, null, 'text', 5, {}, Promise.resolve(1)]) {
      await expectCode(() => cache.getOrCompute('k', fn), 'ERR_INVALID_ARGUMENT');
    }
    await cache.set('k', 1);
    await expectCode(() => cache.getOrCompute('k', undefined), 'ERR_INVALID_ARGUMENT');
  });

  if (!mode.shared) return;

  test('redis-cli reads a computed value', async () => {
    const raw = await mode.cache({ namespace: '' });
    await raw.getOrCompute('computed', () => ({ sum: 1 }));
    await stored(raw);
    expect(await mode.server.cli('get', 'computed')).toBe('{"sum":1}');
    expect(Number(await mode.server.cli('pttl', 'computed'))).toBeGreaterThan(0);
  });
};
