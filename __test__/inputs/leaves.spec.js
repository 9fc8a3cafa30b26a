// Values that cross as their leaves (src/js/value/leaves.js): Redis holds, byte for byte, the text that JSON.stringify
// would have written.
'use strict';

const { Leaves } = require('../../src/js/value/leaves');
const { closeCaches, expectCode } = require('../support/holdfast');
const { MODES } = require('../support/modes');

const [memory, redis] = MODES;
const texts = [
  '',
  'plain',
  'q"u\\o',
  '\0\b\t\n\f\r\x1f\x7f',
  'naïve',
  '日本',
  '😀',
  '\ud800',
  'x\udc00y',
  '\u2028',
  '</',
];
const numbers = [0, -0, 7, -1, 1e15, 2 ** 53, 1e21, 0.1, -1.5e-7, 1e-6, 5e-324, 1.7976931348623157e308, NaN, -Infinity];
const names = ['a', 'b', 'id', '', '10', '9', '__proto__', 'toString', 'é', '\ud800', 'q"', 'a b'];

/** Numbers from 0 to 1, the same in every run. */
function random(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Any plain value, with parts that JSON leaves out. */
function valueFrom(next, depth = 0) {
  const pick = (list) => list[Math.floor(next() * list.length)];
  const kind = next() * (depth < 4 ? 12 : 8);
  if (kind < 2) return pick(numbers);
  if (kind < 3) return (next() - 0.5) * 10 ** Math.floor(next() * 30 - 15);
  if (kind < 5) return pick(texts) + pick(texts);
  if (kind < 6) return next() < 0.5;
  if (kind < 7) return null;
  if (kind < 8) return depth > 0 && next() < 0.3 ? undefined : new Date(Math.floor(next() * 1e12));
  const parts = Array.from({ length: Math.floor(next() * 5) }, () => valueFrom(next, depth + 1));
  if (kind < 10) return parts;
  const object = {};
  for (const part of parts) {
    const name = pick(names);
    // An assignment would set the prototype.
    Object.defineProperty(object, name, { value: part, enumerable: true, writable: true, configurable: true });
  }
  return object;
}

/** How many values were taken apart. */
function counted() {
  const take = jest.spyOn(Leaves.prototype, 'take');
  return () => take.mock.results.filter(({ value }) => value).length;
}

afterEach(() => {
  jest.restoreAllMocks();
  return closeCaches();
});

describe('the text in Redis', () => {
  let cache;
  beforeAll(() => redis.start());
  afterAll(() => redis.stop());
  beforeEach(async () => {
    cache = await redis.cache({ namespace: '' });
    // However many of the last test's were not plain: those of this one are tried.
    await Promise.all(Array.from({ length: 16 }, () => cache.set('k', 'plain')));
  });

  /** Stores a value as often as it takes until its shapes are known, and reads the text. */
  async function stored(value, times = 3) {
    for (let i = 0; i < times; i++) await cache.set('k', value);
    return redis.server.cli('--raw', 'get', 'k');
  }

  test('of values of all kinds is what JSON.stringify writes', async () => {
    const next = random(7);
    const values = Array.from({ length: 600 }, () => valueFrom(next)).filter((value) => value !== undefined);
    const taken = counted();
    for (let i = 0; i < 2; i++) await Promise.all(values.map((value, at) => cache.set(`v${at}`, value)));
    // One by one: a turn with any character beyond ASCII is written elsewhere than others.
    for (const [at, value] of values.entries()) await cache.set(`v${at}`, value);
    // The last time hardly any crossed as a text.
    expect(taken()).toBeGreaterThan(values.length);
    const keys = values.map((_, at) => `v${at}`);
    const read = async () => (await redis.server.cli('--raw', 'mget', ...keys)).split('\n');
    const expected = values.map((value) => JSON.stringify(value));
    expect(await read()).toEqual(expected);
    await cache.setMany(values.map((value, at) => [keys[values.length - 1 - at], value]));
    expect(await read()).toEqual(expected.reverse());
  });

  test.each([
    ['a getter', { a: 1, get b() { return [this.a]; } }], // biome-ignore format: one a line
    ['what toJSON makes', { a: { toJSON: () => ({ b: 1 }) }, d: new Date(0), u: new URL('a:b') }],
    [
      'what toJSON is told',
      { x: { toJSON: (name) => `<${name}>` }, list: [0, { toJSON: (name) => [typeof name, name] }] },
    ],
    ['a toJSON of what toJSON made, which is not asked', { toJSON: () => ({ a: 1, toJSON: () => 'asked' }) }],
    ['a toJSON that is none', { toJSON: 5, a: 1 }],
    ['a list with a toJSON', Object.assign([1, 2], { toJSON: () => 'list' })],
    ['a list with a name', Object.assign([1, 2], { name: 'left out' })],
    ['names that are symbols, or not enumerable', Object.defineProperty({ [Symbol('s')]: 1, a: 2 }, 'b', { value: 3 })],
    ['an inherited name', Object.assign(Object.create({ inherited: 1 }), { own: 2 })],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 })],
    ['a class', new (class Point { x = 1; get y() { return 2; } })()], // biome-ignore format: one a line
    ['a Map, a Set, a Buffer, a RegExp', [new Map([[1, 2]]), new Set([1]), Buffer.from('ab'), /x/]],
    ['boxed values', { n: Object(1), s: Object('s'), b: Object(false) }],
    ['a Proxy', new Proxy({ a: [1] }, { get: (target, name) => (name === 'a' ? 'trapped' : target[name]) })],
    ['a Proxy of a list', [new Proxy([1, 2], {})]],
    ['functions and symbols', { f() {}, s: Symbol('s'), list: [() => 1, Symbol('s'), undefined] }],
    ['a sparse list', Object.assign(new Array(4), { 1: 1, 3: 2 })],
    ['names in the order of integers first', { b: 1, 2: 2, a: 3, 1: 4 }],
    ['a list of 4,000', Array.from({ length: 4000 }, (_, i) => i / 8)],
    ['a list of 9,000', Array.from({ length: 9000 }, (_, i) => i)],
    ['200 names', Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`n${i}`, i]))],
    ['a name of 300 characters', { ['n'.repeat(300)]: 1 }],
    ['another realm', require('node:vm').runInNewContext('({ a: [1, { b: 2 }], d: new Date(0) })')],
  ])('of %s is what JSON.stringify writes', async (_, value) => {
    expect(await stored(value)).toBe(JSON.stringify(value));
  });

  test.each([1, 62, 63, 64, 65, 200])('of a value %d deep is right', async (depth) => {
    let value = 'core';
    for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { value };
    expect(await stored(value)).toBe(JSON.stringify(value));
  });

  test('is right while objects have the names of a polluted prototype', async () => {
    Object.prototype.polluted = 'not own';
    try {
      const value = { a: 1, list: [{ b: 2 }] };
      expect(await stored(value)).toBe('{"a":1,"list":[{"b":2}]}');
    } finally {
      delete Object.prototype.polluted;
    }
  });

  test('is that of the moment of the call, and of its own call', async () => {
    const value = { list: [1], text: 'a', inner: { n: 0 } };
    await stored(value);
    const writes = Array.from({ length: 50 }, (_, i) => {
      value.list[0] = i;
      value.inner.n = -i;
      value.text = i % 2 === 0 ? `t${i}` : `é${i}`;
      return cache.set(`turn${i}`, value);
    });
    value.list.push('late');
    await Promise.all(writes);
    for (const i of [0, 1, 24, 49]) {
      const text = i % 2 === 0 ? `t${i}` : `é${i}`;
      expect(await redis.server.cli('--raw', 'get', `turn${i}`)).toBe(
        JSON.stringify({ list: [i], text, inner: { n: -i } }),
      );
    }
  });

  test('is right where a getter or a toJSON stores another value meanwhile', async () => {
    const inner = { n: [1, 2, 3], s: 'inner' };
    const value = {
      before: 'b',
      get own() {
        cache.set('inner', inner);
        return ['own'];
      },
      date: {
        toJSON() {
          cache.set('inner', inner);
          cache.get('inner');
          return 'made';
        },
      },
      after: 'a',
    };
    for (const part of [value, inner]) await stored(part);
    expect(await stored(value)).toBe('{"before":"b","own":["own"],"date":"made","after":"a"}');
    expect(await redis.server.cli('--raw', 'get', 'inner')).toBe(JSON.stringify(inner));
  });

  test('is right behind a burst of objects whose names are data', async () => {
    const tables = Array.from({ length: 400 }, (_, i) =>
      Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`user-${i}-${n}`, n])),
    );
    for (let i = 0; i < 3; i++) await Promise.all(tables.map((table, at) => cache.set(`table${at}`, table)));
    for (const at of [0, 200, 399])
      expect(await redis.server.cli('--raw', 'get', `table${at}`)).toBe(JSON.stringify(tables[at]));
    const taken = counted();
    expect(await stored({ usual: 1 }, 40)).toBe('{"usual":1}');
    expect(taken()).toBeGreaterThan(0);
  });
});

