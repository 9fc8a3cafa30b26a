// Inputs 34: values that are only passed on, with no near cache to keep them. They are not checked to be JSON before
// all of a turn are parsed as one text; whatever their bytes, each key gets its own value or a miss.
'use strict';

const { closeCaches, openCache } = require('../support/holdfast');
const { serverForAll } = require('../support/redis-server');
const { Beside, place } = require('../../src/js/bridge/frames');

const server = serverForAll();
afterEach(closeCaches);

const ROUNDS = 60;
const VALUES = 40;
/** Beyond it a value comes as a text of its own: LONE_BYTES of src/engine/base/text.rs. */
const LONE = 8 * 1024;

// Pieces of JSON, of the frames in which values come, and of what only looks like JSON.
const PIECES = [
  ...['"', '\\', '\\"', '[', ']', '{', '}', ',', ':', '1', '-', '.5', 'e', '01', 'a', ' ', '\n', '\0', '\t', '\x01'],
  ...['null', 'true', 'NaN', '"a"', '"a":', '[1]', '{"a":1}', '],[', '],0,1,0,[', '[0,', '\\u0022', '\\u005d', '\\u12'],
  ...['"__proto__":', '\u2028', '\ufeff', 'é', '😀', '\\ud800', '/*', "'"],
];
const TEXTS = [
  '{"a":[1,2,{"b":"c\\"d"}],"e":null}',
  '[[],{},"",0,-1.5e3,true,"\\u00e9\\\\"]',
  '"a string, with ]}[{ and \\"quotes\\""',
  '{"__proto__":{"a":1},"a":1,"a":2,"big":1e999}',
  `{"long":"${'x'.repeat(LONE)}","b":[{},[]]}`,
];

/** Numbers that look random, the same in each run. */
function numbers(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return (state >>> 8) % below;
  };
}

/** Bytes that an attacker would write, JSON that is damaged, JSON that is not, and any bytes at all. */
function bytesFrom(random) {
  const kind = random(8);
  if (kind < 3) return Buffer.from(Array.from({ length: random(7) }, () => PIECES[random(PIECES.length)]).join(''));
  if (kind === 3) return Buffer.from(Array.from({ length: random(12) }, () => random(256)));
  const bytes = [...Buffer.from(TEXTS[random(TEXTS.length)])];
  const byte = random(2) === 0 ? random(256) : '"\\[]{},:0 '.charCodeAt(random(10));
  if (kind < 7) bytes.splice(random(bytes.length), random(2), ...(random(3) === 0 ? [] : [byte]));
  return Buffer.from(bytes);
}

/** The value of these bytes; undefined where they are no JSON text. */
function parsed(bytes) {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** Writes bytes as they are. */
async function write(values) {
  const writer = await openCache({ url: server.url(), namespace: '', codec: 'raw' });
  await writer.setMany(values.map((bytes, i) => [`k${i}`, bytes]));
}

test('each frame has the texts that came beside it, and no other frame’s, whatever else is said of its replies', () => {
  const beside = new Beside(['frames', '"a"', '', '{', '"d"']);
  /** @type {any[]} */
  const frames = [
    [[1, 2, 3], 0],
    [
      [null, 0, [0, 0]],
      [[4, 'ERR_X', 'x'], [5], [6]],
    ],
    [
      [null, 0, 0],
      [[1, 0], [2], [3]],
    ],
  ];
  const placed = frames.map(([replies, asides], i) => {
    const texts = beside.take(asides);
    return asides === 0 ? null : place(replies, [0, 4, 1][i], asides, texts);
  });
  expect(frames.map(([replies]) => replies)).toEqual([
    [1, 2, 3],
    [null, 'a', [0, undefined]],
    [null, null, 'd'],
  ]);
  expect(placed).toEqual([
    null,
    {
      errors: [
        [4, 'ERR_X', 'x'],
        [6, 'ERR_REPLY_LOST', expect.any(String)],
      ],
      misread: 0,
    },
    { errors: 0, misread: 2 },
  ]);
});

const reader = (options) => openCache({ url: server.url(), namespace: '', nearCache: false, ...options });

describe.each(['thread', 'loop'])('the socket is the %s’s', (io) => {
  test('fault 34: whatever lies there, each key has its own value or is a miss', async () => {
    const random = numbers(io.length);
    let misses = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const values = Array.from({ length: VALUES }, () => bytesFrom(random));
      await write(values);
      const expected = values.map(parsed);
      // One that has met no such value yet.
      const cache = await reader({ io });
      const keys = values.map((_, i) => `k${i}`);
      const read = round % 2 === 0 ? await cache.getMany(keys) : await Promise.all(keys.map((key) => cache.get(key)));
      expect(read.map((value) => JSON.stringify(value))).toEqual(
        expected.map((value) => JSON.stringify(value ?? null)),
      );
      const bad = expected.filter((value) => value === undefined).length;
      expect((await cache.getStats()).decodeErrors).toBe(bad);
      misses += bad;
      await closeCaches();
    }
    expect(misses).toBeGreaterThan(ROUNDS * 10);
  }, 120_000);

  test('fault 34: alone, together and again: counted as misses, and the neighbours are right', async () => {
    const long = 'x'.repeat(LONE);
    const values = ['"b"', 'nul', '["a"]', '[1,]', `["${long}"`, `["${long}"]`, '{"a":[}', '{"a":1}'].map(Buffer.from);
    await write(values);
    const expected = values.map((bytes) => parsed(bytes) ?? null);
    const keys = values.map((_, i) => `k${i}`);
    const cache = await reader({ io });
    for (let pass = 1; pass <= 3; pass++) {
      expect(await cache.getMany(keys)).toEqual(expected);
      expect(await Promise.all(keys.map((key) => cache.get(key)))).toEqual(expected);
      const { decodeErrors, hits, misses } = await cache.getStats();
      expect([decodeErrors, hits.redis, misses]).toEqual([8 * pass, 8 * pass, 8 * pass]);
    }
    for (const key of keys) await cache.getOrCompute(key, () => key);
    const computed = expected.map((value, i) => value ?? keys[i]);
    expect(await cache.getMany(keys)).toEqual(computed);
  });
});
