// Process: what is counted is what is used. Hot values by what V8 keeps, all that is kept within one bound, in an
// outage too.
'use strict';

const { serverForAll, startRedis } = require('../../support/redis-server');
const { startScript } = require('../../support/run-script');
const { ROOT, closeCaches, makeCache, openCache } = require('../../support/holdfast');
const { until } = require('../../support/until');
const { Room } = require('../../../src/js/hot/room');
const { MAX_CALLS, MAX_TEXT, Window, sizeOf } = require('../../../src/js/bridge/window');

const server = serverForAll();
afterEach(closeCaches);

// Values of many makes. Each is kept so often that what the collector left behind before does not matter.
const SHAPES = `{
  'a flat object of strings': () => ({ id: text(30), name: text(30), mail: text(30), city: text(30), note: text(30) }),
  'a flat object of all kinds': () => ({ id: int(), name: text(12), active: true, score: Math.random(), none: null, at: big() }),
  'short strings': () => ({ a: text(6), b: text(6), c: text(6), d: text(6) }),
  'strings of one character': () => Array.from({ length: 100 }, () => text(1)),
  'a row of small integers': () => Array.from({ length: 100 }, (_, i) => i),
  'a row of fractions': () => Array.from({ length: 100 }, () => Math.random()),
  'a row of numbers beyond 2^31': () => Array.from({ length: 100 }, big),
  'a row of numbers and nulls': () => Array.from({ length: 100 }, (_, i) => (i % 3 ? Math.random() : null)),
  'numbers beyond 2^31 in an object': () => ({ a: big(), b: big(), c: big(), d: big(), e: big(), f: big() }),
  'a list of small objects': () => Array.from({ length: 20 }, (_, i) => ({ id: i, name: text(12) })),
  'empty lists': () => Array.from({ length: 100 }, () => []),
  'empty objects': () => Array.from({ length: 100 }, () => ({})),
  'lists of lists': () => Array.from({ length: 30 }, () => [1, 2, 3]),
  'a long string': () => text(2000),
  'a string of two bytes a character': () => text(500).replaceAll('a', '中'),
  'names that are data': () => Object.fromEntries(Array.from({ length: 30 }, () => [text(8), 1])),
  'an object of many names': () => Object.fromEntries(Array.from({ length: 40 }, (_, i) => ['name' + i, i])),
}`;

const MEASURE = `
  const { Hot } = require(${JSON.stringify(`${ROOT}/src/js/hot/hot`)});
  const text = (n) => { let s = ''; while (s.length < n) s += Math.random().toString(36).slice(2); return s.slice(0, n); };
  const int = () => Math.floor(Math.random() * 2 ** 30);
  const big = () => 3e9 + Math.floor(Math.random() * 1e9);
  const N = 5000;
  const measure = (make) => {
    const texts = Array.from({ length: N }, () => Buffer.from(JSON.stringify(make())).toString());
    const versions = new Int32Array(new SharedArrayBuffer(8));
    const hot = new Hot(versions, process.argv[2] === 'frozen', 1, () => 0, (bytes) => bytes);
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < N; i++) hot.admit('some:key:' + (1e6 + i), texts[i], [0, 0], Infinity);
    collect();
    const used = process.memoryUsage().heapUsed - before;
    if (hot.map.size + texts.length !== 2 * N) throw new Error('not all of them were kept');
    return hot.room.taken / used;
  };
  const collect = () => { for (let i = 0; i < 3; i++) global.gc(); };
  const ratios = Object.entries(${SHAPES}).map(([name, make]) => [name, measure(make)]);
  console.log(JSON.stringify(ratios));
`;

// docs/memory.md has the figures of many more of each, within a fifth; of so few the collector's own needs are a part.
test.each(['copied', 'frozen'])('%s hot values weigh about what V8 keeps for them', async (values) => {
  const script = startScript(MEASURE, { args: [values], nodeArgs: ['--expose-gc'], boundMs: 60_000 });
  const { stdout, stderr } = await script.result;
  expect(stderr).toBe('');
  const wrong = JSON.parse(stdout).filter(([, ratio]) => !(ratio > 1 / 1.4 && ratio < 1.4));
  expect(wrong).toEqual([]);
});

/** A cache of eight megabytes; its keys, each of 2,000 bytes, are read until they are hot or have pushed others out. */
async function filled(keys) {
  const cache = await openCache({ url: server.url(), maxMemory: '8mb' });
  await cache.setMany(
    keys.map((key) => [key, { text: key.padEnd(2_000, '.') }]),
    600,
  );
  const { maxBytes } = (await cache.getStats()).memory;
  let most = 0;
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < keys.length; i++) {
      await cache.get(keys[i]);
      if (i % 250 === 0) most = Math.max(most, (await cache.getStats()).memory.bytes);
    }
  }
  return { cache, maxBytes, most };
}

const KEYS = Array.from({ length: 6_000 }, (_, i) => `key:${i}`);

