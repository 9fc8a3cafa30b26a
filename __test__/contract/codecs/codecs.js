// Contract: the codecs `structured` and `raw`, compression, and the bound of one value. What the codec `json` carries
// is in entries/values.js, the codec `text` in text.js.
'use strict';

const { randomBytes } = require('node:crypto');
const { types } = require('node:util');
const { expectCode, expectThrows, freshNamespace, makeCache } = require('../../support/holdfast');
const { computation } = require('../../support/computation');

const cycle = { name: 'cycle' };
cycle.self = cycle;

const STRUCTURED = [
  ['undefined', undefined],
  ['null', null],
  ['false', false],
  ['-0', -0],
  ['NaN', NaN],
  ['Infinity', -Infinity],
  ['an empty text', ''],
  ['text in many scripts', 'naïve — 日本語 😀 \0 \ud800'],
  ['a BigInt', 123456789012345678901234567890n],
  ['a Date', new Date('2024-05-06T07:08:09.010Z')],
  ['a Map', new Map([['a', new Map([[{ key: 1 }, [undefined]]])]])],
  ['a Set', new Set([1, 'two', null, undefined])],
  ['a RegExp', /a+b/giu],
  ['typed arrays', { bytes: new Uint8Array([0, 254, 255]), floats: new Float64Array([0.1, -0, NaN]) }],
  ['an ArrayBuffer', new Uint8Array([1, 2, 3]).buffer],
  ['undefined inside', { here: undefined, list: [undefined, 1] }],
  ['a plain object', { a: [1, { b: null }], text: '"quoted"' }],
];

const RAW = [
  ['a Buffer', Buffer.from([0, 1, 127, 128, 254, 255])],
  ['nothing', Buffer.alloc(0)],
  ['bytes as a header begins', Buffer.from([0xff, 1, 2, 0, 9])],
  ['bytes as a lease begins', Buffer.from([0xfe, ...Buffer.from('holdfast:lease:1:2:3')])],
  ['0xFF alone', Buffer.from([0xff])],
  ['0xFE alone', Buffer.from([0xfe])],
  ['digits', Buffer.from('12')],
  ['quotes', Buffer.from('"text"')],
  ['NUL', Buffer.from([0])],
  ['1 MB', randomBytes(1_048_576)],
];

/** Equal in every bit that a structured clone keeps; Jest's toEqual alone does not tell -0 or undefined. */
function expectSame(value, expected) {
  expect(types.isMap(value)).toBe(types.isMap(expected));
  expect(value).toEqual(expected);
  if (typeof expected === 'number') expect(Object.is(value, expected)).toBe(true);
}

