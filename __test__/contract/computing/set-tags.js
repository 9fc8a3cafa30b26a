// Contract: tags that the function of getOrCompute names once it has read its source, and invalidations beside it.
'use strict';

const { computation } = require('../../support/computation');
const { expectCode } = require('../../support/holdfast');
const { sleep, until } = require('../../support/until');

/** A function that waits to be let go, and then names tags. */
function naming(tags) {
  const held = computation();
  const fn = async ({ setTags }) => {
    const value = await held.fn();
    setTags(tags);
    return value;
  };
  return { held, fn };
}

module.exports = function setTags(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  /**
   * Computes until the result is stored: at once, where nobody has ended the tags. Where the server runs no scripts,
   * only once their tokens are older than the computation.
   */
  async function store(key, fn, options) {
    let times = 0;
    await until(async () => {
      times++;
      await cache.getOrCompute(key, fn, options);
      return cache.exists(key);
    }, 'the result is stored');
    return times;
  }

  test('the entry dies with each of them, and with those of the option', async () => {
    for (const tag of ['named', 'too', 'given']) {
      await store('k', ({ setTags }) => setTags(['named', 'too', 'given']) ?? { n: 1 }, { tags: ['given'] });
      await store('other', ({ setTags }) => setTags(['else']) ?? 1);
      for (let i = 0; i < 5; i++) expect(await cache.get('k')).toEqual({ n: 1 });
      const invalidated = cache.invalidateTags(tag);
      expect(await cache.get('k')).toBeNull(); // behind it, awaited or not
      await invalidated;
      expect(await cache.getMany(['k', 'other'])).toEqual([null, 1]);
      // An end is told from the computation behind it by milliseconds.
      await sleep(20);
    }
  });

  test('tags that nobody has ended: the first result is stored', async () => {
    const times = await store('k', ({ setTags }) => setTags(['a', 'b']) ?? 1);
    if (mode.scripts) expect(times).toBe(1);
  });

  test('the last call counts, and names none where it is empty', async () => {
    const twice = ({ setTags }) => {
      setTags(['first']);
      setTags(['last']);
      return 1;
    };
    await store('k', twice);
    await store('none', ({ setTags }) => setTags(['first']) ?? setTags([]) ?? setTags(undefined) ?? 1);
    await cache.invalidateTags('first');
    expect(await cache.getMany(['k', 'none'])).toEqual([1, 1]);
    await cache.invalidateTags('last');
    expect(await cache.getMany(['k', 'none'])).toEqual([null, 1]);
  });

  test('throws for what are no tags, and for too many with those of the option', async () => {
    for (const tags of ['a', 5, null, [''], ['a'.repeat(1_025)], [5], {}]) {
      await expectCode(() => cache.getOrCompute('k', ({ setTags }) => setTags(tags)), 'ERR_INVALID_ARGUMENT');
    }
    const many = (count) => Array.from({ length: count }, (_, n) => `t${n}`);
    const fn = ({ setTags }) => setTags(many(128)) ?? 1;
    await expectCode(() => cache.getOrCompute('k', fn, { tags: ['another'] }), 'ERR_INVALID_ARGUMENT');
    expect(await cache.exists('k')).toBe(false);
    await store('k', fn, { tags: many(5) });
    await cache.invalidateTags('t127');
    expect(await cache.get('k')).toBeNull();
  });

  test('without effect once the function has settled', async () => {
    let kept;
    const keep = (context) => {
      kept = context;
      return 1;
    };
    await cache.getOrCompute('k', keep, { validate: () => kept.setTags(['late']) ?? true });
    kept.setTags(['late']);
    await cache.invalidateTags('late');
    expect(await cache.get('k')).toBe(1);
  });

  test('a result whose tag was ended meanwhile goes to who ran the function, and is not stored', async () => {
    await store('before', ({ setTags }) => setTags(['a']) ?? 1);
    const { held, fn } = naming(['b', 'a']);
    const leader = cache.getOrCompute('k', fn);
    await held.begun();
    await cache.invalidateTags('a');
    // It asks behind the end, and must not get what was read in front of it.
    const follower = cache.getOrCompute('k', () => 'after');
    await cache.getStats(); // behind both
    held.open('before');
    expect(await leader).toBe('before');
    expect(await follower).toBe('after');
    expect(await cache.get('k')).toBe('after');
  });

  test('where no tag was ended, who asked meanwhile gets the result as well', async () => {
    // Where the server runs no scripts, they must be known.
    await store('before', ({ setTags }) => setTags(['a']) ?? 1);
    await sleep(20);
    const { held, fn } = naming(['a']);
    const calls = [cache.getOrCompute('k', fn)];
    await held.begun();
    await cache.invalidateTags('another');
    for (let i = 0; i < 5; i++) calls.push(cache.getOrCompute('k', () => 'never'));
    await cache.getStats();
    held.open({ n: 1 });
    const values = await Promise.all(calls);
    expect(values).toEqual(Array(6).fill({ n: 1 }));
    expect(new Set(values).size).toBe(6);
    expect(await cache.get('k')).toEqual({ n: 1 });
  });

  test('a tag that was ended before the function began does no harm', async () => {
    for (let n = 0; n < 3; n++) {
      await store('k', ({ setTags }) => setTags(['a']) ?? n);
      expect(await cache.get('k')).toBe(n);
      await cache.invalidateTags('a', n === 1 ? { stale: 60 } : undefined);
      expect(await cache.get('k')).toBeNull();
      await sleep(20);
    }
  });

  test('a refresh behind an old value names them too', async () => {
    await cache.getOrCompute('k', () => 'old', { ttl: 0.05, swr: 60 });
    await until(async () => (await cache.get('k')) === null, 'the TTL is over');
    const refresh = ({ setTags }) => setTags(['a']) ?? 'new';
    await until(async () => {
      await cache.getOrCompute('k', refresh, { swr: 60 });
      return (await cache.get('k')) === 'new';
    }, 'the new value is there');
    await cache.invalidateTags('a');
    expect(await cache.get('k')).toBeNull();
  });

  test('a function that skips, or returns nothing, stores nothing', async () => {
    expect(await cache.getOrCompute('k', ({ setTags, skip }) => setTags(['a']) ?? skip() ?? 1)).toBe(1);
    expect(await cache.getOrCompute('k', ({ setTags }) => setTags(['a']))).toBeUndefined();
    expect(await cache.exists('k')).toBe(false);
  });
};
