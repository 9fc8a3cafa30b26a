// Contract: close.
'use strict';

const { expectCode, freshNamespace } = require('../../support/holdfast');

module.exports = function close(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  test('fault 40: closing twice is closing once', async () => {
    const both = await Promise.all([cache.close(), cache.close()]);
    expect(both).toEqual([undefined, undefined]);
    await expect(cache.close()).resolves.toBeUndefined();
  });

  test('fault 40: every call after close rejects with ERR_CLOSED', async () => {
    await cache.close();
    const calls = [
      () => cache.get('k'),
      () => cache.set('k', 1),
      () => cache.del('k'),
      () => cache.del([]),
      () => cache.delMany([]),
      () => cache.delPattern('*'),
      () => cache.getOrCompute('k', () => 1),
      () => cache.increment('k'),
      () => cache.exists('k'),
      () => cache.existsMany([]),
      () => cache.ttl('k'),
      () => cache.expire('k', 1),
      () => cache.getMany(['k']),
      () => cache.getMany([]),
      () => cache.setMany({ k: 1 }),
      () => cache.clear(),
      () => cache.getStats(),
    ];
    for (const call of calls) await expectCode(call, 'ERR_CLOSED');
    expect(() => cache.getMode()).not.toThrow();
    expect(() => cache.health()).not.toThrow();
  });

  test('fault 40: calls in flight settle before close does', async () => {
    const namespace = freshNamespace();
    cache = await mode.cache({ namespace });
    const reader = await mode.cache({ namespace });
    const order = [];
    const writes = Array.from({ length: 1_000 }, (_, i) => cache.set(`k${i}`, i).then(() => order.push(i)));
    const closed = cache.close().then(() => order.push('closed'));
    await Promise.all([...writes, closed]);
    expect(order.at(-1)).toBe('closed');
    expect(order).toHaveLength(1_001);
    expect(await reader.getMany(['k0', 'k999'])).toEqual([0, 999]);
  });

  test('a computation under way still answers its callers', async () => {
    const finish = await new Promise((resolve) => {
      cache.getOrCompute('k', () => new Promise(resolve));
    });
    const waiter = cache.getOrCompute('k', () => 'not run');
    const closed = cache.close();
    finish('result');
    expect(await waiter).toBe('result');
    await closed;
  });

  test('closing one cache leaves the others', async () => {
    const namespace = freshNamespace();
    const [a, b] = await Promise.all([mode.cache({ namespace }), mode.cache({ namespace })]);
    await a.set('k', 1);
    await a.close();
    expect(await b.get('k')).toBe(1);
    expect(b.getMode()).toBe(mode.mode);
  });
};
