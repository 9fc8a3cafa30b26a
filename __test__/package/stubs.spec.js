// Tests of applications replace functions of a cache and restore them; the cache itself works on.
'use strict';

const { mock } = require('node:test');
const { closeCaches, holdfast, makeCache } = require('../support/holdfast');

const FUNCTIONS = Object.keys(makeCache()).filter((name) => typeof makeCache()[name] === 'function');

afterEach(async () => {
  jest.restoreAllMocks();
  await closeCaches();
});

describe.each([
  ['a cache of createCache', () => makeCache()],
  ['the default export', () => holdfast],
])('%s', (_, subject) => {
  test('each function can be stubbed and restored', () => {
    const cache = subject();
    for (const name of FUNCTIONS) {
      const original = cache[name];
      jest.spyOn(cache, name).mockReturnValue('stubbed');
      expect(cache[name]()).toBe('stubbed');
      cache[name].mockRestore();
      expect(cache[name]).toBe(original);
      const replaced = mock.method(cache, name, () => 'replaced');
      expect(cache[name]()).toBe('replaced');
      replaced.mock.restore();
      expect(cache[name]).toBe(original);
      cache[name] = () => 'assigned';
      expect(cache[name]()).toBe('assigned');
      cache[name] = original;
    }
  });

  test('a spy that calls through sees the call and its value', async () => {
    const cache = subject();
    await cache.set('k', 1);
    const get = jest.spyOn(cache, 'get');
    expect(await cache.get('k')).toBe(1);
    expect(get.mock.calls).toEqual([['k']]);
  });

  test('what was taken out before a stub is the function itself', async () => {
    const cache = subject();
    const { get, set } = cache;
    jest.spyOn(cache, 'get').mockResolvedValue('stubbed');
    await set('k', 1);
    expect([await cache.get('k'), await get('k')]).toEqual(['stubbed', 1]);
  });

  test('with all other functions stubbed, each works as before', async () => {
    const cache = subject();
    const uses = {
      ready: (ready) => ready(),
      getOrCompute: (getOrCompute) => getOrCompute('computed', async () => 1),
      getOrComputeMany: (getOrComputeMany) => getOrComputeMany(['many'], () => [1]),
      memoize: (memoize) => memoize(() => 2, { key: () => 'many' })(),
      setMany: (setMany) => setMany({ k: 1 }, { tags: ['t'] }),
      getMany: (getMany) => getMany(['k', 'computed']),
      invalidateTags: (invalidateTags) => invalidateTags('t'),
      existsMany: (existsMany) => existsMany(['k', 'nothing']),
      del: (del) => del(['computed', 'many']),
      delMany: (delMany) => delMany(['k', 'nothing']),
      getStats: async (getStats) => (await getStats()).mode,
      clear: (clear) => clear(),
      health: (health) => health().mode,
      getMode: (getMode) => getMode(),
    };
    const results = [
      'memory',
      1,
      [1],
      1,
      undefined,
      [1, 1],
      undefined,
      [false, false],
      2,
      [true, false],
      'memory',
      expect.any(Number),
      'memory',
      'memory',
    ];
    for (const [i, [name, use]] of Object.entries(uses).entries()) {
      const original = cache[name];
      for (const other of FUNCTIONS) {
        jest.spyOn(cache, other).mockImplementation(() => {
          throw new Error(`${name} called ${other}`);
        });
      }
      expect(await use(original)).toEqual(results[i]);
      jest.restoreAllMocks();
    }
  });
});

test('the functions of an emitter return what they were called on', () => {
  const listener = () => {};
  expect(holdfast.on('error', listener)).toBe(holdfast);
  expect(holdfast.off('error', listener).setMaxListeners(10)).toBe(holdfast);
});

test('nothing that the cache works with can be reached from what its user holds', () => {
  const cache = makeCache();
  for (const name of Reflect.ownKeys(cache).filter((each) => typeof each === 'string'))
    expect(typeof cache[name]).toBe('function');
  const prototype = Object.getPrototypeOf(cache);
  expect(Reflect.ownKeys(prototype)).toEqual(['constructor']);
});

test('a cache of which a stub is printed, counted or closed ends as any other', async () => {
  const cache = makeCache();
  jest.spyOn(cache, 'close').mockResolvedValue(undefined);
  jest.spyOn(cache, 'getMode').mockReturnValue('redis');
  expect(require('node:util').inspect(cache)).toBe("HoldfastCache { mode: 'memory' }");
  jest.restoreAllMocks();
  await cache.close();
  expect(require('node:util').inspect(cache)).toBe("HoldfastCache { mode: 'closed' }");
});
