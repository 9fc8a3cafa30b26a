// Contract: take, which reads a value and removes it in one step.
'use strict';

const { expectCode, freshNamespace } = require('../../support/holdfast');
const { until } = require('../../support/until');

module.exports = function take(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  test('it gives the value, and nothing is left', async () => {
    await cache.set('k', { a: [1, 'é'] });
    expect(await cache.take('k')).toEqual({ a: [1, 'é'] });
    expect(await cache.get('k')).toBeNull();
    expect(await cache.exists('k')).toBe(false);
    expect(await cache.take('k')).toBeNull();
  });

  test.each([0, false, '', 'text', [], 1.5])('a value such as %j is one', async (value) => {
    await cache.set('k', value);
    expect(await cache.take('k')).toEqual(value);
  });

  test('calls of one turn keep their order', async () => {
    const replies = await Promise.all([
      cache.set('k', 1),
      cache.take('k'),
      cache.take('k'),
      cache.set('k', 2),
      cache.get('k'),
      cache.take('k'),
      cache.get('k'),
    ]);
    expect(replies).toEqual([undefined, 1, null, undefined, 2, 2, null]);
  });

  test('of many callers one gets it', async () => {
    const namespace = freshNamespace();
    const caches = await Promise.all([1, 2, 3].map(() => mode.cache({ namespace })));
    // In memory mode each has a tier of its own.
    const takers = mode.shared ? caches : [caches[0]];
    for (let round = 0; round < 20; round++) {
      await caches[0].set('k', round);
      const taken = await Promise.all(Array.from({ length: 30 }, (_, n) => takers[n % takers.length].take('k')));
      expect(taken.filter((value) => value !== null)).toEqual([round]);
    }
  });

  test('what is held in process is not given a second time', async () => {
    await cache.set('k', 'v');
    for (let n = 0; n < 5; n++) expect(await cache.get('k')).toBe('v');
    expect(await Promise.all([cache.take('k'), cache.get('k')])).toEqual(['v', null]);
    expect(await Promise.all([cache.get('k'), cache.take('k')])).toEqual([null, null]);
  });

  test('a counter is a value', async () => {
    await cache.increment('n', 41);
    await cache.increment('n');
    expect(await cache.take('n')).toBe(42);
    expect(await cache.increment('n')).toBe(1);
  });

  test('an entry whose tag has ended is a miss', async () => {
    await cache.set('k', 'v', { tags: ['t'] });
    await cache.set('other', 'w', { tags: ['u'] });
    await cache.invalidateTags('t');
    expect(await cache.take('k')).toBeNull();
    expect(await cache.take('other')).toBe('w');
  });

  test('an entry that is kept for grace alone is a miss, and is gone', async () => {
    const options = { ttl: 0.05, grace: 600 };
    expect(await cache.getOrCompute('k', () => 'old', options)).toBe('old');
    await until(async () => !(await cache.exists('k')), 'its TTL is over');
    expect(await cache.take('k')).toBeNull();
    const failing = () => cache.getOrCompute('k', () => Promise.reject(new RangeError('no')), options);
    await expect(failing()).rejects.toThrow(RangeError);
  });

  test('an entry with grace and time left is given', async () => {
    await cache.getOrCompute('k', () => 'fresh', { ttl: 600, grace: 600 });
    expect(await cache.take('k')).toBe('fresh');
  });

  test('a computation that runs meanwhile stores nothing', async () => {
    let go;
    const computing = cache.getOrCompute('k', () => new Promise((resolve) => (go = resolve)));
    await until(() => go !== undefined, 'it runs');
    expect(await cache.take('k')).toBeNull();
    go('late');
    expect(await computing).toBe('late');
    await cache.set('behind', 1);
    expect(await cache.get('k')).toBeNull();
  });

  test('with the other codecs', async () => {
    const bytes = await mode.cache({ codec: 'raw' });
    await bytes.set('k', Buffer.from([0, 255, 1]));
    expect(Buffer.compare(await bytes.take('k'), Buffer.from([0, 255, 1]))).toBe(0);
    const structured = await mode.cache({ codec: 'structured' });
    await structured.set('k', new Map([[1, new Date(5)]]));
    expect(await structured.take('k')).toEqual(new Map([[1, new Date(5)]]));
  });

  test('a value of some MB', async () => {
    const large = { text: 'x'.repeat(3_000_000) };
    await cache.set('k', large);
    expect(await cache.take('k')).toEqual(large);
    expect(await cache.take('k')).toBeNull();
  });

  test('it counts as a read and as a delete', async () => {
    await cache.set('k', 1);
    const before = await cache.getStats();
    await cache.take('k');
    await cache.take('k');
    const after = await cache.getStats();
    expect(after.hits.total - before.hits.total).toBe(1);
    expect(after.misses - before.misses).toBe(1);
    expect(after.deletes - before.deletes).toBe(1);
  });

  test('what is no key, or no option, is refused', async () => {
    for (const key of [undefined, null, 5, '', ['k'], '\0tag\0t']) {
      await expectCode(() => cache.take(key), 'ERR_INVALID_KEY');
    }
    for (const options of [5, { onOutage: 'no' }, { ttl: 5 }, new Map()]) {
      await expectCode(() => cache.take('k', options), 'ERR_INVALID_ARGUMENT');
    }
  });

  if (mode.shared) {
    test('what is no string stays where it is', async () => {
      const namespace = freshNamespace();
      const named = await mode.cache({ namespace });
      const server = await mode.serverOf(`${namespace}:list`);
      await server.cli('rpush', `${namespace}:list`, 'a', 'b');
      expect(await named.take('list')).toBeNull();
      expect(await server.cli('llen', `${namespace}:list`)).toBe('2');
    });
  }
};
