// Process 38 and getOrCompute across worker threads: one engine, a bridge a thread.
'use strict';

const { Worker } = require('node:worker_threads');
const { closeCaches, freshNamespace } = require('../../support/holdfast');
const { MODES } = require('../../support/modes');
const { computation } = require('../../support/computation');
const { runForJson, startScript } = require('../../support/run-script');
const { until } = require('../../support/until');

// HOLDFAST_TEST_TERMINATIONS=1000 for a long run.
const TERMINATIONS = Number(process.env.HOLDFAST_TEST_TERMINATIONS ?? 50);
const WORKER = require.resolve('../../support/cache-worker');

/** A worker with a cache of its own; `ask(task)` resolves to what the task returns there. */
function startWorker(url, namespace) {
  const worker = new Worker(WORKER, { workerData: { url, namespace } });
  const waiting = new Map();
  let asked = 0;
  worker.on('message', ({ id, result, error }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) resolve(result);
    else reject(error);
  });
  return {
    worker,
    ask: (task, data) =>
      new Promise((resolve, reject) => {
        waiting.set(++asked, { resolve, reject });
        worker.postMessage({ id: asked, task, data });
      }),
    stop: () => worker.terminate(),
  };
}

describe.each(MODES)('$name', (mode) => {
  let workers = [];
  let namespace;
  beforeAll(() => mode.start());
  afterAll(() => mode.stop());
  beforeEach(() => {
    namespace = freshNamespace();
  });
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.stop()));
    await closeCaches();
  });
  const start = (count) => {
    workers = Array.from({ length: count }, () => startWorker(mode.url, namespace));
    return Promise.all(workers.map((worker) => worker.ask('mode', mode.mode)));
  };

  test('threads share what is stored', async () => {
    const cache = await mode.cache({ namespace });
    await start(2);
    await cache.set('k', { from: 'main' });
    expect(await workers[0].ask('get', 'k')).toEqual({ from: 'main' });
    await workers[0].ask('set', 'k');
    expect(await cache.get('k')).toBe('from a worker');
    expect(await workers[1].ask('get', 'k')).toBe('from a worker');
    await cache.del('k');
    expect(await workers[1].ask('get', 'k')).toBeNull();
  });

  test('callers of all threads share one computation', async () => {
    await start(4);
    const runs = new SharedArrayBuffer(4);
    const results = await Promise.all(workers.map((worker) => worker.ask('compute', { runs, callers: 50 })));
    expect(Atomics.load(new Int32Array(runs), 0)).toBe(1);
    expect(results.flat()).toEqual(Array(200).fill({ run: 1 }));
  });

  test('a function that throws in one thread leaves no caller of another without an answer', async () => {
    await start(3);
    const runs = new SharedArrayBuffer(4);
    const results = await Promise.all(workers.map((worker) => worker.ask('computeFailing', { runs, callers: 5 })));
    // The first run fails; who shared it is told why, who came later computes anew.
    for (const result of results.flat()) expect(['failed on purpose', 'computed']).toContain(result);
    expect(results.flat()).toContain('failed on purpose');
  });

  test('fault 38: a thread that ends while it computes leaves the key to the others', async () => {
    const cache = await mode.cache({ namespace });
    await start(1);
    const begun = new SharedArrayBuffer(4);
    workers[0].ask('computeForEver', { begun }).catch(() => {});
    await Atomics.waitAsync(new Int32Array(begun), 0, 0).value;
    const result = cache.getOrCompute('k', () => 'computed by another');
    await cache.get('k');
    await workers[0].stop();
    expect(await result).toBe('computed by another');
    expect(await cache.get('k')).toBe('computed by another');
  });

  test('fault 38: a function that ends its thread leaves the key to the others', async () => {
    const cache = await mode.cache({ namespace });
    await start(1);
    const begun = new SharedArrayBuffer(8);
    workers[0].ask('computeAndExit', { begun }).catch(() => {});
    await Atomics.waitAsync(new Int32Array(begun), 0, 0).value;
    const result = cache.getOrCompute('k', () => 'computed by another');
    await cache.get('a round trip');
    Atomics.store(new Int32Array(begun), 1, 1);
    expect(await result).toBe('computed by another');
  });

  test('fault 38: a thread that ends while it waits for another leaves nothing behind', async () => {
    const cache = await mode.cache({ namespace });
    await start(1);
    const held = computation();
    const result = cache.getOrCompute('k', held.fn);
    await held.begun();
    await workers[0].ask('ask', { key: 'k' });
    await workers[0].ask('get', 'a round trip');
    await workers[0].stop();
    held.open('computed');
    expect(await result).toBe('computed');
    expect(await cache.get('k')).toBe('computed');
  });

  if (mode.shared)
    test.each([true, false])(
      'fault 38: a thread that ends while Redis is asked leaves the key to the others (lock: %j)',
      async (lock) => {
        const cache = await mode.cache({ namespace });
        await start(1);
        await mode.server.kill('SIGSTOP');
        await workers[0].ask('ask', { key: 'k', lock });
        await until(() => cache.health().inFlight === 1, 'the question of the thread');
        const result = cache.getOrCompute('k', () => 'computed by another', { lock });
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve))); // it has been handed over
        await workers[0].stop();
        await mode.server.kill('SIGCONT');
        expect(await result).toBe('computed by another');
        expect(await cache.getOrCompute('k', () => 'anew')).toBe('computed by another');
      },
    );

  test('a del in one thread fences the computation of another', async () => {
    const cache = await mode.cache({ namespace });
    await start(1);
    const begun = new SharedArrayBuffer(8);
    const result = workers[0].ask('computeFenced', { begun });
    await Atomics.waitAsync(new Int32Array(begun), 0, 0).value;
    await cache.del('k');
    Atomics.store(new Int32Array(begun), 1, 1);
    expect(await result).toBe('old');
    expect(await cache.get('k')).toBeNull();
  });

  test('increments of all threads are all counted', async () => {
    await start(3);
    await Promise.all(workers.map((worker) => worker.ask('increment', 200)));
    const cache = await mode.cache({ namespace });
    expect(await cache.get('n')).toBe(600);
  });
});