test('the near cache and hot values together stay within maxMemory, and so does the tier of an outage', async () => {
  const { cache, maxBytes, most } = await filled(KEYS);
  expect(maxBytes).toBe(8 << 20);
  expect(most).toBeLessThanOrEqual(maxBytes);
  expect(most).toBeGreaterThan(maxBytes * 0.9);
  await server.kill('SIGSTOP');
  try {
    await until(async () => {
      await cache.get('nowhere');
      return cache.getMode() === 'memory';
    });
    for (let at = 0; at < KEYS.length; at += 500) {
      const entries = KEYS.slice(at, at + 500).map((key) => [`outage:${key}`, { text: key.padEnd(2_000, '.') }]);
      await cache.setMany(entries, 600);
      const { memory } = await cache.getStats();
      expect(memory.bytes).toBeLessThanOrEqual(memory.maxBytes);
    }
    // Reads end the hot values, whose room the tier then has.
    for (const key of KEYS) await cache.get(key);
    const { memory } = await cache.getStats();
    expect(memory.bytes).toBeLessThanOrEqual(memory.maxBytes);
  } finally {
    await server.kill('SIGCONT');
  }
});

test('a cache that is closed gives back the room of its hot values', async () => {
  const { cache } = await filled(KEYS.slice(0, 1_000));
  const other = makeCache({ url: server.url(), maxMemory: '8mb' });
  const bytes = async () => (await other.getStats()).memory.bytes;
  const before = await bytes();
  await cache.close();
  expect(await bytes()).toBeLessThan(before - 1_000 * 2_000);
});

test('what a cache says of its bound holds over the default, whichever opens first', async () => {
  for (const order of [
    ['1mb', undefined],
    [undefined, '1mb'],
    ['1mb', undefined, '512kb'],
  ]) {
    // An engine of its own.
    const own = await startRedis();
    const caches = order.map((maxMemory) => makeCache({ url: own.url(), ...(maxMemory && { maxMemory }) }));
    for (const cache of caches) expect((await cache.getStats()).memory.maxBytes).toBe(1 << 20);
    await closeCaches();
    await own.stop();
  }
});

// In a process of its own: the bound of a URL is the largest that any cache asked for while it is in use.
test('a value larger than its share of the bound is a miss, and so is the older one at its key', async () => {
  const script = startScript(
    `const { createCache } = require('holdfast');
     (async () => {
       const cache = createCache({ url: null, namespace: 'n', maxMemory: '64mb', maxValueBytes: 64 << 20 });
       await cache.set('k', 'old');
       await cache.set('k', 'x'.repeat(20 << 20));
       const tooLarge = await cache.get('k');
       await cache.set('k', 'x'.repeat(15 << 20));
       console.log(JSON.stringify([tooLarge, (await cache.get('k')).length]));
     })();`,
  );
  const { stdout } = await script.result;
  expect(JSON.parse(stdout)).toEqual([null, 15 << 20]);
});

test('hot values keep no longer text alive of which their key was cut', async () => {
  const script = startScript(
    `const { Hot } = require(${JSON.stringify(`${ROOT}/src/js/hot/hot`)});
     const hot = new Hot(new Int32Array(new SharedArrayBuffer(8)), false, 1, () => 0, (bytes) => bytes);
     global.gc();
     const before = process.memoryUsage().heapUsed;
     for (let i = 0; i < 50; i++) {
       const long = Buffer.alloc(1_000_000, 'x' + i).toString('latin1');
       hot.admit(long.slice(0, 20) + '', '1', [0, 0], Infinity);
       hot.admit(long.slice(100, 200), '1', [0, 0], Infinity);
     }
     global.gc();
     console.log(process.memoryUsage().heapUsed - before);`,
    { nodeArgs: ['--expose-gc'] },
  );
  const { stdout } = await script.result;
  expect(Number(stdout)).toBeLessThan(5_000_000);
});

describe('the room of hot values', () => {
  const roomOf = (most) => {
    const asked = [];
    const room = new Room((bytes) => {
      asked.push(bytes);
      return Math.min(bytes, most);
    });
    return { room, asked };
  };

  test('is reserved before it is taken, in steps, and given back', () => {
    const { room, asked } = roomOf(Infinity);
    let short = 0;
    for (let i = 0; i < 100_000; i++) {
      room.take(100);
      if (room.short) short++;
    }
    expect(short).toBe(0);
    expect(asked.length).toBeLessThan(50);
    for (let i = 0; i < 100_000; i++) room.give(100);
    expect(room.held).toBeLessThanOrEqual(1 << 20);
    room.empty();
    expect(room.held).toBe(0);
  });

  test('is what Rust gives, which is not asked for more each time', () => {
    const { room, asked } = roomOf(1_000_000);
    let admitted = 0;
    for (let i = 0; i < 20_000; i++) {
      room.take(100);
      admitted++;
      while (room.short) {
        room.give(100);
        admitted--;
      }
    }
    expect(admitted).toBe(10_000);
    expect(room.full).toBe(true);
    expect(asked.length).toBeLessThan(30);
  });
});

test('the window of a thread bounds calls and text, and is given back', () => {
  const window = new Window();
  const batch = (count, length) => ({ count, text: 'x'.repeat(length), used: 0, wholeLength: 0 });
  expect(window.admits(batch(MAX_CALLS, 0))).toBe(true);
  expect(window.admits(batch(MAX_CALLS + 1, 0))).toBe(false);
  expect(window.admits(batch(1, MAX_TEXT + 1))).toBe(false);
  expect(window.admits({ ...batch(1, 0), wholeLength: MAX_TEXT + 1 })).toBe(false);
  const size = sizeOf(batch(MAX_CALLS, 10));
  window.take(MAX_CALLS, size);
  expect(window.admits(batch(1, 0))).toBe(false);
  window.give(MAX_CALLS, size);
  expect(window.admits(batch(MAX_CALLS, MAX_TEXT))).toBe(true);
});
