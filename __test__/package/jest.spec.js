// Embedding: Jest gives each test file, and each `jest.resetModules()`, the package anew; the engine behind it stays
// one.
'use strict';

const fs = require('node:fs');
const { startRedis } = require('../support/redis-server');
const { until } = require('../support/until');

let server;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => {
  delete process.env.REDIS_URL;
  await server.stop();
});

/** The package as a test file gets it: loaded anew, used, and left open. */
async function loadAndUse(mode) {
  jest.resetModules();
  const holdfast = require('../..');
  await holdfast.set('k', { n: 1 });
  expect(await holdfast.get('k')).toEqual({ n: 1 });
  expect(holdfast.getMode()).toBe(mode);
  return holdfast;
}

function counts() {
  const count = (folder) => (fs.existsSync(folder) ? fs.readdirSync(folder).length : 0);
  return { threads: count('/proc/self/task'), descriptors: count('/proc/self/fd') };
}

test.each(['memory', 'redis'])(
  'loaded 100 times in %s mode: no further threads, descriptors or connections',
  async (mode) => {
    if (mode === 'redis') process.env.REDIS_URL = server.url();
    process.env.HOLDFAST_TIMEOUT_MS = '5000';
    const connected = async () => Number(/connected_clients:(\d+)/.exec(await server.cli('info', 'clients'))[1]);
    const held = async () => ({ ...counts(), connections: await connected() });

    const loaded = [];
    for (let i = 0; i < 5; i++) loaded.push(await loadAndUse(mode));
    const before = await held();
    for (let i = 0; i < 100; i++) loaded.push(await loadAndUse(mode));
    // What is just ending is counted still; what leaks is there for ever.
    const more = async () => Object.entries(await held()).filter(([what, count]) => count > before[what]);
    await until(async () => (await more()).length === 0, 'what ends has ended');

    expect(new Set(loaded).size).toBe(loaded.length); // it was loaded, not found in a registry
    await Promise.all(loaded.map((holdfast) => holdfast.close()));
  },
);

test('instances of the package share what is stored', async () => {
  const first = await loadAndUse('redis');
  const second = await loadAndUse('redis');
  await first.set('shared', 1);
  expect(await second.get('shared')).toBe(1);
  await second.del('shared');
  expect(await first.get('shared')).toBeNull();
  await Promise.all([first.close(), second.close()]);
});
