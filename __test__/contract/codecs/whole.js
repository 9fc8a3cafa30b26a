// Contract: long values of bytes and texts, which cross the bridge as what they are: whole, and each to its own key.
'use strict';

const { randomBytes } = require('node:crypto');
const { expectCode, freshNamespace, stored } = require('../../support/holdfast');
const { computation } = require('../../support/computation');
const { until } = require('../../support/until');

// Around the length from which values are whole, and far beyond it.
const LENGTHS = [4_095, 4_096, 4_097, 200_000];

/** A text that no other one is a part of: of one byte a character, or of more. */
function textOf(length, wide) {
  const unit = wide ? '日本 é"\\\n' : 'plain "\\\n';
  return (randomBytes(8).toString('hex') + unit.repeat(Math.ceil(length / unit.length))).slice(0, length);
}

const CODECS = {
  raw: { make: (length) => randomBytes(length), change: (value) => value.fill(0) },
  structured: {
    make: (length) => ({ bytes: new Uint8Array(randomBytes(length)), more: new Map([['text', textOf(length, true)]]) }),
    change: (value) => value.bytes.fill(0),
  },
  text: { make: (length) => textOf(length, length % 2 === 1), change() {} },
};

/** A value with its bytes as texts: `toEqual` looks at each of 200,000 elements for itself. */
function plain(value) {
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return `${value.constructor.name} ${bytes.toString('latin1')}`;
  }
  if (Array.isArray(value)) return value.map(plain);
  return value?.bytes === undefined ? value : { ...value, bytes: plain(value.bytes) };
}

function expectEqual(value, expected) {
  expect(plain(value)).toEqual(plain(expected));
}

const same = (value) => (Buffer.isBuffer(value) ? Buffer.from(value) : structuredClone(value));

