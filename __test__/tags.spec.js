// invalidateTags across instances and threads, on a real Redis: what near caches and hot values hold ends, and nothing
// older comes back.
'use strict';

const { closeCaches, freshNamespace, openCache } = require('./support/holdfast');
const { computation } = require('./support/computation');
const { startProxy } = require('./support/network/fault-proxy');
const { serverForAll } = require('./support/redis-server');
const { runForJson } = require('./support/run-script');
const { sleep, until, untilMode } = require('./support/until');

const server = serverForAll();
let namespace;
beforeEach(() => {
  namespace = freshNamespace();
});
afterEach(closeCaches);

/**
 * An instance: caches of one URL share a connection and a near cache, so another way to the server is another instance.
 */
const instance = (url, options) => openCache({ url, namespace, ...options });
const here = (options) => instance(server.url(), options);
const there = (options) => instance(`unix:${server.socket}`, options);

/** Reads until the value is hot: from Redis, from the near cache, and from JavaScript. */
async function heat(cache, key) {
  for (let i = 0; i < 5; i++) await cache.get(key);
}

test('entries with thousands of tags of their own come back whole, where no token of them is known', async () => {
  const [writer, reader] = [await here(), await there()];
  const keys = Array.from({ length: 100 }, (_, i) => `k${i}`);
  const tags = (key) => Array.from({ length: 30 }, (_, n) => `${key}:${n}`);
  await Promise.all(keys.map((key) => writer.set(key, key, { tags: tags(key) })));
  expect(await reader.getMany(keys)).toEqual(keys);
  await reader.invalidateTags(keys.map((key) => `${key}:29`));
  expect(await reader.getMany(keys)).toEqual(keys.map(() => null));
  const entries = keys.map((key) => [key, `${key}, anew`]);
  await writer.setMany(entries, { tags: Array.from({ length: 64 }, (_, n) => `shared:${n}`) });
  expect(await reader.getMany(keys)).toEqual(entries.map(([, value]) => value));
});

test('what another instance holds near and hot ends, and once that is seen it never comes back', async () => {
  const [writer, reader] = [await here(), await there()];
  for (let n = 0; n < 20; n++) {
    await writer.setMany({ k: n, l: n }, { tags: ['a', 'b'] });
    await until(async () => (await reader.get('k')) === n && (await reader.get('l')) === n, 'the reader sees it');
    await heat(reader, 'k');
    await heat(writer, 'k');
    const near = (await reader.getStats()).hits.near;
    await reader.get('k');
    expect((await reader.getStats()).hits.near).toBe(near + 1);
    await writer.invalidateTags(n % 2 ? 'a' : ['b', 'c']);
    expect(await writer.get('k')).toBeNull();
    await until(async () => (await reader.get('k')) === null, 'the reader sees the invalidation');
    for (let i = 0; i < 100; i++) expect(await reader.get('k')).toBeNull();
    expect(await reader.getMany(['k', 'l'])).toEqual([null, null]);
    expect([await reader.exists('l'), await reader.ttl('l')]).toEqual([false, null]);
  }
});

test('an instance without a near cache sees the invalidation with its next read', async () => {
  const [writer, reader] = [await here(), await there({ nearCache: false })];
  for (let n = 0; n < 20; n++) {
    await writer.set('k', n, { tags: ['a'] });
    expect(await reader.get('k')).toBe(n);
    await writer.invalidateTags('a');
    expect(await reader.get('k')).toBeNull();
    expect(await reader.getOrCompute('k', () => 'computed')).toBe('computed');
  }
});

test('entries that two instances stored under one tag die together', async () => {
  const [one, two] = [await here(), await there()];
  await one.set('one', 1, { tags: ['a'] });
  await two.set('two', 2, { tags: ['a'] });
  expect(await one.getMany(['one', 'two'])).toEqual([1, 2]);
  expect(await two.getMany(['one', 'two'])).toEqual([1, 2]);
  await one.invalidateTags('a');
  expect(await one.getMany(['one', 'two'])).toEqual([null, null]);
  await until(async () => (await two.getMany(['one', 'two'])).every((value) => value === null));
});

