// Contract: delPattern, the glob syntax of Redis in every mode.
'use strict';

const { expectCode } = require('../../support/holdfast');

const KEYS = [
  'user:1',
  'user:2',
  'user:10',
  'users',
  'abc',
  'aXc',
  'a*c',
  'a?c',
  'a\\c',
  'ac',
  '[x]',
  'a]c',
  'a-c',
  'a^c',
  'é',
  'a\nc',
];

const CASES = [
  ['user:1', ['user:1']],
  ['user:?', ['user:1', 'user:2']],
  ['user:*', ['user:1', 'user:2', 'user:10']],
  ['*s', ['users']],
  ['*:1*', ['user:1', 'user:10']],
  ['a?c', ['abc', 'aXc', 'a*c', 'a?c', 'a\\c', 'a]c', 'a-c', 'a^c', 'a\nc']],
  ['a*c', ['abc', 'aXc', 'a*c', 'a?c', 'a\\c', 'ac', 'a]c', 'a-c', 'a^c', 'a\nc']],
  ['a\\*c', ['a*c']],
  ['a\\?c', ['a?c']],
  ['a\\\\c', ['a\\c']],
  ['\\a\\b\\c', ['abc']],
  ['a[a-c]c', ['abc']],
  ['a[c-a]c', ['abc']],
  ['a[bX]c', ['abc', 'aXc']],
  ['a[^b]c', ['aXc', 'a*c', 'a?c', 'a\\c', 'a]c', 'a-c', 'a^c', 'a\nc']],
  ['a[*]c', ['a*c']],
  ['a[\\]]c', ['a]c']],
  ['a[b^]c', ['abc', 'a^c']],
  ['a[!b]c', ['abc']],
  ['\\[x]', ['[x]']],
  ['[[]x]', ['[x]']],
  ['user:[0-9]', ['user:1', 'user:2']],
  ['USER:*', []],
  ['user', []],
  ['', []],
  ['[', []],
  ['\\', []],
  ['??', ['ac', 'é']], // a glob counts bytes, as in Redis
  ['?', []],
  ['é', ['é']],
  ['a**c', ['abc', 'aXc', 'a*c', 'a?c', 'a\\c', 'ac', 'a]c', 'a-c', 'a^c', 'a\nc']],
  ['*', KEYS],
];

module.exports = function glob(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  test.each(CASES)('fault 37: %j removes %j', async (pattern, removed) => {
    await cache.setMany(KEYS.map((key) => [key, key]));
    expect(await cache.delPattern(pattern)).toBe(removed.length);
    const left = await cache.getMany(KEYS);
    expect(left).toEqual(KEYS.map((key) => (removed.includes(key) ? null : key)));
  });

  test('thousands of keys are found and counted', async () => {
    await cache.setMany(Array.from({ length: 5_000 }, (_, i) => [`${i % 2 ? 'odd' : 'even'}:${i}`, i]));
    expect(await cache.delPattern('odd:*')).toBe(2_500);
    expect(await cache.exists('even:0')).toBe(true);
    expect(await cache.delPattern('*')).toBe(2_500);
  });

  test('fault 37: a pattern that backtracks ends', async () => {
    await cache.set('a'.repeat(200), 1);
    expect(await cache.delPattern(`${'a*'.repeat(20)}b`)).toBe(0);
  });

  test('fault 37: what is no pattern is refused', async () => {
    for (const pattern of [undefined, null, 5, ['a*'], /a/]) {
      await expectCode(() => cache.delPattern(pattern), 'ERR_INVALID_ARGUMENT');
    }
  });
};
