// The near cache and hot values through the public functions, on a real Redis and several processes.
'use strict';

const { closeCaches, freshNamespace, makeCache, openCache } = require('./support/holdfast');
const { serverForAll } = require('./support/redis-server');
const { runForJson } = require('./support/run-script');
const { sleep, until } = require('./support/until');

const server = serverForAll();
afterEach(() => closeCaches());

const connected = (options) => openCache({ url: server.url(), ...options });

/** Reads until the value is hot: from Redis, from the near cache, and from JavaScript. */
async function heat(cache, key) {
  for (let i = 0; i < 4; i++) await cache.get(key);
}

test('reads of a key go to Redis once', async () => {
  const cache = await connected();
  await cache.set('k', { a: 1 });
  for (let i = 0; i < 10; i++) expect(await cache.get('k')).toEqual({ a: 1 });
  expect((await cache.getStats()).hits).toMatchObject({ redis: 1, near: 9, total: 10 });
});

test('asking for the stats ends no hot value', async () => {
  const cache = await connected({ nearCache: { values: 'frozen' } });
  await cache.set('k', { a: 1 });
  await heat(cache, 'k');
  const hot = await cache.get('k');
  await cache.getStats();
  expect(await cache.get('k')).toBe(hot);
});

test('without the near cache they all do', async () => {
  const cache = await connected({ nearCache: false });
  await cache.set('k', 1);
  for (let i = 0; i < 5; i++) await cache.get('k');
  expect((await cache.getStats()).hits).toMatchObject({ redis: 5, near: 0 });
});

test('a change by another client is seen, also in a loop that awaits nothing but the cache', async () => {
  const cache = await connected({ namespace: 'change' });
  await cache.set('k', 'old');
  await heat(cache, 'k');
  await server.cli('set', 'change:k', '"new"');
  await until(async () => (await cache.get('k')) === 'new', 'the new value');
  await heat(cache, 'k');
  await server.cli('del', 'change:k');
  await until(async () => (await cache.get('k')) === null, 'the miss');
});

test('own writes are seen by the next read, awaited or not', async () => {
  const cache = await connected();
  for (let i = 1; i <= 200; i++) {
    cache.set('k', i);
    expect(await cache.get('k')).toBe(i);
    await heat(cache, 'k');
    await cache.set('k', -i);
    expect(await cache.get('k')).toBe(-i);
  }
  await cache.del('k');
  expect(await cache.get('k')).toBeNull();
});

test('every function that changes a key ends its hot value', async () => {
  const cache = await connected();
  const changes = {
    del: [() => cache.del('k'), null],
    delPattern: [() => cache.delPattern('k*'), null],
    clear: [() => cache.clear(), null],
    increment: [() => cache.increment('k', 2), 3],
    setMany: [() => cache.setMany({ k: 5 }), 5],
    expire: [() => cache.expire('k', 0.001), null],
  };
  for (const [name, [change, expected]] of Object.entries(changes)) {
    await cache.set('k', 1);
    await heat(cache, 'k');
    await change();
    if (name === 'expire') await until(async () => (await cache.get('k')) === null, 'expiry');
    expect([name, await cache.get('k')]).toEqual([name, expected]);
  }
});

test('a hit is a fresh copy by default', async () => {
  const cache = await connected();
  await cache.set('k', { list: [1] });
  await heat(cache, 'k');
  const one = await cache.get('k');
  one.list.push(2);
  expect(await cache.get('k')).toEqual({ list: [1] });
});

test('copies of hot values are equal to what JSON.parse gives, and share no object', async () => {
  const NAMESPACE = 'copies';
  const cache = await connected({ namespace: NAMESPACE });
  const texts = [
    '{"a":{"b":[{"c":null},[],[[1]]]},"d":-0,"e":"","10":1,"2":2}',
    '[{"x":1},{"x":{"y":[]}},3]',
    '{"__proto__":{"a":1},"constructor":{"b":2},"toString":[3]}',
    '{"__proto__":5}',
    `${'['.repeat(200)}${']'.repeat(200)}`,
    '{"n":1e400,"unicode":"\\ud83d\\ude00"}',
  ];
  for (const text of texts) {
    await server.cli('set', `${NAMESPACE}:k`, text);
    await until(async () => JSON.stringify(await cache.get('k')) === JSON.stringify(JSON.parse(text)), 'the value');
    await heat(cache, 'k');
    const [one, two] = [await cache.get('k'), await cache.get('k')];
    expect(one).toEqual(JSON.parse(text));
    expect(Object.keys(one)).toEqual(Object.keys(JSON.parse(text)));
    expect(Object.getPrototypeOf(one)).toBe(Object.getPrototypeOf(JSON.parse(text)));
    const objects = (value) =>
      value !== null && typeof value === 'object' ? [value, ...Object.values(value).flatMap(objects)] : [];
    expect(objects(one).filter((object) => objects(two).includes(object))).toEqual([]);
  }
});

test('with frozen values a hit is the same object, frozen to its depth, and so is every other read', async () => {
  const cache = await connected({ nearCache: { values: 'frozen' } });
  await cache.set('k', { list: [{ a: 1 }] });
  const first = await cache.get('k');
  expect(Object.isFrozen(first.list[0])).toBe(true);
  await heat(cache, 'k');
  const hot = await cache.get('k');
  expect(await cache.get('k')).toBe(hot);
  expect(Object.isFrozen(hot.list[0])).toBe(true);
  expect(() => hot.list.push(1)).toThrow(TypeError);
  expect(Object.isFrozen((await cache.getMany(['k']))[0])).toBe(true);
  expect(Object.isFrozen(await cache.getOrCompute('k', () => ({})))).toBe(true);
});

