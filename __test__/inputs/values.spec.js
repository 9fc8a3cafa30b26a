// Input 33: values that JSON carries in its own way, or not at all. (Input 32, odd TTLs, is in
// contract/entries/ttl.js.)
'use strict';

const { closeCaches, expectCode } = require('../support/holdfast');
const { MODES } = require('../support/modes');

function nested(depth) {
  let value = 1;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

describe.each(MODES)('fault 33: $name', (mode) => {
  let cache;
  beforeAll(() => mode.start());
  afterAll(() => mode.stop());
  beforeEach(async () => {
    cache = await mode.cache();
  });
  afterEach(closeCaches);

  test.each([
    ['-0', -0, 0],
    ['NaN', NaN, null],
    ['Infinity', Infinity, null],
    ['a Date', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['a Map', new Map([['a', 1]]), {}],
    ['a typed array', new Uint8Array([1, 2]), { 0: 1, 1: 2 }],
    ['a boxed string', Object('text'), 'text'],
    ['a Proxy', new Proxy({ a: 1 }, {}), { a: 1 }],
    [
      'a class instance',
      new (class Trade {
        amount = 5;
        #hidden = 1;
      })(),
      { amount: 5 },
    ],
    ['lone surrogates', ['\ud800', { '\udfff': '\udc00' }], ['\ud800', { '\udfff': '\udc00' }]],
    ['a sparse list', Object.assign(new Array(2), { 1: 1 }), [null, 1]],
  ])('%s takes its JSON form', async (_, value, stored) => {
    await cache.set('k', value);
    expect(await cache.get('k')).toEqual(stored);
    expect(await cache.getOrCompute('computed', () => value)).toBeDefined();
    expect(await cache.get('computed')).toEqual(stored);
  });

  test('a property named __proto__ is data, not a prototype', async () => {
    await cache.set('k', JSON.parse('{"__proto__":{"admin":true},"constructor":{"prototype":1}}'));
    const value = await cache.get('k');
    expect(Object.getPrototypeOf(value)).toBe(Object.getPrototypeOf(JSON.parse('{}')));
    expect(value.admin).toBeUndefined();
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor']);
    expect({}.admin).toBeUndefined();
  });

  test('what a getter, a toJSON or a Proxy throws is told as ERR_UNSERIALIZABLE with its cause', async () => {
    const failure = new Error('from the value');
    const fail = () => {
      throw failure;
    };
    const values = [
      Object.defineProperty({}, 'broken', { get: fail, enumerable: true }),
      { toJSON: fail },
      new Proxy({}, { ownKeys: fail }),
    ];
    await cache.set('k', 'kept');
    for (const value of values) {
      const error = await expectCode(() => cache.set('k', value), 'ERR_UNSERIALIZABLE');
      expect(error.cause).toBe(failure);
    }
    expect(await cache.get('k')).toBe('kept');
  });

  test('a toJSON that calls the cache is no trouble', async () => {
    const inner = [];
    const value = {
      toJSON() {
        inner.push(cache.set('inner', 1), cache.get('inner'));
        return 'outer';
      },
    };
    await cache.set('outer', value);
    await Promise.all(inner);
    expect(await cache.getMany(['outer', 'inner'])).toEqual(['outer', 1]);
  });

  test('a value nested 5,000 deep is stored, or refused as a whole; its neighbours are right', async () => {
    await cache.set('deep', nested(5_000)).catch((error) => expect(error.code).toBe('ERR_UNSERIALIZABLE'));
    await cache.set('near', 1);
    const [near, deep, again] = await Promise.all([cache.get('near'), cache.get('deep'), cache.get('near')]);
    expect([near, again]).toEqual([1, 1]);
    if (deep !== null) expect(JSON.stringify(deep)).toBe(JSON.stringify(nested(5_000)));
  });

  test('a value too deep for JSON.stringify is refused', async () => {
    await expectCode(() => cache.set('k', nested(200_000)), 'ERR_UNSERIALIZABLE');
  });

  test('many large values at once are all right', async () => {
    const values = Array.from({ length: 40 }, (_, i) => String.fromCharCode(0x4e00 + i).repeat(200_000));
    const large = await mode.cache({ timeoutMs: 30_000, maxMemory: '256mb' });
    await Promise.all(values.map((value, i) => large.set(`k${i}`, value)));
    const back = await Promise.all(values.map((_, i) => large.get(`k${i}`)));
    expect(back.every((value, i) => value === values[i])).toBe(true);
  });
});

describe.each(MODES.slice(0, 2))('fault 33: beyond all bounds in $name', (mode) => {
  beforeAll(() => mode.start());
  afterAll(() => mode.stop());
  afterEach(closeCaches);

  test('a text of 200 MB is refused, or stored or dropped where it is allowed, and the cache goes on', async () => {
    const huge = 'x'.repeat(200 * 1_024 * 1_024);
    const bounded = await mode.cache();
    await bounded.set('k', 'old');
    await expectCode(() => bounded.set('k', huge), 'ERR_VALUE_TOO_LARGE');
    expect(await bounded.get('k')).toBe('old');
    const cache = await mode.cache({ timeoutMs: 60_000, maxValueBytes: 256 * 1_024 * 1_024 });
    await cache.set('k', 'old');
    await cache.set('k', huge);
    const value = await cache.get('k');
    // A write that does not fit never leaves the older value readable.
    expect(value === null || value === huge).toBe(true);
    await cache.set('small', 1);
    expect(await cache.get('small')).toBe(1);
    await cache.del('k');
  });
});
