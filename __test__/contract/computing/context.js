// Contract: what the function of getOrCompute is given (stale, setTtl, skip), and a TTL that is made of the result. Its
// signal is in signal.js.
'use strict';

const { computation } = require('../../support/computation');
const { expectCode } = require('../../support/holdfast');
const { until } = require('../../support/until');

const failure = new Error('on purpose');

module.exports = function context(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  /** Leaves `value` at `k`: its TTL is over, and it is kept for a minute more. */
  async function leave(value) {
    await cache.getOrCompute('k', () => value, { ttl: 0.05, grace: 60 });
    await until(async () => (await cache.get('k')) === null, 'the TTL is over');
  }
  /** What a call's function sees of the old value. */
  async function staleOf(options) {
    const seen = [];
    await cache.getOrCompute('k', (context) => seen.push(context.stale), options);
    await until(() => seen.length > 0, 'the function runs');
    return seen[0];
  }

  describe('stale', () => {
    test('is undefined where there is no old value, or the call has no use for one', async () => {
      expect(await staleOf({ swr: 60, grace: 60 })).toBeUndefined();
      await cache.del('k');
      await leave({ n: 1 });
      expect(await staleOf(60)).toBeUndefined();
    });

    test.each([
      ['swr', { swr: 60 }],
      ['grace', { grace: 60 }],
    ])('is the old value of a call with %s', async (_, options) => {
      await leave({ n: 1 });
      expect(await staleOf(options)).toEqual({ n: 1 });
    });

    test('is the value that is refreshed early', async () => {
      // The function is taken to run for ages, so that any call refreshes.
      const options = { ttl: 60, earlyRefresh: Number.MAX_VALUE };
      await cache.getOrCompute('k', () => ({ n: 1 }), options);
      expect(await staleOf(options)).toEqual({ n: 1 });
    });

    test('is one copy of its own, whatever the function does to it', async () => {
      await leave({ n: 1 });
      const held = computation();
      const same = [];
      const change = async (context) => {
        const first = context.stale;
        first.n = 'changed';
        same.push(context.stale === first);
        return held.fn();
      };
      const calls = [1, 2].map(() => cache.getOrCompute('k', change, { grace: 60 }));
      await held.begun();
      held.fail(failure);
      expect(await Promise.all(calls)).toEqual([{ n: 1 }, { n: 1 }]);
      expect(same).toEqual([true]);
    });
  });

  describe('setTtl', () => {
    test('sets the TTL of the result, and its last call counts', async () => {
      const compute = async ({ setTtl }) => {
        setTtl(5_000);
        await null;
        setTtl(1_000);
        return 1;
      };
      expect(await cache.getOrCompute('k', compute, { ttl: 60 })).toBe(1);
      const left = await cache.ttl('k');
      expect(left).toBeLessThanOrEqual(1_000);
      expect(left).toBeGreaterThan(60);
      await cache.getOrCompute('for ever', ({ setTtl }) => setTtl(Infinity) ?? 1);
      expect(await cache.ttl('for ever')).toBe(Infinity);
    });

    test('throws for what is no TTL: the call rejects unless the function catches it', async () => {
      for (const ttl of [0, -1, NaN, '5', null, undefined, 5n]) {
        await expectCode(() => cache.getOrCompute('k', ({ setTtl }) => setTtl(ttl)), 'ERR_INVALID_TTL');
      }
      const caught = (context) => {
        expect(() => context.setTtl(0)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_TTL' }));
        return 'caught';
      };
      expect(await cache.getOrCompute('k', caught, 60)).toBe('caught');
      expect(await cache.ttl('k')).toBeGreaterThan(0);
    });
  });

  describe('skip', () => {
    test('all callers get the result, each a copy of its own, and nothing is stored', async () => {
      const held = computation();
      const fn = async (context) => {
        context.skip();
        return held.fn();
      };
      const calls = Array.from({ length: 5 }, () => cache.getOrCompute('k', fn));
      await held.begun();
      calls.push(cache.getOrComputeMany(['k'], () => [null]).then(([value]) => value));
      await cache.getStats(); // behind all calls
      held.open({ n: 1 });
      const values = await Promise.all(calls);
      expect(values).toEqual(Array(6).fill({ n: 1 }));
      expect(new Set(values).size).toBe(6);
      expect(held.runs).toBe(1);
      expect(await cache.exists('k')).toBe(false);
      expect(await cache.getOrCompute('k', () => 'next')).toBe('next');
    });

    test('what is stored stays', async () => {
      await leave('old');
      const skipping = ({ skip }) => skip() ?? 'skipped';
      expect(await cache.getOrCompute('k', skipping, { grace: 60 })).toBe('skipped');
      const failing = () => Promise.reject(failure);
      expect(await cache.getOrCompute('k', failing, { grace: 60 })).toBe('old');
    });

    test('a result that the codec cannot carry rejects all the same', async () => {
      await expectCode(() => cache.getOrCompute('k', ({ skip }) => skip() ?? 1n), 'ERR_UNSERIALIZABLE');
    });
  });

  test('what a function says after it has settled changes nothing', async () => {
    let kept;
    const keep = (context) => {
      kept = context;
      return 1;
    };
    const late = () => {
      kept.skip();
      kept.setTtl(5_000);
      return true;
    };
    // Between the function and its store.
    await cache.getOrCompute('a', keep, { ttl: 60, validate: late });
    late();
    expect(kept.stale).toBeUndefined();
    expect(await cache.ttl('a')).toBeLessThanOrEqual(60);
    expect(await cache.getOrCompute('a', () => 2)).toBe(1);
  });

  describe('a ttl that is a function', () => {
    test('makes the TTL of the result', async () => {
      expect(await cache.getOrCompute('k', () => ({ n: 1_000 }), { ttl: ({ n }) => n })).toEqual({ n: 1_000 });
      expect(await cache.ttl('k')).toBeGreaterThan(300);
      await cache.getOrComputeMany(['a', 'b'], () => [1_000, 5_000], { ttl: (n) => n });
      const [a, b] = [await cache.ttl('a'), await cache.ttl('b')];
      expect(a).toBeLessThanOrEqual(1_000);
      expect(b).toBeGreaterThan(1_000);
    });

    test('what it throws reaches all callers of the thread, and nothing is stored', async () => {
      const ttl = () => {
        throw failure;
      };
      const held = computation();
      const calls = [cache.getOrCompute('k', held.fn, { ttl })];
      await held.begun();
      calls.push(cache.getOrCompute('k', held.fn));
      await cache.getStats();
      held.open(1);
      for (const { reason } of await Promise.allSettled(calls)) expect(reason).toBe(failure);
      expect(await cache.exists('k')).toBe(false);
      expect(await cache.getOrCompute('k', () => 'next')).toBe('next');
    });

    test.each([[0], [-1], [NaN], ['60'], [undefined], [null]])('%p is no TTL', async (wrong) => {
      await expectCode(() => cache.getOrCompute('k', () => 1, { ttl: () => wrong }), 'ERR_INVALID_TTL');
      expect(await cache.exists('k')).toBe(false);
    });

    test('an old value within grace stands in for an error of it', async () => {
      await leave('old');
      expect(await cache.getOrCompute('k', () => 'new', { ttl: () => 0, grace: 60 })).toBe('old');
    });

    test('is not asked where nothing is stored, or setTtl was', async () => {
      const ttl = jest.fn(() => 60);
      expect(await cache.getOrCompute('k', () => undefined, { ttl })).toBeUndefined();
      expect(await cache.getOrCompute('k', ({ skip }) => skip() ?? 1, { ttl })).toBe(1);
      expect(await cache.getOrCompute('k', ({ setTtl }) => setTtl(1_000) ?? 1, { ttl })).toBe(1);
      expect(ttl).not.toHaveBeenCalled();
      expect(await cache.ttl('k')).toBeGreaterThan(60);
    });
  });
};