describe.each(MODES)('leaves in $name', (mode) => {
  let cache;
  beforeAll(() => mode.start());
  afterAll(() => mode.stop());
  beforeEach(async () => {
    cache = await mode.cache();
  });

  test('are read as the values they were', async () => {
    const next = random(11);
    const values = Array.from({ length: 300 }, () => valueFrom(next)).filter((value) => value !== undefined);
    for (let i = 0; i < 3; i++)
      await Promise.all(values.map((value, at) => cache.set(`v${at}`, value, { tags: ['t'] })));
    const read = await Promise.all(values.map((_, at) => cache.get(`v${at}`)));
    expect(read.map((value) => JSON.stringify(value))).toEqual(
      values.map((value) => JSON.stringify(JSON.parse(JSON.stringify(value)))),
    );
  });

  test('a value beyond maxValueBytes is refused at the byte', async () => {
    const value = { text: 'é"'.repeat(400), list: [1, 2, 3], yes: true };
    const bytes = Buffer.byteLength(JSON.stringify(value));
    const [fits, not] = await Promise.all([
      mode.cache({ maxValueBytes: bytes }),
      mode.cache({ maxValueBytes: bytes - 1 }),
    ]);
    for (let i = 0; i < 4; i++) {
      await fits.set('k', value);
      await expectCode(() => not.set('k', value), 'ERR_VALUE_TOO_LARGE');
    }
    expect(await fits.get('k')).toEqual(value);
  });

  test('what has no JSON form is refused where its shape is known, too', async () => {
    const cycle = { a: 1, self: null };
    for (let i = 0; i < 4; i++) await cache.set('k', cycle);
    cycle.self = cycle;
    for (const value of [cycle, { a: 1, self: 10n }, { a: 1, self: { toJSON: () => 10n } }])
      await expectCode(() => cache.set('k', value), 'ERR_UNSERIALIZABLE');
    expect(await cache.get('k')).toEqual({ a: 1, self: null });
  });
});

test.each([
  ['null', null],
  ['text', 'é'],
  ['numbers', [-0, NaN, 1.5, 1e300]],
  ['what is undefined', { a: undefined, list: [undefined, new Array(1)] }],
  ['dates', { at: new Date(0), rows: [{ at: new Date(1) }] }],
  ['an object that toJSON makes', { user: { toJSON: () => ({ name: 'Ada' }) } }],
])('%s need no JSON.stringify', async (_, value) => {
  const cache = await memory.cache();
  const taken = counted();
  for (let i = 0; i < 30; i++) await cache.set('k', value);
  expect(taken()).toBeGreaterThan(0);
  expect(await cache.get('k')).toEqual(JSON.parse(JSON.stringify(value)));
});

test('a value that is not plain is tried less and less often, and plain ones are taken again', async () => {
  const cache = await memory.cache();
  const taken = counted();
  const walked = jest.spyOn(Leaves.prototype, 'put');
  for (let i = 0; i < 200; i++) await cache.set('k', new Map());
  expect(walked.mock.calls.length).toBeLessThan(60);
  for (let i = 0; i < 60; i++) await cache.set('k', 'plain');
  expect(taken()).toBeGreaterThan(30);
  expect(await cache.get('k')).toBe('plain');
});
