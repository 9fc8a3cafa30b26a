// Contract: validate, a function or a schema, says which values a caller takes.
'use strict';

const { computation } = require('../../support/computation');
const { expectCode, freshNamespace } = require('../../support/holdfast');
const { until } = require('../../support/until');

const failure = new Error('on purpose');
const raise = () => {
  throw failure;
};
const notRun = () => {
  throw new Error('the function must not run');
};
const positive = (value) => value > 0;
const schema = (validate) => ({ '~standard': { version: 1, vendor: 'test', validate } });

// Each takes numbers above 0.
const VALIDATORS = [
  ['a function', positive],
  ['a function that gives a promise', async (value) => value > 0],
  ['a function that gives something truthy', (value) => (value > 0 ? {} : '')],
  ['a function that throws', (value) => value > 0 || raise()],
  ['a function that rejects', async (value) => value > 0 || raise()],
  ['a schema', schema((value) => (value > 0 ? { value: 'another' } : { issues: [{ message: 'too small' }] }))],
  ['an asynchronous schema', schema(async (value) => (value > 0 ? { value } : { issues: [] }))],
  ['a schema that throws', schema((value) => (value > 0 ? { value } : raise()))],
  [
    'a schema that is a function',
    Object.assign(
      notRun,
      schema((value) => (value > 0 ? { value } : { issues: [1] })),
    ),
  ],
];

