// Input 31: every well-formed key makes an exact round trip, every other is refused.
'use strict';

const { closeCaches, expectCode } = require('../support/holdfast');
const { MODES } = require('../support/modes');

const KEYS = [
  '\0',
  'a\0b',
  '\r\n',
  '*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n',
  '*',
  '?',
  '[a-z]',
  '\\',
  '{tag}',
  ' ',
  'a:b:c',
  ':',
  '😀',
  'e\u0301',
  '\u00e9',
  '\ufeffk',
  '\ufffd',
  '\u2028',
  '"',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'toString',
  'x'.repeat(65_535),
  'é'.repeat(32_767),
  '日'.repeat(21_845),
];

const REFUSED = [
  '',
  'x'.repeat(65_536),
  'é'.repeat(32_768),
  '日'.repeat(21_846),
  '\ud800',
  '\udfff',
  'a\ud83d',
  '\ude00\ud83d',
  'x'.repeat(1_000_000),
  Object('boxed'),
  ['k'],
];

describe.each(MODES)('fault 31: $name', (mode) => {
  let cache;
  beforeAll(() => mode.start());
  afterAll(() => mode.stop());
  beforeEach(async () => {
    cache = await mode.cache();
  });
  afterEach(closeCaches);

  test('each key holds its own value, alone and among the others', async () => {
    for (const [i, key] of KEYS.entries()) {
      await cache.set(key, i);
      expect(await cache.get(key)).toBe(i);
    }
    expect(await cache.getMany(KEYS)).toEqual(KEYS.map((_, i) => i));
    for (const [i, key] of KEYS.entries()) {
      expect(await cache.exists(key)).toBe(true);
      expect(await cache.expire(key, 500)).toBe(true);
      expect(await cache.ttl(key)).toBeGreaterThan(400);
      expect(await cache.increment(key, 1_000)).toBe(1_000 + i);
      expect(await cache.getOrCompute(key, () => 'not run')).toBe(1_000 + i);
    }
    expect(await cache.del(KEYS)).toBe(KEYS.length);
    expect(await cache.getMany(KEYS)).toEqual(KEYS.map(() => null));
  });

  test('keys that look alike are different keys', async () => {
    await cache.set('e\u0301', 'two characters');
    await cache.set('\u00e9', 'one character');
    expect(await cache.getMany(['e\u0301', '\u00e9'])).toEqual(['two characters', 'one character']);
  });

  test('setMany of an object with odd names stores its own names and no others', async () => {
    await cache.setMany(JSON.parse('{"__proto__":1,"constructor":2,"0":3}'));
    expect(await cache.getMany(['__proto__', 'constructor', '0', 'toString'])).toEqual([1, 2, 3, null]);
  });

  test('delPattern finds odd keys by their exact pattern', async () => {
    for (const key of KEYS.filter((each) => each.length < 100)) {
      await cache.set(key, 1);
      expect(await cache.delPattern(key.replace(/[*?[\]\\]/g, '\\$&'))).toBe(1);
    }
  });

  test('every other key is refused', async () => {
    for (const key of REFUSED) {
      await expectCode(() => cache.get(key), 'ERR_INVALID_KEY');
      await expectCode(() => cache.set(key, 1), 'ERR_INVALID_KEY');
      await expectCode(() => cache.getMany(['good', key]), 'ERR_INVALID_KEY');
    }
    expect(await cache.get('\ufffd')).toBeNull();
  });

  test('a key that begins as a key of a tag or a refresh is refused by every function, with a namespace and without', async () => {
    const caches = [cache, await mode.cache({ namespace: '' })];
    for (const each of caches) {
      await each.set('tagged', 1, { tags: ['t'] });
      await each.invalidateTags('t');
      for (const key of ['\0tag\0t', '\0tag\0', '\0refresh\0tagged']) {
        const calls = [
          () => each.get(key),
          () => each.set(key, 'fixed'),
          () => each.del(key),
          () => each.del(['good', key]),
          () => each.exists(key),
          () => each.ttl(key),
          () => each.expire(key, 5),
          () => each.increment(key),
          () => each.getMany(['good', key]),
          () => each.setMany({ good: 1, [key]: 1 }),
          () => each.getOrCompute(key, () => 1),
          () => each.getOrComputeMany(['good', key], () => [1, 2]),
        ];
        for (const call of calls) await expectCode(call, 'ERR_INVALID_KEY');
      }
      expect(await each.get('tagged')).toBeNull();
      expect(await each.exists('good')).toBe(false);
      // A pattern finds none of them either.
      await each.set('tagged', 1, { tags: ['t'] });
      expect(await each.delPattern('\0tag\0*')).toBe(0);
      expect(await each.get('tagged')).toBe(1);
    }
  });

  test('the same bytes elsewhere in a key are ordinary', async () => {
    for (const key of [
      '\0',
      '\0tag',
      '\0tags\0t',
      '\0TAG\0t',
      '\0refresh',
      'a\0tag\0t',
      ' \0refresh\0k',
      'x:\0tag\0t',
    ]) {
      await cache.set(key, key);
      expect(await cache.get(key)).toBe(key);
      expect(await cache.del(key)).toBe(1);
    }
  });

  test('a refused key leaves the other calls of its turn alone', async () => {
    await cache.set('good', 1);
    const results = await Promise.allSettled([cache.get('good'), cache.get('\ud800'), cache.get('good')]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(results[2].value).toBe(1);
  });
});
