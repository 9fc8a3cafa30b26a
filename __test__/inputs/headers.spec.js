// Input 34, with the binary header of src/engine/value/entry.rs: bytes at our keys that begin like one, for each codec.
// A miss and a counted decodeError for that key alone.
'use strict';

const v8 = require('node:v8');
const { closeCaches, freshNamespace, openCache } = require('../support/holdfast');
const { serverForAll } = require('../support/redis-server');
const { until } = require('../support/until');

const CODECS = ['json', 'structured', 'raw', 'text'];
const VALUES = { json: { a: [1] }, structured: new Map([['a', 1n]]), raw: Buffer.from('abc'), text: 'naïve' };
const PAYLOADS = {
  json: Buffer.from('{"a":[1]}'),
  structured: v8.serialize(VALUES.structured),
  raw: VALUES.raw,
  text: Buffer.from(VALUES.text),
};
const FLAGS = { ZSTD: 1, LIFE: 2, TAGS: 4 };
const { ZSTD, LIFE, TAGS } = FLAGS;
// Nonce, extra and delta.
const LIVES = Buffer.concat([u64(7n), u64(60_000n), u32(5)]);

function u32(n) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(n);
  return bytes;
}

function u64(n) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(n);
  return bytes;
}

function header(codec, flags, ...parts) {
  return Buffer.concat([Buffer.from([0xff, 1, codec, flags]), ...parts.map((part) => Buffer.from(part))]);
}

/**
 * A zstd frame that expands to `count` times `byte`: blocks of one repeated byte, four bytes each, and no word of its
 * length.
 */
function frame(byte, count) {
  const BLOCK = 128 * 1_024;
  const blocks = [];
  for (let left = count; left > 0; left -= BLOCK) {
    const last = left <= BLOCK ? 1 : 0;
    const word = last | (1 << 1) | (Math.min(left, BLOCK) << 3);
    blocks.push(Buffer.from([word & 0xff, (word >> 8) & 0xff, word >> 16, byte]));
  }
  return Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38]), ...blocks]);
}

/** The bytes as a zstd frame of one block that is not compressed. */
function rawFrame(bytes) {
  const word = 1 | (bytes.length << 3);
  return Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38, word & 0xff, word >> 8, 0]), bytes]);
}

const DIGIT = '1'.charCodeAt(0);
const GIGABYTE = 1_024 ** 3;
const BOMB = frame(DIGIT, GIGABYTE);
const TAG = Buffer.from([1, 1, 0, 97, 4, 34, 49, 49, 34]); // one: `a`, with the token "11"

/** Name and bytes of what a cache of the codec cannot read. */
function unreadable(codec) {
  const own = CODECS.indexOf(codec);
  const payload = PAYLOADS[codec];
  const packed = rawFrame(payload);
  return [
    ...[0, 2, 255].map((version) => [
      `version ${version}`,
      Buffer.concat([Buffer.from([0xff, version, own, 0]), payload]),
    ]),
    ...[8, 16, 128, 255].map((flags) => [
      `the unknown flags ${flags}`,
      header(own, flags, LIVES, u32(3), TAG, payload),
    ]),
    ...[4, 255].map((other) => [`the unknown codec ${other}`, header(other, 0, payload)]),
    ...CODECS.filter((other) => other !== codec).map((other) => [
      `what codec ${other} stored`,
      header(CODECS.indexOf(other), LIFE, LIVES, PAYLOADS[other]),
    ]),
    ['a tag that is no UTF-8', header(own, TAGS, [1, 1, 0, 0xff, 0], payload)],
    ['more tags than there are', header(own, TAGS, [255], TAG.subarray(1), payload)],
    ['a payload that is not compressed', header(own, ZSTD, u32(payload.length), payload)],
    ['a payload shorter than its length', header(own, ZSTD, u32(payload.length + 1), packed)],
    ['a payload longer than its length', header(own, ZSTD, u32(payload.length - 1), packed)],
    ['a bomb that tells its length', header(own, ZSTD, u32(GIGABYTE), BOMB)],
    ['a bomb that tells a length within the bound', header(own, ZSTD, u32(32 * 1_024 ** 2), BOMB)],
    ['a bomb that tells a small length', header(own, ZSTD, u32(5), BOMB)],
    ['the largest length', header(own, ZSTD, u32(0xffffffff), packed)],
    ['a frame that claims 1 TB', header(own, ZSTD, u32(5), [0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0])],
  ];
}

// What the header lets through, and only V8 refuses.
const REFUSED_BY_V8 = [
  ['nothing', Buffer.alloc(0)],
  ['text', Buffer.from('{"a":1}')],
  ['a later version of V8', Buffer.from([0xff, 0x7f, 0x49, 0x02])],
  ['a value cut off', v8.serialize({ a: 'text' }).subarray(0, -3)],
  ['a length beyond its end', Buffer.from([0xff, 0x0f, 0x22, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x61])],
  ['0xFF', Buffer.alloc(50, 0xff)],
];

const server = serverForAll();
let cache;
let namespace;
afterEach(closeCaches);

async function open(codec) {
  namespace = freshNamespace();
  cache = await openCache({ url: server.url(), namespace, codec });
}
const put = (key, bytes) => server.setBytes(`${namespace}:${key}`, bytes);
const decodeErrors = async () => (await cache.getStats()).decodeErrors;

