// Contract: the codec `text`: strings that lie in Redis as their UTF-8.
'use strict';

const { expectCode, freshNamespace, stored } = require('../../support/holdfast');
const { computation } = require('../../support/computation');
const { until } = require('../../support/until');

const TEXTS = [
  ['an empty text', ''],
  ['one in many scripts', 'naïve — 日本語 😀 \u2028 \ufeff'],
  ['NUL and other controls', '\0\x01\n\t\x7f'],
  ['JSON', '{"a":[1,"\\u0061"]}'],
  ['what would close the list of replies', '"],0],[2'],
  ['quotes and backslashes', '\\"\'\\\\'],
  ['digits', '12'],
  ['no integer of Redis', '012'],
  ['what bytes as a header are in Latin-1', '\xff\x01\x03\0'],
  ['a long one', 'naïve "text"\n'.repeat(20_000)],
  ['a long one of ASCII', 'plain text, '.repeat(20_000)],
];

module.exports = function text(mode) {
  let namespace;
  let cache;
  beforeEach(async () => {
    namespace = freshNamespace();
    cache = await mode.cache({ namespace, codec: 'text' });
  });

  test.each(TEXTS)('%s comes back as it was, from every function', async (_, value) => {
    await cache.set('set', value);
    await cache.setMany([['many', value]]);
    expect(await cache.setIfAbsent('absent', value)).toBe(true);
    expect(await cache.setIfAbsent('absent', 'other')).toBe(false);
    expect(await cache.getOrCompute('computed', () => value, { tags: ['a'], swr: 60, grace: 60 })).toBe(value);
    expect(await cache.getOrComputeMany(['c1', 'set'], () => [value])).toEqual([value, value]);
    // Near, hot, or from Redis.
    for (let i = 0; i < 12; i++) expect(await cache.get('set')).toBe(value);
    const keys = ['set', 'many', 'absent', 'computed', 'c1', 'none', 'set'];
    expect(await cache.getMany(keys)).toEqual(keys.map((key) => (key === 'none' ? null : value)));
    expect(await cache.getOrCompute('set', () => 'not run')).toBe(value);
    expect(await cache.take('set')).toBe(value);
    expect(await cache.get('set')).toBeNull();
    expect((await cache.getStats()).decodeErrors).toBe(0);
  });

  test('what is no text is refused, and what was stored stays', async () => {
    await cache.set('k', 'kept');
    for (const value of [
      null,
      undefined,
      5,
      true,
      5n,
      {},
      ['a'],
      Buffer.from('a'),
      '\ud800',
      'a\udfff',
      new String('a'),
    ]) {
      await expectCode(() => cache.set('k', value), 'ERR_UNSERIALIZABLE');
      await expectCode(() => cache.setMany({ other: 'x', k: value }), 'ERR_UNSERIALIZABLE');
      await expectCode(() => cache.setIfAbsent('c', value), 'ERR_UNSERIALIZABLE');
      if (value !== undefined) await expectCode(() => cache.getOrCompute('c', () => value), 'ERR_UNSERIALIZABLE');
    }
    expect(await cache.getMany(['k', 'other', 'c'])).toEqual(['kept', null, null]);
    expect(await cache.getOrCompute('c', () => undefined)).toBeUndefined();
    expect(await cache.exists('c')).toBe(false);
  });

  test('a counter is its digits, and digits can be counted on', async () => {
    expect(await cache.increment('n', -7)).toBe(-7);
    for (let i = 0; i < 4; i++) expect(await cache.get('n')).toBe('-7');
    expect(await cache.getOrCompute('n', () => 'not run')).toBe('-7');
    await cache.set('digits', '41');
    expect(await cache.increment('digits')).toBe(42);
    expect(await cache.getMany(['digits', 'n'])).toEqual(['42', '-7']);
    for (const value of ['no digits', '', '042', ' 1', '"1"', '{"a":1}']) {
      await cache.set('n', value);
      await expectCode(() => cache.increment('n'), 'ERR_NOT_AN_INTEGER');
      expect(await cache.get('n')).toBe(value);
    }
  });

  test('callers at once get the text of one function', async () => {
    for (const value of ['short', 'naïve and long '.repeat(2_000)]) {
      const made = computation();
      const callers = Array.from({ length: 4 }, () => cache.getOrCompute(value, made.fn));
      await made.begun();
      made.open(value);
      expect(await Promise.all(callers)).toEqual(Array(4).fill(value));
      expect(made.runs ?? 1).toBe(1);
    }
  });

  test('an old text is served while its successor is computed', async () => {
    const [old, next] = ['old "text" é'.repeat(1_000), 'new'];
    const options = { ttl: 0.05, swr: 600, grace: 600 };
    await cache.getOrCompute('k', () => old, options);
    await stored(cache);
    await until(async () => (await cache.get('k')) === null, 'its TTL is over');
    const served = await cache.getOrCompute('k', ({ stale }) => (stale === old ? next : 'no old text'), options);
    expect([old, next]).toContain(served);
    await until(async () => (await cache.getOrCompute('k', () => next, options)) === next, 'the new text');
  });

  test('texts end with their tags', async () => {
    await cache.set('k', 'tagged', { tags: ['a'] });
    for (let i = 0; i < 4; i++) expect(await cache.get('k')).toBe('tagged');
    await cache.invalidateTags('a');
    expect(await cache.get('k')).toBeNull();
  });

  if (!mode.shared) return;

  test('texts lie in Redis as they are, and what others write there is read', async () => {
    await cache.set('k', 'naïve "text"');
    expect(await mode.server.cli('get', `${namespace}:k`)).toBe('naïve "text"');
    await mode.server.setBytes(`${namespace}:theirs`, Buffer.from('{"written": "by another"}'));
    expect(await cache.get('theirs')).toBe('{"written": "by another"}');
  });

  test.each([
    ['0xFF', Buffer.from([0x61, 0xff])],
    ['a surrogate', Buffer.from([0xed, 0xa0, 0x80])],
    ['an overlong encoding', Buffer.from([0xc0, 0x80])],
    ['a character cut off', Buffer.from('naïve').subarray(0, 3)],
    ['a long one', Buffer.concat([Buffer.alloc(100_000, 'a'), Buffer.from([0x80])])],
  ])('bytes that are no UTF-8 are a miss, counted, for their key alone: %s', async (_, bytes) => {
    await mode.server.setBytes(`${namespace}:bad`, bytes);
    await cache.setMany({ before: 'b', after: 'a' });
    expect(await cache.getMany(['before', 'bad', 'after'])).toEqual(['b', null, 'a']);
    expect((await cache.getStats()).decodeErrors).toBe(1);
    expect(await cache.getOrCompute('bad', () => 'computed')).toBe('computed');
    expect(await cache.get('bad')).toBe('computed');
  });
};