module.exports = function validate(mode) {
  let cache;
  let other;
  beforeEach(async () => {
    const options = { namespace: freshNamespace() };
    cache = await mode.cache(options);
    other = await mode.cache(options);
  });
  const ask = (fn, validate, options) => cache.getOrCompute('k', fn, { validate, ...options });

  test.each(VALIDATORS)(
    '%s: a stored value that passes is a hit, one that fails is computed anew',
    async (_, given) => {
      await cache.set('k', 5);
      expect(await ask(notRun, given)).toBe(5);
      await cache.get('k');
      expect(await ask(notRun, given)).toBe(5); // of this process
      await cache.set('k', -5);
      await cache.get('k');
      expect(await ask(({ stale }) => -stale, given)).toBe(5);
      expect(await other.get('k')).toBe(5);
    },
  );

  test.each(VALIDATORS)('%s: a result that fails rejects, and is not stored', async (_, given) => {
    const error = await expectCode(() => ask(() => -5, given), 'ERR_INVALID_VALUE');
    expect(error.message).not.toContain('5');
    expect(await cache.exists('k')).toBe(false);
    expect(await ask(() => 6, given)).toBe(6);
  });

  test('the cause is what it threw, or the issues', async () => {
    const issues = [{ message: 'too small' }];
    expect((await expectCode(() => ask(() => 1, raise), 'ERR_INVALID_VALUE')).cause).toBe(failure);
    const refuse = schema(() => ({ issues }));
    expect((await expectCode(() => ask(() => 1, refuse), 'ERR_INVALID_VALUE')).cause).toBe(issues);
  });

  test('a result that fails reaches all callers of the thread as an error does', async () => {
    const held = computation();
    const calls = [ask(held.fn, positive)];
    await held.begun();
    calls.push(other.getOrCompute('k', notRun));
    await other.getStats();
    held.open(-1);
    for (const { reason } of await Promise.allSettled(calls))
      expect(reason).toMatchObject({ code: 'ERR_INVALID_VALUE' });
    expect(await cache.exists('k')).toBe(false);
  });

  test('undefined is not looked at', async () => {
    expect(await ask(() => undefined, positive)).toBeUndefined();
  });

  test('callers at once remove a value once, and share one computation', async () => {
    await cache.set('k', -1);
    const fn = jest.fn(() => 1);
    expect(await Promise.all(Array.from({ length: 50 }, () => ask(fn, positive)))).toEqual(Array(50).fill(1));
    expect(fn).toHaveBeenCalledTimes(1);
    expect(await cache.get('k')).toBe(1);
  });

  test('one that comes late with its refusal leaves the new value where it is', async () => {
    await cache.set('k', -1);
    const judged = computation();
    const late = ask(notRun, async (value) => value > 0 || (await judged.fn()));
    await judged.begun();
    expect(await ask(() => 1, positive)).toBe(1);
    judged.open(false);
    expect(await late).toBe(1);
    expect(await other.get('k')).toBe(1);
  });

  test('what another caller computes is looked at as well, and replaced where it fails', async () => {
    const held = computation();
    const others = other.getOrCompute('k', held.fn);
    await held.begun();
    const call = ask(
      () => 'own',
      (value) => value === 'own',
    );
    await cache.getStats();
    held.open('other');
    expect(await others).toBe('other');
    expect(await call).toBe('own');
    expect(await other.get('k')).toBe('own');
  });

  test.each([
    ['own', 'own'],
    ['bad', 'ERR_INVALID_VALUE'],
  ])('after a second refusal the function runs for this call alone, and %s is not stored', async (result, expected) => {
    await cache.set('k', 'foreign');
    const judged = computation();
    const fn = jest.fn(() => result);
    const call = ask(fn, async (value) => value === 'own' || (await judged.fn()));
    await judged.begun();
    // Removes the value in the place of the first, which then finds this one's computation.
    const held = computation();
    const next = ask(held.fn, (value) => value !== 'foreign');
    await held.begun();
    judged.open(false);
    await cache.getStats();
    held.open('other');
    expect(await next).toBe('other');
    if (expected === 'own') expect(await call).toBe('own');
    else await expectCode(() => call, expected);
    expect(fn).toHaveBeenCalledTimes(1);
    expect(await other.get('k')).toBe('other');
  });

  describe('with an old value', () => {
    /** Leaves `value` at `k`: its TTL is over, and it is kept for a minute more. */
    async function leave(value) {
      await cache.getOrCompute('k', () => value, { ttl: 0.05, grace: 60 });
      await until(async () => (await cache.get('k')) === null, 'the TTL is over');
    }

    test('one that passes serves swr and grace', async () => {
      await leave(1);
      const held = computation();
      expect(await ask(held.fn, positive, { swr: 60 })).toBe(1);
      held.open(2);
      await until(async () => (await cache.get('k')) === 2);
      await cache.del('k');
      await leave(1);
      expect(await ask(raise, positive, { grace: 60 })).toBe(1);
    });

    test('one that fails serves neither, and the function sees it', async () => {
      await leave(-1);
      expect(await ask(({ stale }) => stale + 5, positive, { swr: 60 })).toBe(4);
      await cache.del('k');
      await leave(-1);
      await expect(ask(raise, positive, { grace: 60 })).rejects.toBe(failure);
    });

    test('one that passes stands in for a result that fails', async () => {
      await leave(1);
      expect(await ask(() => -1, positive, { grace: 60 })).toBe(1);
    });
  });

  describe('a validate that never answers', () => {
    const never = () => new Promise(() => {});

    test('holds up its own caller, until hardTimeout', async () => {
      await cache.set('k', 1);
      await expectCode(() => ask(notRun, never, { hardTimeout: 0.05 }), 'ERR_COMPUTE_TIMEOUT');
      expect(await cache.getOrCompute('k', notRun)).toBe(1);
    });

    test('holds up no other key of many, and nobody who waits for one', async () => {
      await cache.set('a', 'stuck');
      const validate = (value) => value !== 'stuck' || never();
      const held = computation();
      const many = cache.getOrComputeMany(['a', 'b'], (keys) => held.fn().then(() => keys), {
        validate,
        hardTimeout: 0.5,
      });
      many.catch(() => {});
      await held.begun();
      const single = other.getOrCompute('b', notRun);
      await other.getStats();
      held.open();
      expect(await single).toBe('b');
      await expectCode(() => many, 'ERR_COMPUTE_TIMEOUT');
    });
  });

  test('of many keys, those that fail are computed anew by one call', async () => {
    await cache.setMany({ a: -1, b: 2, c: -3 });
    // Of this process from now on, where there is a near cache.
    for (const key of ['a', 'b', 'c', 'a', 'b', 'c']) await cache.get(key);
    const fn = jest.fn((keys) => keys.map(() => 9));
    expect(await cache.getOrComputeMany(['a', 'b', 'c'], fn, { validate: positive })).toEqual([9, 2, 9]);
    expect(fn.mock.calls).toEqual([[['a', 'c']]]);
    expect(await other.getMany(['a', 'b', 'c'])).toEqual([9, 2, 9]);
    await expectCode(
      () => cache.getOrComputeMany(['d', 'e'], () => [1, -1], { validate: positive }),
      'ERR_INVALID_VALUE',
    );
    expect(await cache.exists('e')).toBe(false);
  });

  test('what is neither a function nor a schema is refused', async () => {
    for (const given of [null, true, 'text', {}, { '~standard': {} }, { '~standard': null }, []]) {
      await expectCode(() => ask(() => 1, given), 'ERR_INVALID_ARGUMENT');
    }
    const unreadable = Object.defineProperty({}, '~standard', { get: raise });
    expect((await expectCode(() => ask(() => 1, unreadable), 'ERR_INVALID_ARGUMENT')).cause).toBe(failure);
    expect(await cache.exists('k')).toBe(false);
  });
};