module.exports = function codecs(mode) {
  describe('structured', () => {
    let cache;
    beforeEach(async () => {
      cache = await mode.cache({ codec: 'structured' });
    });

    test.each(STRUCTURED)('%s comes back as it was, from every function', async (_, value) => {
      await cache.set('set', value);
      await cache.setMany([['many', value]]);
      for (let i = 0; i < 4; i++) expectSame(await cache.get('set'), value);
      for (const each of await cache.getMany(['set', 'many', 'set'])) expectSame(each, value);
      expectSame(await cache.getOrCompute('set', () => 'not run'), value);
      if (value === undefined) return; // which a function returns to store nothing
      expectSame(await cache.getOrCompute('computed', () => value), value);
      for (const each of await cache.getOrComputeMany(['c1', 'set'], () => [value])) expectSame(each, value);
      for (const each of await cache.getMany(['computed', 'c1'])) expectSame(each, value);
    });

    test('a cycle comes back as one', async () => {
      await cache.set('k', cycle);
      const back = await cache.get('k');
      expect(back.self).toBe(back);
      expect(back.name).toBe('cycle');
    });

    test('a stored undefined is an entry, and a miss is null', async () => {
      await cache.set('k', undefined);
      expect(await cache.exists('k')).toBe(true);
      expect(await cache.getMany(['k', 'nothing'])).toEqual([undefined, null]);
      expect(await cache.getOrCompute('k', () => 'not run')).toBeUndefined();
      expect((await cache.getStats()).decodeErrors).toBe(0);
    });

    test('a function that returns undefined stores nothing', async () => {
      expect(await cache.getOrCompute('k', () => undefined)).toBeUndefined();
      expect(await cache.exists('k')).toBe(false);
    });

    test('what cannot be cloned is refused, and what was stored stays', async () => {
      await cache.set('k', new Date(0));
      const refused = [
        () => 1,
        Symbol('s'),
        { deep: [() => 1] },
        Object.defineProperty({}, 'broken', {
          enumerable: true,
          get() {
            throw new Error('from the value');
          },
        }),
      ];
      for (const value of refused) {
        await expectCode(() => cache.set('k', value), 'ERR_UNSERIALIZABLE');
        await expectCode(() => cache.setMany({ other: 1, k: value }), 'ERR_UNSERIALIZABLE');
        await expectCode(() => cache.getOrCompute('computed', () => value), 'ERR_UNSERIALIZABLE');
      }
      expect(await cache.getMany(['k', 'other', 'computed'])).toEqual([new Date(0), null, null]);
    });

    test('a counter is a number', async () => {
      expect(await cache.increment('n', 41)).toBe(41);
      expect(await cache.increment('n')).toBe(42);
      expect(await cache.getMany(['n', 'n'])).toEqual([42, 42]);
      expect(await cache.getOrCompute('n', () => 'not run')).toBe(42);
      await cache.set('n', 1);
      await expectCode(() => cache.increment('n'), 'ERR_NOT_AN_INTEGER');
      expect(await cache.get('n')).toBe(1);
    });
  });

  describe('raw', () => {
    let cache;
    beforeEach(async () => {
      cache = await mode.cache({ codec: 'raw' });
    });

    test.each(RAW)('%s comes back as it was, from every function', async (_, bytes) => {
      await cache.set('set', bytes);
      await cache.setMany({ many: bytes });
      const computed = await cache.getOrCompute('computed', () => bytes);
      const more = await cache.getOrComputeMany(['c1', 'set'], () => [bytes]);
      const stored = await cache.getMany(['set', 'many', 'computed', 'c1', 'set']);
      const hit = await cache.getOrCompute('set', () => 'not run');
      for (const back of [computed, ...more, ...stored, hit, await cache.get('set'), await cache.get('set')]) {
        expect(Buffer.isBuffer(back)).toBe(true);
        expect(back.equals(bytes)).toBe(true);
      }
      expect((await cache.getStats()).decodeErrors).toBe(0);
    });

    const memory = new Uint8Array([9, 1, 2, 3, 9]);
    test.each([
      ['a text', 'naïve 😀', Buffer.from('naïve 😀')],
      ['an empty text', '', Buffer.alloc(0)],
      ['a Uint8Array', memory.subarray(1, 4), Buffer.from([1, 2, 3])],
      ['a DataView', new DataView(memory.buffer, 1, 3), Buffer.from([1, 2, 3])],
      ['a Uint16Array', new Uint16Array([0x0102]), Buffer.from(new Uint16Array([0x0102]).buffer)],
    ])('%s is stored as its bytes and comes back as a Buffer', async (_, value, bytes) => {
      await cache.set('k', value);
      const computed = await cache.getOrCompute('computed', () => value);
      for (const back of [...(await cache.getMany(['k', 'computed'])), computed]) {
        expect(Buffer.isBuffer(back)).toBe(true);
        expect(back).toEqual(bytes);
      }
    });

    test('what are no bytes is refused, and what was stored stays', async () => {
      await cache.set('k', 'kept');
      for (const value of [null, undefined, 5, true, 5n, {}, [1], new ArrayBuffer(1), '\ud800', new Date(0)]) {
        await expectCode(() => cache.set('k', value), 'ERR_UNSERIALIZABLE');
        await expectCode(() => cache.setMany({ other: 'x', k: value }), 'ERR_UNSERIALIZABLE');
        if (value !== undefined) await expectCode(() => cache.getOrCompute('c', () => value), 'ERR_UNSERIALIZABLE');
      }
      expect(await cache.getMany(['k', 'other', 'c'])).toEqual([Buffer.from('kept'), null, null]);
      expect(await cache.getOrCompute('c', () => undefined)).toBeUndefined();
      expect(await cache.exists('c')).toBe(false);
    });

    test('a counter is its digits, and digits can be counted on', async () => {
      expect(await cache.increment('n', -7)).toBe(-7);
      expect(await cache.get('n')).toEqual(Buffer.from('-7'));
      expect(await cache.getOrCompute('n', () => 'not run')).toEqual(Buffer.from('-7'));
      await cache.set('digits', '41');
      expect(await cache.increment('digits')).toBe(42);
      await cache.set('n', 'no digits');
      await expectCode(() => cache.increment('n'), 'ERR_NOT_AN_INTEGER');
    });

    test('what is stored is the bytes at the time of the call, and each read has its own', async () => {
      const bytes = Buffer.from('abc');
      const stored = cache.set('k', bytes);
      bytes.fill('x');
      await stored;
      const [one, two] = await cache.getMany(['k', 'k']);
      one.fill('x');
      expect([two, await cache.get('k')]).toEqual([Buffer.from('abc'), Buffer.from('abc')]);
    });
  });

  test.each([
    ['structured', new Map([['list', [1]]]), (value) => value.get('list').push(2)],
    ['raw', Buffer.from('abc'), (value) => value.fill('x')],
  ])('callers at once get equal values of their own: %s', async (codec, value, change) => {
    const cache = await mode.cache({ codec });
    for (const [key, options] of [['k'], ['tagged', { tags: ['a'], swr: 60, grace: 60 }]]) {
      const made = computation();
      const callers = Array.from({ length: 4 }, () => cache.getOrCompute(key, made.fn, options));
      const many = cache.getOrComputeMany(
        [key, key],
        (keys) => made.fn().then((each) => keys.map(() => each)),
        options,
      );
      await made.begun();
      made.open(codec === 'raw' ? Buffer.from(value) : structuredClone(value));
      for (const back of [...(await Promise.all(callers)), ...(await many), await cache.get(key)]) {
        expect(back).toEqual(value);
        change(back);
      }
    }
  });

  test('the largest value is bounded, and what was stored stays', async () => {
    for (const [codec, fits] of [
      ['json', 'x'.repeat(1_022)],
      ['raw', Buffer.alloc(1_024)],
      ['text', 'x'.repeat(1_024)],
    ]) {
      const cache = await mode.cache({ codec, maxValueBytes: 1_024 });
      const tooLarge = codec === 'raw' ? Buffer.alloc(1_025) : 'x'.repeat(fits.length + 1);
      await cache.set('k', fits);
      for (const options of [undefined, { tags: ['a'] }]) {
        await expectCode(() => cache.set('k', tooLarge, options), 'ERR_VALUE_TOO_LARGE');
        await expectCode(() => cache.setMany({ good: fits, k: tooLarge }, options), 'ERR_VALUE_TOO_LARGE');
        await expectCode(() => cache.getOrCompute('c', () => tooLarge, options), 'ERR_VALUE_TOO_LARGE');
        await expectCode(() => cache.getOrComputeMany(['c'], () => [tooLarge], options), 'ERR_VALUE_TOO_LARGE');
      }
      expect(await cache.getMany(['k', 'good', 'c'])).toEqual([fits, null, null]);
      expect(await cache.getOrCompute('c', () => fits)).toEqual(fits);
    }
  });

  test('bytes of a text are counted, not its characters', async () => {
    const cache = await mode.cache({ maxValueBytes: 1_024 });
    await cache.set('k', 'é'.repeat(511));
    await expectCode(() => cache.set('k', 'é'.repeat(512)), 'ERR_VALUE_TOO_LARGE');
    const texts = await mode.cache({ codec: 'text', maxValueBytes: 1_024 });
    await texts.set('k', 'é'.repeat(512));
    await expectCode(() => texts.set('k', 'é'.repeat(513)), 'ERR_VALUE_TOO_LARGE');
    // As JSON each would take six bytes.
    await texts.set('k', '\0'.repeat(1_024));
    expect(await texts.get('k')).toBe('\0'.repeat(1_024));
    const structured = await mode.cache({ codec: 'structured', maxValueBytes: 1_024 });
    await expectCode(() => structured.set('k', new Uint8Array(1_024)), 'ERR_VALUE_TOO_LARGE');
    await structured.set('k', new Uint8Array(1_000));
    expect(await structured.get('k')).toEqual(new Uint8Array(1_000));
  });

  const RANDOM = randomBytes(20_000);
  test.each([
    ['json', { list: Array(2_000).fill('again and again') }, RANDOM.toString('base64')],
    ['structured', new Map([['list', Array(2_000).fill('again and again')]]), RANDOM.toString('base64')],
    ['raw', Buffer.from('again and again'.repeat(2_000)), RANDOM],
    ['text', 'naïve — again and again'.repeat(2_000), RANDOM.toString('latin1')],
  ])('compressed values come back as they were: %s', async (codec, regular, random) => {
    const namespace = freshNamespace();
    const cache = await mode.cache({ namespace, codec, compression: 'zstd' });
    const plain = await mode.cache({ namespace, codec });
    await cache.setMany({ regular, random });
    await cache.set('tagged', regular, { tags: ['a'] });
    await cache.getOrCompute('computed', () => regular, { grace: 60 });
    const keys = ['regular', 'random', 'tagged', 'computed'];
    for (const reader of [cache, cache, plain]) {
      expect(await reader.getMany(keys)).toEqual([regular, random, regular, regular]);
    }
    expect(await cache.getOrCompute('regular', () => 'not run')).toEqual(regular);
    if (!mode.shared) return;
    const length = async (key) => Number(await mode.server.cli('strlen', `${namespace}:${key}`));
    await plain.set('plain', regular);
    for (const key of ['regular', 'tagged', 'computed']) {
      expect(await length(key)).toBeLessThan((await length('plain')) / 10);
    }
  });

  test('only values above the threshold are compressed', async () => {
    const namespace = freshNamespace();
    const cache = await mode.cache({ namespace, compression: { threshold: 100 } });
    await cache.setMany({ short: 'x'.repeat(98), long: 'x'.repeat(1_000) });
    expect(await cache.getMany(['short', 'long'])).toEqual(['x'.repeat(98), 'x'.repeat(1_000)]);
    if (!mode.shared) return;
    expect(await mode.server.cli('strlen', `${namespace}:short`)).toBe('100');
    expect(Number(await mode.server.cli('strlen', `${namespace}:long`))).toBeLessThan(100);
  });

  test('options that do not parse are refused', () => {
    for (const options of [
      { codec: 'msgpack' },
      { codec: null },
      { codec: 1 },
      { compression: 'gzip' },
      { compression: true },
      { compression: null },
      { compression: { level: 3 } },
      { compression: { threshold: -1 } },
      { compression: { threshold: '1kb' } },
      { maxValueBytes: 0 },
      { maxValueBytes: NaN },
      { maxValueBytes: Infinity },
      { maxValueBytes: '1kb' },
      { codec: 'raw', nearCache: { values: 'frozen' } },
      { codec: 'text', nearCache: { values: 'frozen' } },
    ]) {
      expectThrows(() => makeCache({ url: mode.url, ...options }), 'ERR_CONFIG');
    }
  });

  if (!mode.shared) return;

  test('raw bytes lie in Redis as they are', async () => {
    const namespace = freshNamespace();
    const cache = await mode.cache({ namespace, codec: 'raw' });
    await cache.set('k', 'plain text');
    expect(await mode.server.cli('get', `${namespace}:k`)).toBe('plain text');
    await mode.server.setBytes(`${namespace}:theirs`, Buffer.from('written by another'));
    expect(await cache.get('theirs')).toEqual(Buffer.from('written by another'));
  });
};
