// Guarantee G10 and getOrCompute: what runs on elsewhere, or for ever, keeps no process alive and no cache open once
// its callers have given up.
'use strict';

const { closeCaches, freshNamespace, makeCache, openCache } = require('../../support/holdfast');
const { computation, outlast } = require('../../support/computation');
const { serverForAll } = require('../../support/redis-server');
const { runForJson, startScript } = require('../../support/run-script');
const { until, untilMode } = require('../../support/until');

const server = serverForAll();
let namespace;
beforeEach(() => {
  namespace = freshNamespace();
});
afterEach(closeCaches);

/** Computes `k` here until `held.open()`. */
async function computeHere() {
  const cache = await openCache({ url: server.url(), namespace });
  const held = computation();
  const result = cache.getOrCompute('k', held.fn);
  await held.begun();
  return { cache, held, result };
}

const GIVE_UP = `
  const { createCache } = require('holdfast');
  const { setTimeout: sleep } = require('node:timers/promises');
  const cache = createCache({ namespace: process.argv[2], timeoutMs: 5000 });
  const told = (error) => console.log(error.code ?? error.message);
  const refuse = () => { throw new Error('on purpose'); };
  const calls = {
    one: () => cache.getOrCompute('k', () => 1, { hardTimeout: 0.2 }),
    many: () => cache.getOrComputeMany(['k', 'l'], (keys) => keys, { hardTimeout: 0.2 }),
    'one of many that fails': () => cache.getOrComputeMany(['k', 'l'], refuse),
    'a hundred': () => Promise.all(Array.from({ length: 100 }, () => cache.getOrCompute('k', () => 1, { hardTimeout: 0.2 }))),
  };
  (async () => {
    while (cache.getMode() !== 'redis') await sleep(5);
    await calls[process.argv[3]]().catch(told);
    if (process.argv[4] === 'close') await cache.close().then(() => console.log('closed'));
  })();
`;

test.each([
  ['one', 'ERR_COMPUTE_TIMEOUT'],
  ['many', 'ERR_COMPUTE_TIMEOUT'],
  ['one of many that fails', 'on purpose'],
  ['a hundred', 'ERR_COMPUTE_TIMEOUT'],
])('while another process computes, a process whose calls have settled ends: %s', async (call, told) => {
  const { held, result } = await computeHere();
  for (const close of ['', 'close']) {
    const script = startScript(GIVE_UP, { env: { REDIS_URL: server.url() }, args: [namespace, call, close] });
    expect(await script.result).toMatchObject({ code: 0, hung: false, stdout: `${told}\n${close && 'closed\n'}` });
  }
  held.open('here');
  expect(await result).toBe('here');
});

// A thread that does not keep the process computes; the main thread waits for it.
const BESIDE_A_THREAD = `
  const { Worker } = require('node:worker_threads');
  const { createCache } = require('holdfast');
  const [, , namespace, close] = process.argv;
  const compute = \`
    const { parentPort } = require('node:worker_threads');
    const { createCache } = require('holdfast');
    const cache = createCache({ namespace: '\${namespace}', timeoutMs: 5000 });
    setInterval(() => {}, 1000);
    cache.getOrCompute('k', () => new Promise(() => parentPort.postMessage('begun')), { hardTimeout: Infinity });
  \`;
  const cache = createCache({ namespace, timeoutMs: 5000 });
  const worker = new Worker(compute, { eval: true });
  worker.once('message', async () => {
    worker.unref();
    await cache.getOrCompute('k', () => 1, { hardTimeout: 0.2 }).catch((error) => console.log(error.code));
    if (close) await cache.close().then(() => console.log('closed'));
  });
`;

test.each(['memory mode', 'redis mode'])('while another thread computes, the process ends: %s', async (mode) => {
  for (const close of ['', 'close']) {
    const env = { REDIS_URL: mode === 'redis mode' ? server.url() : '' };
    const script = startScript(BESIDE_A_THREAD, { env, args: [namespace, close] });
    const stdout = `ERR_COMPUTE_TIMEOUT\n${close && 'closed\n'}`;
    expect(await script.result).toMatchObject({ code: 0, hung: false, stdout });
  }
});