module.exports = function whole(mode) {
  describe.each(Object.entries(CODECS))('%s', (codec, { make, change }) => {
    let cache;
    beforeEach(async () => {
      cache = await mode.cache({ codec });
    });

    test.each(LENGTHS)(
      'a value of %i comes back as it was, from every function, and is its reader’s own',
      async (length) => {
        const value = make(length);
        const read = async (promise) => {
          const back = await promise;
          expectEqual(back, value);
          expect(Buffer.isBuffer(back)).toBe(Buffer.isBuffer(value));
          // Whoever reads it next must not see this.
          change(back);
        };
        const readAll = async (promise) => {
          for (const back of await promise) await read(back);
        };
        await cache.set('set', value);
        await cache.setMany({ many: value, tagged: value }, { tags: ['a'] });
        expect(await cache.setIfAbsent('absent', value)).toBe(true);
        await read(cache.getOrCompute('computed', () => same(value)));
        await readAll(cache.getOrComputeMany(['c1', 'set', 'c1'], () => [same(value)]));
        // Near, or from Redis.
        for (let i = 0; i < 10; i++) await read(cache.get('set'));
        await readAll(Promise.all(Array.from({ length: 3 }, () => cache.get('set'))));
        await readAll(cache.getMany(['set', 'many', 'absent', 'tagged', 'set', 'computed', 'c1']));
        await read(cache.getOrCompute('set', () => 'not run'));
        await cache.invalidateTags('a');
        expectEqual(await cache.getMany(['many', 'tagged']), [null, null]);
        await read(cache.take('set'));
        expect(await cache.get('set')).toBeNull();
        expect((await cache.getStats()).decodeErrors).toBe(0);
      },
    );

    test('values of all lengths among misses, counters and errors reach their own callers', async () => {
      const lengths = [1, 5_000, 10, 60_000, 4_097, 3, 9_000, 100_000, 4_096, 20];
      const entries = lengths.map((length, i) => [`k${i}`, make(length)]);
      const mixed = () => [
        ...entries.flatMap(([key]) => [cache.get(key), cache.get('none')]),
        cache.increment('n'),
        cache.getMany(['none', ...entries.map(([key]) => key), 'none']),
        cache.getOrCompute('k3', () => 'not run'),
        cache.getOrComputeMany(['k5', 'k7'], () => []),
        cache.increment('k1').catch((error) => error.code),
        cache.get('k1'),
      ];
      // All in one turn, as one batch.
      for (const [key, value] of entries) cache.set(key, value);
      for (let round = 1; round <= 4; round++) {
        const values = entries.map(([, value]) => value);
        expectEqual(await Promise.all(mixed()), [
          ...values.flatMap((value) => [value, null]),
          round,
          [null, ...values, null],
          values[3],
          [values[5], values[7]],
          'ERR_NOT_AN_INTEGER',
          values[1],
        ]);
      }
      const other = make(70_000);
      await Promise.all([
        cache.setMany([
          ['k0', other],
          ['k1', entries[0][1]],
        ]),
        cache.set('k2', other),
      ]);
      expectEqual(await cache.getMany(['k0', 'k1', 'k2', 'k3']), [other, entries[0][1], other, entries[3][1]]);
    });

    test('callers at once get equal values of their own', async () => {
      const value = make(50_000);
      for (const [key, options] of [['k'], ['tagged', { tags: ['a'], swr: 60, grace: 60 }]]) {
        const made = computation();
        const callers = Array.from({ length: 4 }, () => cache.getOrCompute(key, made.fn, options));
        const many = cache.getOrComputeMany(
          [key, key],
          (keys) => made.fn().then((each) => keys.map(() => each)),
          options,
        );
        await made.begun();
        made.open(same(value));
        for (const back of [...(await Promise.all(callers)), ...(await many), await cache.get(key)]) {
          expectEqual(back, value);
          change(back);
        }
      }
    });

    test('an old value is each caller’s own while its successor is computed', async () => {
      const [old, next] = [make(50_000), make(50_000)];
      const options = { ttl: 0.05, swr: 600, grace: 600 };
      await cache.getOrCompute('k', () => same(old), options);
      await stored(cache);
      await until(async () => (await cache.get('k')) === null, 'its TTL is over');
      const made = computation();
      let seen;
      const fn = ({ stale, setTtl }) => {
        setTtl(600);
        seen = same(stale);
        change(stale);
        return made.fn();
      };
      const callers = Array.from({ length: 3 }, () => cache.getOrCompute('k', fn, options));
      for (const back of await Promise.all(callers)) {
        expectEqual(back, old);
        change(back);
      }
      await made.begun();
      expectEqual(seen, old);
      expectEqual(await cache.getOrCompute('k', fn, options), old);
      made.open(same(next));
      await until(async () => (await cache.get('k')) !== null, 'the new value');
      expectEqual(await cache.getOrCompute('k', () => 'not run', options), next);
    });

    test('it is compressed where that pays, and bounded as it would be stored', async () => {
      const namespace = freshNamespace();
      const packing = await mode.cache({ namespace, codec, compression: 'zstd' });
      const bounded = await mode.cache({ namespace, codec, maxValueBytes: 10_000 });
      const value = make(40_000);
      const regular =
        codec === 'raw'
          ? Buffer.alloc(40_000, 'again ')
          : codec === 'text'
            ? 'é'.repeat(20_000)
            : ['again '.repeat(7_000)];
      await packing.setMany({ value, regular });
      expectEqual(await packing.getMany(['regular', 'value']), [regular, value]);
      for (const options of [undefined, { tags: ['a'] }]) {
        await expectCode(() => bounded.set('value', regular, options), 'ERR_VALUE_TOO_LARGE');
        await expectCode(() => bounded.setMany({ other: make(10), value: regular }, options), 'ERR_VALUE_TOO_LARGE');
        await expectCode(() => bounded.getOrCompute('c', () => regular, options), 'ERR_VALUE_TOO_LARGE');
      }
      expectEqual(await packing.getMany(['value', 'other', 'c']), [value, null, null]);
      if (mode.shared) expect(Number(await mode.server.cli('strlen', `${namespace}:regular`))).toBeLessThan(2_000);
    });
  });

  test('what is stored is the bytes at the time of the call', async () => {
    const cache = await mode.cache({ codec: 'raw' });
    const bytes = Buffer.alloc(100_000, 'a');
    const calls = [
      cache.set('set', bytes),
      cache.setMany({ many: bytes, view: new DataView(bytes.buffer, bytes.byteOffset, 50_000) }),
      cache.setIfAbsent('absent', bytes),
    ];
    await new Promise((resolve) => queueMicrotask(resolve));
    bytes.fill('x');
    await Promise.all(calls);
    const whole = Buffer.alloc(100_000, 'a');
    expectEqual(await cache.getMany(['set', 'many', 'view', 'absent']), [
      whole,
      whole,
      whole.subarray(0, 50_000),
      whole,
    ]);
    const made = Buffer.alloc(100_000, 'b');
    expect(await cache.getOrCompute('computed', () => made)).toBe(made);
    made.fill('x');
    expectEqual(await cache.get('computed'), Buffer.alloc(100_000, 'b'));
  });

  if (!mode.shared) return;

  test('bytes and texts lie in Redis as they are, and what others write is read', async () => {
    const [raw, text] = [randomBytes(100_000), textOf(100_000, true)];
    for (const [codec, value, bytes] of [
      ['raw', raw, raw],
      ['text', text, Buffer.from(text)],
    ]) {
      const namespace = freshNamespace();
      const cache = await mode.cache({ namespace, codec });
      await cache.set('ours', value);
      expect(await mode.server.cli('strlen', `${namespace}:ours`)).toBe(`${bytes.length}`);
      await mode.server.setBytes(`${namespace}:theirs`, bytes);
      expectEqual(await cache.getMany(['theirs', 'ours', 'theirs']), [value, value, value]);
    }
  });
};
