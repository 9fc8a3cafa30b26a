// Input 35: getMany of a million keys. (None and duplicates are in contract/entries/many.js; 36 is in
// contract/computing/compute.js, 37 in contract/keys/glob.js.)
'use strict';

const { Lane } = require('../../src/js/bridge/lane');
const { closeCaches, expectCode } = require('../support/holdfast');
const { MODES } = require('../support/modes');

afterEach(async () => {
  jest.restoreAllMocks();
  await closeCaches();
  await Promise.all(MODES.map((mode) => mode.stop()));
});

test.each(MODES)('fault 35: a million keys keep their order in $name', async (mode) => {
  await mode.start();
  const cache = await mode.cache({ timeoutMs: 60_000 });
  const stored = Array.from({ length: 1_000 }, (_, i) => [`k${i * 1_000}`, i]);
  await cache.setMany(stored);
  const keys = Array.from({ length: 1_000_000 }, (_, i) => `k${i}`);
  const values = await cache.getMany(keys);
  expect(values).toHaveLength(keys.length);
  expect(values.every((value, i) => value === (i % 1_000 === 0 ? i / 1_000 : null))).toBe(true);
  expect(cache.getMode()).toBe(mode.mode);
});

test.each(MODES)('fault 35: the small calls of others go on beside it in $name', async (mode) => {
  await mode.start();
  const cache = await mode.cache({ timeoutMs: 60_000 });
  await cache.set('small', 1);
  const large = cache.getMany(Array.from({ length: 200_000 }, (_, i) => `k${i}`));
  const small = await Promise.all(Array.from({ length: 100 }, () => cache.get('small')));
  expect(new Set(small)).toEqual(new Set([1]));
  expect((await large).every((value) => value === null)).toBe(true);
});

test('calls of one turn travel together, large values in parts', async () => {
  const mode = MODES[1];
  await mode.start();
  // Over the event loop's own socket they may go in shares: process/bounds/shares.spec.js.
  const cache = await mode.cache({ nearCache: false, io: 'thread' });
  const submitted = jest.spyOn(Lane.prototype, 'submit');
  const batches = async (calls) => {
    submitted.mockClear();
    await Promise.all(calls());
    return submitted.mock.calls.length;
  };
  const keys = Array.from({ length: 64 }, (_, i) => `k${i}`);
  const sets = (text) => () => keys.map((key) => cache.set(key, { key, text }));
  const gets = () => keys.map((key) => cache.get(key));
  expect(await batches(sets('small'))).toBe(1);
  expect(await batches(gets)).toBe(1);
  const large = 'x'.repeat(10_000);
  expect(await batches(sets(large))).toBeGreaterThan(5);
  // Known by the replies before.
  await batches(gets);
  expect(await batches(gets)).toBeGreaterThan(2);
  expect(await Promise.all(gets())).toEqual(keys.map((key) => ({ key, text: large })));
  await batches(sets('small'));
  for (let i = 0; i < 50; i++) await batches(gets);
  expect(await batches(gets)).toBe(1);
});

describe.each(MODES.slice(0, 2))('fault 59: in $name', (mode) => {
  const MIB = 1024 * 1024;

  test('replies of one turn beyond the longest string of V8 reach their callers', async () => {
    await mode.start();
    const cache = await mode.cache({ timeoutMs: 60_000, maxMemory: '64mb' });
    const text = 'x'.repeat(MIB);
    await cache.set('k', text);
    // Lengths only: the test holds no 600 MiB itself.
    const length = (value) => value.length;
    const calls = Array.from({ length: 600 }, () => cache.get('k').then(length));
    const beside = [cache.get('none'), cache.exists('k'), cache.getMany(['none', 'k']).then(([a, b]) => [a, b.length])];
    expect(new Set(await Promise.all(calls))).toEqual(new Set([MIB]));
    expect(await Promise.all(beside)).toEqual([null, true, [null, MIB]]);
    const many = cache.getMany(['none', ...Array(600).fill('k'), 'last']);
    const lengths = await many.then((values) => values.map((value) => value?.length ?? null));
    expect(lengths).toEqual([null, ...Array(600).fill(MIB), null]);
  });

  test('keys longer than any string of a turn are refused, and their neighbours are answered', async () => {
    await mode.start();
    const cache = await mode.cache();
    await cache.set('k', 1);
    const key = 'k'.repeat(300 * MIB);
    const calls = [
      () => cache.get(key),
      () => cache.getMany(['k', key, key]),
      () => cache.set(key, 1),
      () => cache.del(key),
      () => cache.del([key, key]),
      () => cache.exists(key),
      () => cache.getOrCompute(key, () => 1),
    ];
    const before = cache.get('k');
    const refused = calls.map((call) => expectCode(call, 'ERR_INVALID_KEY'));
    expect(await Promise.all([before, cache.get('k')])).toEqual([1, 1]);
    await Promise.all(refused);
  });
});

test('fault 59: sets of a turn whose texts are more than one string can hold are all stored', async () => {
  const [, mode] = MODES;
  await mode.start();
  const cache = await mode.cache({ timeoutMs: 60_000, nearCache: false });
  const text = 'x'.repeat(30 * 1024 * 1024);
  await Promise.all(Array.from({ length: 20 }, (_, i) => cache.set(`k${i % 2}`, text)));
  expect((await cache.get('k1')).length).toBe(text.length);
  expect(cache.getMode()).toBe('redis');
});

test('fault 59: many small entries that expand to the bound of one: what fits is read, the rest is a miss each', async () => {
  const [, mode] = MODES;
  await mode.start();
  const cache = await mode.cache({ timeoutMs: 60_000, compression: 'zstd', nearCache: false, namespace: 'bombs' });
  const text = 'x'.repeat(30 * 1024 * 1024);
  await cache.set('k0', text);
  for (let i = 1; i < 20; i++) await mode.server.cli('copy', 'bombs:k0', `bombs:k${i}`);
  await cache.set('plain', 1);
  const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
  const values = await cache.getMany(['plain', ...keys, 'plain']);
  expect(values.map((value) => value?.length ?? value)).toEqual([
    1,
    text.length,
    text.length,
    ...Array(18).fill(null),
    1,
  ]);
  expect((await cache.getStats()).decodeErrors).toBe(18);
  // A batch has room for itself alone.
  expect((await cache.get('k19')).length).toBe(text.length);
});

test('memory in which bytes wait for the end of their turn is used again, also where a value never crosses', () => {
  const { Whole } = require('../../src/js/value/whole');
  const bytes = Buffer.alloc(200_000, 1);
  const memories = new Set();
  for (let i = 0; i < 100; i++) {
    const value = Whole.of(bytes);
    memories.add(value.content.buffer);
    // The call of every tenth is refused behind it.
    if (i % 10 !== 0) expect(value.cross()).toEqual(bytes);
  }
  // One for each that never crossed, and not one for each value.
  expect(memories.size).toBeLessThanOrEqual(11);
  const first = Whole.of(bytes);
  const second = Whole.of(Buffer.alloc(200_000, 2));
  expect([first.cross()[199_999], second.cross()[0]]).toEqual([1, 2]);
});
