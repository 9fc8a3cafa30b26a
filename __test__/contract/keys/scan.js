// Contract: scan, which names a cache's keys page by page.
'use strict';

const { expectCode, freshNamespace } = require('../../support/holdfast');

const namesOf = async (cache, ...given) => {
  const names = [];
  for await (const keys of cache.scan(...given)) names.push(...keys);
  return names;
};
const distinct = (names) => [...new Set(names)].sort();

module.exports = function scan(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  test('it names the keys of its namespace, and nothing else', async () => {
    const namespace = freshNamespace();
    const named = await mode.cache({ namespace });
    const neighbours = await Promise.all(
      [`${namespace}2`, `${namespace}.a`].map((each) => mode.cache({ namespace: each })),
    );
    for (const neighbour of neighbours) await neighbour.set('others', 1);
    await named.setMany({ a: 1, 'b:1': 2, é: 3, 'a\nb"\\': 4 });
    expect(distinct(await namesOf(named))).toEqual(['a', 'b:1', 'é', 'a\nb"\\'].sort());
  });

  test('the keys of tags and of refreshes are not the caller’s', async () => {
    await cache.set('tagged', 1, { tags: ['t', 'u'] });
    await cache.getOrCompute('computed', () => 1, { ttl: 60, swr: 60, tags: ['t'] });
    expect(distinct(await namesOf(cache))).toEqual(['computed', 'tagged']);
  });

  test.each([
    ['user:*', ['user:1', 'user:10', 'user:2']],
    ['user:?', ['user:1', 'user:2']],
    ['user:1', ['user:1']],
    ['a\\*c', ['a*c']],
    ['[au]*', ['a*c', 'abc', 'user:1', 'user:10', 'user:2']],
    ['none*', []],
    ['', []],
  ])('%j names %j', async (pattern, names) => {
    await cache.setMany(['user:1', 'user:2', 'user:10', 'abc', 'a*c'].map((key) => [key, key]));
    expect(distinct(await namesOf(cache, pattern))).toEqual(names);
  });

  test('of thousands each is named, and within a page once', async () => {
    const keys = Array.from({ length: 5_000 }, (_, n) => `k${n}`);
    await cache.setMany(keys.map((key) => [key, key]));
    const names = [];
    let pages = 0;
    for await (const page of cache.scan('k*', { count: 200 })) {
      expect(new Set(page).size).toBe(page.length);
      expect(page.length).toBeGreaterThan(0);
      names.push(...page);
      pages++;
    }
    expect(distinct(names)).toEqual([...keys].sort());
    expect(pages).toBeGreaterThan(5);
  });

  test('what is removed page by page is all gone', async () => {
    await cache.setMany(Array.from({ length: 3_000 }, (_, n) => [`k${n}`, n]));
    for await (const page of cache.scan('*', { count: 100 })) await cache.del(page);
    expect(await namesOf(cache)).toEqual([]);
  });

  test('what is there all the while is named whatever comes and goes beside it', async () => {
    const stays = Array.from({ length: 500 }, (_, n) => `stays${n}`);
    await cache.setMany(stays.map((key) => [key, 1]));
    await cache.setMany(Array.from({ length: 1_000 }, (_, n) => [`goes${n}`, n]));
    const names = [];
    let round = 0;
    for await (const page of cache.scan('*', { count: 100 })) {
      names.push(...page);
      const keys = Array.from({ length: 100 }, (_, n) => (round * 100 + n) % 1_000);
      await cache.del(keys.map((n) => `goes${n}`));
      if (round < 20) await cache.setMany(keys.map((n) => [`comes${round}:${n}`, n]));
      round++;
    }
    expect(distinct(names.filter((name) => name.startsWith('stays')))).toEqual([...stays].sort());
  });

  test('it stands behind the calls before it, and in front of those behind it', async () => {
    await cache.set('old', 1);
    cache.del('old');
    cache.set('new', 1);
    expect(await namesOf(cache)).toEqual(['new']);
  });

  test('keys that a sweep has just ended are not named', async () => {
    await cache.setMany(Array.from({ length: 2_000 }, (_, n) => [`k${n}`, n]));
    const swept = cache.delPattern('k*');
    expect(await namesOf(cache)).toEqual([]);
    expect(await swept).toBe(2_000);
  });

  test('a page without a key of ours is none', async () => {
    const [named, neighbour] = await Promise.all([mode.cache(), mode.cache()]);
    await neighbour.setMany(Array.from({ length: 1_000 }, (_, n) => [`k${n}`, n]));
    await named.set('ours', 1);
    const pages = [];
    for await (const page of named.scan('*', { count: 10 })) pages.push(page);
    expect(pages).not.toContainEqual([]);
    expect(distinct(pages.flat())).toEqual(['ours']);
  });

  test('break ends it', async () => {
    await cache.setMany(Array.from({ length: 3_000 }, (_, n) => [`k${n}`, n]));
    let pages = 0;
    for await (const page of cache.scan('*', { count: 10 })) {
      expect(page.length).toBeGreaterThan(0);
      if (++pages === 2) break;
    }
    expect(pages).toBe(2);
    expect(cache.health().inFlight).toBe(0);
  });

  test('an iteration that goes on behind close is told so', async () => {
    await cache.setMany(Array.from({ length: 3_000 }, (_, n) => [`k${n}`, n]));
    const pages = cache.scan('*', { count: 10 });
    expect((await pages.next()).done).toBe(false);
    await cache.close();
    await expectCode(() => pages.next(), 'ERR_CLOSED');
  });

  test('what is no pattern, or no option, is refused', async () => {
    for (const pattern of [null, 5, ['a*'], /a/]) {
      await expectCode(async () => namesOf(cache, pattern), 'ERR_INVALID_ARGUMENT');
    }
    for (const options of [5, { count: 0 }, { count: 1.5 }, { count: 10_001 }, { count: '5' }, { limit: 5 }]) {
      await expectCode(async () => namesOf(cache, '*', options), 'ERR_INVALID_ARGUMENT');
    }
  });
};
