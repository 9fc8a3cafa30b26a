// Contract: whatever a caller's function is or does, every caller that waits for it settles, and the key can be
// computed again.
'use strict';

const { expectCode, freshNamespace } = require('../../support/holdfast');
const { computation, outlast } = require('../../support/computation');

const failure = new TypeError('on purpose');
const raise = () => {
  throw failure;
};
const never = () => new Promise(() => {});
const notRun = () => {
  throw new Error('the function must not run');
};

class Later extends Promise {}
class Unruly extends Promise {
  // biome-ignore lint/suspicious/noThenProperty: a thenable that answers more than once is what is tried here
  then(resolve, reject) {
    return super.then((value) => {
      resolve(value);
      resolve('twice');
      reject?.(failure);
    }, reject);
  }
}
const thenable = (then) => Object.defineProperty({}, 'then', typeof then === 'function' ? { value: then } : then);
const trapped = (value, traps) => new Proxy(value, traps);

// What a function gives, and what its callers get: a value, or an error.
const GIVEN = [
  ['a subclass of Promise', () => Later.resolve({ n: 1 }), { n: 1 }],
  ['a subclass of Promise that answers twice', () => Unruly.resolve({ n: 1 }), { n: 1 }],
  ['a thenable', () => thenable((resolve) => resolve({ n: 1 })), { n: 1 }],
  ['a thenable that answers twice', () => thenable((resolve, reject) => [resolve(1), reject(failure), resolve(2)]), 1],
  ['a thenable that throws behind its answer', () => thenable((resolve) => raise(resolve(1))), 1],
  ['a thenable whose then throws', () => thenable(raise), failure],
  ['an object whose getter then throws', () => thenable({ get: raise }), failure],
  ['a thenable that rejects with undefined', () => thenable((_, reject) => reject(undefined)), new Error('undefined')],
  ['a Proxy', () => trapped({ n: 1 }, {}), { n: 1 }],
  ['a Proxy that throws', () => trapped({}, { get: raise }), failure],
  ['a Proxy that cannot be read', () => trapped({ n: 1 }, { ownKeys: raise }), 'ERR_UNSERIALIZABLE'],
  ['a value whose toJSON throws', () => ({ toJSON: raise }), 'ERR_UNSERIALIZABLE'],
  [
    'a value whose getter throws',
    () => Object.defineProperty({}, 'n', { enumerable: true, get: raise }),
    'ERR_UNSERIALIZABLE',
  ],
  ['a value whose toJSON is a value', () => ({ toJSON: () => ({ n: 1 }) }), { n: 1 }],
  ['a function', () => () => 1, 'ERR_UNSERIALIZABLE'],
  ['a symbol', () => Symbol('s'), 'ERR_UNSERIALIZABLE'],
  ['a value that is too large', () => 'x'.repeat(3_000), 'ERR_VALUE_TOO_LARGE'],
];

/** What a caller got: a value as JSON, or its error; one that rejected with undefined did that. */
const settled = (call) =>
  call.then(
    (value) => JSON.parse(JSON.stringify(value)),
    (error) => error ?? new Error('undefined'),
  );

