// Contract: setIfAbsent, which stores a value where a read would miss.
'use strict';

const { expectCode, freshNamespace } = require('../../support/holdfast');
const { until } = require('../../support/until');

module.exports = function setIfAbsent(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  test('the first one stores, and the second does not', async () => {
    expect(await cache.setIfAbsent('k', { a: 1 })).toBe(true);
    expect(await cache.setIfAbsent('k', { a: 2 })).toBe(false);
    expect(await cache.get('k')).toEqual({ a: 1 });
    await cache.del('k');
    expect(await cache.setIfAbsent('k', 3)).toBe(true);
    expect(await cache.get('k')).toBe(3);
  });

  test.each([null, 0, false, ''])('a value such as %j is one', async (value) => {
    expect(await cache.setIfAbsent('k', value)).toBe(true);
    expect(await cache.setIfAbsent('k', 'other')).toBe(false);
    expect(await cache.get('k')).toBe(value);
  });

  test('an empty text of bytes is a value', async () => {
    const bytes = await mode.cache({ codec: 'raw' });
    expect(await bytes.setIfAbsent('k', '')).toBe(true);
    expect(await bytes.setIfAbsent('k', 'other')).toBe(false);
    expect((await bytes.get('k')).length).toBe(0);
  });

  test('calls of one turn keep their order', async () => {
    const replies = await Promise.all([
      cache.setIfAbsent('k', 1),
      cache.get('k'),
      cache.setIfAbsent('k', 2),
      cache.del('k'),
      cache.setIfAbsent('k', 3),
      cache.get('k'),
      cache.take('k'),
      cache.setIfAbsent('k', 4),
    ]);
    expect(replies).toEqual([true, 1, false, 1, true, 3, 3, true]);
  });

  test('of many callers one stores', async () => {
    const namespace = freshNamespace();
    const caches = await Promise.all([1, 2, 3].map(() => mode.cache({ namespace })));
    // In memory mode each has a tier of its own.
    const callers = mode.shared ? caches : [caches[0]];
    for (let round = 0; round < 20; round++) {
      const stored = await Promise.all(
        Array.from({ length: 30 }, (_, n) => callers[n % callers.length].setIfAbsent(`k${round}`, n)),
      );
      expect(stored.filter(Boolean)).toHaveLength(1);
      expect(await caches[0].get(`k${round}`)).toBe(stored.indexOf(true));
    }
  });

  test('it has the TTL that it is given, and one that exists keeps its own', async () => {
    await cache.setIfAbsent('k', 1, 1_000);
    await cache.setIfAbsent('k', 2, 50_000);
    const left = await cache.ttl('k');
    expect(left).toBeLessThanOrEqual(1_000);
    expect(left).toBeGreaterThan(900);
    await cache.setIfAbsent('eternal', 1, { ttl: Infinity });
    expect(await cache.ttl('eternal')).toBe(Infinity);
    await cache.setIfAbsent('default', 1);
    expect(await cache.ttl('default')).toBeGreaterThan(250);
  });

  test('what is over makes room', async () => {
    expect(await cache.setIfAbsent('k', 1, 0.05)).toBe(true);
    await until(async () => await cache.setIfAbsent('k', 2, 100), 'the first one is over');
    expect(await cache.get('k')).toBe(2);
  });

  test('an entry that is kept for grace alone makes room', async () => {
    await cache.getOrCompute('k', () => 'old', { ttl: 0.05, grace: 600 });
    await until(async () => !(await cache.exists('k')), 'its TTL is over');
    expect(await cache.setIfAbsent('k', 'new', 100)).toBe(mode.scripts);
    if (mode.scripts) expect(await cache.get('k')).toBe('new');
  });

  test('an entry whose tag has ended makes room, for one with tags of its own', async () => {
    await cache.set('k', 'old', { tags: ['t'] });
    expect(await cache.setIfAbsent('k', 'other')).toBe(false);
    await cache.invalidateTags('t');
    // Not where the script may not ask for the tag's token.
    const asks = mode.scripts && !mode.cluster;
    expect(await cache.setIfAbsent('k', 'new', { ttl: 100, tags: ['t', 'u'] })).toBe(asks);
    if (!asks) return;
    expect(await cache.get('k')).toBe('new');
    await cache.invalidateTags('u');
    expect(await cache.get('k')).toBeNull();
    expect(await cache.setIfAbsent('k', 'newer')).toBe(true);
  });

  test('what is called behind it in the same turn finds the value, where a remainder had to go', async () => {
    await cache.getOrCompute('k', () => 'old', { ttl: 0.05, grace: 600 });
    await until(async () => !(await cache.exists('k')), 'its TTL is over');
    const calls = [
      cache.setIfAbsent('k', 1, 100),
      cache.get('k'),
      cache.take('k'),
      cache.setIfAbsent('k', 2),
      cache.get('k'),
    ];
    const replies = await Promise.all(calls);
    if (mode.scripts) expect(replies).toEqual([true, 1, 1, true, 2]);
    // The remainder is taken away by `take`.
    else expect(replies).toEqual([false, null, null, true, 2]);
  });

  test('it ends a computation that is under way', async () => {
    let go;
    const computing = cache.getOrCompute('k', () => new Promise((resolve) => (go = resolve)));
    await until(() => go !== undefined, 'it runs');
    expect(await Promise.all([cache.setIfAbsent('k', 'set'), cache.get('k')])).toEqual([true, 'set']);
    go('late');
    expect(await computing).toBe('late');
    await cache.set('behind', 1);
    expect(await cache.get('k')).toBe('set');
  });

  test('what another instance holds in process is ended', async () => {
    const namespace = freshNamespace();
    const [one, other] = await Promise.all([mode.cache({ namespace }), mode.cache({ namespace })]);
    if (!mode.shared) return expect(await one.setIfAbsent('k', 1)).toBe(true);
    await one.set('k', 1);
    for (let n = 0; n < 5; n++) expect(await other.get('k')).toBe(1);
    await one.del('k');
    expect(await one.setIfAbsent('k', 2)).toBe(true);
    await until(async () => (await other.get('k')) === 2, 'the other one reads it');
  });

  test('with the other codecs', async () => {
    const structured = await mode.cache({ codec: 'structured' });
    expect(await structured.setIfAbsent('k', new Set([1]))).toBe(true);
    expect(await structured.setIfAbsent('k', new Set([2]))).toBe(false);
    expect(await structured.get('k')).toEqual(new Set([1]));
  });

  test('what is no key, no value or no option is refused, and nothing is stored', async () => {
    for (const key of [undefined, null, 5, '', '\0tag\0t']) {
      await expectCode(() => cache.setIfAbsent(key, 1), 'ERR_INVALID_KEY');
    }
    await expectCode(() => cache.setIfAbsent('k', undefined), 'ERR_UNSERIALIZABLE');
    await expectCode(() => cache.setIfAbsent('k', 1, 0), 'ERR_INVALID_TTL');
    for (const options of [{ onOutage: 'no' }, { grace: 5 }, { tags: 't' }]) {
      await expectCode(() => cache.setIfAbsent('k', 1, options), 'ERR_INVALID_ARGUMENT');
    }
    for (const options of [0, '5', new Map()]) {
      await expectCode(() => cache.setIfAbsent('k', 1, options), 'ERR_INVALID_TTL');
    }
    expect(await cache.exists('k')).toBe(false);
  });

  if (mode.shared) {
    test('what is no string is there', async () => {
      const namespace = freshNamespace();
      const named = await mode.cache({ namespace });
      const server = await mode.serverOf(`${namespace}:list`);
      await server.cli('rpush', `${namespace}:list`, 'a');
      expect(await named.setIfAbsent('list', 1)).toBe(false);
      expect(await server.cli('llen', `${namespace}:list`)).toBe('1');
    });
  }
};
