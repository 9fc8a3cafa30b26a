// Servers that bill each command, or sleep while nobody is connected: `heartbeat`, `marks`, `lazy`.
'use strict';

const { closeCaches, expectThrows, makeCache, openCache, watch } = require('../../support/holdfast');
const { startRedis } = require('../../support/redis-server');
const { runForJson } = require('../../support/run-script');
const { until, untilMode } = require('../../support/until');

let server;
beforeEach(async () => {
  server = await startRedis();
});
afterEach(async () => {
  await closeCaches();
  await server.stop();
});

const IDLE_MS = 1_300;
const idle = () => new Promise((resolve) => setTimeout(resolve, IDLE_MS));

/** How often the server was sent a command, those of `redis-cli` not counted: it sends neither of these. */
async function countOf(command) {
  const stats = await server.cli('info', 'commandstats');
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

const connections = async () => (await server.cli('client', 'list')).match(/name=holdfast/g)?.length ?? 0;

test('an idle connection costs a PING a second, and none where that is not wanted', async () => {
  // The server is asked whether it is up by a PING.
  let before = await countOf('ping');
  const cache = await openCache({ url: server.url() });
  await until(async () => (await countOf('ping')) > before, 'a heartbeat');
  await cache.close();
  before = await countOf('ping');
  const quiet = await openCache({ url: server.url(), heartbeat: false });
  await idle();
  expect(await countOf('ping')).toBe(before);
  expect(await quiet.get('k')).toBeNull();
});

test('without a heartbeat a server that stopped is noticed by the next call', async () => {
  const cache = await openCache({ url: server.url(), heartbeat: false, timeoutMs: 200 });
  await server.kill('SIGSTOP');
  await idle();
  expect(cache.getMode()).toBe('redis');
  await cache.set('k', 1);
  await untilMode(cache, 'memory');
  expect(await cache.get('k')).toBe(1);
  await server.kill('SIGCONT');
  await untilMode(cache, 'redis');
});

test.each(['loop', 'thread'])('without marks no pipeline has one (%s)', async (io) => {
  const cache = await openCache({ url: server.url(), io, marks: false });
  await cache.set('k', [1]);
  expect(await cache.getMany(['k', 'l'])).toEqual([[1], null]);
  expect(await countOf('echo')).toBe(0);
  const marked = await openCache({ url: server.url(), io });
  await marked.get('k');
  expect(await countOf('echo')).toBeGreaterThan(0);
});

test.each(['loop', 'thread'])(
  'a lazy cache connects with its first call, or when it is to be ready (%s)',
  async (io) => {
    const cache = makeCache({ url: server.url(), io, lazy: true });
    const told = watch(cache);
    await idle();
    expect(cache.getMode()).toBe('initializing');
    expect(await connections()).toBe(0);
    await cache.set('k', 1);
    expect(await cache.get('k')).toBe(1);
    expect(cache.getMode()).toBe('redis');
    expect(await connections()).toBe(1);
    await cache.close();
    await until(async () => (await connections()) === 0, 'the end of the connection');
    const ready = makeCache({ url: server.url(), io, lazy: true });
    expect(await ready.ready()).toBe('redis');
    expect(told.count('fallback')).toBe(0);
  },
);

test('a lazy script that makes no call connects to nothing, and ends', async () => {
  const source = `
    const cache = require('holdfast');
    console.log(JSON.stringify({ mode: cache.getMode() }));`;
  const env = { REDIS_URL: server.url(), HOLDFAST_LAZY: '1', HOLDFAST_HEARTBEAT: '0', HOLDFAST_MARKS: '0' };
  expect(await runForJson(source, { env })).toEqual({ mode: 'initializing' });
});

test('nonsense is refused', () => {
  const url = server.url();
  for (const heartbeat of [0, -1, 0.01, NaN, Infinity, true, '1', 86_401])
    expectThrows(() => makeCache({ url, heartbeat }), 'ERR_CONFIG');
  for (const what of [{ marks: 0 }, { marks: 'no' }, { lazy: 1 }, { lazy: null }])
    expectThrows(() => makeCache({ url, ...what }), 'ERR_CONFIG');
});
