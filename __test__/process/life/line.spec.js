// The event loop's own line (`io: 'loop'`): who has the socket, when it moves, and what a blocked event loop misses.
'use strict';

const fs = require('node:fs');
const { Worker } = require('node:worker_threads');
const {
  closeCaches,
  expectThrows,
  freshNamespace,
  makeCache,
  openCache,
  openWatched,
  stateOf,
  watch,
} = require('../../support/holdfast');
const { startRedis } = require('../../support/redis-server');
const { runForJson, runScript } = require('../../support/run-script');
const { until, untilMode } = require('../../support/until');

const WORKER = require.resolve('../../support/cache-worker');

let server;
beforeAll(async () => {
  server = await startRedis();
});
afterEach(closeCaches);
afterAll(() => server.stop());

/** The socket of a cache in this event loop, or null. */
const socketOf = (cache) => stateOf(cache).channel.line?.socket ?? null;

function block(ms) {
  const end = process.hrtime.bigint() + BigInt(ms) * 1_000_000n;
  while (process.hrtime.bigint() < end);
}

/** Sockets that this process has open. */
const countSockets = () =>
  fs.readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false;
    }
  }).length;

/** A worker that has opened a cache on the server. */
async function startWorker(namespace) {
  const worker = new Worker(WORKER, { workerData: { url: server.url(), namespace, io: 'loop' } });
  const answer = new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  worker.postMessage({ id: 1, task: 'mode', data: 'redis' });
  await answer;
  return worker;
}

test('the event loop has the socket with auto and loop, and the engine’s thread with thread', async () => {
  expect(socketOf(await openCache({ url: server.url(), io: 'thread' }))).toBeNull();
  await closeCaches();
  const cache = await openCache({ url: server.url(), io: 'auto' });
  const socket = socketOf(cache);
  expect(socket.remotePort).toBe(server.port);
  const further = await openCache({ url: server.url(), io: 'loop' });
  expect(socketOf(further)).toBe(socket);
  await cache.close();
  await further.set('k', 1);
  expect(await further.get('k')).toBe(1);
  await further.close();
  await until(() => socket.destroyed, 'the end of the connection');
  expectThrows(() => makeCache({ io: 'loops' }), 'ERR_CONFIG');
});

test.each([
  ['leave a descriptor alone, as Bun’s', '() => new Socket()'],
  ['refuse one', "() => { throw new TypeError('no such option'); }"],
])('where the sockets of a runtime %s, the engine’s thread has the socket', async (_, way) => {
  const script = `
    const fs = require('node:fs');
    const net = require('node:net');
    const { Socket } = net;
    const way = ${way};
    const link = (fd) => fs.readlinkSync('/proc/self/fd/' + fd);
    let tried = null;
    net.Socket = function ({ fd, ...options }) {
      // What is printed goes through the first ones.
      if (fd < 3) return new Socket({ fd, ...options });
      tried = link(fd);
      return way();
    };
    const { createCache } = require('holdfast');
    const cache = createCache({ url: ${JSON.stringify(server.url())}, namespace: 'a', io: 'loop', logger: null });
    const left = fs.readdirSync('/proc/self/fd').filter((fd) => fs.existsSync('/proc/self/fd/' + fd)).map(link);
    (async () => {
      const mode = await cache.ready();
      await cache.set('k', 1);
      console.log(JSON.stringify({ mode, value: await cache.get('k'), tried: tried !== null, left: left.includes(tried) }));
    })();`;
  expect(await runForJson(script)).toEqual({ mode: 'redis', value: 1, tried: true, left: false });
});

test('a connection that comes when the module registry gives nothing any more is taken', async () => {
  const cache = await openCache({ url: server.url(), io: 'loop' });
  jest.doMock('node:net', () => {
    throw new Error('the test environment has been torn down');
  });
  try {
    await server.restart();
    await until(async () => {
      await cache.set('k', 1);
      return cache.getMode() === 'redis' && (await cache.get('k')) === 1;
    }, 'the second connection');
    expect(socketOf(cache)).not.toBeNull();
  } finally {
    jest.dontMock('node:net');
  }
});

test('what the socket does not take at once is written in its order', async () => {
  const cache = await openCache({ url: server.url(), io: 'loop', nearCache: false });
  await server.kill('SIGSTOP');
  const large = 'x'.repeat(1 << 20);
  const calls = Array.from({ length: 24 }, (_, i) => cache.set(`k${i}`, `${i}${large}`));
  calls.push(cache.set('k0', 'the last one'));
  await until(() => socketOf(cache).writableLength > 0, 'the socket is full');
  const behind = cache.get('k0');
  await server.kill('SIGCONT');
  await Promise.all(calls);
  expect(await behind).toBe('the last one');
  for (let i = 1; i < 24; i++) expect(await cache.get(`k${i}`)).toBe(`${i}${large}`);
  expect(cache.getMode()).toBe('redis');
});

test('replies that came while the event loop was blocked are not too late', async () => {
  const { cache, told } = await openWatched({ url: server.url(), io: 'loop', timeoutMs: 250, nearCache: false });
  await cache.set('k', 'v');
  for (let round = 0; round < 3; round++) {
    const read = cache.get('k');
    // It is written in this turn.
    await new Promise((resolve) => setImmediate(resolve));
    block(600);
    expect(await read).toBe('v');
  }
  expect(told.count('fallback')).toBe(0);
});

test('nor is a connection that came up meanwhile', async () => {
  const cache = makeCache({ url: server.url(), io: 'loop' });
  const told = watch(cache);
  // Longer than a dial may take.
  block(3_300);
  expect(await cache.ready()).toBe('redis');
  expect(told.count('fallback')).toBe(0);
});