module.exports = function functions(mode) {
  let cache;
  let other;
  beforeEach(async () => {
    const options = { namespace: freshNamespace(), maxValueBytes: 2_048 };
    cache = await mode.cache(options);
    other = await mode.cache(options);
  });
  /** What was called before has been handed over, by both: this is behind all calls, wherever their keys are. */
  const handedOver = () => Promise.all([cache, other].map((each) => each.getStats()));

  test.each(GIVEN)('fault 36: a function that gives %s', async (_, give, expected) => {
    const held = computation();
    const calls = [cache.getOrCompute('k', () => held.fn().then(give))];
    await held.begun();
    for (const each of [cache, other, cache]) calls.push(each.getOrCompute('k', notRun));
    calls.push(cache.getOrComputeMany(['k', 'l'], (keys) => keys).then(([value]) => value));
    await handedOver();
    held.open();
    for (const got of await Promise.all(calls.map(settled))) {
      if (expected instanceof Error) expect(got).toEqual(expected);
      else if (typeof expected === 'string') expect(got).toMatchObject({ name: 'HoldfastError', code: expected });
      else expect(got).toEqual(expected);
    }
    await cache.del('k');
    expect(await other.getOrCompute('k', () => 'anew')).toBe('anew');
  });

  test.each(GIVEN)('fault 36: a function that at once gives %s', async (_, give, expected) => {
    const calls = [cache, cache, other].map((each) => settled(each.getOrCompute('k', give)));
    calls.push(settled(cache.getOrComputeMany(['k'], () => [give()]).then(([value]) => value)));
    for (const got of await Promise.all(calls)) {
      if (typeof expected === 'string') expect(got).toMatchObject({ code: expected });
      else expect(got).toEqual(expected);
    }
  });

  test('fault 36: a thenable that never answers holds up each caller for as long as it would wait', async () => {
    const silent = () => thenable(() => {});
    const calls = [cache, cache, other].map((each) => each.getOrCompute('k', silent, { hardTimeout: 0.05 }));
    for (const call of calls) await expectCode(() => call, 'ERR_COMPUTE_TIMEOUT');
    expect(await other.getOrCompute('k', () => 'anew')).toBe('anew');
  });

  test('fault 36: a value that becomes a thenable when its caller gets it harms that caller alone', async () => {
    let reads = 0;
    const turning = () => thenable({ get: () => (reads++ === 0 ? undefined : () => {}) });
    const held = computation();
    const leader = cache.getOrCompute('k', () => held.fn().then(turning), { hardTimeout: 0.2 });
    leader.catch(() => {});
    await held.begun();
    const follower = cache.getOrCompute('k', notRun);
    await handedOver();
    held.open();
    expect(await follower).toEqual({});
  });

  test.each([
    ['deletes its key', (key) => cache.del(key), null],
    ['stores its key', (key) => cache.set(key, 'set'), 'set'],
    ['deletes a pattern', () => cache.delPattern('*'), null],
    ['clears the cache', () => cache.clear(), null],
    ['ends its tag', () => cache.invalidateTags('t'), null],
  ])('a function that %s: its callers get its result, which is not stored', async (_, act, left) => {
    const options = { tags: ['t'] };
    const held = computation();
    const compute = async () => {
      await held.fn();
      await act('k');
      return 'computed';
    };
    const calls = [cache.getOrCompute('k', compute, options)];
    await held.begun();
    for (const each of [cache, other]) calls.push(each.getOrCompute('k', notRun, options));
    await handedOver();
    held.open();
    expect(await Promise.all(calls)).toEqual(['computed', 'computed', 'computed']);
    expect(await other.get('k')).toBe(left);
    expect(await other.getOrCompute('k', () => 'anew', options)).toBe(left ?? 'anew');
  });

  test('who follows a function gets its result, in whichever turn of the event loop the answer comes', async () => {
    // Where answers come at once, some of them wait for the next turn: within so many rounds that of a follower does.
    for (let round = 0; round < 150; round++) {
      const key = `k${round}`;
      const held = computation();
      const compute = async () => {
        await held.fn();
        await cache.del(key);
        return round;
      };
      const calls = [cache.getOrCompute(key, compute)];
      await held.begun();
      // In batches of their own, before the one of the round trip.
      for (const each of [cache, other, cache, other]) calls.push(each.getOrCompute(key, notRun));
      await handedOver();
      held.open();
      expect(await Promise.all(calls)).toEqual(Array(5).fill(round));
    }
  });

  test('a function that closes its cache: its callers get its result', async () => {
    const compute = () => {
      cache.close();
      return 'computed';
    };
    const call = cache.getOrCompute('k', compute);
    expect(await call).toBe('computed');
    await cache.close();
    expect(await other.getOrCompute('k', () => 'another')).toBe('computed');
  });

  test('a function that waits for the end of its own cache: the cache closes when its callers have given up', async () => {
    const compute = () => cache.close().then(() => 'computed');
    await expectCode(() => cache.getOrCompute('k', compute, { hardTimeout: 0.05 }), 'ERR_COMPUTE_TIMEOUT');
    await cache.close();
    expect(await other.getOrCompute('k', () => 'anew')).toBe('anew');
  });

  describe('for many keys', () => {
    const list = (length, at, get) => Object.defineProperty(Array(length).fill(1), at, { enumerable: true, get });

    test.each([
      ['an array with holes', () => Object.assign(Array(3), { 0: 1, 2: 3 }), [1, undefined, 3]],
      ['a Proxy of an array', () => trapped([1, 2, 3], {}), [1, 2, 3]],
      ['promises', () => [1, Promise.resolve(2), Later.resolve(3)], [1, 2, 3]],
      ['a thenable of an array', () => thenable((resolve) => resolve([1, 2, 3])), [1, 2, 3]],
    ])('%s', async (_, give, expected) => {
      expect(await cache.getOrComputeMany(['a', 'b', 'c'], give)).toEqual(expected);
      expect(await other.getMany(['a', 'b', 'c'])).toEqual(expected.map((value) => value ?? null));
    });

    test.each([
      ['an element that throws', () => list(3, 1, raise), failure],
      ['an element that rejects', () => [1, Promise.reject(failure), 1], failure],
      ['an element that has no JSON form', () => [1, 1n, 1], 'ERR_UNSERIALIZABLE'],
      ['an element that is too large', () => [1, 'x'.repeat(3_000), 1], 'ERR_VALUE_TOO_LARGE'],
    ])('%s ends the call, and is computed anew; the others are stored', async (_, give, expected) => {
      const held = computation();
      const many = cache.getOrComputeMany(['a', 'b', 'c'], () => held.fn().then(give));
      await held.begun();
      const singles = ['a', 'b', 'c'].map((key) => settled(other.getOrCompute(key, notRun)));
      await handedOver();
      held.open();
      const [a, b, c] = await Promise.all(singles);
      const error = await many.catch((reason) => reason);
      expect([a, c]).toEqual([1, 1]);
      for (const got of [b, error]) {
        if (typeof expected === 'string') expect(got).toMatchObject({ code: expected });
        else expect(got).toBe(expected);
      }
      expect(await cache.getOrComputeMany(['a', 'b', 'c'], (keys) => keys)).toEqual([1, 'b', 1]);
    });

    test.each([
      [
        'a Proxy that throws for its length',
        () => trapped([], { get: (_, name) => (name === 'length' ? raise() : undefined) }),
      ],
      ['a Proxy that was revoked', () => revoked()],
      ['a function that throws', raise],
    ])('%s ends the call, and every key is computed anew', async (_, give) => {
      const held = computation();
      const many = cache.getOrComputeMany(['a', 'b'], () => held.fn().then(give));
      await held.begun();
      const singles = ['a', 'b'].map((key) => settled(other.getOrCompute(key, notRun)));
      await handedOver();
      held.open();
      await expect(many).rejects.toBeInstanceOf(TypeError);
      for (const got of await Promise.all(singles)) expect(got).toBeInstanceOf(TypeError);
      expect(await other.getOrComputeMany(['a', 'b'], (keys) => keys)).toEqual(['a', 'b']);
    });

    test('a call that ends by an error waits for nothing that others compute', async () => {
      const held = computation();
      const single = other.getOrCompute('b', held.fn);
      await held.begun();
      await expect(cache.getOrComputeMany(['a', 'b'], raise)).rejects.toBe(failure);
      await cache.close();
      held.open('single');
      expect(await single).toBe('single');
    });
  });

  test('of functions that never settle the newest of a key may still store, and older ones have lost that right', async () => {
    const runs = [];
    for (let n = 0; n < 6; n++) {
      const run = computation();
      runs.push(run);
      await outlast(run, () => cache.getOrCompute('k', run.fn, { hardTimeout: 0.02 }));
    }
    runs[0].open('first');
    for (let n = 0; n < 5; n++) await cache.get('k'); // round trips, in which it would be stored
    expect(await cache.get('k')).toBeNull();
    runs[5].open('last');
    while ((await cache.get('k')) !== 'last');
    expect(await other.getOrCompute('k', never)).toBe('last');
  });
};

function revoked() {
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  // In an object, as a promise could not be resolved with it.
  return thenable((resolve) => resolve(proxy));
}
