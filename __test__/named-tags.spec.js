// Tags that a function names once it has read its source, and invalidations by other instances beside it, on a real
// Redis: what was read in front of an invalidation is not served behind it.
'use strict';

const { closeCaches, freshNamespace, openCache } = require('./support/holdfast');
const { computation } = require('./support/computation');
const { startProxy } = require('./support/network/fault-proxy');
const { serverForAll } = require('./support/redis-server');
const { sleep, until, untilMode } = require('./support/until');

const server = serverForAll();
let namespace;
beforeEach(() => {
  namespace = freshNamespace();
});
afterEach(closeCaches);

// Caches of one URL share a connection: another way to the server is another instance.
const instance = (url, options) => openCache({ url, namespace, ...options });
const here = (options) => instance(server.url(), options);
const there = (options) => instance(`unix:${server.socket}`, options);

/** A computation of `cache` that names `tags` when it is let go. */
function computing(cache, tags, options) {
  const held = computation();
  const fn = async ({ setTags }) => {
    const value = await held.fn();
    setTags(tags);
    return value;
  };
  return { held, result: cache.getOrCompute('k', fn, options) };
}

test.each([
  ['a whole end', undefined, {}],
  ['a soft end', { stale: 60 }, {}],
  ['without a lease', undefined, { lock: false }],
  ['of a tag that had been ended before', undefined, { before: true }],
])('an invalidation there, of a tag that the function here is still to name: %s', async (_, how, given) => {
  const { before = false, ...options } = given;
  const [one, two] = [await here(), await there()];
  if (before) {
    await one.invalidateTags('a');
    await one.set('other', 1, { tags: ['a'] });
    await sleep(20);
  }
  const { held, result } = computing(one, ['b', 'a'], options);
  await held.begun();
  await two.invalidateTags('a', how);
  // It waits for the lease of the first, where there is one.
  const after = two.getOrCompute('k', () => 'after', options);
  held.open('before');
  expect(await result).toBe('before');
  expect(await after).toBe('after');
  for (let i = 0; i < 20; i++) expect([await one.get('k'), await two.get('k')]).not.toContain('before');
});

test('what another instance ends later dies here', async () => {
  const [one, two] = [await here(), await there()];
  for (let n = 0; n < 5; n++) {
    await one.getOrCompute('k', ({ setTags }) => setTags(['a', 'b']) ?? n);
    for (const cache of [one, two]) for (let i = 0; i < 5; i++) expect(await cache.get('k')).toBe(n);
    await two.invalidateTags(n % 2 ? 'a' : 'b');
    expect(await two.get('k')).toBeNull();
    await until(async () => (await one.get('k')) === null, 'the other one sees it');
    await sleep(20);
  }
});

test('an invalidation in an outage of another instance counts from when that is back', async () => {
  const proxy = await startProxy(server);
  const [one, two] = [await here(), await instance(proxy.url())];
  for (const known of [true, false]) {
    const tag = `known ${known}`;
    if (known) await two.set('other', 1, { tags: [tag] });
    await sleep(20);
    proxy.refuse();
    proxy.reset();
    await untilMode(two, 'memory');
    await two.invalidateTags(tag);
    const { held, result } = computing(one, [tag]);
    await held.begun();
    const before = Date.now();
    await proxy.accept();
    await untilMode(two, 'redis');
    held.open('before');
    expect(await result).toBe('before');
    expect(await one.get('k')).toBeNull();
    expect((await one.tagTimes([tag]))[0]).toBeGreaterThanOrEqual(before - 1);
  }
  await closeCaches();
  await proxy.stop();
});

test('its own invalidation, and an outage before it stores: nothing of before is kept in process', async () => {
  const proxy = await startProxy(server);
  const one = await instance(proxy.url());
  const { held, result } = computing(one, ['a']);
  await held.begun();
  await one.invalidateTags('a');
  proxy.refuse();
  proxy.reset();
  await untilMode(one, 'memory');
  held.open('before');
  expect(await result).toBe('before');
  expect(await one.get('k')).toBeNull();
  expect(await one.getOrCompute('k', ({ setTags }) => setTags(['a']) ?? 'after')).toBe('after');
  await closeCaches();
  await proxy.stop();
});

test('its own invalidation counts although Redis has lost the record of it', async () => {
  const one = await here();
  const { held, result } = computing(one, ['a']);
  await held.begun();
  await one.invalidateTags('a');
  await server.cli('eval', "return redis.call('DEL', ARGV[1] .. ':\\0tag\\0a')", '0', namespace);
  held.open('before');
  expect(await result).toBe('before');
  expect(await one.get('k')).toBeNull();
});

test('a function of an outage, and an invalidation in it: who asked behind that does not get its result', async () => {
  const proxy = await startProxy(server);
  const one = await instance(proxy.url());
  proxy.refuse();
  proxy.reset();
  await untilMode(one, 'memory');
  const { held, result } = computing(one, ['a']);
  await held.begun();
  await one.invalidateTags('a');
  const follower = one.getOrCompute('k', () => 'after');
  await one.getStats(); // behind it
  await proxy.accept();
  await untilMode(one, 'redis');
  held.open('before');
  expect(await result).toBe('before');
  expect(await follower).toBe('after');
  await closeCaches();
  await proxy.stop();
});