test('what is held is not served before a busy event loop has looked at its socket', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: server.url(), namespace, io: 'loop' });
  await cache.set('k', 1);
  await until(async () => (await cache.get('k')) === 1 && stateOf(cache).hot.hits > 0, 'a hot value');
  const { line } = stateOf(cache).channel;
  const said = new Int32Array(new SharedArrayBuffer(4));
  const writes = `
    const { workerData: { port, key, said } } = require('node:worker_threads');
    const socket = require('node:net').connect(port);
    socket.write('SET ' + key + ' 2\\r\\n');
    socket.once('data', () => { Atomics.store(said, 0, 1); Atomics.notify(said, 0); socket.destroy(); });`;
  const worker = new Worker(writes, { eval: true, workerData: { port: server.port, key: `${namespace}:k`, said } });
  // The event loop is blocked while another client writes the key.
  expect(Atomics.wait(said, 0, 0, 20_000)).not.toBe('timed-out');
  block(25);
  expect(await cache.get('k')).toBe(2);
  expect(stateOf(cache).channel.line).toBe(line);
  await worker.terminate();
});

test('an idle event loop does not lose what is hot', async () => {
  const cache = await openCache({ url: server.url(), io: 'loop' });
  await cache.set('k', 1);
  const hot = () => stateOf(cache).hot.hits;
  await until(async () => (await cache.get('k')) === 1 && hot() > 0, 'a hot value');
  const before = hot();
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(await cache.get('k')).toBe(1);
  expect(hot()).toBe(before + 1);
});

test('with spin the event loop stays awake behind a call, until its reply or as long as was said', async () => {
  const cache = await openCache({ url: server.url(), io: 'loop', spin: 1000, nearCache: false, timeoutMs: 100 });
  const { line } = stateOf(cache).channel;
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  // A busy machine may take the processor away for longer than the millisecond for which it stays awake: so not each.
  let awake = 0;
  for (let i = 0; i < 100; i++) {
    const set = cache.set('k', i);
    await turn();
    if (line.awake) awake++;
    await set;
    expect(await cache.get('k')).toBe(i);
  }
  expect(awake).toBeGreaterThan(0);
  await until(() => !line.awake, 'rest, as nothing is under way');
  await server.kill('SIGSTOP');
  const read = cache.get('k');
  await until(() => !line.awake, 'rest, though there is no reply');
  expect(await read).toBe(null);
  await server.kill('SIGCONT');
  for (const spin of [-1, 1001, NaN, '5', {}]) expectThrows(() => makeCache({ spin }), 'ERR_CONFIG');
});

test('a second thread moves the connection to the engine’s, without an outage', async () => {
  const namespace = freshNamespace();
  const { cache, told } = await openWatched({ url: server.url(), namespace, io: 'loop' });
  let stop = false;
  let calls = 0;
  const loop = (async () => {
    for (; !stop; calls++) {
      await cache.set('k', calls);
      expect(await cache.get('k')).toBe(calls);
    }
  })();
  await until(() => calls > 100, 'calls');
  const sockets = countSockets();
  const worker = await startWorker(namespace);
  await until(() => socketOf(cache) === null, 'the socket has moved');
  const before = calls;
  await until(() => calls > before + 100, 'calls go on');
  stop = true;
  await loop;
  await worker.terminate();
  if (process.platform === 'linux') {
    // The event loop's is closed, its descriptor's copy too; the engine's thread has one in its place.
    await until(() => countSockets() <= sockets, 'the end of the socket that moved');
  }
  await cache.set('k', 'after');
  expect(await cache.get('k')).toBe('after');
  expect(told.events.map(([event]) => event)).toEqual(['ready']);
});

test('a worker is not kept waiting by a main thread that is blocked', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: server.url(), namespace, io: 'loop' });
  const worker = new Worker(WORKER, { workerData: { url: server.url(), namespace, io: 'loop' } });
  const done = new SharedArrayBuffer(4);
  const state = new Int32Array(done);
  worker.postMessage({ id: 1, task: 'setThenTell', data: done });
  const read = cache.get('k');
  // Blocked until the worker has written, whose connection this thread had.
  expect(Atomics.wait(state, 0, 0, 20_000)).not.toBe('timed-out');
  expect(await read).toBeNull();
  expect(await cache.get('from')).toBe('the worker');
  await worker.terminate();
});

test('workers that have the connection end at any moment, and the next one gets its own', async () => {
  const namespace = freshNamespace();
  for (let round = 0; round < 20; round++) {
    const worker = await startWorker(namespace);
    worker.postMessage({ id: 2, task: 'flood', data: 500 });
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 10));
    await worker.terminate();
  }
  const cache = await openCache({ url: server.url(), namespace, io: 'loop' });
  await cache.set('k', 1);
  expect(await cache.get('k')).toBe(1);
  expect(socketOf(cache)).not.toBeNull();
});

test('a server that stops is an outage by the deadline, and its return needs nobody', async () => {
  const cache = await openCache({ url: server.url(), io: 'loop', timeoutMs: 200 });
  await cache.set('k', 1);
  await server.kill('SIGSTOP');
  await cache.set('k', 2);
  await untilMode(cache, 'memory');
  expect(await cache.get('k')).toBe(2);
  await server.kill('SIGCONT');
  await untilMode(cache, 'redis');
  expect(await cache.get('k')).toBeNull();
});

test('a script ends by itself', async () => {
  const source = `
    const { createCache } = require('holdfast');
    const cache = createCache({ url: ${JSON.stringify(server.url())}, namespace: 'a', io: 'loop', logger: null });
    cache.set('k', 1).then(() => cache.get('k')).then((value) => console.log(value));`;
  const { code, stdout, hung } = await runScript(source);
  expect({ code, stdout, hung }).toEqual({ code: 0, stdout: '1\n', hung: false });
});
