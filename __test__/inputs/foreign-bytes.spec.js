// Inputs 27 and 34: what somebody else stores at our keys: bytes that are no JSON, or another type. A miss for that key
// alone; bytes count as a decodeError.
'use strict';

const { closeCaches, expectCode, openCache, stored } = require('../support/holdfast');
const { serverForAll } = require('../support/redis-server');

const NO_JSON = [
  ['two values', '1,2'],
  ['an open string', '"a'],
  ['a closing bracket', ']'],
  ['an opening bracket', '['],
  ['brackets that would close the list of replies', '1],[2'],
  ['nothing', ''],
  ['white space', ' \n'],
  ['NUL', '\0'],
  ['a truncated object', '{"a":1'],
  ['a trailing comma', '[1,]'],
  ['a comment', '1/**/'],
  ['single quotes', "'a'"],
  ['a bare word', 'hello'],
  ['undefined', 'undefined'],
  ['NaN', 'NaN'],
  ['a hexadecimal number', '0x10'],
  ['a leading zero', '01'],
  ['a leading plus', '+1'],
  ['a raw newline in a string', '"a\nb"'],
  ['a bad escape', '"\\x41"'],
  ['two documents', '{}{}'],
  ['a byte order mark', '\ufeff1'],
  ['a script separator outside a string', '1\u2028'],
  ['invalid UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22])],
  ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
  ['an overlong encoding', Buffer.from([0x22, 0xc0, 0x80, 0x22])],
  ['the header of an unknown version', Buffer.from([0x00, 0x48, 0x46, 0xff, 1, 2, 3])],
  ['gzip', Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])],
  ['a zstd frame that claims 1 TB', Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0])],
];

const server = serverForAll();
let cache;
beforeEach(async () => {
  await server.cli('flushall');
  cache = await openCache({ url: server.url(), namespace: '' });
});
afterEach(closeCaches);

test.each(NO_JSON)('fault 34: %s: a miss, counted, and its neighbours are right', async (_, bytes) => {
  await server.setBytes('bad', bytes);
  await cache.setMany({ before: 'b', after: ['a'] });
  expect(await cache.getMany(['before', 'bad', 'after', 'bad'])).toEqual(['b', null, ['a'], null]);
  expect(await Promise.all(['before', 'bad', 'after'].map((key) => cache.get(key)))).toEqual(['b', null, ['a']]);
  const { decodeErrors, misses, errors } = await cache.getStats();
  expect({ decodeErrors, misses, errors }).toEqual({ decodeErrors: 3, misses: 3, errors: {} });
  expect(await server.cli('exists', 'bad')).toBe('1');
  expect(cache.getMode()).toBe('redis');
});

test.each(NO_JSON)('fault 34: %s: getOrCompute computes and replaces it', async (_, bytes) => {
  await server.setBytes('bad', bytes);
  expect(await cache.getOrCompute('bad', () => 'computed')).toBe('computed');
  await stored(cache);
  expect(await server.cli('get', 'bad')).toBe('"computed"');
});

test('fault 34: foreign bytes among a thousand calls of one turn shift nobody', async () => {
  const keys = Array.from({ length: 1_000 }, (_, i) => `k${i}`);
  await cache.setMany(keys.map((key, i) => [key, i]));
  for (const [i, [, bytes]] of NO_JSON.entries()) await server.setBytes(`k${i * 31}`, bytes);
  const values = await Promise.all(keys.map((key) => cache.get(key)));
  expect(values).toEqual(keys.map((_, i) => (i % 31 === 0 && i / 31 < NO_JSON.length ? null : i)));
});

test('fault 34: increment on foreign bytes rejects', async () => {
  await server.setBytes('bad', '12abc');
  await expect(cache.increment('bad')).rejects.toMatchObject({ code: 'ERR_NOT_AN_INTEGER' });
  expect(await server.cli('get', 'bad')).toBe('12abc');
});

test('fault 34: a document nested 100,000 deep is read or missed, and harms nobody', async () => {
  const depth = 100_000;
  await server.setBytes('deep', '['.repeat(depth) + ']'.repeat(depth));
  await cache.set('near', 1);
  const [near, deep, again] = await Promise.all(['near', 'deep', 'near'].map((key) => cache.get(key)));
  expect([near, again]).toEqual([1, 1]);
  expect(deep === null || Array.isArray(deep)).toBe(true);
});

test('fault 34: large numbers and repeated names are read as JSON.parse reads them', async () => {
  const text = '{"a":1,"a":2,"big":123456789012345678901234567890,"huge":1e999}';
  await server.setBytes('odd', text);
  expect(await cache.get('odd')).toEqual(JSON.parse(text));
});

describe('another type at a key', () => {
  beforeEach(async () => {
    await server.cli('hset', 'foreign', 'field', 'value');
  });

  test('fault 27: get is a miss and never deletes the key', async () => {
    await cache.set('mine', 1);
    expect(await cache.get('foreign')).toBeNull();
    expect(await cache.getMany(['mine', 'foreign', 'mine'])).toEqual([1, null, 1]);
    expect(await Promise.all([cache.get('mine'), cache.get('foreign')])).toEqual([1, null]);
    expect(await server.cli('hget', 'foreign', 'field')).toBe('value');
    expect((await cache.getStats()).misses).toBe(3);
    expect(cache.getMode()).toBe('redis');
  });

  test('fault 27: exists and ttl see it', async () => {
    expect(await cache.exists('foreign')).toBe(true);
    expect(await cache.ttl('foreign')).toBe(Infinity);
  });

  test('fault 27: increment rejects and leaves it', async () => {
    await expectCode(() => cache.increment('foreign'), 'ERR_NOT_AN_INTEGER');
    await expectCode(() => cache.increment('foreign', 1, { ttl: 10 }), 'ERR_NOT_AN_INTEGER');
    expect(await server.cli('hget', 'foreign', 'field')).toBe('value');
    expect(cache.getMode()).toBe('redis');
  });

  test('fault 27: getOrCompute computes', async () => {
    expect(await cache.getOrCompute('foreign', () => 'computed')).toBe('computed');
  });
});
