// A call goes behind what its thread called before it, awaited or not: on any cache of the namespace, however much is
// under way.
'use strict';

const { closeCaches, freshNamespace, stateOf } = require('../../support/holdfast');
const { MODES } = require('../../support/modes');

// What may be under way; src/js/bridge/window.js.
const WINDOW = 16_384;

describe.each(MODES)('in $name', (mode) => {
  let cache;
  let sibling;
  beforeAll(() => mode.start());
  afterAll(() => mode.stop());
  beforeEach(async () => {
    // Room for all that is stored here: in memory mode the tier is shared with the spec files that ran before.
    const options = { namespace: freshNamespace(), timeoutMs: 60_000, maxMemory: '256mb' };
    [cache, sibling] = [await mode.cache(options), await mode.cache(options)];
  });
  afterEach(closeCaches);

  /** Stores a value, and reads it until it is as hot as it gets in both caches. */
  async function warm(key, value, options) {
    await cache.set(key, value, options);
    for (let i = 0; i < 20; i++) {
      expect(await Promise.all([cache.get(key), sibling.get(key)])).toEqual([value, value]);
      expect(await cache.get(key)).toEqual(value);
      expect(await sibling.get(key)).toEqual(value);
    }
  }

  const READS = [
    ['get', (from) => from.get('k')],
    ['getMany', (from) => from.getMany(['k']).then(([value]) => value)],
    ['getOrCompute', (from) => from.getOrCompute('k', () => null)],
    ['getOrComputeMany', (from) => from.getOrComputeMany(['k'], () => [null]).then(([value]) => value)],
  ];
  const WRITES = [
    ['set', (on) => on.set('k', 'new'), 'new'],
    ['setMany', (on) => on.setMany({ k: 'new' }), 'new'],
    ['del', (on) => on.del('k'), null],
    ['del of many', (on) => on.del(['k', 'l']), null],
    ['invalidateTags', (on) => on.invalidateTags('t'), null],
  ];

  describe.each(READS)('%s', (_read, read) => {
    test.each(WRITES)(
      'behind %s sees it, on the same cache and on another one of the namespace',
      async (_write, write, expected) => {
        for (const reader of [cache, sibling]) {
          await warm('k', 'old', { ttl: 60, tags: ['t'] });
          const written = write(cache);
          expect(await read(reader)).toEqual(expected);
          await written;
        }
      },
    );
  });

  test.each(WRITES)('behind %s that waits for the window: a get behind it sees it', async (_write, write, expected) => {
    for (const reader of [cache, sibling]) {
      await warm('k', 'old', { ttl: 60, tags: ['t'] });
      const { lane } = stateOf(cache).channel;
      // As if other keys had taken its place: it is near, and to become hot again by the reads that wait for the
      // window.
      for (const each of [cache, sibling]) stateOf(each).hot.forget('k');
      const { window } = lane.bridge;
      lane.underWay += 1;
      window.calls += WINDOW;
      const before = Array.from({ length: 100 }, () => cache.get('k'));
      lane.flush();
      const behind = Array.from({ length: 200 }, (_, i) => cache.exists(`x${i}`));
      const written = write(cache);
      const now = reader.get('k');
      // Room for the reads, and not yet for the write.
      window.calls -= 150;
      lane.release();
      const then = reader.get('k');
      lane.underWay -= 1;
      window.calls -= WINDOW - 150;
      lane.release();
      expect(await Promise.all([now, then])).toEqual([expected, expected]);
      // The write was under way with them: without pushes, tokens of tags are read behind the entries, and so behind
      // it.
      for (const value of await Promise.all(before)) expect(['old', expected]).toContain(value);
      await Promise.all([...behind, written]);
    }
  });

  test('reads behind a large write see it, whichever part has their keys', async () => {
    const keys = Array.from({ length: 30_000 }, (_, i) => `k${i}`);
    const last = keys.at(-1);
    await warm(last, 'old');
    const stored = cache.setMany(keys.map((key) => [key, 1]));
    const again = sibling.setMany(
      keys
        .slice()
        .reverse()
        .map((key) => [key, 2]),
    );
    expect(await Promise.all([cache.get(last), sibling.getOrCompute('k15000', () => 3)])).toEqual([2, 2]);
    expect(await cache.getMany(['k9000', 'k25000'])).toEqual([2, 2]);
    await Promise.all([stored, again]);
    expect(new Set(await cache.getMany(keys))).toEqual(new Set([2]));
    const removed = cache.del(keys);
    expect(await Promise.all([sibling.get(last), sibling.exists('k20000')])).toEqual([null, false]);
    expect(await removed).toBe(keys.length);
    const more = cache.setMany(keys.map((key) => [key, 4]));
    const cleared = cache.clear();
    await Promise.all([more, cleared]);
    expect(new Set(await cache.getMany(keys))).toEqual(new Set([null]));
  });

  test.each([
    ['getMany', (keys) => cache.getMany(keys).then((values) => values.length)],
    ['setMany', (keys) => cache.setMany(keys.map((key) => [key, 1])).then(() => keys.length)],
    ['del', (keys) => cache.del(keys)],
    ['delMany', (keys) => cache.delMany(keys).then((existed) => existed.length)],
    ['existsMany', (keys) => cache.existsMany(keys).then((exist) => exist.length)],
  ])('close waits for all parts of %s', async (_call, call) => {
    const keys = Array.from({ length: 30_000 }, (_, i) => `k${i}`);
    await cache.setMany(keys.map((key) => [key, 1]));
    const called = call(keys);
    const closing = cache.close();
    expect(await called).toBe(keys.length);
    await closing;
  });
});
