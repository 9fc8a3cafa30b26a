// Contract: tags, and what invalidateTags makes of the entries that carry them.
'use strict';

const { expectCode, freshNamespace, stored } = require('../../support/holdfast');
const { computation } = require('../../support/computation');
const { until } = require('../../support/until');

const failure = new Error('on purpose');
const failing = async () => {
  throw failure;
};

module.exports = function tags(mode) {
  let cache;
  let namespace;
  beforeEach(async () => {
    namespace = freshNamespace();
    cache = await mode.cache({ namespace });
  });

  test('entries of every function that stores die with their tag, and all others stay', async () => {
    await cache.set('set', 1, { tags: ['a'] });
    await cache.setMany({ many: 1, more: 2 }, { ttl: 60, tags: ['a'] });
    await cache.getOrCompute('computed', () => 1, { tags: ['a'] });
    await cache.getOrComputeMany(['c1', 'c2'], () => [1, 2], { tags: ['a'] });
    await cache.set('plain', 1);
    await cache.set('other', 1, { tags: ['b'] });
    const tagged = ['set', 'many', 'more', 'computed', 'c1', 'c2'];
    expect(await cache.getMany(tagged)).toEqual([1, 1, 2, 1, 1, 2]);
    await expect(cache.invalidateTags(['a'])).resolves.toBeUndefined();
    expect(await cache.getMany(tagged)).toEqual(Array(6).fill(null));
    for (const key of tagged) expect(await cache.get(key)).toBeNull();
    expect(await cache.getMany(['plain', 'other'])).toEqual([1, 1]);
  });

  test('one tag or many may be named', async () => {
    for (const tag of ['a', 'b', 'c']) await cache.set(tag, tag, { tags: [tag] });
    await cache.invalidateTags('a');
    expect(await cache.getMany(['a', 'b', 'c'])).toEqual([null, 'b', 'c']);
    await cache.invalidateTags(['b', 'c', 'b', 'nothing']);
    expect(await cache.getMany(['a', 'b', 'c'])).toEqual([null, null, null]);
    await cache.set('k', 1, { tags: ['d'] });
    await cache.invalidateTags([]);
    expect(await cache.get('k')).toBe(1);
  });

  test('a tag that no entry has is no trouble', async () => {
    await expect(cache.invalidateTags('nobody has it')).resolves.toBeUndefined();
    await cache.set('k', 1, { tags: ['nobody has it'] });
    expect(await cache.get('k')).toBe(1);
  });

  test('an entry with two tags dies with either', async () => {
    for (const tag of ['a', 'b']) {
      await cache.set('k', 1, { tags: ['a', 'b', 'a'] });
      expect(await cache.get('k')).toBe(1);
      await cache.invalidateTags(tag);
      expect(await cache.get('k')).toBeNull();
    }
  });

  test('what is stored after the invalidation is found, with the same tag or without', async () => {
    await cache.set('k', 'old', { tags: ['a'] });
    await cache.invalidateTags('a');
    await cache.set('k', 'new', { tags: ['a'] });
    await cache.getOrCompute('computed', () => 'new', { tags: ['a'] });
    expect(await cache.getMany(['k', 'computed'])).toEqual(['new', 'new']);
    await cache.set('k', 'plain');
    await cache.invalidateTags('a');
    expect(await cache.getMany(['k', 'computed'])).toEqual(['plain', null]);
  });

  test('calls of one turn happen in their order', async () => {
    const results = await Promise.all([
      cache.set('k', 1, { tags: ['a'] }),
      cache.get('k'),
      cache.invalidateTags('a'),
      cache.get('k'),
      cache.set('k', 2, { tags: ['a'] }),
      cache.get('k'),
    ]);
    expect(results).toEqual([undefined, 1, undefined, null, undefined, 2]);
  });

  test('values that were read many times die, too', async () => {
    for (let n = 0; n < 30; n++) {
      await cache.set('k', n, { tags: ['a', 'b'] });
      for (let i = 0; i < 5; i++) expect(await cache.get('k')).toBe(n);
      const invalidated = cache.invalidateTags(n % 2 ? 'a' : ['b']);
      expect(await cache.get('k')).toBeNull(); // behind it, awaited or not
      await invalidated;
      expect(await cache.get('k')).toBeNull();
    }
  });

  test('an invalidated entry is a miss to every function', async () => {
    await cache.set('k', 'old', { tags: ['a'] });
    expect(await cache.exists('k')).toBe(true);
    expect(await cache.ttl('k')).toBeGreaterThan(200);
    expect(await cache.expire('k', 1_000)).toBe(true);
    expect(await cache.ttl('k')).toBeGreaterThan(900);
    await cache.invalidateTags('a');
    expect(await cache.exists('k')).toBe(false);
    expect(await cache.ttl('k')).toBeNull();
    expect(await cache.expire('k', 1_000)).toBe(false);
    expect(await cache.expire('k', Infinity)).toBe(false);
    expect(await cache.getMany(['k', 'k'])).toEqual([null, null]);
    expect(await cache.getOrCompute('k', () => 'new')).toBe('new');
    expect(await cache.get('k')).toBe('new');
  });

  test('getMany mixes entries of all kinds, in order', async () => {
    await cache.set('plain', 1);
    await cache.set('dead', 2, { tags: ['a'] });
    await cache.set('alive', 3, { tags: ['b'] });
    await cache.set('both', 4, { tags: ['a', 'b'] });
    await cache.invalidateTags('a');
    const keys = ['alive', 'dead', 'nothing', 'both', 'plain', 'alive'];
    expect(await cache.getMany(keys)).toEqual([3, null, null, null, 1, 3]);
    expect(await cache.getOrComputeMany(keys, (missing) => missing)).toEqual([3, 'dead', 'nothing', 'both', 1, 3]);
  });

  test('thousands of entries and tags', async () => {
    const entries = Array.from({ length: 3_000 }, (_, i) => [`k${i}`, i]);
    await Promise.all(entries.map(([key, i]) => cache.set(key, i, { tags: [`t${i % 1_000}`, 'all'] })));
    const even = Array.from({ length: 500 }, (_, i) => `t${2 * i}`);
    await cache.invalidateTags(even);
    const keys = entries.map(([key]) => key);
    expect(await cache.getMany(keys)).toEqual(entries.map(([, i]) => (i % 2 ? i : null)));
    await cache.invalidateTags('all');
    expect(await cache.getMany(keys)).toEqual(keys.map(() => null));
  });

  test('a computation that began before the invalidation stores nothing that is served after it', async () => {
    const before = computation();
    const first = cache.getOrCompute('k', before.fn, { tags: ['a'] });
    await before.begun();
    await cache.invalidateTags('a');
    before.open('before');
    expect(await first).toBe('before');
    expect(await cache.get('k')).toBeNull();
    expect(await cache.getOrCompute('k', () => 'after', { tags: ['a'] })).toBe('after');
    expect(await cache.get('k')).toBe('after');
  });

  test('a caller that asks after the invalidation does not share the older computation', async () => {
    const before = computation();
    const first = cache.getOrCompute('k', before.fn, { tags: ['a', 'b'] });
    await before.begun();
    await cache.invalidateTags('b');
    expect(await cache.getOrCompute('k', () => 'after', { tags: ['a', 'b'] })).toBe('after');
    before.open('before');
    expect(await first).toBe('before');
    expect(await cache.get('k')).toBe('after');
  });

  test('the same without tags of its own, and for many keys', async () => {
    const before = computation();
    const first = cache.getOrComputeMany(['k', 'l'], before.fn, { tags: ['a'] });
    await before.begun();
    await cache.invalidateTags('a');
    expect(await cache.getOrCompute('k', () => 'after')).toBe('after');
    before.open(['before', 'before']);
    expect(await first).toEqual(['before', 'before']);
    expect(await cache.getMany(['k', 'l'])).toEqual(['after', null]);
  });

  test('an invalidation of another tag lets a computation store', async () => {
    const before = computation();
    const first = cache.getOrCompute('k', before.fn, { tags: ['a'] });
    await before.begun();
    await cache.invalidateTags('b');
    before.open('stored');
    expect(await first).toBe('stored');
    expect(await cache.get('k')).toBe('stored');
  });

  test.each([
    ['swr', { swr: 60 }],
    ['grace', { grace: 60 }],
  ])('an invalidated entry is nothing that %s could serve', async (_, extra) => {
    const options = { tags: ['a'], ttl: 0.05, ...extra };
    await cache.getOrCompute('stale', () => 'old', options);
    await cache.getOrCompute('fresh', () => 'old', { ...options, ttl: 60 });
    await until(async () => (await cache.get('stale')) === null);
    await cache.invalidateTags('a');
    for (const key of ['stale', 'fresh']) {
      await expect(cache.getOrCompute(key, failing, options)).rejects.toBe(failure);
      expect(await cache.getOrCompute(key, () => 'new', { ...options, ttl: 60 })).toBe('new');
      expect(await cache.get(key)).toBe('new');
    }
  });

  test('a refresh that began before the invalidation is not served after it', async () => {
    const options = { tags: ['a'], swr: 60 };
    await cache.getOrCompute('k', () => 'old', { ...options, ttl: 0.05 });
    await until(async () => (await cache.get('k')) === null);
    const refresh = computation();
    expect(await cache.getOrCompute('k', refresh.fn, options)).toBe('old');
    await refresh.begun();
    const waiting = cache.getOrCompute('k', failing, { tags: ['a'] });
    await cache.get('other'); // a round trip: it waits for the refresh
    await cache.invalidateTags('a');
    expect(await cache.getOrCompute('k', () => 'after', options)).toBe('after');
    refresh.open('before');
    expect(await waiting).toBe('before');
    expect(await cache.get('k')).toBe('after');
  });

  test('a tag is of its namespace', async () => {
    const other = await mode.cache();
    await Promise.all([cache, other].map((each) => each.set('k', 1, { tags: ['a'] })));
    await other.invalidateTags('a');
    expect([await cache.get('k'), await other.get('k')]).toEqual([1, null]);
  });

  test('two caches of one namespace share their tags', async () => {
    const twin = await mode.cache({ namespace });
    await cache.set('k', 1, { tags: ['a'] });
    for (let i = 0; i < 5; i++) expect([await cache.get('k'), await twin.get('k')]).toEqual([1, 1]);
    await twin.invalidateTags('a');
    expect([await cache.get('k'), await twin.get('k')]).toEqual([null, null]);
  });

  test('clear and delPattern count entries, not what stands for their tags', async () => {
    const store = () => cache.setMany({ k1: 1, k2: 2 }, { tags: ['a', 'b', 'c'] });
    await store();
    expect(await cache.delPattern('*')).toBe(2);
    await store();
    expect(await cache.getMany(['k1', 'k2'])).toEqual([1, 2]);
    expect(await cache.clear()).toBe(2);
    expect(await cache.clear()).toBe(0);
    await store();
    expect(await cache.getMany(['k1', 'k2'])).toEqual([1, 2]);
    expect(await cache.delPattern('*a*')).toBe(0);
    await cache.invalidateTags('a');
    expect(await cache.getMany(['k1', 'k2'])).toEqual([null, null]);
  });

  test('an invalidation counts as no delete, and tags as no keys in memory mode', async () => {
    const { keys } = await cache.getStats();
    await cache.set('k', 1, { tags: ['a', 'b'] });
    await cache.invalidateTags(['a', 'b']);
    const stats = await cache.getStats();
    expect({ sets: stats.sets, deletes: stats.deletes }).toEqual({ sets: 1, deletes: 0 });
    if (!mode.shared) expect(stats.keys).toBeLessThanOrEqual(keys + 1);
  });

  const ODD = ['*', 'a:b', 'with space', '😀', 'é\u0301', '\0', 'a\r\nb', '[a-z]', '__proto__', '"', '\\', '0', 'x'];
  test('a tag may be any well-formed text of up to 1,024 bytes', async () => {
    const all = [...ODD, 'y'.repeat(1024), '😀'.repeat(256)];
    for (const [i, tag] of all.entries()) await cache.set(`k${i}`, tag, { tags: [tag] });
    const keys = all.map((_, i) => `k${i}`);
    expect(await cache.getMany(keys)).toEqual(all);
    for (const [i, tag] of all.entries()) {
      await cache.invalidateTags(tag);
      expect(await cache.getMany(keys)).toEqual(all.map((each, at) => (at <= i ? null : each)));
    }
  });

  test('an entry may have 128 tags', async () => {
    const many = Array.from({ length: 128 }, (_, i) => `${i}`.padEnd(1024, 'x'));
    await cache.set('k', 1, { tags: [...many, many[0]] });
    expect(await cache.get('k')).toBe(1);
    await cache.invalidateTags(many[127]);
    expect(await cache.get('k')).toBeNull();
  });

  test('however long its tags are, every function finds the entry, until one of them is invalidated', async () => {
    const long = Array.from({ length: 128 }, (_, i) => `${i}`.padEnd(1024, 'x'));
    const found = async (key) => [await cache.get(key), await cache.exists(key), (await cache.ttl(key)) > 0];
    for (const count of [1, 3, 4, 5, 20, 128]) {
      const tags = long.slice(0, count);
      await cache.set('k', 'value', { ttl: 60, tags });
      await cache.getOrCompute('computed', () => 'x'.repeat(5_000), { ttl: 60, tags });
      expect(await found('k')).toEqual(['value', true, true]);
      expect(await found('computed')).toEqual(['x'.repeat(5_000), true, true]);
      for (const key of ['k', 'computed']) {
        expect(await cache.expire(key, 30)).toBe(true);
        expect(await cache.ttl(key)).toBeLessThanOrEqual(30);
      }
      await cache.invalidateTags(tags.at(-1));
      for (const key of ['k', 'computed']) {
        expect(await found(key)).toEqual([null, false, false]);
        expect(await cache.expire(key, 30)).toBe(false);
      }
      await cache.del(['k', 'computed']);
    }
  });

  test('what are no tags is refused, and what was stored stays', async () => {
    const noTags = ['', 5, null, undefined, {}, ['a'], 'x'.repeat(1025), '😀'.repeat(257), '\ud800', 'a\udc00'];
    const noLists = [null, 'a', 5, {}, new Set(['a']), Array.from({ length: 129 }, (_, i) => `t${i}`)];
    const lists = [...noTags.map((tag) => ['a', tag]), ...noLists];
    await cache.set('k', 'kept', { tags: ['a'] });
    for (const bad of lists) {
      const options = { tags: bad };
      await expectCode(() => cache.set('k', 'new', options), 'ERR_INVALID_ARGUMENT');
      await expectCode(() => cache.setMany({ k: 'new' }, options), 'ERR_INVALID_ARGUMENT');
      await expectCode(() => cache.getOrCompute('other', () => 'new', options), 'ERR_INVALID_ARGUMENT');
      await expectCode(() => cache.getOrComputeMany(['other'], () => ['new'], options), 'ERR_INVALID_ARGUMENT');
    }
    for (const bad of [...noTags.filter((tag) => !Array.isArray(tag)), ...noTags.map((tag) => ['a', tag]), new Set()]) {
      await expectCode(() => cache.invalidateTags(bad), 'ERR_INVALID_ARGUMENT');
    }
    expect(await cache.getMany(['k', 'other'])).toEqual(['kept', null]);
  });

  if (!mode.shared) return;

  test('what is stored without tags and grace stays plain JSON', async () => {
    await cache.set('k', { a: 1 }, { ttl: 60 });
    await cache.getOrCompute('computed', () => [1], { ttl: 60, timeout: 5, hardTimeout: 5, jitter: 0.1 });
    await stored(cache);
    expect(await mode.server.cli('get', `${namespace}:k`)).toBe('{"a":1}');
    expect(await mode.server.cli('get', `${namespace}:computed`)).toBe('[1]');
  });
};