async function expectMiss(codec, bytes) {
  const value = VALUES[codec];
  await put('bad', bytes);
  await cache.setMany({ before: value, after: value });
  expect(await cache.getMany(['before', 'bad', 'after', 'bad'])).toEqual([value, null, value, null]);
  expect(await Promise.all(['before', 'bad', 'after'].map((key) => cache.get(key)))).toEqual([value, null, value]);
  expect(await decodeErrors()).toBe(3);
  expect(await server.cli('exists', `${namespace}:bad`)).toBe('1');
  expect(await cache.getOrCompute('bad', () => value)).toEqual(value);
  expect(await cache.get('bad')).toEqual(value);
  await put('many', bytes);
  expect(await cache.getOrComputeMany(['before', 'many', 'after'], (keys) => keys.map(() => value))).toEqual([
    value,
    value,
    value,
  ]);
  expect(await cache.get('many')).toEqual(value);
  expect(cache.getMode()).toBe('redis');
}

describe.each(CODECS)('fault 34: codec %s', (codec) => {
  const own = CODECS.indexOf(codec);
  beforeEach(() => open(codec));

  // Else a mistake in this file would make all the misses below.
  test('what is as it should be is read', async () => {
    const payload = PAYLOADS[codec];
    const good = {
      plain: header(own, 0, payload),
      compressed: header(own, ZSTD, u32(payload.length), rawFrame(payload)),
      alive: header(own, LIFE, LIVES, payload),
      both: header(own, ZSTD | LIFE, LIVES, u32(payload.length), rawFrame(payload)),
    };
    for (const [key, bytes] of Object.entries(good)) {
      await put(key, bytes);
      await until(async () => (await cache.get(key)) !== null, `${key} is read`);
      expect(await cache.get(key)).toEqual(VALUES[codec]);
    }
    expect(await decodeErrors()).toBe(0);
  });

  test.each(unreadable(codec))('%s: a miss, counted, its neighbours are right, and it is computed', (_, bytes) =>
    expectMiss(codec, bytes),
  );

  test('one cut off anywhere: misses, and their neighbours are right', async () => {
    const payload = PAYLOADS[codec];
    const whole = header(own, ZSTD | LIFE | TAGS, LIVES, u32(payload.length), TAG, rawFrame(payload));
    const cuts = Array.from(whole, (_, length) => length).slice(1);
    await Promise.all(cuts.map((length) => put(`cut${length}`, whole.subarray(0, length))));
    await cache.set('good', VALUES[codec]);
    const values = await cache.getMany(cuts.flatMap((length) => [`cut${length}`, 'good']));
    expect(values).toEqual(cuts.flatMap(() => [null, VALUES[codec]]));
    expect(await decodeErrors()).toBe(cuts.length);
  });

  test('a tag without its token is a miss, and no error', async () => {
    await put('k', header(own, TAGS, TAG, PAYLOADS[codec]));
    expect(await cache.getMany(['k', 'k'])).toEqual([null, null]);
    expect(await decodeErrors()).toBe(0);
    expect(await cache.getOrCompute('k', () => VALUES[codec])).toEqual(VALUES[codec]);
  });

  test('a life of absurd length keeps nobody from computing', async () => {
    const absurd = Buffer.alloc(20, 0xff);
    await put('k', header(own, LIFE, absurd, PAYLOADS[codec]));
    await server.cli('pexpire', `${namespace}:k`, '60000');
    expect(await cache.get('k')).toBeNull();
    expect(await cache.ttl('k')).toBeNull();
    const options = { swr: 60, grace: 60, earlyRefresh: 1 };
    expect(await cache.getOrCompute('k', () => VALUES[codec], options)).toEqual(VALUES[codec]);
    expect(await cache.get('k')).toEqual(VALUES[codec]);
  });

  test('increment of what has a header rejects, and leaves it', async () => {
    const bytes = header(own, 0, codec === 'structured' ? v8.serialize(12) : '12');
    await put('k', bytes);
    await expect(cache.increment('k')).rejects.toMatchObject({ code: 'ERR_NOT_AN_INTEGER' });
    expect(await server.cli('strlen', `${namespace}:k`)).toBe(String(bytes.length));
  });
});

describe('fault 34: codec structured', () => {
  beforeEach(() => open('structured'));

  test.each(REFUSED_BY_V8)('%s, which V8 refuses: a miss, counted, and it is computed', (_, payload) =>
    expectMiss('structured', header(1, 0, payload)),
  );

  test('what V8 refuses is no old value to fall back on', async () => {
    await put('k', header(1, LIFE, LIVES, REFUSED_BY_V8[1][1]));
    await server.cli('pexpire', `${namespace}:k`, '50000'); // its TTL is over, its grace is not
    const failure = new Error('on purpose');
    const options = { swr: 60, grace: 60 };
    await expect(cache.getOrCompute('k', () => Promise.reject(failure), options)).rejects.toBe(failure);
    await until(async () => (await cache.getOrCompute('k', () => 'computed', options)) === 'computed');
  });

  test('plain bytes of another client never reach V8; an integer is a counter', async () => {
    for (const bytes of ['{"a":1}', 'text', '"12"', '012', '1.5', '', v8.serialize('plain')]) {
      await put('k', bytes);
      expect(await cache.get('k')).toBeNull();
    }
    await put('n', '42');
    expect(await cache.get('n')).toBe(42);
  });
});

describe('fault 34: codec json', () => {
  beforeEach(() => open('json'));

  test.each(['1,2', '"a', ']', '', '{"a":1', Buffer.from([0x22, 0xff, 0x22])])('a payload of %j', (payload) =>
    expectMiss('json', header(0, LIFE, LIVES, payload)),
  );

  test('a bomb takes no memory', async () => {
    const before = process.resourceUsage().maxRSS;
    await put('bomb', header(0, ZSTD, u32(32 * 1_024 ** 2), BOMB));
    expect(await cache.getMany(Array(20).fill('bomb'))).toEqual(Array(20).fill(null));
    expect(process.resourceUsage().maxRSS - before).toBeLessThan(400 * 1_024); // KB
  });
});
