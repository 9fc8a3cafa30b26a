// What Next demands of a handler of `cacheHandlers`, in memory mode and over a real Redis.
'use strict';

const { createCacheHandler } = require('holdfast/next-use-cache');
const { untilMode } = require('../../support/until');
const { describeModes } = require('../support/modes');
const { closeHandlers, entry, makeUseCache, put, read, textOf } = require('./support');

afterEach(closeHandlers);

describeModes('a handler for use cache', ({ options, isShared, place }) => {
  let count = 0;
  const open = async (more) => {
    const handler = makeUseCache({ ...options(), namespace: `use-cache-${++count}`, ...more });
    if (isShared) await untilMode(handler.cache, 'redis');
    return handler;
  };

  test('what was stored is read, by a stream of its own each time', async () => {
    const handler = await open();
    const timestamp = Date.now() - 1_234.5;
    await put(handler, '["build","id",[]]', ['Hello, ', 'naïve ', Buffer.from('☃')], { timestamp, tags: ['a', 'b'] });
    const found = { value: 'Hello, naïve ☃', tags: ['a', 'b'], stale: 30, timestamp, expire: 3_600, revalidate: 900 };
    expect(await read(handler, '["build","id",[]]')).toEqual(found);
    expect(await read(handler, '["build","id",[]]')).toEqual(found);
    expect(await handler.get('other', [])).toBeUndefined();
  });

  test('bytes come back as they were, any number of them', async () => {
    const handler = await open();
    const bytes = Buffer.alloc(
      300_000,
      Uint8Array.from({ length: 251 }, (_, at) => at),
    );
    await put(handler, 'large', [bytes.subarray(0, 70_000), bytes.subarray(70_000)]);
    await put(handler, 'none', []);
    const { value } = await handler.get('large', []);
    const chunks = [];
    for await (const chunk of value) chunks.push(chunk);
    expect(chunks.every((chunk) => chunk.constructor === Uint8Array)).toBe(true);
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
    expect(await textOf(handler, 'none')).toBe('');
  });

  test('an entry without an end has none when it is read, and one that is over is not stored', async () => {
    const handler = await open();
    await put(handler, 'endless', 'x', { expire: Infinity, revalidate: Infinity });
    expect(await read(handler, 'endless')).toMatchObject({ expire: Infinity, revalidate: Infinity });
    await put(handler, 'dynamic', 'x', { expire: 0 });
    await put(handler, 'over', 'x', { timestamp: Date.now() - 10_000, expire: 5 });
    expect([await read(handler, 'dynamic'), await read(handler, 'over')]).toEqual([undefined, undefined]);
  });

  test('a read waits for what is being rendered in this process', async () => {
    const handler = await open();
    const { promise, resolve } = withResolvers();
    const set = handler.set('slow', promise);
    const early = textOf(handler, 'slow');
    resolve(entry('rendered'));
    expect(await early).toBe('rendered');
    await set;
  });

  test('a read that finds nothing just before a store is done reads once more', async () => {
    const handler = await open();
    const set = put(handler, 'quick', 'rendered');
    const late = async (nothing) => {
      await set;
      return nothing;
    };
    jest.spyOn(handler.cache, 'get').mockImplementationOnce(() => late(null));
    jest.spyOn(handler.cache, 'getOrCompute').mockImplementationOnce(() => late(Buffer.from('old ')));
    expect(await textOf(handler, 'quick')).toBe('rendered');
  });

  test('a render that fails is not stored, and fails nothing else', async () => {
    const handler = await open();
    await handler.set('rejected', Promise.reject(new Error('on purpose')));
    const broken = new ReadableStream({
      pull(controller) {
        controller.enqueue(Buffer.from('half'));
        controller.error(new Error('on purpose'));
      },
    });
    await handler.set('broken', Promise.resolve({ ...entry(''), value: broken }));
    expect([await read(handler, 'rejected'), await read(handler, 'broken')]).toEqual([undefined, undefined]);
  });

  test('tags that end take their entries along, and no others', async () => {
    const handler = await open();
    await put(handler, 'one', '1', { tags: ['a', 'b'] });
    await put(handler, 'two', '2', { tags: ['b'] });
    await put(handler, 'three', '3');
    await handler.updateTags(['a']);
    expect([await textOf(handler, 'one'), await textOf(handler, 'two')]).toEqual([undefined, '2']);
    await handler.updateTags(['b', 'unknown', '']);
    expect([await textOf(handler, 'two'), await textOf(handler, 'three')]).toEqual([undefined, '3']);
    await put(handler, 'one', 'again', { tags: ['a', 'b'], timestamp: Date.now() + 1 });
    expect(await textOf(handler, 'one')).toBe('again');
  });

  test('what ended softly is served to be rendered anew; without a time for that, it is gone', async () => {
    const handler = await open();
    await put(handler, 'page', 'old', { tags: ['a'] });
    await handler.updateTags(['a'], { expire: 3_600 });
    const found = { value: 'old', revalidate: -1, expire: 3_600, tags: ['a'] };
    expect(await read(handler, 'page')).toMatchObject(found);
    expect(await read(handler, 'page')).toMatchObject(found);
    await put(handler, 'page', 'new', { tags: ['a'], timestamp: Date.now() + 1 });
    expect(await read(handler, 'page')).toMatchObject({ value: 'new', revalidate: 900 });
    await handler.updateTags(['a'], { expire: Infinity });
    expect(await read(handler, 'page')).toMatchObject({ value: 'new', revalidate: -1 });
    await handler.updateTags(['a'], { expire: 0 });
    expect(await read(handler, 'page')).toBeUndefined();
  });

  test('a soft end brings nothing back that another tag ended for good', async () => {
    const handler = await open();
    await put(handler, 'page', 'old', { tags: ['a', 'b'] });
    await handler.updateTags(['a'], { expire: 3_600 });
    await handler.updateTags(['b']);
    expect(await read(handler, 'page')).toBeUndefined();
  });

  test('what was begun before its tag ended is not served, though it is stored behind that', async () => {
    const handler = await open();
    const { promise, resolve } = withResolvers();
    const timestamp = Date.now();
    const set = handler.set('page', promise);
    await handler.updateTags(['a']);
    resolve(entry('old', { tags: ['a'], timestamp }));
    await set;
    expect(await read(handler, 'page')).toBeUndefined();
  });

  test('what was begun before its tag ended is not served as stale either', async () => {
    const handler = await open();
    const timestamp = Date.now();
    await handler.updateTags(['a']);
    await put(handler, 'page', 'old', { tags: ['a'], timestamp });
    await handler.updateTags(['a'], { expire: 3_600 });
    expect(await read(handler, 'page')).toBeUndefined();
  });

  test('tags of the reader: what was made before they ended is a miss to it, and to others not', async () => {
    const handler = await open();
    expect(await handler.getExpiration(['_N_T_/layout', '_N_T_/shop/page'])).toBe(0);
    await put(handler, 'list', 'old', { timestamp: Date.now() - 1_000 });
    const before = Date.now();
    await handler.updateTags(['_N_T_/shop/page']);
    expect(await handler.getExpiration(['_N_T_/layout', '_N_T_/shop/page'])).toBeGreaterThanOrEqual(before);
    expect(await textOf(handler, 'list', ['_N_T_/layout', '_N_T_/shop/page'])).toBeUndefined();
    expect(await textOf(handler, 'list', ['_N_T_/layout'])).toBe('old');
    await put(handler, 'list', 'new', { timestamp: Date.now() + 1 });
    expect(await textOf(handler, 'list', ['_N_T_/layout', '_N_T_/shop/page'])).toBe('new');
  });

  test('more tags than an entry of the cache may have, longer ones, and longer keys', async () => {
    const handler = await open();
    const tags = Array.from({ length: 300 }, (_, at) => `tag ${at}`);
    const key = JSON.stringify(['build', 'id', ['x'.repeat(70_000)]]);
    const long = 'ü'.repeat(1_000);
    await put(handler, key, 'x', { tags: [...tags, long, 'tag 1'], timestamp: Date.now() - 1_000 });
    expect(await read(handler, key)).toMatchObject({ value: 'x', tags: [...tags, long, 'tag 1'] });
    expect(await read(handler, `${key} `)).toBeUndefined();
    await handler.updateTags(['tag 299']);
    expect(await read(handler, key)).toBeUndefined();
    await put(handler, 'other', 'x', { tags: [long], timestamp: Date.now() - 1_000 });
    await handler.updateTags([long]);
    expect(await read(handler, 'other')).toBeUndefined();
  });

  test('what is too large is not stored, and what was there before is gone', async () => {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const handler = await open({ maxValueBytes: 1_024 });
    await put(handler, 'page', 'small');
    await put(handler, 'page', 'x'.repeat(2_000));
    expect(await read(handler, 'page')).toBeUndefined();
    expect(warned).toHaveBeenCalledWith(expect.not.stringContaining('xxx'), { code: 'ERR_VALUE_TOO_LARGE' });
    warned.mockRestore();
  });

  test('a closed cache has nothing, and fails no page', async () => {
    const handler = await open();
    await put(handler, 'page', 'x');
    await handler.cache.close();
    expect(await handler.get('page', ['soft'])).toBeUndefined();
    expect(await handler.getExpiration(['soft'])).toBe(0);
    await put(handler, 'page', 'y');
  });

  test('options that do not fit are refused', async () => {
    for (const wrong of [{ codec: 'json' }, { onOutage: 'never' }]) {
      const handler = createCacheHandler({ url: '', ...wrong });
      await expect(handler.get('page', [])).rejects.toMatchObject({ code: 'ERR_CONFIG' });
      expect(() => handler.cache).toThrow(expect.objectContaining({ code: 'ERR_CONFIG' }));
    }
  });

  if (!isShared) return;

  test('in Redis: a line that can be read, for as long as Next may serve the entry', async () => {
    const handler = await open({ maxTtl: 60 });
    await put(handler, 'page', 'the content', { timestamp: Date.now() - 10_000, expire: 40 });
    await put(handler, 'endless', 'x', { expire: 4_294_967_294 });
    const { server } = place;
    const [key] = (await server.cli('keys', `use-cache-${count}:page`)).split('\n');
    expect(await server.cli('get', key)).toMatch(/^\{"v":1,"lengths":\[11\],.*\}\nthe content$/);
    const left = Number(await server.cli('pttl', key));
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(30_000);
    expect(Number(await server.cli('pttl', `use-cache-${count}:endless`))).toBeLessThanOrEqual(60_000);
  });

  test('bytes that are no entry are a miss', async () => {
    const handler = await open();
    const { server } = place;
    for (const bytes of ['', 'x', '{}\n', '{"v":1}\n', '{"v":1,"lengths":[9]}\nshort', '{"v":2,"lengths":[]}\n']) {
      await server.setBytes(`use-cache-${count}:page`, bytes);
      expect(await read(handler, 'page')).toBeUndefined();
    }
  });

  test('a build asks no Redis', async () => {
    process.env.NEXT_PHASE = 'phase-production-build';
    try {
      const handler = makeUseCache({ ...options(), namespace: 'built' });
      await put(handler, 'page', 'x', { tags: ['a'] });
      expect(await textOf(handler, 'page')).toBe('x');
      expect(handler.cache.getMode()).toBe('memory');
    } finally {
      delete process.env.NEXT_PHASE;
    }
    expect(await place.server.cli('keys', 'built:*')).toBe('');
  });
});

function withResolvers() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
