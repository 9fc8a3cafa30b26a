// Long texts whose bytes V8 is lent (src/binding/external.rs): they are right, they are given back, and neither a
// worker thread that ends nor the end of the process meets bytes that are gone.
'use strict';

const { closeCaches, openCache } = require('../../support/holdfast');
const { serverForAll } = require('../../support/redis-server');
const { runForJson, runScript } = require('../../support/run-script');

const server = serverForAll();
afterEach(closeCaches);

const LENGTHS = [131_071, 131_072, 300_000];
const textOf = (length) => 'abcdefghij'.repeat(Math.ceil(length / 10)).slice(0, length);

test.each(['thread', 'loop'])('what is lent is what was stored, and so is what is copied, io: %s', async (io) => {
  const options = { url: server.url(), io, codec: 'text' };
  for (const cache of [await openCache({ ...options, nearCache: false }), await openCache(options)]) {
    for (const length of LENGTHS) {
      for (const text of [textOf(length), `${textOf(length)}ü`, `${textOf(length)}😀`]) {
        await cache.set('k', text);
        for (let n = 0; n < 3; n++) expect((await cache.get('k')) === text).toBe(true);
        expect(structuredClone(await cache.get('k')) === text).toBe(true);
      }
    }
  }
});

test('a long JSON value is parsed from what is lent', async () => {
  const cache = await openCache({ url: server.url() });
  const value = { long: textOf(300_000), list: Array.from({ length: 20_000 }, (_, at) => at) };
  await cache.set('k', value);
  expect(await cache.get('k')).toEqual(value);
  const foreign = await openCache({ url: server.url() });
  await foreign.set('k', value);
  expect(await foreign.get('k')).toEqual(value);
});

test('what is lent is given back', async () => {
  const { grown, read } = await runForJson(
    `
    const { createCache } = require('holdfast');
    (async () => {
      const cache = createCache({ url: '', namespace: 'n', codec: 'text', maxMemory: '8mb' });
      await cache.set('k', 'x'.repeat(1_000_000));
      const some = async (count) => {
        for (let n = 0; n < count; n++) if ((await cache.get('k')).length !== 1_000_000) throw new Error('not whole');
        global.gc();
        await new Promise((resolve) => setTimeout(resolve, 50));
        global.gc();
      };
      await some(50);
      const before = process.memoryUsage.rss();
      await some(2_000);
      console.log(JSON.stringify({ grown: process.memoryUsage.rss() - before, read: 2_000 }));
    })();
  `,
    { nodeArgs: ['--expose-gc'] },
  );
  expect(read).toBe(2_000);
  expect(grown).toBeLessThan(200 * 1024 * 1024);
});

test.each(['process.exit(0)', '', 'setTimeout(() => {}, 20)'])(
  'worker threads alone use the addon, hold strings and end, 40 of them: %s',
  async (last) => {
    const { code, signal, stderr } = await runScript(`
    const { Worker } = require('node:worker_threads');
    const source = \`
      const { createCache } = require('holdfast');
      const { parentPort } = require('node:worker_threads');
      (async () => {
        const cache = createCache({ url: ${JSON.stringify(server.url())}, namespace: 'w', codec: 'text' });
        await cache.set('k', 'x'.repeat(400_000), 1_000);
        globalThis.held = [];
        for (let n = 0; n < 20; n++) held.push(await cache.get('k'));
        parentPort.postMessage(held[19]);
        for (;;) held[0] = await cache.get('k');
      })();
    \`;
    const one = () => new Promise((resolve, reject) => {
      const worker = new Worker(source, { eval: true });
      worker.on('error', reject);
      worker.once('message', (text) => {
        if (text !== 'x'.repeat(400_000)) reject(new Error('another text'));
        worker.terminate().then(resolve);
      });
    });
    (async () => {
      for (let n = 0; n < 10; n++) await Promise.all([one(), one(), one(), one()]);
      ${last}
    })();
  `);
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  },
);
