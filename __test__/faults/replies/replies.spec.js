// Faults 10 to 12 and 14: what comes back is cut, comes in crumbs, is out of step, or is no reply at all.
'use strict';

const { randomBytes } = require('node:crypto');
const { closeCaches, openCache } = require('../../support/holdfast');
const { startProxy } = require('../../support/network/fault-proxy');
const { serverForAll } = require('../../support/redis-server');
const { startScript } = require('../../support/run-script');
const { until, untilMode } = require('../../support/until');

const server = serverForAll();
let proxy;
beforeEach(async () => {
  proxy = await startProxy(server);
});
afterEach(async () => {
  await closeCaches();
  await proxy.stop();
});

// Every read goes to Redis.
const connected = (options) => openCache({ url: proxy.url(), nearCache: false, ...options });

test('fault 10: a reset at any byte of a bulk reply gives no partial value, and the connection is replaced', async () => {
  const cache = await connected();
  const text = JSON.stringify({ list: [1, 2, 3], text: 'x'.repeat(50) });
  await cache.set('k', JSON.parse(text));
  // Behind the header, in the value, before its last byte, between its end and the line's.
  for (const at of [1, 4, 9, 10, 30, text.length, text.length + 9, text.length + 11]) {
    const { connections } = proxy;
    proxy.inject({ cutAfter: at });
    const values = await Promise.all([cache.get('k'), cache.get('k'), cache.getMany(['k', 'nothing'])]);
    for (const value of values.flat()) expect([null, text]).toContain(value && JSON.stringify(value));
    expect(values[0]).toBeNull();
    await until(() => proxy.connections > connections);
    await untilMode(cache, 'redis');
    expect(await cache.get('k')).toEqual(JSON.parse(text));
  }
});

// Its own processor time tells whether it spins: each byte wakes it once.
const CRUMBS = `
  const { createCache } = require('holdfast');
  const cache = createCache({ namespace: 'crumbs', nearCache: false, timeoutMs: Number(process.argv[2]), logger: null });
  const keys = Array.from({ length: 20 }, (_, i) => 'k' + i);
  (async () => {
    while (cache.getMode() !== 'redis') await new Promise((resolve) => setTimeout(resolve, 5));
    await cache.setMany(keys.map((key) => [key, { key }]));
    console.log('stored');
    await new Promise((resolve) => process.stdin.once('data', resolve));
    const [began, cpu] = [performance.now(), process.cpuUsage()];
    let wrong = 0;
    let right = 0;
    for (let n = 0; n < 3; n++) {
      for (const [i, value] of (await Promise.all(keys.map((key) => cache.get(key)))).entries()) {
        if (value !== null && value.key !== keys[i]) wrong++;
        else if (value !== null) right++;
      }
    }
    const { user, system } = process.cpuUsage(cpu);
    console.log(JSON.stringify({ wrong, right, busy: (user + system) / 1000 / (performance.now() - began) }));
    process.exit();
  })();
`;

test.each([
  ['right where there is time', 10_000, 60],
  ['timed out where there is none', 100, 0],
])('fault 11: replies of one byte at a time with latency are %s, and nothing spins', async (_, timeoutMs, right) => {
  const env = { REDIS_URL: proxy.url() };
  const script = startScript(CRUMBS, { env, args: [String(timeoutMs)], input: true });
  await script.says('stored');
  proxy.inject({ trickle: true, trickleMs: 1 });
  script.child.stdin.write('go');
  const { stdout } = await script.result;
  const { busy, ...values } = JSON.parse(stdout.trimEnd().split('\n').at(-1));
  expect(values).toEqual({ wrong: 0, right });
  if (right > 0) expect(busy).toBeLessThan(0.5);
});

// Around the room of the event loop's reads, and of reads by which it only looks.
const PIECES = [[65_537], [1, 65_535, 2, 65_536, 3, 65_537, 131_071], [16_383, 16_384, 16_385, 7]];

test.each(['thread', 'loop'])(
  'fault 11: a reply of 32 MiB is right in whatever pieces it comes, io: %s',
  async (io) => {
    const cache = await connected({ io, timeoutMs: 60_000 });
    // With its quotes the largest value that is allowed.
    const text = randomBytes(16 * 1024 * 1024 - 1).toString('hex');
    await Promise.all([cache.set('large', text), cache.set('k', 'value')]);
    for (const pieces of PIECES) {
      proxy.inject({ pieces });
      const values = await Promise.all([cache.get('k'), cache.get('large'), cache.get('none'), cache.get('k')]);
      expect(values.with(1, values[1] === text)).toEqual(['value', true, null, 'value']);
    }
    expect({ mode: cache.getMode(), connections: proxy.connections }).toEqual({ mode: 'redis', connections: 1 });
  },
);