// In a process of its own, as a crash would take Jest with it. The worker threads' caches are on MAIN's server or, with
// `db`, on an engine of their own; `overlap`: a thread is ended while the next one joins that engine.
const TERMINATE = `
  const fs = require('node:fs');
  const { Worker } = require('node:worker_threads');
  const { createCache } = require('holdfast');
  const { count, io, url, overlap } = JSON.parse(process.argv[2]);
  const cache = createCache({ namespace: 'main', logger: { info() {}, warn() {}, error() {} } });
  const busy = \`
    const { parentPort, workerData } = require('node:worker_threads');
    const { createCache } = require('holdfast');
    const cache = createCache({ ...workerData, namespace: 'w', logger: { info() {}, warn() {}, error() {} } });
    let calls = 0;
    const again = async (id) => {
      for (;;) {
        await Promise.all([
          cache.set('k' + id, { id, text: 'x'.repeat(500) }), cache.get('k' + id), cache.increment('n'),
          cache.getOrCompute('c' + (calls % 7), () => new Promise((resolve) => setTimeout(resolve, 1, id)), 0.01),
        ]);
        if (++calls === 20) parentPort.postMessage('busy');
      }
    };
    for (let id = 0; id < 20; id++) again(id);
  \`;
  const held = () => ({
    fds: fs.readdirSync('/proc/self/fd').length,
    threads: fs.readdirSync('/proc/self/task').length,
    rss: process.memoryUsage.rss(),
  });
  const start = () => {
    const worker = new Worker(busy, { eval: true, workerData: { io, url } });
    const called = new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    return { worker, called };
  };
  (async () => {
    let before;
    let next = null;
    await cache.set('k', 'kept', Infinity);
    for (let n = 0; n < count; n++) {
      if (n === 20) before = held();
      const { worker, called } = next ?? start();
      await called;
      next = overlap ? start() : null;
      // The next one opens its cache some milliseconds after its start.
      if (overlap) await new Promise((resolve) => setTimeout(resolve, n % 50));
      // Some end at once, some a few turns later, in the middle of whatever they do then.
      for (let turn = 0; turn < n % 5; turn++) await new Promise(setImmediate);
      await worker.terminate();
    }
    await next?.called;
    await next?.worker.terminate();
    // The calls of the last one are under way in the engine until they settle for nobody.
    while (cache.health().inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    // A thread that has ended stays in /proc for a moment, at either count. What leaks stays for ever.
    const settled = Date.now() + 20_000;
    let after = held();
    while ((after.threads > before.threads || after.fds > before.fds) && Date.now() < settled) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      after = held();
    }
    const leaked = { fds: after.fds - before.fds, threads: after.threads - before.threads, bytes: after.rss - before.rss };
    console.log(JSON.stringify({ value: await cache.get('k'), mode: cache.getMode(), leaked }));
  })();
`;

