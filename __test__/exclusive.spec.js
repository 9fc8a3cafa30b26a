// runExclusive across processes and threads: one run at a time, whoever dies, is stopped, or loses the lease.
'use strict';

const { computation } = require('./support/computation');
const { closeCaches, expectCode, freshNamespace, openCache } = require('./support/holdfast');
const { serverForAll, startRedis } = require('./support/redis-server');
const { runForJson, startScript } = require('./support/run-script');
const { until, untilRenewed } = require('./support/until');

const server = serverForAll();
const denied = serverForAll({ acl: ['user plain on >pass ~* &* +@all -@scripting'] });
let namespace;
beforeEach(() => {
  namespace = freshNamespace();
});
afterEach(() => closeCaches());

const LONG = { wait: Infinity };
// As by another process: an engine of its own, with a table of its own.
const connected = (options) => openCache({ url: server.url(), namespace, ...options });
const elsewhere = (options) => openCache({ url: `unix:${server.socket}`, namespace, ...options });

/** Runs a function under the name `n` until `open`; `signal` is what it was given. */
async function holding(cache, options) {
  const held = computation();
  held.running = cache.runExclusive(
    'n',
    (context) => {
      held.signal = context.signal;
      return held.fn();
    },
    options,
  );
  await held.begun();
  return held;
}

const free = (cache) => cache.runExclusive('n', () => 'free', LONG);
const expectHeld = (cache) => expectCode(() => cache.runExclusive('n', () => 1), 'ERR_LEASE_HELD');

// Processes that add to a number which is only right if one adds at a time.
const CONTEND = `
  const { fork } = require('node:child_process');
  const { createCache } = require('holdfast');
  const [, , url, namespace, role] = process.argv;
  const cache = createCache({ url, namespace, nearCache: false, timeoutMs: 10000 });
  const add = async ({ signal }) => {
    const count = (await cache.get('count')) ?? 0;
    await cache.set('count', count + 1, Infinity);
    if (signal.aborted) throw signal.reason;
  };
  async function contend() {
    await cache.ready();
    await Promise.all(Array.from({ length: 100 }, () => cache.runExclusive('n', add, { ttl: 60, wait: Infinity })));
    await cache.close();
  }
  async function lead() {
    const children = [1, 2].map(() => fork(__filename, [url, namespace, 'contend']));
    const codes = await Promise.all(children.map((child) => new Promise((resolve) => child.once('exit', resolve))));
    console.log(JSON.stringify({ codes, count: await cache.get('count') }));
    await cache.close();
  }
  if (role === 'contend') contend();
  else lead();
`;

test('two processes add 200 times to a number, each time alone', async () => {
  const result = await runForJson(CONTEND, { args: [server.url(), namespace, 'lead'] });
  expect(result).toEqual({ codes: [0, 0], count: 200 });
});

test('so they do where scripts are denied', async () => {
  const result = await runForJson(CONTEND, { args: [plain(), namespace, 'lead'] });
  expect(result).toEqual({ codes: [0, 0], count: 200 });
});

// A process that holds the name and says so, and says what becomes of it.
const HOLD = `
  const { createCache } = require('holdfast');
  const [, , url, namespace, ttl] = process.argv;
  const cache = createCache({ url, namespace, timeoutMs: 10000 });
  cache.ready().then(async () => {
    await cache.runExclusive('n', async ({ signal }) => {
      console.log('held');
      await new Promise((resolve) => {
        signal.addEventListener('abort', resolve);
        setTimeout(() => {}, 2 ** 30);
      });
      console.log('lost ' + signal.reason.code);
    }, { ttl: Number(ttl), wait: 60 });
    console.log('over');
    await cache.close();
    process.exit();
  });
`;

/** `ttl`: of its lease. */
async function holder(ttl) {
  const script = startScript(HOLD, { args: [server.url(), namespace, `${ttl}`] });
  await script.says('held');
  return script;
}

test('a process that is killed frees the name when its ttl is over', async () => {
  const cache = await connected();
  const script = await holder(4);
  await expectHeld(cache);
  const next = free(cache);
  script.kill('SIGKILL');
  expect((await script.result).signal).toBe('SIGKILL');
  expect(await next).toBe('free');
});

test('a process that is stopped for longer than its ttl is told when it goes on, and does not end the lease of the next', async () => {
  const cache = await connected();
  const script = await holder(1);
  script.kill('SIGSTOP');
  const held = await holding(cache, { ttl: 600, wait: Infinity });
  script.kill('SIGCONT');
  await script.says('lost ERR_LEASE_LOST');
  await script.says('over');
  expect((await script.result).code).toBe(0);
  await expectHeld(await elsewhere());
  held.open(1);
  await held.running;
  expect(held.signal.aborted).toBe(false);
});

