// Contract: memoize makes a function whose results are computed once for each key.
'use strict';

const { computation } = require('../../support/computation');
const { expectCode, expectThrows, freshNamespace } = require('../../support/holdfast');

const failure = new Error('on purpose');
const raise = () => {
  throw failure;
};
class Point {
  x = 1;
}

module.exports = function memoize(mode) {
  let cache;
  let other;
  beforeEach(async () => {
    const options = { namespace: freshNamespace() };
    cache = await mode.cache(options);
    other = await mode.cache(options);
  });

  test('the function runs once for each key', async () => {
    const fn = jest.fn(async (a, b) => ({ sum: a + b }));
    const sum = cache.memoize(fn, { key: (a, b) => `sum:${a}:${b}` });
    expect(await Promise.all([sum(1, 2), sum(1, 2), sum(2, 2)])).toEqual([{ sum: 3 }, { sum: 3 }, { sum: 4 }]);
    expect(await sum(1, 2)).toEqual({ sum: 3 });
    // On a cluster two keys are two servers', and either may be the first.
    expect([...fn.mock.calls].sort()).toEqual([
      [1, 2],
      [2, 2],
    ]);
    expect(await other.get('sum:1:2')).toEqual({ sum: 3 });
  });

  test('its computations are those of getOrCompute', async () => {
    const held = computation();
    const load = cache.memoize(held.fn, { key: () => 'k' });
    const calls = [load()];
    await held.begun();
    calls.push(other.getOrCompute('k', raise));
    await other.getStats();
    held.open(1);
    expect(await Promise.all(calls)).toEqual([1, 1]);
  });

  test('key tells the key, del removes the value, refresh computes it anew', async () => {
    let runs = 0;
    const load = cache.memoize((id) => `${id}, run ${++runs}`, { key: (id) => `user:${id}` });
    expect(load.key(7)).toBe('user:7');
    expect(await load(7)).toBe('7, run 1');
    expect(await load.refresh(7)).toBe('7, run 2');
    expect(await load(7)).toBe('7, run 2');
    expect(await load.del(7)).toBe(1);
    expect(await load.del(7)).toBe(0);
    expect(await load(7)).toBe('7, run 3');
  });

  test('the function and key get the this of the call', async () => {
    class Users {
      constructor(id) {
        this.id = id;
      }
      load = cache.memoize(
        function load(name) {
          return `${this.id}, ${name}`;
        },
        {
          key(name) {
            return `${this.id}:${name}`;
          },
        },
      );
    }
    const users = new Users(5);
    expect(await users.load('a')).toBe('5, a');
    expect(await other.get('5:a')).toBe('5, a');
    expect(users.load.key.call({ id: 6 }, 'b')).toBe('6:b');
    expect(await users.load.refresh.call({ id: 6 }, 'b')).toBe('6, b');
    expect(await users.load.del.call({ id: 6 }, 'b')).toBe(1);
    const selfOf = cache.memoize(
      function selfOf() {
        return this === undefined;
      },
      { key: 'self' },
    );
    expect([await selfOf(), await selfOf.refresh()]).toEqual([true, true]);
  });

  test('the options are those of getOrCompute, read once', async () => {
    const options = { key: 'k', ttl: (n) => n, validate: (n) => n > 0 };
    const load = cache.memoize((n) => n, options);
    options.ttl = raise;
    options.validate = raise;
    expect(await load(1_000)).toBe(1_000);
    expect(await cache.ttl(load.key(1_000))).toBeGreaterThan(300);
    await expectCode(() => load(-1), 'ERR_INVALID_VALUE');
    const brief = await mode.cache({ ttl: 1_000 });
    const plain = brief.memoize((n) => n, { key: 'k' });
    await plain(1);
    expect(await brief.ttl(plain.key(1))).toBeGreaterThan(300);
  });

  describe('a key of a text', () => {
    const keyOf = (...args) => cache.memoize(() => 1, { key: 'p' }).key(...args);

    test('holds the arguments as JSON, with properties in order', () => {
      expect(keyOf()).toBe('p:[]');
      expect(keyOf(1, 'a', null, true, [2, 'b'])).toBe('p:[1,"a",null,true,[2,"b"]]');
      expect(keyOf({ b: { d: 1, c: 2 }, a: [] })).toBe('p:[{"a":[],"b":{"c":2,"d":1}}]');
      expect(keyOf(Object.assign(Object.create(null), { 2: 1, 1: 2 }))).toBe('p:[{"1":2,"2":1}]');
      expect(keyOf(-0)).toBe(keyOf(0));
      const shared = { n: 1 };
      expect(keyOf([shared, shared])).toBe('p:[[{"n":1},{"n":1}]]');
    });

    test('differs wherever the arguments do', () => {
      const all = [
        [],
        [1],
        ['1'],
        [[1]],
        [[]],
        [null],
        ['null'],
        [1, 1],
        ['1,1'],
        [{}],
        [{ a: 1 }],
        ['{"a":1}'],
        [['a', 1]],
      ];
      expect(new Set(all.map((args) => keyOf(...args))).size).toBe(all.length);
    });

    const cycle = {};
    cycle.self = cycle;
    test.each([
      ['undefined', undefined],
      ['NaN', NaN],
      ['Infinity', Infinity],
      ['a BigInt', 1n],
      ['a symbol', Symbol('s')],
      ['a function', raise],
      ['a Date', new Date(0)],
      ['a Map', new Map()],
      ['a Buffer', Buffer.from('a')],
      ['an instance of a class', new Point()],
      ['a boxed number', Object(1)],
      ['an object with undefined', { a: undefined }],
      ['an object with a symbol', { [Symbol('s')]: 1 }],
      ['an object with a hidden property', Object.defineProperty({}, 'a', { value: 1 })],
      ['an object whose getter throws', Object.defineProperty({}, 'a', { enumerable: true, get: raise })],
      ['a list with a hole', new Array(2)],
      ['a list with a name', Object.assign([1], { a: 1 })],
      ['a cycle', cycle],
      ['a Proxy that throws', new Proxy({}, { ownKeys: raise })],
      ['what is too deep', Array.from({ length: 100 }).reduce((inner) => [inner], 1)],
    ])('%s has none', async (_, argument) => {
      const fn = jest.fn(() => 1);
      const load = cache.memoize(fn, { key: 'p' });
      await expectCode(() => load('a', argument), 'ERR_INVALID_ARGUMENT');
      await expectCode(() => load({ inner: [argument] }), 'ERR_INVALID_ARGUMENT');
      await expectCode(() => load.refresh(argument), 'ERR_INVALID_ARGUMENT');
      await expectCode(() => load.del(argument), 'ERR_INVALID_ARGUMENT');
      expectThrows(() => load.key(argument), 'ERR_INVALID_ARGUMENT');
      expect(fn).not.toHaveBeenCalled();
    });
  });

  test('what key throws rejects the call, and what is no key, too', async () => {
    const load = cache.memoize(() => 1, { key: (what) => what() });
    for (const call of [load, load.refresh, load.del]) {
      await expect(call(raise)).rejects.toBe(failure);
      await expectCode(() => call(() => 5), 'ERR_INVALID_KEY');
      await expectCode(() => call(async () => 'k'), 'ERR_INVALID_KEY');
    }
    expect(() => load.key(raise)).toThrow(failure);
    expectThrows(() => load.key(() => undefined), 'ERR_INVALID_KEY');
  });

  test('what is no function, and options that do not fit, throw', () => {
    for (const fn of [undefined, null, 'text', {}]) {
      expectThrows(() => cache.memoize(fn, { key: 'k' }), 'ERR_INVALID_ARGUMENT');
    }
    const wrong = [undefined, 60, 'k', {}, { key: '' }, { key: 5 }, { key: 'k', other: 1 }, { key: 'k', swr: '1' }];
    wrong.push({ key: 'k', signal: new AbortController().signal }, { key: 'k', forceFresh: true });
    for (const options of wrong) {
      expect(() => cache.memoize(() => 1, options)).toThrow(expect.objectContaining({ name: 'HoldfastError' }));
    }
    expectThrows(() => cache.memoize(() => 1, { key: 'k', ttl: 0 }), 'ERR_INVALID_TTL');
  });

  test('the calls of a closed cache reject', async () => {
    const load = cache.memoize(() => 1, { key: 'k' });
    await load();
    await cache.close();
    for (const call of [load, load.refresh, load.del]) await expectCode(() => call(), 'ERR_CLOSED');
  });
};
