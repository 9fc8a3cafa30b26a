// Events and ready() while Redis comes and goes: what is told, to whom, and that nothing of it ends the process or lets
// it end too early.
'use strict';

const events = require('node:events');
const { closeCaches, makeCache, watch } = require('../../support/holdfast');
const { freePort, startRedis } = require('../../support/redis-server');
const { runForJson, runScript } = require('../../support/run-script');
const { until, untilMode } = require('../../support/until');

let server;
beforeEach(async () => {
  server = await startRedis();
});
afterEach(async () => {
  await closeCaches();
  await server.stop();
});

// Says something that changes nothing: this user may not use scripts.
const LIMITED = 'user limited on >pass ~* &* +@all -eval -evalsha -script';

test('ready() resolves with memory where Redis is not to be reached, and the event does not come before Redis does', async () => {
  const port = await freePort('127.0.0.1');
  const cache = makeCache({ url: `redis://127.0.0.1:${port}` });
  const { count } = watch(cache);
  expect(await cache.ready()).toBe('memory');
  expect(cache.getMode()).toBe('memory');
  await until(() => count('fallback') === 1);
  expect(count('ready')).toBe(0);
  const late = events.once(cache, 'ready');
  const started = await startRedis({ port });
  await late;
  expect(await cache.ready()).toBe('redis');
  await started.stop();
});

test('a script that awaits ready() does not end before it has an answer', async () => {
  const script = (options) => `
    const { createCache } = require('holdfast');
    createCache({ namespace: 'a', logger: null, ...${JSON.stringify(options)} })
      .ready()
      .then((mode) => console.log(JSON.stringify(mode)));`;
  expect(await runForJson(script({ url: server.url() }))).toBe('redis');
  expect(await runForJson(script({ url: '' }))).toBe('memory');
  expect(await runForJson(script({ url: `redis://127.0.0.1:${await freePort('127.0.0.1')}` }))).toBe('memory');
  const byDefault = `
    const { ready, once } = require('holdfast');
    ready().then((mode) => once('ready', () => console.log(JSON.stringify(mode))));`;
  expect(await runForJson(byDefault, { env: { REDIS_URL: server.url() } })).toBe('redis');
  expect(await runForJson(byDefault)).toBe('memory');
});

test('nor is the event missed where the connection comes up while the cache is being opened', async () => {
  const binding = require.resolve('../../../src/js/addon/native.js');
  // The engine's thread connects while the mode is looked at for the nth time.
  const script = (nth) => `
    const { createCache } = require('holdfast');
    const { CacheHandle } = require(${JSON.stringify(binding)});
    const { get } = Object.getOwnPropertyDescriptor(CacheHandle.prototype, 'mode');
    let looks = 0;
    Object.defineProperty(CacheHandle.prototype, 'mode', {
      get() {
        if (++looks === ${nth}) while (get.call(this) === 'initializing');
        return get.call(this);
      },
    });
    const cache = createCache({ namespace: 'a', url: ${JSON.stringify(server.url())}, logger: null, io: 'thread' });
    cache.ready().then((mode) => cache.once('ready', () => console.log(JSON.stringify(mode))));`;
  for (const nth of [1, 2, 3]) expect(await runForJson(script(nth))).toBe('redis');
});

test('a script that only listens to ready hears of it, or ends when the attempt has failed', async () => {
  const script = (url) => `
    const { createCache, once } = require('holdfast');
    const told = [];
    process.on('exit', () => console.log(JSON.stringify(told)));
    once('ready', () => told.push('the default cache'));
    const further = createCache({ namespace: 'a', url: ${JSON.stringify(url)}, logger: null });
    further.once('ready', () => told.push('a further cache'));
    further.on('fallback', () => told.push('fallback'));`;
  const both = expect.arrayContaining(['the default cache', 'a further cache']);
  expect(await runForJson(script(''))).toEqual(both);
  expect(await runForJson(script(server.url()), { env: { REDIS_URL: server.url() } })).toEqual(both);
  const nowhere = `redis://127.0.0.1:${await freePort('127.0.0.1')}`;
  expect(await runForJson(script(nowhere))).toEqual(expect.arrayContaining(['the default cache', 'fallback']));
  // Made while the connection that it shares is known to be down: nothing is to come.
  const late = `
    const { createCache } = require('holdfast');
    const make = () => createCache({ namespace: 'a', url: ${JSON.stringify(nowhere)}, logger: null });
    make().ready().then((mode) => {
      make().once('ready', () => {});
      console.log(JSON.stringify(mode));
    });`;
  expect(await runForJson(late)).toBe('memory');
});

test('ready() while the server hangs: memory, once the attempt has ended', async () => {
  await server.kill('SIGSTOP');
  const cache = makeCache({ url: server.url(), timeoutMs: 100 });
  expect(await cache.ready()).toBe('memory');
  await server.kill('SIGCONT');
  await untilMode(cache, 'redis');
  expect(await cache.ready()).toBe('redis');
});

test('close() ends those who wait for ready()', async () => {
  await server.kill('SIGSTOP');
  const cache = makeCache({ url: server.url(), timeoutMs: 60_000 });
  const waiting = cache.ready();
  await cache.close();
  await expect(waiting).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  await server.kill('SIGCONT');
});

test('removeAllListeners() takes nothing from those who wait for ready()', async () => {
  const cache = makeCache({ url: server.url() });
  const waiting = cache.ready();
  cache.removeAllListeners();
  expect(await waiting).toBe('redis');
});

test('events.once rejects with an error event that comes first; without a listener the event is nobody’s trouble', async () => {
  const limited = await startRedis({ acl: [LIMITED] });
  const url = limited.url({ user: 'limited', password: 'pass' });
  const result = await runScript(`
    const { once, errorMonitor } = require('node:events');
    const { createCache } = require('holdfast');
    const make = () => createCache({ namespace: 'a', url: ${JSON.stringify(url)}, logger: null });
    const alive = setInterval(() => {}, 1_000); // events alone keep no process alive
    (async () => {
      const [heard, monitored] = [make(), make()];
      const seen = new Promise((resolve) => monitored.on(errorMonitor, resolve));
      const reason = await once(heard, 'recovered').then(() => null, (error) => error);
      console.log(JSON.stringify({ reason: reason.message, left: heard.listenerCount('recovered'), seen: (await seen).kind }));
      await make().set('k', 1);
      clearInterval(alive);
    })();`);
  await limited.stop();
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(result.stdout)).toMatchObject({
    reason: expect.stringContaining('scripts'),
    left: 0,
    seen: 'denied',
  });
});

test('what a listener throws is an uncaught exception of its own: every call settles', async () => {
  const result = await runScript(`
    const { createCache } = require('holdfast');
    const uncaught = [];
    process.on('uncaughtException', (error) => uncaught.push(error.message));
    const cache = createCache({ namespace: 'a', url: ${JSON.stringify(server.url())}, logger: null });
    cache.on('ready', () => { throw new Error('on purpose'); });
    cache.ready().then(async (mode) => {
      await Promise.all(Array.from({ length: 100 }, (_, i) => cache.set('k' + i, i)));
      cache.once('ready', () => { throw new Error('late, on purpose'); });
      setImmediate(() => console.log(JSON.stringify({ mode, uncaught })));
    });`);
  expect(JSON.parse(result.stdout)).toEqual({ mode: 'redis', uncaught: ['on purpose', 'late, on purpose'] });
});