test('an event loop that is blocked for longer than its ttl loses the lease', async () => {
  const cache = await connected();
  const held = await holding(cache, { ttl: 1 });
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_100);
  await until(() => held.signal.aborted, 'the signal');
  expect(held.signal.reason).toMatchObject({ name: 'HoldfastError', code: 'ERR_LEASE_LOST' });
  expect(await free(await elsewhere())).toBe('free');
  // What the function makes of it is its own affair.
  held.open('late');
  expect(await held.running).toBe('late');
});

test('a lease that is gone from Redis is lost', async () => {
  const cache = await connected();
  const held = await holding(cache, { ttl: 3 });
  await server.cli('flushall');
  await until(() => held.signal.aborted, 'the signal');
  const other = await holding(await elsewhere(), { ttl: 600 });
  held.open(1);
  await held.running;
  // Its end is not that of the other one.
  await expectHeld(cache);
  other.open(2);
  expect(await other.running).toBe(2);
});

test('a lease that is lost may be had again in the same process, and its holder’s end is not that of the next', async () => {
  const cache = await connected();
  const held = await holding(cache, { ttl: 3 });
  await server.cli('flushall');
  await until(() => held.signal.aborted, 'the signal');
  // The calls of a thread have one line for each cache.
  const other = await holding(await connected(), { ttl: 600 });
  held.open(1);
  await held.running;
  await expectHeld(await elsewhere());
  other.open(2);
  expect(await other.running).toBe(2);
});

const plain = () => denied.url({ user: 'plain', password: 'pass' });
describe.each([
  ['with scripts', server, () => server.url(), () => `unix:${server.socket}`],
  ['without scripts', denied, plain, () => plain().replace('127.0.0.1', 'localhost')],
])('%s', (_, asked, first, second) => {
  // Lua has escapes for what no argument of a program may hold.
  const left = () => asked.cli('eval', `return redis.call('pttl', '${namespace}:\\0lease\\0n')`, '0');

  test('it is renewed while the function runs, gone behind it, and free at once', async () => {
    const [cache, other] = [
      await openCache({ url: first(), namespace }),
      await openCache({ url: second(), namespace }),
    ];
    const held = await holding(cache, { ttl: 3 });
    await untilRenewed(left);
    await expectHeld(other);
    expect(held.signal.aborted).toBe(false);
    held.open(1);
    await held.running;
    expect(await left()).toBe('-2');
    expect(await other.runExclusive('n', () => 'at once')).toBe('at once');
  });

  test('two engines take turns', async () => {
    const caches = [await openCache({ url: first(), namespace }), await openCache({ url: second(), namespace })];
    let [running, runs] = [0, 0];
    const fn = async () => {
      expect(++running).toBe(1);
      await caches[0].exists('k');
      runs++;
      running--;
    };
    await Promise.all(Array.from({ length: 40 }, (_, n) => caches[n % 2].runExclusive('n', fn, LONG)));
    expect(runs).toBe(40);
  });
});

test('what a server without memory for it refuses runs in this process, or not at all', async () => {
  const full = await startRedis({ config: ['maxmemory 1', 'maxmemory-policy noeviction'] });
  const cache = await openCache({ url: full.url(), namespace });
  expect(await cache.runExclusive('n', () => 'here')).toBe('here');
  await expectCode(() => cache.runExclusive('n', () => 1, { onOutage: 'reject' }), 'ERR_REDIS_UNAVAILABLE');
  // Nothing of it is left.
  expect(await cache.runExclusive('n', () => 'here')).toBe('here');
  await closeCaches();
  await full.stop();
});

test('a thread keeps the others of its process out, and frees the name when it ends', async () => {
  const { Worker } = require('node:worker_threads');
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { createCache } = require(workerData.root);
    const cache = createCache({ url: workerData.url, namespace: workerData.namespace, timeoutMs: 10000 });
    cache.ready().then(() => cache.runExclusive('n', () => {
      parentPort.postMessage('held');
      return new Promise(() => setTimeout(() => {}, 2 ** 30));
    }, { ttl: 4 }));
  `;
  const cache = await connected();
  const root = require.resolve('..');
  const worker = new Worker(source, { eval: true, workerData: { root, url: server.url(), namespace } });
  await new Promise((resolve) => worker.once('message', resolve));
  await expectHeld(cache);
  await worker.terminate();
  expect(await free(cache)).toBe('free');
});
