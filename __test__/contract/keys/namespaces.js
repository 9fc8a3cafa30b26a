// Contract, guarantee G8: namespaces keep apart, and clear and delPattern touch only their own keys.
'use strict';

const { holdfast, expectCode, expectThrows, freshNamespace } = require('../../support/holdfast');

module.exports = function namespaces(mode) {
  test('two namespaces hold different values at one key', async () => {
    const [a, b] = await Promise.all([mode.cache(), mode.cache()]);
    await a.set('k', 'a');
    await b.set('k', 'b');
    expect([await a.get('k'), await b.get('k')]).toEqual(['a', 'b']);
    await a.del('k');
    expect([await a.get('k'), await b.get('k')]).toEqual([null, 'b']);
  });

  test('two caches of one namespace share their keys', async () => {
    const namespace = freshNamespace();
    const [a, b] = await Promise.all([mode.cache({ namespace }), mode.cache({ namespace })]);
    await a.set('k', 1);
    expect(await b.get('k')).toBe(1);
    expect(await b.increment('k')).toBe(2);
    expect(await a.get('k')).toBe(2);
  });

  test('clear removes the keys of its own namespace, counts them, and leaves the others', async () => {
    const namespace = freshNamespace();
    const cache = await mode.cache({ namespace });
    const neighbours = await Promise.all(
      [`${namespace}2`, `${namespace}.a`, namespace.slice(0, -1), ''].map((each) => mode.cache({ namespace: each })),
    );
    for (const neighbour of neighbours) await neighbour.set(`stays-${namespace}`, 1);
    await cache.setMany(Array.from({ length: 2_500 }, (_, i) => [`k${i}`, i]));
    expect(await cache.clear()).toBe(2_500);
    expect(await cache.clear()).toBe(0);
    expect(await cache.get('k0')).toBeNull();
    for (const neighbour of neighbours) expect(await neighbour.get(`stays-${namespace}`)).toBe(1);
  });

  test('delPattern reaches no further than its namespace', async () => {
    const [a, b] = await Promise.all([mode.cache(), mode.cache()]);
    await a.setMany({ k1: 1, k2: 2 });
    await b.set('k1', 'stays');
    expect(await a.delPattern('*')).toBe(2);
    expect(await a.delPattern('*:k1')).toBe(0);
    expect(await b.get('k1')).toBe('stays');
  });

  test('a dot in a namespace is a dot, no wildcard', async () => {
    const base = freshNamespace();
    const [dotted, other] = await Promise.all([
      mode.cache({ namespace: `${base}.x` }),
      mode.cache({ namespace: `${base}ax` }),
    ]);
    await other.set('k', 'stays');
    await dotted.set('k', 1);
    expect(await dotted.clear()).toBe(1);
    expect(await other.get('k')).toBe('stays');
  });

  test('the longest namespace works', async () => {
    const cache = await mode.cache({ namespace: 'N'.repeat(64) });
    await cache.set('k', 1);
    expect(await cache.clear()).toBe(1);
  });

  test('fault 37: what is no namespace is refused', () => {
    const { createCache } = holdfast;
    for (const namespace of [undefined, null, 5, 'a:b', 'a*', 'a?', '[a]', 'a\\', 'a b', 'é', 'N'.repeat(65), '\0']) {
      expectThrows(() => createCache({ url: mode.url, namespace }), 'ERR_CONFIG');
    }
    expectThrows(() => createCache({ url: mode.url }), 'ERR_CONFIG');
    expectThrows(() => createCache(), 'ERR_CONFIG');
  });

  if (!mode.shared) {
    test('without a namespace, clear empties memory mode', async () => {
      const raw = await mode.cache({ namespace: '' });
      await raw.clear();
      await raw.setMany({ a: 1, b: 2 });
      expect(await raw.clear()).toBe(2);
      expect(await raw.clear({ flushDb: true })).toBe(0);
      expect(await raw.get('a')).toBeNull();
    });
    return;
  }

  test('keys of other programs stay', async () => {
    const namespace = freshNamespace();
    const cache = await mode.cache({ namespace });
    const { cli } = cliOf(mode);
    await cli('lpush', 'bull:jobs', 'job');
    await cli('set', `${namespace}`, 'no key of the namespace');
    await cache.setMany({ a: 1, b: 2 });
    expect(await cache.clear()).toBe(2);
    await cache.delPattern('*');
    expect(await cli('llen', 'bull:jobs')).toBe('1');
    expect(await cli('get', namespace)).toBe('no key of the namespace');
  });

  test('without a namespace, clear needs to be told', async () => {
    const raw = await mode.cache({ namespace: '' });
    const { cli } = cliOf(mode);
    await raw.set('mine', 1);
    await cli('lpush', 'bull:jobs', 'job');
    await expectCode(() => raw.clear(), 'ERR_CLEAR_NEEDS_NAMESPACE');
    await expectCode(() => raw.clear({ flushDb: false }), 'ERR_CLEAR_NEEDS_NAMESPACE');
    expect(await cli('exists', 'mine', 'bull:jobs')).toBe('2');
    expect(await raw.clear({ flushDb: true })).toBeGreaterThanOrEqual(2);
    expect(await cli('dbsize')).toBe('0');
  });

  test('flushDb does not widen the clear of a namespace', async () => {
    const cache = await mode.cache();
    const { cli } = cliOf(mode);
    await cli('set', 'foreign', '1');
    await cache.set('k', 1);
    expect(await cache.clear({ flushDb: true })).toBe(1);
    expect(await cli('get', 'foreign')).toBe('1');
  });
};

function cliOf(mode) {
  return { cli: (...args) => mode.server.cli(...args) };
}
