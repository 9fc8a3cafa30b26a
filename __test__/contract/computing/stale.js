// Contract: values that are of use after their TTL (swr, grace), and refreshes before it (earlyRefresh).
'use strict';

const { expectCode, freshNamespace } = require('../../support/holdfast');
const { computation } = require('../../support/computation');
const { until, sleep } = require('../../support/until');

const failure = new Error('on purpose');
const failing = async () => {
  throw failure;
};

module.exports = function stale(mode) {
  let cache;
  let namespace;
  beforeEach(async () => {
    namespace = freshNamespace();
    cache = await mode.cache({ namespace });
  });

  /** Leaves `value` at `k`: its TTL is over, and it is kept for a minute more. */
  async function leave(value) {
    await cache.getOrCompute('k', () => value, { ttl: 0.05, grace: 60 });
    await until(async () => (await cache.get('k')) === null, 'the TTL is over');
  }
  const ask = (fn, options) => cache.getOrCompute('k', fn, options);
  const untilStored = (value) => until(async () => (await cache.get('k')) === value, `${value} is stored`);

  describe('swr', () => {
    test('all get the old value at once, one refresh runs behind them, and then all get the new one', async () => {
      await leave('old');
      const refresh = computation();
      const callers = Array.from({ length: 50 }, () => ask(refresh.fn, { swr: 60 }));
      expect(await Promise.all(callers)).toEqual(Array(50).fill('old'));
      await refresh.begun();
      expect(await ask(refresh.fn, { swr: 60 })).toBe('old');
      refresh.open('new');
      await untilStored('new');
      expect(await ask(refresh.fn, { swr: 60 })).toBe('new');
      expect(refresh.runs).toBe(1);
    });

    test('each caller says how old a value it takes', async () => {
      await leave('old');
      await sleep(5);
      const refresh = computation();
      const [content, picky, plain] = [{ swr: 60 }, { swr: 0.001 }, undefined].map((options) =>
        ask(refresh.fn, options),
      );
      expect(await content).toBe('old');
      refresh.open('new');
      expect(await Promise.all([picky, plain])).toEqual(['new', 'new']);
    });

    test('a caller who takes no old value shares the refresh that runs', async () => {
      await leave('old');
      const refresh = computation();
      expect(await ask(refresh.fn, { swr: 60 })).toBe('old');
      await refresh.begun();
      const own = computation();
      const waiting = ask(own.fn);
      await cache.get('other'); // a round trip: it has been handed over
      refresh.open('new');
      expect(await waiting).toBe('new');
      expect([refresh.runs, own.runs]).toEqual([1, 0]);
    });

    test('a caller who takes no old value computes where no refresh runs', async () => {
      await leave('old');
      expect(await ask(() => 'new')).toBe('new');
      expect(await cache.get('k')).toBe('new');
    });

    test('when swr is over the value is gone', async () => {
      await ask(() => 'old', { ttl: 0.05, swr: 0.05 });
      await sleep(200);
      expect(await ask(() => 'new', { swr: 60 })).toBe('new');
    });

    test('a refresh that throws harms nobody, and is tried again', async () => {
      await leave('old');
      expect(await ask(failing, { swr: 60 })).toBe('old'); // an unhandled rejection would fail the test run
      await until(async () => (await ask(() => 'new', { swr: 60 })) === 'new');
    });

    test('a refresh that returns undefined leaves what is there', async () => {
      await leave('old');
      const refresh = computation();
      refresh.open(undefined);
      expect(await ask(refresh.fn, { swr: 60 })).toBe('old');
      await refresh.begun();
      expect(await ask(refresh.fn, { swr: 60 })).toBe('old');
    });
  });

  describe('grace', () => {
    test('when the function throws, all get the old value', async () => {
      await leave('old');
      const refresh = computation();
      const callers = Array.from({ length: 5 }, () => ask(refresh.fn, { grace: 60 }));
      await refresh.begun();
      refresh.fail(failure);
      expect(await Promise.all(callers)).toEqual(Array(5).fill('old'));
    });

    test('when the function throws at once, too', async () => {
      await leave('old');
      const thrower = () => {
        throw failure;
      };
      expect(await ask(thrower, { grace: 60 })).toBe('old');
    });

    test('when the function returns in time, its value is what callers get', async () => {
      await leave('old');
      expect(await ask(() => sleep(20, 'new'), { grace: 60, timeout: 30 })).toBe('new');
      expect(await cache.get('k')).toBe('new');
    });

    test('a function slower than timeout: the old value, and what it returns later is stored', async () => {
      await leave('old');
      const slow = computation();
      const callers = Array.from({ length: 5 }, () => ask(slow.fn, { grace: 60, timeout: 0.02 }));
      expect(await Promise.all(callers)).toEqual(Array(5).fill('old'));
      slow.open('new');
      await untilStored('new');
      expect(slow.runs).toBe(1);
    });

    test('a function that throws after timeout harms nobody', async () => {
      await leave('old');
      const slow = computation();
      expect(await ask(slow.fn, { grace: 60, timeout: 0.02 })).toBe('old');
      slow.fail(failure); // an unhandled rejection would fail the test run
      await until(async () => (await ask(() => 'new', { grace: 60 })) === 'new');
    });

    test('hardTimeout gives the old value where there is one', async () => {
      await leave('old');
      const never = () => new Promise(() => {});
      expect(await ask(never, { grace: 60, hardTimeout: 0.05 })).toBe('old');
      await until(async () => (await ask(() => 'new', { grace: 60 })) === 'new');
      await expectCode(
        () => cache.getOrCompute('cold', never, { grace: 60, hardTimeout: 0.05 }),
        'ERR_COMPUTE_TIMEOUT',
      );
    });

    test('timeout without an old value is no bound', async () => {
      expect(await ask(() => sleep(50, 'slow'), { grace: 60, timeout: 0.001 })).toBe('slow');
    });

    test('who asks for no grace, or for less than the age of the value, gets the error', async () => {
      await leave('old');
      await sleep(5);
      for (const options of [undefined, {}, { grace: 0 }, { grace: 0.001 }, { swr: 0.001, grace: 0.001 }]) {
        await expect(ask(failing, options)).rejects.toBe(failure);
      }
    });

    test('when grace is over the value is gone', async () => {
      await ask(() => 'old', { ttl: 0.05, grace: 0.05 });
      await sleep(200);
      await expect(ask(failing, { grace: 60 })).rejects.toBe(failure);
    });

    test('without grace nothing is kept', async () => {
      await ask(() => 'old', { ttl: 0.05 });
      await until(async () => (await cache.get('k')) === null);
      await expect(ask(failing, { grace: 60, swr: 60 })).rejects.toBe(failure);
    });
  });

  test('after its TTL an entry is a miss to every other function', async () => {
    await leave('old');
    expect(await cache.get('k')).toBeNull();
    expect(await cache.getMany(['k', 'k'])).toEqual([null, null]);
    expect(await cache.exists('k')).toBe(false);
    expect(await cache.ttl('k')).toBeNull();
    expect(await cache.expire('k', 100)).toBe(false);
    expect(await cache.get('k')).toBeNull();
  });

  test('a value that many read while it was fresh is not served by get after its TTL', async () => {
    await ask(() => ({ n: 1 }), { ttl: 0.2, grace: 60 });
    for (let i = 0; i < 5; i++) await cache.get('k');
    await until(async () => (await cache.get('k')) === null);
    expect(await cache.get('k')).toBeNull();
  });

  test('ttl does not count the grace, and jitter shortens the TTL as ever', async () => {
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
    await Promise.all(
      keys.map((key) => cache.getOrCompute(key, () => 1, { ttl: 1_000, grace: 50_000, swr: 9, jitter: 0.5 })),
    );
    const left = await Promise.all(keys.map((key) => cache.ttl(key)));
    expect(Math.max(...left)).toBeLessThanOrEqual(1_000);
    expect(Math.min(...left)).toBeGreaterThan(400);
    expect(new Set(left.map((seconds) => Math.round(seconds / 10))).size).toBeGreaterThan(3);
  });

  test('expire moves the end of the TTL, and the grace with it', async () => {
    await ask(() => 'old', { ttl: 1_000, grace: 60 });
    expect(await cache.expire('k', 5_000)).toBe(true);
    expect(await cache.ttl('k')).toBeLessThanOrEqual(5_000);
    expect(await cache.ttl('k')).toBeGreaterThan(4_900);
    expect(await cache.expire('k', 0.05)).toBe(true);
    await until(async () => (await cache.get('k')) === null);
    expect(await ask(failing, { grace: 60 })).toBe('old');
  });

  test('an entry for ever needs no grace', async () => {
    await ask(() => 'kept', { ttl: Infinity, grace: 60, swr: Infinity });
    expect(await cache.ttl('k')).toBe(Infinity);
    expect(await cache.get('k')).toBe('kept');
    await ask(() => 'kept', { ttl: 1_000, grace: Infinity });
    expect(await cache.expire('k', Infinity)).toBe(true);
    expect(await cache.ttl('k')).toBe(Infinity);
  });

  test('set leaves nothing of the grace', async () => {
    await ask(() => 'old', { ttl: 1_000, grace: 60 });
    await cache.set('k', 'set', 0.05);
    await until(async () => (await cache.get('k')) === null);
    await expect(ask(failing, { grace: 60 })).rejects.toBe(failure);
  });

  test.each([
    ['del', () => cache.del('k'), null],
    ['del of many', () => cache.del(['other', 'k']), null],
    ['delPattern', () => cache.delPattern('k*'), null],
    ['clear', () => cache.clear(), null],
    ['set', () => cache.set('k', 'set'), 'set'],
    ['setMany', () => cache.setMany({ k: 'set' }), 'set'],
  ])('%s wins over a refresh under way, and ends the old value', async (_, change, left) => {
    await leave('old');
    const refresh = computation();
    expect(await ask(refresh.fn, { swr: 60 })).toBe('old');
    await refresh.begun();
    const waiting = ask(failing);
    await cache.get('other'); // a round trip: it waits for the refresh
    await change();
    expect(await cache.get('k')).toBe(left);
    const expected = left ?? 'next';
    expect(await ask(() => 'next', { swr: 60, grace: 60 })).toBe(expected);
    refresh.open('late');
    expect(await waiting).toBe('late');
    expect(await cache.get('k')).toBe(expected);
  });

  test.each([{ swr: 60 }, { grace: 60 }])(
    'each caller gets a copy of its own of the old value: %j',
    async (options) => {
      await leave({ list: [1] });
      const refresh = computation();
      const callers = Array.from({ length: 3 }, () => ask(refresh.fn, options));
      await refresh.begun();
      refresh.fail(failure);
      for (const value of [...(await Promise.all(callers)), await ask(failing, options)]) {
        expect(value).toEqual({ list: [1] });
        value.list.push(2);
      }
    },
  );

  test('values served after their TTL are counted', async () => {
    await leave('old');
    const refresh = computation();
    await Promise.all(Array.from({ length: 5 }, () => ask(refresh.fn, { swr: 60 })));
    expect((await cache.getStats()).staleServed).toBe(5);
    refresh.open('new');
    await untilStored('new');
    await ask(failing, { swr: 60, grace: 60 });
    expect((await cache.getStats()).staleServed).toBe(5);
  });

  describe('earlyRefresh', () => {
    // So eager that a refresh is due at any time.
    const eager = { ttl: 100, earlyRefresh: 1e9, hardTimeout: 5 };

    test('a hit gives the present value, and one refresh runs behind it', async () => {
      await ask(() => 'present', eager);
      const refresh = computation();
      const callers = Array.from({ length: 50 }, () => ask(refresh.fn, eager));
      expect(await Promise.all(callers)).toEqual(Array(50).fill('present'));
      await refresh.begun();
      await sleep(5);
      expect(await ask(refresh.fn, eager)).toBe('present');
      refresh.open('refreshed');
      await untilStored('refreshed');
      expect(refresh.runs).toBe(1);
      expect((await cache.getStats()).staleServed).toBe(0);
    });

    test('a value that many read is refreshed, too', async () => {
      await ask(() => 'present', eager);
      for (let i = 0; i < 5; i++) await cache.get('k');
      await until(async () => (await ask(() => 'refreshed', eager)) === 'refreshed');
    });

    test('who does not ask for it begins no refresh', async () => {
      await ask(() => 'present', eager);
      const refresh = computation();
      for (const options of [undefined, { ttl: 100 }, { ttl: 100, earlyRefresh: 0 }, { swr: 60, grace: 60 }]) {
        for (let i = 0; i < 5; i++) expect(await ask(refresh.fn, options)).toBe('present');
      }
      expect(refresh.runs).toBe(0);
    });
  });

  test('what is no time, or no measure of eagerness, is refused', async () => {
    for (const name of ['swr', 'grace', 'timeout']) {
      for (const bad of [-1, NaN, -Infinity, '5', null, 5n, true, [1], 1e300]) {
        await expectCode(() => ask(failing, { [name]: bad }), 'ERR_INVALID_TTL');
      }
    }
    await expectCode(() => ask(failing, { timeout: 0 }), 'ERR_INVALID_TTL');
    for (const bad of [-1, NaN, Infinity, '1', null, 1n, true]) {
      await expectCode(() => ask(failing, { earlyRefresh: bad }), 'ERR_INVALID_ARGUMENT');
    }
    await expectCode(() => ask(failing, { stale: 60 }), 'ERR_INVALID_ARGUMENT');
  });

  if (!mode.shared) return;

  test('Redis keeps an entry for its TTL and its grace', async () => {
    await ask(() => 1, { ttl: 1_000, grace: 500, swr: 50 });
    const left = Number(await mode.server.cli('pttl', `${namespace}:k`)) / 1_000;
    expect(left).toBeLessThanOrEqual(1_500);
    expect(left).toBeGreaterThan(1_400);
  });
};
