// Contract: `invalidateTags` with `stale`, which leaves entries to those who take stale ones, and `tagTimes`.
'use strict';

const { setImmediate: nextTurn } = require('node:timers/promises');
const { computation } = require('../../support/computation');
const { expectCode, freshNamespace } = require('../../support/holdfast');
const { sleep, until } = require('../../support/until');

const failing = async () => {
  throw new Error('on purpose');
};

module.exports = function softTags(mode) {
  let cache;
  let namespace;
  beforeEach(async () => {
    namespace = freshNamespace();
    cache = await mode.cache({ namespace });
  });

  const store = (key, value, ...tags) => cache.set(key, value, { ttl: 600, tags });
  /** What is left at a key for a caller who takes a stale value where the function fails. */
  const left = (key = 'k', from = cache) => from.getOrCompute(key, failing, { grace: 60 }).catch(() => null);

  test('entries are misses to everybody else, and others stay', async () => {
    await store('k', 1, 'a', 'b');
    await store('other', 2, 'b');
    expect(await cache.getMany(['k', 'other'])).toEqual([1, 2]);
    await cache.invalidateTags('a', { stale: 60 });
    expect(await cache.get('k')).toBeNull();
    expect(await cache.getMany(['k', 'other'])).toEqual([null, 2]);
    expect(await cache.exists('k')).toBe(false);
    expect(await cache.ttl('k')).toBeNull();
    expect(await cache.expire('k', 60)).toBe(false);
    expect(await cache.take('k')).toBeNull();
  });

  test.each([0, undefined])('with stale %p they are of use to nobody', async (stale) => {
    await store('k', 1, 'a');
    await cache.invalidateTags('a', { stale });
    expect(await left()).toBeNull();
  });

  test.each([[{ stale: -1 }], [{ stale: '60' }]])('%p is refused', async (options) => {
    await store('k', 1, 'a');
    await expectCode(() => cache.invalidateTags('a', options), 'ERR_INVALID_TTL');
    expect(await cache.get('k')).toBe(1);
  });

  test('an entry that is stored behind it is valid', async () => {
    await store('k', 'old', 'a');
    await cache.invalidateTags('a', { stale: 60 });
    await store('k', 'new', 'a');
    expect(await cache.get('k')).toBe('new');
    expect(await cache.expire('k', 60)).toBe(true);
    expect(await cache.getOrCompute('computed', () => 'c', { tags: ['a'] })).toBe('c');
    expect(await cache.get('computed')).toBe('c');
    await cache.invalidateTags('a');
    expect(await cache.getMany(['k', 'computed'])).toEqual([null, null]);
  });

  test('what began before it is not stored over it', async () => {
    const first = computation();
    const computing = cache.getOrCompute('k', first.fn, { tags: ['a'], grace: 60 });
    await first.begun();
    await cache.invalidateTags('a', { stale: 60 });
    first.open('computed before');
    expect(await computing).toBe('computed before');
    expect(await cache.get('k')).toBeNull();
  });

  describe('tagTimes', () => {
    test('0 for tags that were never invalidated, and the time for those that were', async () => {
      await store('k', 1, 'a');
      expect(await cache.tagTimes(['a', 'none'])).toEqual([0, 0]);
      const before = Date.now();
      await cache.invalidateTags('a');
      const [time, none] = await cache.tagTimes(['a', 'none']);
      if (!mode.scripts) return;
      // The server is on this machine.
      expect(time).toBeGreaterThanOrEqual(before - 1);
      expect(time).toBeLessThanOrEqual(Date.now() + 1);
      expect(none).toBe(0);
      expect(await cache.tagTimes(['a', 'a'])).toEqual([time, time]);
      await store('k', 1, 'a');
      expect(await cache.tagTimes(['a'])).toEqual([time]);
      await sleep(5);
      await cache.invalidateTags('a', { stale: 60 });
      const [later] = await cache.tagTimes(['a']);
      expect(later).toBeGreaterThan(time);
    });

    test('of no tags, of many, and of what are none', async () => {
      expect(await cache.tagTimes([])).toEqual([]);
      const many = Array.from({ length: 1_000 }, (_, i) => `t${i}`);
      expect(await cache.tagTimes(many)).toEqual(many.map(() => 0));
      await expectCode(() => cache.tagTimes(['']), 'ERR_INVALID_ARGUMENT');
      await expectCode(() => cache.tagTimes('a'), 'ERR_INVALID_ARGUMENT');
    });

    test('a tag that was invalidated though nobody had it has a time, and calls of one turn keep their order', async () => {
      const [, [time], none] = await Promise.all([
        cache.invalidateTags('a'),
        cache.tagTimes(['a']),
        cache.tagTimes(['b']),
      ]);
      if (mode.scripts) expect(time).toBeGreaterThan(0);
      expect(none).toEqual([0]);
    });

    if (mode.shared && mode.scripts) {
      test('other instances see it', async () => {
        const other = await mode.cache({ namespace });
        expect(await other.tagTimes(['a'])).toEqual([0]);
        await cache.invalidateTags('a');
        const [time] = await cache.tagTimes(['a']);
        await until(async () => (await other.tagTimes(['a']))[0] === time, 'the other one sees it');
      });
    }
  });

  // Where scripts are denied, every end is a whole one.
  if (!mode.scripts) return;

  test('they are of use where the function fails', async () => {
    await store('k', { a: 1 }, 'a', 'b');
    await cache.getOrCompute('computed', () => 'c', { ttl: 600, grace: 600, tags: ['a'] });
    await cache.invalidateTags('a', { stale: 60 });
    expect(await left()).toEqual({ a: 1 });
    expect(await left('computed')).toBe('c');
    await expect(cache.getOrCompute('k', failing)).rejects.toThrow('on purpose');
  });

  test('with swr the old value is given while the new one is computed, which is valid', async () => {
    await store('k', 'old', 'a');
    await cache.invalidateTags('a', { stale: 60 });
    const refresh = computation();
    const options = { swr: 60, tags: ['a'] };
    expect(await cache.getOrCompute('k', refresh.fn, options)).toBe('old');
    await refresh.begun();
    refresh.open('new');
    await until(async () => (await cache.get('k')) === 'new', 'the new value is stored');
    expect(refresh.runs).toBe(1);
  });

  test('a refresh of before is not stored', async () => {
    await store('k', 'old', 'a');
    await cache.invalidateTags('a', { stale: 60 });
    const refresh = computation();
    expect(await cache.getOrCompute('k', refresh.fn, { swr: 60, tags: ['a'] })).toBe('old');
    await refresh.begun();
    await cache.invalidateTags('a', { stale: 60 });
    refresh.open('computed before');
    await nextTurn();
    await cache.set('other', 1);
    expect(await cache.get('k')).toBeNull();
  });

  test('a whole end ends what was softly ended, and one of another tag', async () => {
    await store('k', 'old', 'a');
    await store('both', 'old', 'a', 'b');
    await cache.invalidateTags('a', { stale: 60 });
    expect([await left(), await left('both')]).toEqual(['old', 'old']);
    await cache.invalidateTags('b');
    expect([await left(), await left('both')]).toEqual(['old', null]);
    await cache.invalidateTags('a');
    expect(await left()).toBeNull();
  });

  test('several soft ends: each entry is of use as long as that which ended it says', async () => {
    await store('first', 1, 'a');
    await cache.invalidateTags('a', { stale: 600 });
    await store('second', 2, 'a');
    await cache.invalidateTags('a', { stale: 0.2 });
    await store('third', 3, 'a');
    expect(await cache.get('third')).toBe(3);
    await until(async () => (await left('second')) === null, 'the second one is gone');
    expect(await left('first')).toBe(1);
    await cache.invalidateTags('a', { stale: 600 });
    expect([await left('first'), await left('second'), await left('third')]).toEqual([1, null, 3]);
  });

  test('their age counts from the end', async () => {
    await store('k', 'old', 'a');
    await cache.invalidateTags('a', { stale: 60 });
    await sleep(150);
    await expect(cache.getOrCompute('k', failing, { grace: 0.1 })).rejects.toThrow('on purpose');
  });

  if (mode.shared) {
    test('other instances miss them, and have the old values as well', async () => {
      const other = await mode.cache({ namespace });
      await store('k', 'old', 'a');
      expect(await other.get('k')).toBe('old');
      await cache.invalidateTags('a', { stale: 60 });
      await until(async () => (await other.get('k')) === null, 'the other one misses it');
      expect(await left('k', other)).toBe('old');
    });
  }
};
