// forceFresh, validate, skip() and signals across processes and threads: what one caller decides for itself, and what
// becomes of those who wait for it elsewhere.
'use strict';

const { Worker } = require('node:worker_threads');
const { closeCaches, freshNamespace, makeCache, openCache } = require('./support/holdfast');
const { computation } = require('./support/computation');
const { serverForAll } = require('./support/redis-server');
const { runForJson } = require('./support/run-script');
const { until } = require('./support/until');

const WORKER = require.resolve('./support/cache-worker');

const server = serverForAll();
let namespace;
beforeEach(() => {
  namespace = freshNamespace();
});
afterEach(closeCaches);

// Caches of one URL share a connection and their computations, so another way to the server is another instance, as
// another process would be.
const instances = () =>
  Promise.all([server.url(), `unix:${server.socket}`].map((url) => openCache({ url, namespace })));
const notRun = () => {
  throw new Error('the function must not run');
};

/** Leaves the value `old` at `k`: its TTL is over, and it is kept for a minute more. */
async function leaveOld(cache) {
  await cache.getOrCompute('k', () => 'old', { ttl: 0.05, grace: 60 });
  await until(async () => (await cache.get('k')) === null, 'the TTL is over');
}

describe('forceFresh', () => {
  test('what another process had begun to compute is not the answer, and is not stored', async () => {
    const [here, there] = await instances();
    const before = computation();
    const elsewhere = there.getOrCompute('k', before.fn);
    await before.begun();
    expect(await here.getOrCompute('k', () => 'after', { forceFresh: true })).toBe('after');
    before.open('before');
    expect(await elsewhere).toBe('before');
    await there.exists('behind the store');
    for (const cache of [here, there]) await until(async () => (await cache.get('k')) === 'after');
  });

  test('nor what another process had begun to refresh', async () => {
    const [here, there] = await instances();
    await leaveOld(there);
    const refresh = computation();
    expect(await there.getOrCompute('k', refresh.fn, { swr: 60 })).toBe('old');
    await refresh.begun();
    expect(await here.getOrCompute('k', () => 'after', { forceFresh: true, swr: 60 })).toBe('after');
    refresh.open('before');
    await there.exists('behind the store');
    await until(async () => (await there.get('k')) === 'after');
    expect(await here.get('k')).toBe('after');
  });

  test('callers of other processes wait for it', async () => {
    const [here, there] = await instances();
    await here.set('k', 'old');
    const held = computation();
    const forced = here.getOrCompute('k', held.fn, { forceFresh: true });
    await held.begun();
    const elsewhere = there.getOrCompute('k', notRun);
    await there.exists('behind the question');
    held.open('new');
    expect(await Promise.all([forced, elsewhere])).toEqual(['new', 'new']);
  });
});

describe('validate', () => {
  test('two processes that refuse the same value compute once each at most, and one result stays', async () => {
    const caches = await instances();
    await caches[0].set('k', 'refused');
    await until(async () => (await caches[1].get('k')) === 'refused');
    const fn = jest.fn(() => 'taken');
    const options = { validate: (value) => value === 'taken' };
    const calls = caches.flatMap((cache) => Array.from({ length: 50 }, () => cache.getOrCompute('k', fn, options)));
    expect(await Promise.all(calls)).toEqual(Array(100).fill('taken'));
    expect(fn.mock.calls.length).toBeLessThanOrEqual(2);
    for (const cache of caches) await until(async () => (await cache.get('k')) === 'taken');
  });
});

describe('skip', () => {
  test('who waits in another process computes for itself', async () => {
    const [here, there] = await instances();
    const held = computation();
    const skipping = here.getOrCompute('k', async ({ skip }) => {
      skip();
      return held.fn();
    });
    await held.begun();
    const elsewhere = there.getOrCompute('k', () => 'stored');
    await there.exists('behind the question');
    held.open('skipped');
    expect(await skipping).toBe('skipped');
    expect(await elsewhere).toBe('stored');
    expect(await there.get('k')).toBe('stored');
  });

  test('so does who waits in another thread', async () => {
    const cache = makeCache({ namespace });
    const worker = new Worker(WORKER, { workerData: { url: '', namespace } });
    const ask = (task, data) =>
      new Promise((resolve) => {
        worker.once('message', resolve);
        worker.postMessage({ id: 1, task, data });
      });
    try {
      const held = computation();
      const skipping = cache.getOrCompute('k', async ({ skip }) => {
        skip();
        return held.fn();
      });
      await held.begun();
      await ask('ask', { key: 'k' });
      await ask('get', 'behind the question');
      held.open('skipped');
      expect(await skipping).toBe('skipped');
      await until(async () => (await cache.get('k')) === 'from a worker');
    } finally {
      await worker.terminate();
    }
  });
});

describe('a signal', () => {
  test('told to stop, a function leaves the key to who waits in another process', async () => {
    const [here, there] = await instances();
    const caller = new AbortController();
    const held = computation();
    const heeding = ({ signal }) => {
      signal.addEventListener('abort', () => held.fail(signal.reason));
      return held.fn();
    };
    const mine = here.getOrCompute('k', heeding, { signal: caller.signal });
    await held.begun();
    const elsewhere = there.getOrCompute('k', () => 'computed there');
    await there.exists('behind the question');
    caller.abort(new Error('left'));
    await expect(mine).rejects.toThrow('left');
    expect(await elsewhere).toBe('computed there');
  });

  test('that is not heeded changes nothing for who waits in another process', async () => {
    const [here, there] = await instances();
    const caller = new AbortController();
    const held = computation();
    const mine = here.getOrCompute('k', held.fn, { signal: caller.signal });
    await held.begun();
    const elsewhere = there.getOrCompute('k', notRun);
    await there.exists('behind the question');
    caller.abort(new Error('left'));
    await expect(mine).rejects.toThrow('left');
    held.open('computed here');
    expect(await elsewhere).toBe('computed here');
  });

  // In a process of its own: Jest takes uncaught exceptions for itself.
  const THROWING = `
    const { createCache } = require('holdfast');
    const cache = createCache({ namespace: 'throwing', url: '' });
    const thrown = [];
    process.on('uncaughtException', (error) => thrown.push(error.message));
    const caller = new AbortController();
    const heeding = ({ signal }) => new Promise(() => {
      signal.addEventListener('abort', () => {
        throw new Error('the listener');
      });
      setImmediate(() => caller.abort('left'));
    });
    const { signal } = caller;
    signal.addEventListener('abort', () => {
      throw new Error('the caller');
    });
    const calls = [1, 2, 3].map(() => cache.getOrCompute('k', heeding, { signal }).catch((reason) => reason));
    Promise.all(calls).then(async (results) => {
      const next = await cache.getOrCompute('k', () => 'next');
      await cache.close();
      console.log(JSON.stringify({ results, next, thrown: thrown.sort() }));
    });
  `;

  test('whose listeners throw keeps no call from settling', async () => {
    const result = await runForJson(THROWING);
    expect(result).toEqual({
      results: ['left', 'left', 'left'],
      next: 'next',
      thrown: ['the caller', 'the listener'],
    });
  });
});
