// Contract: get, set, del, exists, and what a value is.
'use strict';

const { expectCode, freshNamespace } = require('../../support/holdfast');

const VALUES = [
  ['a string', 'text'],
  ['an empty string', ''],
  ['text in many scripts', 'naïve — 日本語 😀 \u2028 "quoted" \\ \n'],
  ['zero', 0],
  ['a fraction', -1.5e-7],
  ['a large number', Number.MAX_SAFE_INTEGER],
  ['true', true],
  ['false', false],
  ['null', null],
  ['an empty object', {}],
  ['an empty list', []],
  ['a nested object', { a: [1, { b: null }, [[]]], 'key with "quotes"': '\0' }],
  ['100 KB of text', 'x'.repeat(100_000)],
];

module.exports = function values(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  test.each(VALUES)('%s comes back as it was', async (_, value) => {
    await expect(cache.set('k', value)).resolves.toBeUndefined();
    await expect(cache.get('k')).resolves.toEqual(value);
  });

  test('a value takes its JSON form', async () => {
    const date = new Date('2024-05-06T07:08:09.010Z');
    await cache.set('k', { date, gone: undefined, nan: NaN, list: [undefined, -0], own: { toJSON: () => 'mine' } });
    expect(await cache.get('k')).toEqual({ date: date.toISOString(), nan: null, list: [null, 0], own: 'mine' });
  });

  test('a miss is null', async () => {
    expect(await cache.get('nothing')).toBeNull();
  });

  test('a write replaces what was there', async () => {
    await cache.set('k', { old: true });
    await cache.set('k', 'new');
    expect(await cache.get('k')).toBe('new');
  });

  test('each get gives a fresh copy', async () => {
    await cache.set('k', { list: [1] });
    const first = await cache.get('k');
    first.list.push(2);
    expect(await cache.get('k')).toEqual({ list: [1] });
  });

  test('copies are fresh among the calls of one turn', async () => {
    await cache.set('k', { n: 1 });
    const [a, b] = await Promise.all([cache.get('k'), cache.get('k')]);
    a.n = 2;
    expect(b).toEqual({ n: 1 });
  });

  test('what is stored is the value at the time of the call', async () => {
    const value = { n: 1 };
    const stored = cache.set('k', value);
    value.n = 2;
    await stored;
    expect(await cache.get('k')).toEqual({ n: 1 });
  });

  test('the calls of one turn happen in their order', async () => {
    const results = await Promise.all([
      cache.set('k', 1),
      cache.get('k'),
      cache.set('k', 2),
      cache.get('k'),
      cache.del('k'),
      cache.get('k'),
    ]);
    expect(results).toEqual([undefined, 1, undefined, 2, 1, null]);
  });

  test('many calls at once each get their own answer', async () => {
    const keys = Array.from({ length: 3_000 }, (_, i) => `k${i}`);
    await Promise.all(keys.map((key, i) => cache.set(key, { i })));
    const values = await Promise.all(keys.map((key) => cache.get(key)));
    expect(values).toEqual(keys.map((_, i) => ({ i })));
  });

  test('fault 33: what has no JSON form is refused, and what was stored stays', async () => {
    const cycle = {};
    cycle.self = cycle;
    await cache.set('k', 'kept');
    for (const value of [undefined, () => 1, Symbol('s'), 10n, { deep: 10n }, cycle, { toJSON: () => undefined }]) {
      await expectCode(() => cache.set('k', value), 'ERR_UNSERIALIZABLE');
    }
    expect(await cache.get('k')).toBe('kept');
  });

  test('del removes one key and says whether it was there', async () => {
    await cache.set('k', 1);
    expect(await cache.del('k')).toBe(1);
    expect(await cache.get('k')).toBeNull();
    expect(await cache.del('k')).toBe(0);
  });

  test('del removes many keys and counts those that were there', async () => {
    await cache.setMany({ a: 1, b: 2, c: 3 });
    expect(await cache.del(['a', 'b', 'nothing', 'a'])).toBe(2);
    expect(await cache.getMany(['a', 'b', 'c'])).toEqual([null, null, 3]);
    expect(await cache.del([])).toBe(0);
  });

  test('del removes more keys than fit one command', async () => {
    const keys = Array.from({ length: 5_000 }, (_, i) => `k${i}`);
    await cache.setMany(keys.map((key) => [key, 1]));
    expect(await cache.del(keys)).toBe(5_000);
  });

  test('exists tells a stored null from a miss', async () => {
    await cache.set('k', null);
    expect(await cache.exists('k')).toBe(true);
    expect(await cache.exists('nothing')).toBe(false);
  });

  test('functions work when taken out of the cache', async () => {
    const { set, get, getOrCompute, getMode } = cache;
    await set('k', 1);
    expect(await get('k')).toBe(1);
    expect(await getOrCompute('k', () => 2)).toBe(1);
    expect(getMode()).toBe(mode.mode);
  });

  if (!mode.shared) return;

  test('redis-cli reads a value as its JSON text at the same key', async () => {
    const raw = await mode.cache({ namespace: '' });
    await raw.set('user:1', { name: 'Ada', tags: ['é', null] });
    expect(await mode.server.cli('get', 'user:1')).toBe('{"name":"Ada","tags":["é",null]}');
    await cache.set('text', 'a "b"');
    const named = await mode.cache({ namespace: freshNamespace() });
    await named.set('text', 1);
    expect(await mode.server.cli('get', 'user:1')).toBe('{"name":"Ada","tags":["é",null]}');
  });

  test('a namespace is the prefix of the key in Redis', async () => {
    const namespace = freshNamespace();
    const named = await mode.cache({ namespace });
    await named.set('k', 'v');
    expect(await mode.server.cli('get', `${namespace}:k`)).toBe('"v"');
  });

  test('what redis-cli writes as JSON is read here, white space and all', async () => {
    const raw = await mode.cache({ namespace: '' });
    await mode.server.cli('set', 'foreign', ' {"a": [1, 2.50, "é"]} \n');
    expect(await raw.get('foreign')).toEqual({ a: [1, 2.5, 'é'] });
    expect(await raw.ttl('foreign')).toBe(Infinity);
    expect(await raw.getOrCompute('foreign', () => 'not run')).toEqual({ a: [1, 2.5, 'é'] });
  });
};