test('a computation here that began before an invalidation there is served nowhere', async () => {
  const [one, two] = [await here(), await there()];
  for (const options of [{ tags: ['a'] }, { tags: ['a'], lock: false }, { tags: ['a'], swr: 60, grace: 60 }]) {
    const before = computation();
    const first = one.getOrCompute('k', before.fn, options);
    await before.begun();
    await two.invalidateTags('a');
    const after = two.getOrCompute('k', () => 'after', options);
    before.open('before');
    expect(await first).toBe('before');
    expect(await after).toBe('after');
    await until(async () => (await one.getOrCompute('k', () => 'after', options)) === 'after');
    for (let i = 0; i < 20; i++) expect([await one.get('k'), await two.get('k')]).not.toContain('before');
    expect(JSON.stringify(await server.cli('get', `${namespace}:k`))).toContain('after');
    await two.del('k');
    // What is near here ends with the push.
    await until(async () => (await one.get('k')) === null);
  }
});

/** Runs a command on the key that stands for a tag; redis-cli itself cannot name a key with a NUL in it. */
const onTag = (command, tag) =>
  server.cli('eval', `return redis.call('${command}', ARGV[1] .. '\\0tag\\0' .. ARGV[2])`, '0', `${namespace}:`, tag);

test('a tag that Redis has lost makes misses, and can be used again', async () => {
  const [one, two] = [await here(), await there()];
  await one.set('k', 'old', { tags: ['a', 'b'] });
  for (const cache of [one, two]) {
    await until(async () => (await cache.get('k')) === 'old');
    await heat(cache, 'k');
  }
  expect(await onTag('EXISTS', 'a')).toBe('1');
  expect(Number(await onTag('PTTL', 'a'))).toBeGreaterThan(0);
  await onTag('DEL', 'a');
  for (const cache of [one, two]) await until(async () => (await cache.get('k')) === null);
  await two.set('k', 'new', { tags: ['a', 'b'] });
  for (const cache of [one, two]) await until(async () => (await cache.get('k')) === 'new');
});

test('FLUSHALL ends tagged entries, and the tags can be used again', async () => {
  const [one, two] = [await here(), await there()];
  await one.setMany({ k: 'old', l: 'old' }, { tags: ['a'] });
  for (const cache of [one, two]) for (const key of ['k', 'l']) await heat(cache, key);
  await server.cli('flushall');
  for (const cache of [one, two]) {
    await until(async () => (await cache.getMany(['k', 'l'])).every((value) => value === null));
  }
  await one.set('k', 'new', { tags: ['a'] });
  expect(await one.get('k')).toBe('new');
  await until(async () => (await two.get('k')) === 'new');
  await two.invalidateTags('a');
  await until(async () => (await one.get('k')) === null);
});

test('an old entry with a tag that was lost and made again stays a miss', async () => {
  const [one, two] = [await here(), await there()];
  await one.set('k', 'old', { tags: ['a'] });
  await onTag('DEL', 'a');
  await two.set('other', 1, { tags: ['a'] });
  for (const cache of [one, two]) {
    await until(async () => (await cache.get('k')) === null);
    expect(await cache.get('k')).toBeNull();
  }
});

test('an invalidation while Redis is out of reach holds when it is back', async () => {
  const proxy = await startProxy(server);
  const [one, two] = [await instance(proxy.url()), await there()];
  await one.setMany({ k: 'old', l: 'old' }, { tags: ['a'] });
  await heat(one, 'k');
  await until(async () => (await two.get('k')) === 'old');
  proxy.refuse();
  proxy.reset();
  await untilMode(one, 'memory');
  await one.invalidateTags('a');
  expect(await one.getMany(['k', 'l'])).toEqual([null, null]);
  await proxy.accept();
  await untilMode(one, 'redis');
  expect(await one.getMany(['k', 'l'])).toEqual([null, null]);
  for (const key of ['k', 'l']) await until(async () => (await two.get(key)) === null);
  await closeCaches();
  await proxy.stop();
});