test('a function of its own that never settles keeps neither the process nor its cache', async () => {
  const script = `
    const { getOrCompute, getOrComputeMany, close } = require('holdfast');
    const never = () => new Promise(() => {});
    const told = (error) => console.log(error.code);
    (async () => {
      await getOrCompute('k', never, { hardTimeout: 0.2 }).catch(told);
      await getOrComputeMany(['a', 'b'], never, { hardTimeout: 0.2 }).catch(told);
      if (process.argv[2]) await close().then(() => console.log('closed'));
    })();`;
  for (const url of ['', server.url()]) {
    for (const close of ['', 'close']) {
      const running = startScript(script, { env: { REDIS_URL: url }, args: [close] });
      const stdout = `${'ERR_COMPUTE_TIMEOUT\n'.repeat(2)}${close && 'closed\n'}`;
      expect(await running.result).toMatchObject({ code: 0, hung: false, stdout });
    }
  }
});

test('a caller that gave up leaves nothing in the engine: its process leads as soon as the other is done', async () => {
  const { cache, held, result } = await computeHere();
  const there = await openCache({ url: `unix:${server.socket}`, namespace });
  await expect(there.getOrCompute('k', () => 'there', { hardTimeout: 0.05 })).rejects.toMatchObject({
    code: 'ERR_COMPUTE_TIMEOUT',
  });
  held.open(undefined);
  expect(await result).toBeUndefined();
  expect(await there.getOrCompute('k', () => 'there')).toBe('there');
  await until(async () => (await cache.get('k')) === 'there');
});

test('the marker of a cache that is closed while its function runs is given up', async () => {
  const cache = makeCache({ url: server.url(), namespace });
  const keeps = makeCache({ url: server.url(), namespace: freshNamespace() });
  const there = makeCache({ url: `unix:${server.socket}`, namespace });
  for (const each of [cache, keeps, there]) await untilMode(each, 'redis');
  const silent = computation();
  await outlast(silent, () => cache.getOrCompute('k', silent.fn, { hardTimeout: 0.05 }));
  // Longer than anyone waits: only who gives it up can end it.
  expect(await server.cli('pexpire', `${namespace}:k`, '60000')).toBe('1');
  await cache.close();
  expect(await there.getOrCompute('k', () => 'there', { hardTimeout: 20 })).toBe('there');
});

// Each function holds 10 KB that only its flight keeps.
const NEVER = `
  const { getOrCompute, getMode, close } = require('holdfast');
  const heap = () => { global.gc(); return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers; };
  const never = (held) => () => new Promise(() => held);
  let n = 0;
  const round = async (calls) => {
    for (let i = 0; i < calls; i += 500)
      await Promise.all(Array.from({ length: 500 }, () =>
        getOrCompute('k' + n++, never(new Array(1250).fill(n)), { hardTimeout: 0.001 }).catch(() => {})));
  };
  (async () => {
    while (process.env.REDIS_URL && getMode() !== 'redis') await new Promise((resolve) => setTimeout(resolve, 5));
    await round(2_000);
    const before = heap();
    await round(10_000);
    const grown = heap() - before;
    await close();
    console.log(JSON.stringify({ grown }));
  })();
`;

test.each(['memory mode', 'redis mode'])('10,000 functions that never settle are not all kept: %s', async (mode) => {
  const env = { REDIS_URL: mode === 'redis mode' ? server.url() : '', HOLDFAST_TIMEOUT_MS: '5000' };
  const { grown } = await runForJson(NEVER, { env, nodeArgs: ['--expose-gc'], boundMs: 60_000 });
  // All of them would be 100 MB.
  expect(grown).toBeLessThan(20e6);
});