describe('fault 12: replies out of step are never another key’s value, and the connection is torn down', () => {
  const KEYS = Array.from({ length: 30 }, (_, i) => `k${i}`);
  const foreign = Buffer.from('*1\r\n$9\r\n"foreign"\r\n');

  // What comes behind the last reply that is waited for is thrown away, and the rest is in step: such a connection may
  // stay.
  const SHIFTS = [
    ['one is missing', () => Buffer.alloc(0), true],
    ['one of nobody comes before it', (bytes) => Buffer.concat([foreign, bytes]), true],
    ['one comes twice', (bytes) => Buffer.concat([bytes, bytes]), false],
    ['one of nobody comes behind it', (bytes) => Buffer.concat([bytes, foreign]), false],
  ];

  /** One turn each, all under way together. */
  async function turns(calls) {
    const promises = [];
    for (const call of calls) {
      promises.push(call());
      await new Promise(setImmediate);
    }
    return Promise.all(promises);
  }

  async function expectInStep(cache, replaced) {
    await until(async () => {
      for (const key of KEYS) expect([null, key]).toContain(await cache.get(key));
      return replaced() && cache.getMode() === 'redis';
    }, 'a new connection');
  }

  test.each(SHIFTS)('%s, among writes and counters', async (_, rewriteOnce, replaced) => {
    const cache = await connected({ timeoutMs: 500 });
    await cache.clear();
    const { connections } = proxy;
    proxy.inject({ rewriteOnce });
    await turns(KEYS.flatMap((key) => [() => cache.set(key, key), () => cache.get(key), () => cache.increment('n')]));
    await expectInStep(cache, () => !replaced || proxy.connections > connections);
  });

  test.each(SHIFTS)('%s, among reads', async (_, rewriteOnce, replaced) => {
    const cache = await connected({ timeoutMs: 500 });
    await cache.setMany(KEYS.map((key) => [key, key]));
    const { connections } = proxy;
    proxy.inject({ rewriteOnce });
    const values = await turns(KEYS.map((key) => () => cache.get(key)));
    for (const [i, value] of values.entries()) expect([null, KEYS[i]]).toContain(value);
    await expectInStep(cache, () => !replaced || proxy.connections > connections);
    expect(await cache.getMany(KEYS)).toEqual(KEYS);
  });

  test('one comes while nothing was asked', async () => {
    const cache = await connected({ timeoutMs: 500 });
    await cache.setMany(KEYS.map((key) => [key, key]));
    proxy.say(foreign);
    const values = await turns(KEYS.map((key) => () => cache.get(key)));
    for (const [i, value] of values.entries()) expect([null, KEYS[i]]).toContain(value);
    await untilMode(cache, 'redis');
    expect(await cache.getMany(KEYS)).toEqual(KEYS);
  });
});

test('fault 12: where a proxy knows no ECHO, and says so in its own words, all works without', async () => {
  const mark = /\$1\d\r\n\d{10,19}\r\n/;
  const rewrite = (bytes) => Buffer.from(bytes.toString('latin1').replace(mark, '-ERR invalid request\r\n'), 'latin1');
  await server.cli('config', 'resetstat');
  proxy.inject({ rewrite });
  const cache = await connected();
  await cache.set('k', 'value');
  expect(await cache.get('k')).toBe('value');
  expect(proxy.connections).toBe(1);
  expect(await server.cli('info', 'commandstats')).toMatch(/cmdstat_echo:calls=1,/);
});

const HOSTILE = [
  ['a text of 2 GiB', '$2147483647\r\n'],
  ['a text of 8 EiB', '$9223372036854775807\r\n'],
  ['an array of 2^31 elements', '*2147483647\r\n'],
  ['a map of 2^31 entries', '%2147483647\r\n'],
  ['a set of 2^31 elements', '~2147483647\r\n'],
  ['a push of 2^31 elements', '>2147483647\r\n'],
  ['attributes without end', '|2147483647\r\n'],
  ['a negative length', '$-5\r\n'],
  ['a negative count', '*-7\r\n'],
  ['arrays 10,000 deep', `${'*1\r\n'.repeat(10_000)}$1\r\n1\r\n`],
  ['arrays 1,000,000 deep, without end', '*1\r\n'.repeat(1_000_000)],
  ['maps 10,000 deep', '%1\r\n'.repeat(10_000)],
  ['a number of 100,000 digits', `(${'9'.repeat(100_000)}\r\n`],
  ['a line without end', `+${'x'.repeat(5_000_000)}`],
  ['no protocol at all', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
  ['NUL bytes', '\0\0\0\r\n'],
];

// In a process of its own, as a crash would take Jest with it. For each line that it reads it says what it found, and
// when it is in redis mode again.
const VICTIM = `
  const { createCache } = require('holdfast');
  const cache = createCache({ namespace: 'victim', nearCache: false, logger: null });
  const up = async () => { while (cache.getMode() !== 'redis') await new Promise((resolve) => setTimeout(resolve, 5)); };
  (async () => {
    await up();
    await cache.set('k', 'value');
    console.log('up');
    let n = 0;
    for await (const _ of require('node:readline').createInterface({ input: process.stdin })) {
      const values = [await cache.get('k'), await cache.get('k')];
      const { rss } = process.memoryUsage();
      await up();
      console.log(JSON.stringify({ n: ++n, values, rss, after: await cache.get('k') }));
    }
  })();
`;

test('fault 14: hostile lengths and depths cost neither memory nor the stack', async () => {
  const script = startScript(VICTIM, { env: { REDIS_URL: proxy.url() }, input: true });
  await script.says('up');
  const told = [];
  for (const [what, bytes] of HOSTILE) {
    proxy.inject({ rewriteOnce: () => Buffer.from(bytes) });
    script.child.stdin.write('go\n');
    await script.says(`{"n":${told.length + 1},`);
    told.push({ what, ...JSON.parse(script.stdout.trimEnd().split('\n').at(-1)) });
  }
  script.child.stdin.end();
  expect(await script.result).toMatchObject({ code: 0, hung: false });
  for (const { what, values, after } of told) {
    expect({ what, after }).toEqual({ what, after: 'value' });
    for (const value of values) expect([null, 'value']).toContain(value);
  }
  const [first] = told;
  for (const { what, rss } of told)
    expect({ what, grown: rss - first.rss < 64 * 1024 * 1024 }).toEqual({ what, grown: true });
});
