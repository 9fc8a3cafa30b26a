// Contract: bad arguments and options reject with their codes, and never throw from a call.
'use strict';

const { holdfast, expectCode, expectThrows } = require('../support/holdfast');

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
    await expectCode(() => cache.clear({ flushdb: true }), 'ERR_INVALID_ARGUMENT');
    await expectCode(() => cache.clear({ flushDb: 'yes' }), 'ERR_INVALID_ARGUMENT');
    expect(await cache.exists('k')).toBe(false);
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
