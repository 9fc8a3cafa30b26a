// Contract: `del` with `stale`, which leaves a value to those who take stale ones, and to nobody else.
'use strict';

const { setImmediate: nextTurn } = require('node:timers/promises');
const { expectCode, freshNamespace } = require('../../support/holdfast');
const { computation } = require('../../support/computation');
const { sleep, until } = require('../../support/until');

const failing = async () => {
  throw new Error('on purpose');
};

module.exports = function softEnds(mode) {
  let cache;
  let namespace;
  beforeEach(async () => {
    namespace = freshNamespace();
    cache = await mode.cache({ namespace });
  });

  /** What is left of `k` for a caller who takes a stale value where the function fails. */
  const left = (from = cache) => from.getOrCompute('k', failing, { grace: 60 }).catch(() => null);

  test('it is a miss to everybody else, as if it were deleted', async () => {
    await cache.set('k', { a: 1 }, 600);
    await cache.set('other', 2);
    expect(await cache.get('k')).toEqual({ a: 1 });
    expect(await cache.del('k', { stale: 60 })).toBe(1);
    expect(await cache.get('k')).toBeNull();
    expect(await cache.getMany(['k', 'other'])).toEqual([null, 2]);
    expect(await cache.exists('k')).toBe(false);
    expect(await cache.ttl('k')).toBeNull();
    expect(await cache.expire('k', 60)).toBe(false);
    expect(await cache.get('k')).toBeNull();
    expect(await cache.take('k')).toBeNull();
    expect(await cache.get('other')).toBe(2);
  });

  test('calls of one turn keep their order', async () => {
    const soft = { stale: 60 };
    const calls = [
      cache.set('k', 1),
      cache.del('k', soft),
      cache.get('k'),
      cache.setIfAbsent('k', 2),
      cache.get('k'),
      cache.del('k', soft),
      cache.set('k', 3),
      cache.get('k'),
    ];
    const replies = await Promise.all(calls);
    // Without scripts `setIfAbsent` takes what lies there for a value; but there, a soft end is a delete.
    expect(replies).toEqual([undefined, 1, null, true, 2, 1, undefined, 3]);
  });

  test('of keys that were not there, and of many', async () => {
    await cache.setMany({ a: 1, b: 2 });
    expect(await cache.del('none', { stale: 60 })).toBe(0);
    expect(await cache.del(['a', 'none', 'b'], { stale: 60 })).toBe(2);
    expect(await cache.getMany(['a', 'b'])).toEqual([null, null]);
  });

  test.each([0, undefined])('with stale %p it is deleted', async (stale) => {
    await cache.set('k', 1);
    expect(await cache.del('k', { stale })).toBe(1);
    expect(await left()).toBeNull();
  });

  test('options that are no object are ignored: keys.map(del)', async () => {
    await cache.setMany({ a: 1, b: 2 });
    expect(await Promise.all(['a', 'b'].map(cache.del))).toEqual([1, 1]);
  });

  test.each([[{ stale: -1 }], [{ stale: '60' }], [{ stale: Number.NaN }]])('%p is refused', async (options) => {
    await cache.set('k', 1);
    await expectCode(() => cache.del('k', options), 'ERR_INVALID_TTL');
    expect(await cache.get('k')).toBe(1);
  });

  test('an unknown option is refused', async () => {
    await cache.set('k', 1);
    await expectCode(() => cache.del('k', { soft: 60 }), 'ERR_INVALID_ARGUMENT');
    expect(await cache.get('k')).toBe(1);
  });

  // Where scripts are denied, it is a delete.
  if (!mode.scripts) return;

  test.each([
    ['a plain value', {}, () => cache.set('k', 'old', 600)],
    ['one that never expires', {}, () => cache.set('k', 'old', Infinity)],
    ['one with tags', {}, () => cache.set('k', 'old', { ttl: 600, tags: ['t'] })],
    ['one with grace', {}, () => cache.getOrCompute('k', () => 'old', { ttl: 600, grace: 600 })],
    ['one with tags and grace', {}, () => cache.getOrCompute('k', () => 'old', { ttl: 600, grace: 600, tags: ['t'] })],
    ['a long one, compressed', { compression: 'zstd' }, () => cache.set('k', 'old'.repeat(2000), 600)],
    ['one of structured', { codec: 'structured' }, () => cache.set('k', new Map([['old', 1n]]), 600)],
    ['one of text', { codec: 'text' }, () => cache.set('k', 'old', 600)],
    ['one of bytes', { codec: 'raw' }, () => cache.set('k', Buffer.from('old'), 600)],
    ['bytes like a header', { codec: 'raw' }, () => cache.set('k', Buffer.from([255, 1, 2, 2]), 600)],
    ['no bytes', { codec: 'raw' }, () => cache.set('k', Buffer.alloc(0), 600)],
  ])('%s is of use where the function fails', async (_, options, store) => {
    cache = await mode.cache({ namespace, ...options });
    await store();
    const value = await cache.get('k');
    expect(value).not.toBeNull();
    await cache.del('k', { stale: 60 });
    expect(await cache.get('k')).toBeNull();
    expect(await left()).toEqual(value);
    await expect(cache.getOrCompute('k', failing)).rejects.toThrow('on purpose');
  });

  test('with swr the old value is given while the new one is computed', async () => {
    await cache.set('k', 'old');
    await cache.del('k', { stale: 60 });
    const refresh = computation();
    expect(await cache.getOrCompute('k', refresh.fn, { swr: 60 })).toBe('old');
    await refresh.begun();
    refresh.open('new');
    await until(async () => (await cache.get('k')) === 'new', 'the new value is stored');
    expect(refresh.runs).toBe(1);
  });

  test('it is gone after `stale` seconds', async () => {
    await cache.set('k', 'old', 600);
    await cache.del('k', { stale: 0.2 });
    await until(async () => (await left()) === null, 'it is gone');
    await cache.set('k', 'old', Infinity);
    await cache.del('k', { stale: 0.2 });
    await until(async () => (await left()) === null, 'it is gone');
  });

  test('it lives no longer than it would have lived', async () => {
    await cache.set('k', 'old', 0.3);
    await cache.del('k', { stale: 600 });
    await until(async () => (await left()) === null, 'it is gone');
  });

  test('a second soft end makes it no younger', async () => {
    await cache.set('k', 'old', 600);
    await cache.del('k', { stale: 60 });
    await sleep(150);
    await cache.del('k', { stale: 60 });
    await expect(cache.getOrCompute('k', failing, { grace: 0.1 })).rejects.toThrow('on purpose');
  });

  test('what is being computed is not stored over it', async () => {
    await cache.set('k', 'old', 600);
    await cache.del('k', { stale: 60 });
    const refresh = computation();
    expect(await cache.getOrCompute('k', refresh.fn, { swr: 60 })).toBe('old');
    await refresh.begun();
    // Of what was there before; a delete of it must end the refresh, too.
    await cache.del('k', { stale: 60 });
    refresh.open('computed before');
    // It is stored, or not, in front of what is called in a later turn.
    await nextTurn();
    await cache.set('other', 1);
    expect(await cache.get('k')).toBeNull();
    const first = computation();
    const computing = cache.getOrCompute('fresh', first.fn);
    await first.begun();
    await cache.del('fresh', { stale: 60 });
    first.open('computed before');
    expect(await computing).toBe('computed before');
    expect(await cache.get('fresh')).toBeNull();
  });

  if (mode.shared) {
    test('other instances miss it, and have the old value as well', async () => {
      const other = await mode.cache({ namespace });
      await cache.set('k', 'old', 600);
      expect(await other.get('k')).toBe('old');
      await cache.del('k', { stale: 60 });
      await until(async () => (await other.get('k')) === null, 'the other one misses it');
      expect(await left(other)).toBe('old');
    });
  }
};
