// Contract: bad arguments and options reject with their codes, and never throw from a call.
'use strict';

const vm = require('node:vm');
const { holdfast, expectCode, expectThrows } = require('../../support/holdfast');

// What stands in the place of options and is none.
const NO_OPTIONS = () => [
  new Date(Date.now() + 10_000),
  new Map([['ttl', 5]]),
  new Set([5]),
  Object(5),
  Object('5'),
  /5/,
  new Error('5'),
  Promise.resolve(5),
  Object.create({ ttl: 5 }),
  Object.create(Object.create(null, { ttl: { value: 5, enumerable: true } })),
  new (class {
    get ttl() {
      return 5;
    }
  })(),
  new (class {
    ttl = 5;
  })(),
  () => 5,
  [5],
  [],
  Buffer.from('5'),
  Symbol('5'),
  '5',
  5n,
  true,
  null,
];

module.exports = function badArguments(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  test('what is no key is refused by every function that takes one', async () => {
    const calls = [
      (key) => cache.get(key),
      (key) => cache.set(key, 1),
      (key) => cache.del(key),
      (key) => cache.getOrCompute(key, () => 1),
      (key) => cache.increment(key),
      (key) => cache.exists(key),
      (key) => cache.ttl(key),
      (key) => cache.expire(key, 1),
      (key) => cache.getMany([key]),
      (key) => cache.del([key]),
      (key) => cache.delMany([key]),
      (key) => cache.existsMany([key]),
      (key) => cache.setMany([[key, 1]]),
    ];
    for (const call of calls) {
      for (const key of ['', undefined, null, 5, {}, Symbol('k'), 5n, '\ud800', 'x'.repeat(65_536)]) {
        await expectCode(() => call(key), 'ERR_INVALID_KEY');
      }
    }
  });

  test('an unknown option is refused', async () => {
    await expectCode(() => cache.set('k', 1, { tll: 5 }), 'ERR_INVALID_ARGUMENT');
    await expectCode(() => cache.setMany({ k: 1 }, { tll: 5 }), 'ERR_INVALID_ARGUMENT');
    await expectCode(() => cache.getOrCompute('k', () => 1, { tll: 5 }), 'ERR_INVALID_ARGUMENT');
    await expectCode(() => cache.increment('k', 1, { tll: 5 }), 'ERR_INVALID_ARGUMENT');
    await expectCode(() => cache.expire('k', { tll: 5 }), 'ERR_INVALID_ARGUMENT');
    await expectCode(() => cache.clear({ flushdb: true }), 'ERR_INVALID_ARGUMENT');
    await expectCode(() => cache.clear({ flushDb: 'yes' }), 'ERR_INVALID_ARGUMENT');
    expect(await cache.exists('k')).toBe(false);
  });

  test('what is no TTL and no plain object is refused in the place of options, and nothing is stored', async () => {
    for (const options of NO_OPTIONS()) {
      await expectCode(() => cache.set('k', 1, options), 'ERR_INVALID_TTL');
      await expectCode(() => cache.setMany({ k: 1 }, options), 'ERR_INVALID_TTL');
      await expectCode(() => cache.getOrCompute('k', () => 1, options), 'ERR_INVALID_TTL');
      await expectCode(() => cache.getOrComputeMany(['k'], () => [1], options), 'ERR_INVALID_TTL');
      await expectCode(() => cache.expire('k', options), 'ERR_INVALID_TTL');
      await expectCode(() => cache.set('k', 1, { ttl: options }), 'ERR_INVALID_TTL');
      await expectCode(() => cache.increment('k', 1, options), 'ERR_INVALID_ARGUMENT');
      await expectCode(() => cache.clear(options), 'ERR_INVALID_ARGUMENT');
    }
    expect(await cache.exists('k')).toBe(false);
  });

  test('a proxy that was revoked, or that does not tell what it has, is refused with a code', async () => {
    const { proxy, revoke } = Proxy.revocable([], {});
    revoke();
    await expectCode(() => cache.get(proxy), 'ERR_INVALID_KEY');
    await expectCode(() => cache.del(proxy), 'ERR_INVALID_KEY');
    await expectCode(() => cache.set('k', 1, proxy), 'ERR_INVALID_TTL');
    await expectCode(() => cache.set('k', 1, { tags: proxy }), 'ERR_INVALID_ARGUMENT');
    await expectCode(() => cache.set('k', proxy), 'ERR_UNSERIALIZABLE');
    for (const call of ['getMany', 'setMany', 'delMany', 'existsMany', 'invalidateTags', 'delPattern', 'clear'])
      await expectCode(() => cache[call](proxy), 'ERR_INVALID_ARGUMENT');
    const silent = new Proxy({}, { ownKeys: () => proxy });
    await expectCode(() => cache.set('k', 1, silent), 'ERR_INVALID_ARGUMENT');
    for (const options of [proxy, { namespace: 'x', logger: proxy }, { namespace: 'x', nearCache: silent }])
      expectThrows(() => holdfast.createCache(options), 'ERR_CONFIG');
  });

  test('entries that are neither pairs nor a plain object are refused', async () => {
    for (const entries of [new Date(), Object(5), /k/, new WeakMap(), Promise.resolve(), new (class {})(), () => {}])
      await expectCode(() => cache.setMany(entries), 'ERR_INVALID_ARGUMENT');
  });

  test('options of another realm, without a prototype, and behind a proxy are plain', async () => {
    const plain = [
      vm.runInNewContext('({ ttl: 50 })'),
      Object.assign(Object.create(null), { ttl: 50 }),
      new Proxy({ ttl: 50 }, {}),
      JSON.parse('{ "ttl": 50 }'),
      Object.freeze({ ttl: 50 }),
      Object.defineProperty({}, 'ttl', { value: 50 }),
    ];
    for (const [i, options] of plain.entries()) {
      await cache.set(`k${i}`, 1, options);
      expect(await cache.ttl(`k${i}`)).toBeLessThanOrEqual(50);
    }
  });

  test('each option is read once', async () => {
    let reads = 0;
    const counting = (values) => {
      const options = {};
      for (const [name, value] of Object.entries(values)) {
        Object.defineProperty(options, name, {
          enumerable: true,
          get() {
            reads++;
            return value;
          },
        });
      }
      return options;
    };
    const set = () => counting({ ttl: 50, tags: ['t'] });
    const compute = () => counting({ ttl: 50, swr: 1, grace: 1, timeout: 5, jitter: 0, tags: ['t'], lock: true });
    const calls = [
      [2, () => cache.set('a', 1, set())],
      [2, () => cache.setMany({ b: 1, c: 2 }, set())],
      [7, () => cache.getOrCompute('d', () => 1, compute())],
      [7, () => cache.getOrComputeMany(['e', 'f'], () => [1, 2], compute())],
      [2, () => cache.increment('n', 1, counting({ ttl: 50, onOutage: 'local' }))],
      [1, () => cache.expire('a', counting({ ttl: 50 }))],
      [1, () => cache.set('a', 1, counting({ expiresAt: Infinity }))],
      [1, () => cache.getOrCompute('g', () => 1, counting({ expiresAt: Infinity }))],
    ];
    for (const [expected, call] of calls) {
      reads = 0;
      await call();
      expect(reads).toBe(expected);
    }
    reads = 0;
    const tls = counting({ insecure: false });
    holdfast
      .createCache(counting({ namespace: 'n', url: '', ttl: 5, nearCache: counting({ maxAge: 5 }), tls }))
      .close();
    expect(reads).toBe(7);
  });

  test('an option whose getter throws is a mistake with that cause', async () => {
    const cause = new Error('on purpose');
    const options = {
      get ttl() {
        throw cause;
      },
    };
    expect(await expectCode(() => cache.set('k', 1, options), 'ERR_INVALID_ARGUMENT')).toMatchObject({ cause });
    expect(await expectCode(() => cache.getOrCompute('k', () => 1, options), 'ERR_INVALID_ARGUMENT')).toMatchObject({
      cause,
    });
    const given = Object.defineProperty({ namespace: 'n' }, 'url', Object.getOwnPropertyDescriptor(options, 'ttl'));
    expect(expectThrows(() => holdfast.createCache(given), 'ERR_CONFIG')).toMatchObject({ cause });
  });

  test('no tags are none', async () => {
    await cache.set('a', 1, { tags: [] });
    await cache.setMany({ b: 2 }, { tags: [] });
    expect(await cache.getOrCompute('c', () => 3, { tags: [] })).toBe(3);
    expect(await cache.getOrComputeMany(['d'], () => [4], { tags: [] })).toEqual([4]);
    await expect(cache.invalidateTags([])).resolves.toBeUndefined();
    expect(await cache.getMany(['a', 'b', 'c', 'd'])).toEqual([1, 2, 3, 4]);
  });

  test('options of createCache that are no plain object throw ERR_CONFIG, at each place', () => {
    for (const options of NO_OPTIONS()) {
      expectThrows(() => holdfast.createCache(options), 'ERR_CONFIG');
      expectThrows(() => holdfast.createCache({ namespace: 'n', url: '', tls: options }), 'ERR_CONFIG');
      if (options === true) continue;
      expectThrows(() => holdfast.createCache({ namespace: 'n', url: '', nearCache: options }), 'ERR_CONFIG');
      expectThrows(() => holdfast.createCache({ namespace: 'n', url: '', compression: options }), 'ERR_CONFIG');
      expectThrows(() => holdfast.createCache({ namespace: 'n', url: '', maxValueBytes: options }), 'ERR_CONFIG');
    }
    expectThrows(() => holdfast.createCache(), 'ERR_CONFIG');
    expectThrows(() => holdfast.createCache({ namespace: 'n', url: '', ttl: null }), 'ERR_CONFIG');
  });

  test('options of createCache that do not parse throw ERR_CONFIG', () => {
    const bad = [
      { url: 'redis//bad' },
      { url: 'http://localhost' },
      { url: 5 },
      { url: 'redis://localhost:99999' },
      { url: 'redis://localhost/db' },
      { url: 'redis://localhost/-1' },
      { ttl: 0 },
      { ttl: NaN },
      { ttl: '300' },
      { maxMemory: -1 },
      { maxMemory: '64 bananas' },
      { timeoutMs: 0 },
      { timeoutMs: 60_001 },
      { timeoutMs: '250' },
      { tls: true },
      { url: 'rediss://localhost', tls: { ca: 'no certificate' } },
      { tls: { insecure: 'yes' } },
      { logger: {} },
      { logger: 'console' },
      { tll: 5 },
    ];
    for (const options of bad) {
      expectThrows(() => holdfast.createCache({ namespace: 'n', url: mode.url, ...options }), 'ERR_CONFIG');
    }
  });

  test('an #insecure fragment in a URL is refused', () => {
    const options = { namespace: 'n', url: 'rediss://user:secret-word@localhost:6379/#insecure' };
    const error = expectThrows(() => holdfast.createCache(options), 'ERR_CONFIG');
    expect(error.message).not.toContain('secret-word');
  });

  test('an error holds neither the value nor the key', async () => {
    const error = await expectCode(() => cache.set('the-key', { secret: 'the-value', n: 10n }), 'ERR_UNSERIALIZABLE');
    expect(`${error.message} ${error.stack}`).not.toMatch(/the-value/);
  });

  test('HoldfastError is an Error with a code and a cause', () => {
    const cause = new Error('why');
    const error = new holdfast.HoldfastError('ERR_CLOSED', 'closed', { cause });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'HoldfastError', code: 'ERR_CLOSED', message: 'closed', cause });
  });
};