test('null, false, 0 and the empty text are hot values like others', async () => {
  const cache = await connected();
  for (const value of [null, false, 0, '']) {
    await cache.set('k', value);
    await heat(cache, 'k');
    expect(await cache.get('k')).toBe(value);
    expect(await cache.getOrCompute('k', () => 'computed')).toBe(value);
  }
});

test('a hot value ends with its TTL', async () => {
  const cache = await connected();
  await cache.set('k', 1, 0.3);
  await heat(cache, 'k');
  // With the slack of 50 ms that the contract allows.
  const end = performance.now() + 350;
  while (performance.now() < end) await cache.get('k');
  expect(await cache.get('k')).toBeNull();
});

test('FLUSHALL by another client ends everything', async () => {
  const cache = await connected();
  await cache.setMany({ a: 1, b: 2 });
  await heat(cache, 'a');
  await heat(cache, 'b');
  await server.cli('flushall');
  await until(async () => (await cache.getMany(['a', 'b'])).every((value) => value === null), 'misses');
  expect(await cache.get('a')).toBeNull();
});

test('two namespaces and the raw keys of one connection keep to themselves', async () => {
  const [one, two] = [await connected({ namespace: 'one' }), await connected({ namespace: 'two' })];
  const raw = await connected({ namespace: '' });
  await one.set('k', 1);
  await two.set('k', 2);
  for (const [cache, key, value] of [
    [one, 'k', 1],
    [two, 'k', 2],
    [raw, 'one:k', 1],
  ]) {
    await heat(cache, key);
    expect(await cache.get(key)).toBe(value);
  }
  await raw.set('one:k', 3);
  expect(await one.get('k')).toBe(3);
  await one.del('k');
  expect(await raw.get('one:k')).toBeNull();
});

test("maxAge is the reader's: a cache gets nothing older, whoever had it kept, peeked at and hot values included", async () => {
  const namespace = freshNamespace();
  const [patient, strict] = [600, 0.05].map((maxAge) =>
    makeCache({ url: server.url(), namespace, nearCache: { maxAge } }),
  );
  await until(() => patient.getMode() === 'redis' && strict.getMode() === 'redis', 'redis mode');
  await patient.setMany({ plain: 1, other: 2 });
  await patient.set('tagged', 3, { tags: ['t'] });
  const keys = ['plain', 'other', 'tagged'];
  const asked = async (cache, read) => {
    const before = (await cache.getStats()).hits.redis;
    await read(cache);
    return (await cache.getStats()).hits.redis - before;
  };
  const one = async (cache) => {
    for (const key of keys) await cache.get(key);
  };
  for (let i = 0; i < 4; i++) await one(patient);
  await sleep(60);
  expect(await asked(strict, one)).toBe(3);
  await sleep(60);
  expect(await asked(strict, (cache) => cache.getMany(keys))).toBe(3);
  for (let i = 0; i < 4; i++) await one(strict);
  await sleep(60);
  expect(await asked(strict, one)).toBe(3);
  expect(await asked(patient, one)).toBe(0);
});

test('options of the near cache that do not parse are refused', () => {
  for (const nearCache of [
    1,
    'yes',
    null,
    { size: 1 },
    { maxAge: 0 },
    { maxAge: '1' },
    { maxMemory: '1 banana' },
    { values: 'shared' },
  ]) {
    expect(() => makeCache({ url: server.url(), nearCache })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG' }));
  }
});

// One writes as fast as it can, four read and look at the versions.
const COHERENCE = `
  const { fork } = require('node:child_process');
  const { createCache } = require('holdfast');
  const KEYS = Array.from({ length: 100 }, (_, i) => 'k' + i);
  const cache = createCache({ namespace: 'coherence', timeoutMs: 5000 });
  async function write() {
    const end = Date.now() + 2000;
    let version = 0;
    while (Date.now() < end) {
      version++;
      // A part of the keys at a time, so that readers also meet keys that rest for a while.
      for (let at = 0; at < KEYS.length; at += 10) {
        await Promise.all(KEYS.slice(at, at + 10).map((key) => cache.set(key, version)));
      }
    }
    return { version };
  }
  async function read() {
    const seen = new Map(KEYS.map((key) => [key, 0]));
    let backwards = 0, last = Infinity;
    process.on('message', (message) => { last = message.version; });
    const giveUp = Date.now() + 40000;
    while ([...seen.values()].some((version) => version !== last) && Date.now() < giveUp) {
      for (const key of KEYS) {
        const version = (await cache.get(key)) ?? 0;
        if (version < seen.get(key)) backwards++;
        seen.set(key, version);
      }
      await new Promise(setImmediate);
    }
    const settled = [...seen.values()].every((version) => version === last);
    // Or what was read above proves nothing of near values. Nobody writes any more: what is read twice is near.
    const near = async () => (await cache.getStats()).hits.near;
    while ((await near()) === 0 && Date.now() < giveUp) for (const key of KEYS) await cache.get(key);
    return { backwards, settled, near: (await near()) > 0 };
  }
  (async () => {
    const role = process.argv[2];
    if (role) {
      process.send(await (role === 'write' ? write() : read()), () => process.disconnect());
      return;
    }
    const readers = Array.from({ length: 4 }, () => fork(__filename, ['read']));
    const results = Promise.all(readers.map((reader) => new Promise((resolve) => reader.once('message', resolve))));
    const writer = fork(__filename, ['write']);
    writer.once('message', (message) => readers.forEach((reader) => reader.send(message)));
    console.log(JSON.stringify(await results));
  })();
`;

test('no reader ever sees a version go backwards, and all see the last one', async () => {
  const results = await runForJson(COHERENCE, { env: { REDIS_URL: server.url() } });
  expect(results).toEqual(Array(4).fill({ backwards: 0, settled: true, near: true }));
});
