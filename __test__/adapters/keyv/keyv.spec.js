// What users of Keyv 5 rely on beyond Keyv's own suite: what lies in Redis, whose keys `clear` removes, errors,
// outages, and cache-manager on top.
'use strict';

const { createCache: createManager } = require('cache-manager');
const { Keyv } = require('keyv');
const { KeyvHoldfast } = require('holdfast/keyv');
const { serverForAll } = require('../../support/redis-server');
const { silent } = require('../../support/holdfast');
const { until, untilMode } = require('../../support/until');
const { connected } = require('../support/modes');

const server = serverForAll();
const stores = [];
const makeStore = (options = {}) => {
  const store = new KeyvHoldfast({ url: server.url(), timeoutMs: 5_000, logger: silent(), ...options });
  stores.push(store);
  return store;
};
const makeKeyv = async ({ namespace, throwOnErrors, ...options } = {}) => {
  const store = makeStore(options);
  if (options.url === undefined) await connected(store.cache);
  const keyv = new Keyv({
    store,
    ...(namespace === undefined ? {} : { namespace }),
    ...(throwOnErrors && { throwOnErrors }),
  });
  const errors = [];
  keyv.on('error', (error) => errors.push(error));
  return { keyv, store, errors };
};
beforeEach(() => server.cli('flushall'));
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.disconnect()));
});

test('an entry lies in Redis as the plain text of Keyv, behind its namespace, once', async () => {
  const { keyv } = await makeKeyv({ namespace: 'users' });
  await keyv.set('7', { name: 'Ada', text: 'naïve ☃' });
  expect(await server.cli('keys', '*')).toBe('users:7');
  expect(await server.cli('get', 'users:7')).toBe('{"value":{"name":"Ada","text":"naïve ☃"}}');
  await server.cli('set', 'users:8', '{"value":"from elsewhere"}');
  expect(await keyv.get('8')).toBe('from elsewhere');
});

test('no time to live is for ever, and milliseconds are milliseconds', async () => {
  const { keyv } = await makeKeyv();
  await keyv.set('kept', 1);
  await keyv.set('timed', 1, 90_000);
  await keyv.set('over', 1);
  await keyv.set('over', 1, -1);
  expect(await server.cli('pttl', 'keyv:kept')).toBe('-1');
  const left = Number(await server.cli('pttl', 'keyv:timed'));
  expect(left).toBeGreaterThan(60_000);
  expect(left).toBeLessThanOrEqual(90_000);
  expect(await server.cli('exists', 'keyv:over')).toBe('0');
});

test('clear removes the keys of its namespace alone, whatever stands in the name', async () => {
  const { keyv } = await makeKeyv({ namespace: 'a*[b]' });
  await keyv.set('x', 1);
  for (const key of ['a*[b]', 'ab:x', 'azb:x', 'a*b:x', 'bull:queue']) await server.cli('set', key, 'kept');
  await keyv.clear();
  expect(await keyv.get('x')).toBeUndefined();
  expect(await server.cli('dbsize')).toBe('5');
});

test('clear without any namespace removes nothing, and says why', async () => {
  const { keyv, errors } = await makeKeyv({ namespace: '' });
  await keyv.set('x', 1);
  await server.cli('set', 'bull:queue', 'kept');
  await keyv.clear();
  expect(errors).toEqual([expect.objectContaining({ code: 'ERR_CLEAR_NEEDS_NAMESPACE' })]);
  expect(await server.cli('dbsize')).toBe('2');
});

test('two of them in namespaces of one cache keep apart, in front of each other', async () => {
  const { keyv: one } = await makeKeyv({ namespace: 'one' });
  const { keyv: two } = await makeKeyv({ namespace: 'two' });
  await one.set('x', 1);
  await two.set('x', 2);
  await one.clear();
  expect([await one.get('x'), await two.get('x')]).toEqual([undefined, 2]);
});

test('many entries in one call, each with its own answer', async () => {
  const { keyv, errors } = await makeKeyv({ maxValueBytes: 1_024 });
  await keyv.set('b', 'old');
  const answers = await keyv.setMany([
    { key: 'a', value: 1 },
    { key: 'b', value: 'x'.repeat(2_000) },
    { key: 'c', value: 3, ttl: 60_000 },
  ]);
  expect(answers).toEqual([true, false, true]);
  expect(errors).toEqual([expect.objectContaining({ code: 'ERR_VALUE_TOO_LARGE' })]);
  expect(await keyv.get(['a', 'b', 'c', 'd'])).toEqual([1, 'old', 3, undefined]);
  expect(await keyv.has(['a', 'd'])).toEqual([true, false]);
});

test('what cannot be stored rejects where Keyv is to throw', async () => {
  const { keyv } = await makeKeyv({ maxValueBytes: 1_024, throwOnErrors: true });
  await expect(keyv.set('a', 'x'.repeat(2_000))).rejects.toMatchObject({ code: 'ERR_VALUE_TOO_LARGE' });
});

test('a codec is refused', () => {
  expect(() => new KeyvHoldfast({ codec: 'json' })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG' }));
});

test('an error of the cache reaches the listeners of Keyv', async () => {
  await server.cli('acl', 'setuser', 'small', 'on', 'nopass', '~other:*', '+@all');
  const { keyv, errors } = await makeKeyv({ url: server.url({ user: 'small', password: 'any' }) });
  await until(async () => {
    await keyv.set('x', 1);
    return errors.length > 0;
  }, 'the denial is told');
  expect(errors[0]).toBeInstanceOf(Error);
});

test('while Redis is away nothing fails or hangs, and what was deleted meanwhile stays deleted', async () => {
  const { keyv, store, errors } = await makeKeyv({ namespace: 'out', timeoutMs: 250 });
  await keyv.set('old', 1);
  await server.kill('SIGSTOP');
  expect(await keyv.set('new', 2)).toBe(true);
  expect(await keyv.get('new')).toBe(2);
  await keyv.delete('old');
  expect(await keyv.get('old')).toBeUndefined();
  await untilMode(store.cache, 'memory');
  await server.kill('SIGCONT');
  await untilMode(store.cache, 'redis');
  expect(await keyv.get('old')).toBeUndefined();
  expect(await server.cli('exists', 'out:old')).toBe('0');
  expect(await keyv.set('new', 3)).toBe(true);
  expect(errors).toEqual([]);
});

test('under cache-manager a value is wrapped once, and its time can be read', async () => {
  const { keyv } = await makeKeyv({ namespace: 'managed' });
  const manager = createManager({ stores: [keyv] });
  let runs = 0;
  const compute = () => manager.wrap('k', () => ({ run: ++runs }), 60_000);
  expect([await compute(), await compute()]).toEqual([{ run: 1 }, { run: 1 }]);
  expect(await manager.ttl('k')).toBeGreaterThan(Date.now());
  await manager.mset([
    { key: 'a', value: 1 },
    { key: 'b', value: 2 },
  ]);
  expect(await manager.mget(['a', 'b', 'c'])).toEqual([1, 2, undefined]);
  await manager.clear();
  expect(await server.cli('dbsize')).toBe('0');
});
