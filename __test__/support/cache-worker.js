// What the worker threads of process/life do on request; each task resolves to what the spec is told.
'use strict';

const { parentPort, workerData } = require('node:worker_threads');
const { setTimeout: sleep } = require('node:timers/promises');
const { createCache } = require('../..');

const { url, namespace, io } = workerData;
const cache = createCache({ url, namespace, io, timeoutMs: 5_000, logger: { info() {}, warn() {}, error() {} } });

const tasks = {
  async mode(expected) {
    while (cache.getMode() !== expected) await sleep(5);
  },

  get: (key) => cache.get(key),

  set: (key) => cache.set(key, 'from a worker'),

  async setThenTell(told) {
    await cache.set('from', 'the worker');
    signal(told);
  },

  /** Calls that go on for ever, so many at a time. */
  async flood(callers) {
    const caller = async (_, i) => {
      for (;;) {
        await cache.set(`f${i}`, i);
        await cache.get(`f${i}`);
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
  },

  async increment(times) {
    await Promise.all(Array.from({ length: times }, () => cache.increment('n')));
  },

  /** Resolves to what each caller got, or null where two callers of this thread got the same object. */
  async compute({ runs, callers }) {
    const compute = async () => {
      const run = Atomics.add(new Int32Array(runs), 0, 1) + 1;
      await sleep(50);
      return { run };
    };
    const results = await Promise.all(Array.from({ length: callers }, () => cache.getOrCompute('k', compute)));
    return new Set(results).size === callers ? results : null;
  },

  computeFailing({ runs, callers }) {
    const compute = async () => {
      const run = Atomics.add(new Int32Array(runs), 0, 1) + 1;
      await sleep(50);
      if (run === 1) throw new Error('failed on purpose');
      return 'computed';
    };
    const call = () => cache.getOrCompute('k', compute).catch((error) => error.message);
    return Promise.all(Array.from({ length: callers }, call));
  },

  /** Asks for a key, and does not wait for it. */
  async ask({ key, lock }) {
    cache.getOrCompute(key, () => 'from a worker', { lock }).catch(() => {});
  },

  computeForEver({ begun }) {
    return cache.getOrCompute('k', () => {
      signal(begun);
      return new Promise(() => {});
    });
  },

  /** Ends this thread from within a function, once it is told to. */
  computeAndExit({ begun }) {
    return cache.getOrCompute('k', async () => {
      signal(begun);
      while (Atomics.load(new Int32Array(begun), 1) === 0) await sleep(5);
      process.exit();
    });
  },

  computeFenced({ begun }) {
    return cache.getOrCompute('k', async () => {
      signal(begun);
      while (Atomics.load(new Int32Array(begun), 1) === 0) await sleep(5);
      return 'old';
    });
  },
};

function signal(buffer) {
  const view = new Int32Array(buffer);
  Atomics.store(view, 0, 1);
  Atomics.notify(view, 0);
}

parentPort.on('message', ({ id, task, data }) => {
  tasks[task](data).then(
    (result) => parentPort.postMessage({ id, result }),
    (error) => parentPort.postMessage({ id, error: error ?? new Error('rejected with nothing') }),
  );
});
