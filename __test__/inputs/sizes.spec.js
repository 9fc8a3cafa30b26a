// Input 35: getMany of a million keys. (None and duplicates are in contract/many.js; 36 is in contract/compute.js, 37 in contract/glob.js.)
'use strict';

const { Lane } = require('../../src/js/lane');
const { closeCaches } = require('../support/holdfast');
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
  const cache = await mode.cache({ nearCache: false });
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