// What the functions compute from; each invalidation says that it has changed.
test('under invalidations one after another no instance sees a value go backwards', async () => {
  const caches = [await here(), await there(), await instance(server.url({ host: 'localhost' }))];
  const KEYS = Array.from({ length: 10 }, (_, i) => `k${i}`);
  let version = 0;
  let over = false;
  const compute = async () => {
    const computed = version;
    await sleep(Math.random() * 4);
    return computed;
  };
  const read = (cache, key, seen) => {
    if (seen % 3 === 0) return cache.get(key);
    // Stale now and then, so that refreshes take part.
    return cache.getOrCompute(key, compute, { tags: ['source', key], ttl: 0.03, swr: 5, jitter: 0.5 });
  };
  let backwards = 0;
  let older = 0;
  const readers = caches.map(async (cache, at) => {
    const last = new Map();
    for (let n = 0; !over; n++) {
      const key = KEYS[n % KEYS.length];
      const value = await read(cache, key, n);
      if (value === null) continue;
      if (value < (last.get(key) ?? 0)) backwards++;
      last.set(key, value);
      if (n % 20 === at) await sleep(1);
    }
  });
  const writer = caches[0];
  for (const end = Date.now() + 2_000; Date.now() < end; ) {
    version++;
    await writer.invalidateTags('source');
    // Behind its own invalidation, an instance sees nothing from before it.
    for (const key of KEYS.slice(0, 3)) {
      const value = await read(writer, key, version);
      if (value !== null && value < version) older++;
    }
    await sleep(Math.random() * 10);
  }
  over = true;
  await Promise.all(readers);
  expect({ backwards, older }).toEqual({ backwards: 0, older: 0 });
  for (const cache of caches) {
    await until(async () => (await cache.getOrCompute('k0', compute, { tags: ['source'] })) === version);
  }
});

// One thread invalidates, the other reads the hot value in a loop and knows what has ended before each read.
const THREADS = `
  const { Worker, isMainThread, workerData } = require('node:worker_threads');
  const { setTimeout: sleep, setImmediate: turn } = require('node:timers/promises');
  const { createCache } = require('holdfast');
  const [, , invalidator, namespace] = isMainThread ? process.argv : workerData.argv;
  const shared = isMainThread ? new Int32Array(new SharedArrayBuffer(20)) : workerData.shared;
  const ENDED = 0, SEEN = 1, OVER = 2, OLD = 3, HOT = 4;
  const cache = createCache({ namespace, timeoutMs: 5000 });
  async function invalidate() {
    while (cache.getMode() !== 'redis') await sleep(1);
    for (let n = 1; n <= 200; n++) {
      await cache.set('k', n, { tags: ['t'] });
      while (Atomics.load(shared, SEEN) < n) await sleep(1);
      await cache.invalidateTags(n % 2 ? 't' : ['t', 'u']);
      Atomics.store(shared, ENDED, n);
    }
    Atomics.store(shared, OVER, 1);
  }
  async function read() {
    let reads = 0;
    for (let last = null; Atomics.load(shared, OVER) === 0; reads++) {
      const ended = Atomics.load(shared, ENDED);
      const n = await cache.get('k');
      if (n !== null && n <= ended) Atomics.add(shared, OLD, 1);
      // Read a few times: now it is hot.
      if (n !== null && n === last && reads % 8 === 0) Atomics.store(shared, SEEN, n);
      last = n;
      if (reads % 200 === 0) await turn();
    }
    Atomics.store(shared, HOT, (await cache.getStats()).hits.near);
  }
  (async () => {
    const own = (invalidator === 'main') === isMainThread ? invalidate : read;
    if (!isMainThread) return void (await own());
    const worker = new Worker(__filename, { workerData: { argv: process.argv, shared } });
    const ended = new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
    await Promise.all([own(), ended]);
    console.log(JSON.stringify({ ended: shared[ENDED], old: shared[OLD], hot: shared[HOT] }));
  })();
`;

test.each(['main', 'worker'])(
  'a read that begins in another thread after the invalidation has resolved: %s',
  async (by) => {
    const env = { REDIS_URL: server.url() };
    const { ended, old, hot } = await runForJson(THREADS, { env, args: [by, namespace] });
    expect({ ended, old }).toEqual({ ended: 200, old: 0 });
    expect(hot).toBeGreaterThan(0);
  },
);
