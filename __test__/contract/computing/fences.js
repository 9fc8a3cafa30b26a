// Contract, guarantees G1 and G4: a result whose key was written or deleted meanwhile is returned, but never stored.
'use strict';

const { until } = require('../../support/until');

module.exports = function fences(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  /**
   * Begins a computation of `key`, does `meanwhile`, then lets the computation return `old`. Resolves to what its
   * caller got.
   */
  async function computeDuring(key, meanwhile) {
    let finish;
    const result = cache.getOrCompute(key, () => new Promise((resolve) => (finish = resolve)));
    await until(() => finish);
    await meanwhile();
    finish('old');
    return result;
  }

  const REMOVALS = [
    ['del', () => cache.del('k')],
    ['del of many', () => cache.del(['other', 'k'])],
    ['delPattern', () => cache.delPattern('k*')],
    ['clear', () => cache.clear()],
  ];

  test.each(REMOVALS)('%s during a computation fences its store', async (_, remove) => {
    expect(await computeDuring('k', remove)).toBe('old');
    expect(await cache.get('k')).toBeNull();
    expect(await cache.getOrCompute('k', () => 'new')).toBe('new');
  });

  const WRITES = [
    ['set', () => cache.set('k', 5)],
    ['setMany', () => cache.setMany({ other: 1, k: 5 })],
    ['increment', () => cache.increment('k', 5)],
  ];

  test.each(WRITES)('%s during a computation is not overwritten by it', async (_, write) => {
    expect(await computeDuring('k', write)).toBe('old');
    expect(await cache.get('k')).toBe(5);
  });

  test('a del of another key fences nothing', async () => {
    await computeDuring('k', () => cache.del('other'));
    expect(await cache.get('k')).toBe('old');
  });

  test('a caller that comes after the del does not get the older result', async () => {
    let later;
    await computeDuring('k', async () => {
      await cache.del('k');
      later = cache.getOrCompute('k', () => 'new');
      await cache.get('k'); // a round trip: the later caller has been handed over
    });
    expect(await later).toBe('new');
    expect(await cache.get('k')).toBe('new');
  });

  test('a caller that comes after the del stores, and the older result does not replace it', async () => {
    await computeDuring('k', async () => {
      await cache.del('k');
      expect(await cache.getOrCompute('k', () => 'new')).toBe('new');
    });
    expect(await cache.get('k')).toBe('new');
  });

  test('after a set, a caller gets what was set while the computation still runs', async () => {
    await computeDuring('k', async () => {
      await cache.set('k', 'set');
      expect(await cache.getOrCompute('k', () => 'computed')).toBe('set');
    });
    expect(await cache.get('k')).toBe('set');
  });

  test('a removal through another cache of the same namespace fences, too', async () => {
    const namespace = 'shared-fence';
    cache = await mode.cache({ namespace });
    const twin = await mode.cache({ namespace });
    expect(await computeDuring('k', () => twin.del('k'))).toBe('old');
    expect(await cache.get('k')).toBeNull();
  });

  test('reads see what was written once the write has resolved', async () => {
    for (let n = 0; n < 50; n++) {
      await cache.set('k', n);
      const [one, many, computed] = await Promise.all([
        cache.get('k'),
        cache.getMany(['k']),
        cache.getOrCompute('k', () => -1),
      ]);
      expect([one, ...many, computed]).toEqual([n, n, n]);
      await cache.del('k');
      expect(await cache.get('k')).toBeNull();
    }
  });
};