describe('in a process of its own', () => {
  // What a test of one mode started ends with it, also where it fails.
  afterEach(() => Promise.all(MODES.map((mode) => mode.stop())));

  const [, redis] = MODES;
  test.each([
    ...MODES.map((mode) => ({ name: mode.name, mode })),
    { name: `${redis.name}, io: thread, an engine of their own`, mode: redis, io: 'thread', db: 1 },
    { name: `${redis.name}, io: loop, an engine of their own`, mode: redis, io: 'loop', db: 1 },
    { name: `${redis.name}, io: loop, one after the other joins`, mode: redis, io: 'loop', db: 1, overlap: true },
  ])(
    'fault 38: threads ended in the middle of calls harm nobody, leave no call in flight, and leak nothing: $name',
    async ({ mode, io, db, overlap }) => {
      await mode.start();
      const url = db === undefined ? undefined : mode.server.url({ db });
      const result = await runForJson(TERMINATE, {
        args: [JSON.stringify({ count: TERMINATIONS, io, url, overlap })],
        env: { REDIS_URL: mode.url, HOLDFAST_TIMEOUT_MS: '5000' },
        boundMs: 100_000 + TERMINATIONS * 2_000,
      });
      expect(result).toMatchObject({ value: 'kept', mode: mode.mode });
      expect(result.leaked.threads).toBeLessThanOrEqual(0);
      expect(result.leaked.fds).toBeLessThanOrEqual(0);
      expect(result.leaked.bytes).toBeLessThan(48 * 1024 * 1024);
    },
    120_000 + TERMINATIONS * 2_000,
  );

  test('fault 38: threads come and go and leave one connection', async () => {
    const mode = MODES[1];
    await mode.start();
    const script = `
    const { Worker } = require('node:worker_threads');
    const { get, getMode } = require('holdfast');
    const one = "const { set } = require('holdfast'); set('k', 1);";
    (async () => {
      for (let n = 0; n < 10; n++) {
        const worker = new Worker(one, { eval: true });
        await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
      }
      console.log(JSON.stringify({ value: await get('k'), mode: getMode() }));
      setTimeout(() => {}, 60_000);
    })();`;
    const running = startScript(script, { env: { REDIS_URL: mode.url, HOLDFAST_TIMEOUT_MS: '5000' } });
    await running.says('"mode":"redis"');
    const clients = (await mode.server.cli('client', 'list', 'type', 'normal'))
      .split('\n')
      .filter((line) => / addr=127/.test(line));
    expect(clients).toHaveLength(1);
    running.kill('SIGKILL');
    await running.result;
  });
});
