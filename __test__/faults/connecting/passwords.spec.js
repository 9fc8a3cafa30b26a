// `password` as a function: asked before each dial, whatever it does.
'use strict';

const { inspect } = require('node:util');
const { setFlagsFromString } = require('node:v8');
const { runInNewContext } = require('node:vm');
const { Worker } = require('node:worker_threads');
const { ROOT, closeCaches, expectThrows, holdfast, makeCache, recorder, watch } = require('../../support/holdfast');
const { startSentinels } = require('../../support/fleet/sentinels');
const { startRedis } = require('../../support/redis-server');
const { runForJson } = require('../../support/run-script');
const { sleep, until, untilMode } = require('../../support/until');

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

const IOS = ['loop', 'thread'];

let server;
beforeEach(async () => {
  server = await startRedis({ acl: ['user app on >token-1 ~* &* +@all'] });
});
afterEach(async () => {
  jest.useRealTimers();
  await closeCaches();
  await server.stop();
});

/** The URL without a password: the function gives it. */
const url = () => `redis://app@${server.host}:${server.port}`;

/** A function that gives what `token` is, and how often it was called. */
function vault(token) {
  const of = () => {
    of.calls++;
    return of.token;
  };
  return Object.assign(of, { token, calls: 0 });
}

const rotate = (token) => server.cli('acl', 'setuser', 'app', 'resetpass', `>${token}`);
const clients = async () =>
  (await server.cli('client', 'list')).split('\n').filter((line) => line.includes('user=app'));
async function endConnections() {
  for (const line of await clients()) await server.cli('client', 'kill', 'id', /id=(\d+)/.exec(line)[1]);
}

describe.each(IOS)('%s', (io) => {
  test('it is asked at each dial, and never for a connection that works', async () => {
    const password = vault('token-1');
    const cache = makeCache({ url: url(), io, password });
    await untilMode(cache, 'redis');
    for (const token of ['token-2', 'token-3']) {
      await rotate(token);
      // The connection that works goes on, whatever the password is now.
      await cache.set('k', token);
      expect(await cache.get('k')).toBe(token);
      const { calls } = password;
      password.token = token;
      const { reconnects } = (await cache.getStats()).redis;
      await endConnections();
      await until(async () => (await cache.getStats()).redis?.reconnects > reconnects, 'another connection');
      await untilMode(cache, 'redis');
      expect(password.calls).toBe(calls + 1);
      expect(await cache.get('k')).toBe(token);
    }
  });

  test('a token that has expired is refused, and the next one is tried by itself', async () => {
    const password = vault('expired');
    const cache = makeCache({ url: url(), io, password });
    await until(() => cache.health().lastError?.kind === 'auth', 'it is refused');
    expect(cache.health().lastError.message).toMatch(/refused the user or password/);
    password.token = Promise.resolve('token-1');
    await untilMode(cache, 'redis');
    expect(password.calls).toBeGreaterThan(1);
  });

  const SECRET = 'the-secret-of-the-vault';
  const fail = () => {
    throw new Error(SECRET);
  };
  const THREW = /threw, or its promise was rejected/;
  const FAULTS = [
    ['throws', fail, THREW],
    ['rejects', () => Promise.reject(new Error(SECRET)), THREW],
    ['rejects with nothing', () => Promise.reject(), THREW],
    ['gives a thenable that throws', () => Object.defineProperty({}, 'then', { get: fail }), THREW],
    ['never settles', () => new Promise(() => {}), /gave nothing in time/],
    ['gives undefined', () => undefined, /gave no text/],
    ['gives a Buffer', () => Buffer.from(SECRET), /gave no text/],
    ['gives a number', async () => 7, /gave no text/],
    ['gives an empty text', () => '', /gave no text/],
    ['gives lone surrogates', () => `${SECRET}\ud800`, /refused the user or password/],
    ['gives line breaks', () => `${SECRET}\r\nFLUSHALL`, /refused the user or password/],
    ['gives a megabyte', () => SECRET.repeat(40_000), /refused the user or password/],
  ];

  test.each(FAULTS)('a function that %s: memory mode with the reason, and nobody waits', async (_, fault, words) => {
    let isMended = false;
    const logger = recorder();
    const password = () => (isMended ? 'token-1' : fault());
    const cache = makeCache({ url: url(), io, password, logger, timeoutMs: 250 });
    const told = watch(cache);
    await cache.set('k', 1);
    expect(await cache.get('k')).toBe(1);
    await until(() => cache.health().lastError?.kind === 'auth', 'the reason', 20_000);
    expect(cache.health()).toMatchObject({ mode: 'memory', lastError: { message: expect.stringMatching(words) } });
    await until(() => told.count('fallback') === 1, 'fallback');
    expect((await cache.getStats()).errors.auth).toBeGreaterThan(0);
    const shown = inspect([cache, cache.health(), await cache.getStats(), logger.lines, told.events], { depth: 9 });
    expect(shown).not.toMatch(SECRET);
    isMended = true;
    await untilMode(cache, 'redis');
    expect(await cache.get('k')).toBeNull();
  });

  test('caches with the same function share a connection, others do not', async () => {
    const [one, other] = [vault('token-1'), vault('token-1')];
    const caches = [one, one, other].map((password) => makeCache({ url: url(), io, password }));
    await Promise.all(caches.map((cache) => untilMode(cache, 'redis')));
    expect([(await clients()).length, one.calls, other.calls]).toEqual([2, 1, 1]);
  });

  test('under fake timers', async () => {
    jest.useFakeTimers();
    const cache = makeCache({ url: url(), io, password: async () => 'token-1' });
    expect(await cache.ready()).toBe('redis');
    await cache.set('k', 1);
    expect(await cache.get('k')).toBe(1);
  });

  test('a function that nobody else holds is not forgotten', async () => {
    const options = { namespace: 'n', url: url(), io, logger: null, password: () => 'token-1' };
    const cache = holdfast.createCache(options);
    await untilMode(cache, 'redis');
    delete options.password;
    for (let n = 0; n < 3; n++) {
      collect();
      await sleep(20);
    }
    await endConnections();
    await until(async () => (await cache.getStats()).redis?.reconnects > 0, 'another connection');
    await untilMode(cache, 'redis');
    await cache.close();
  });

  test('a lazy cache asks with its first call', async () => {
    const password = vault('token-1');
    const cache = makeCache({ url: url(), io, password, lazy: true });
    expect(password.calls).toBe(0);
    await cache.set('k', 1);
    expect([await cache.get('k'), password.calls]).toEqual([1, 1]);
  });

  test('to a server without HELLO, which is dialled twice', async () => {
    const old = await startRedis({ acl: ['user app on >token-1 ~* &* +@all'], config: ['rename-command HELLO ""'] });
    const password = vault('token-1');
    const cache = makeCache({ url: `redis://app@${old.host}:${old.port}`, io, password });
    await untilMode(cache, 'redis');
    await cache.set('k', 1);
    expect([await cache.get('k'), password.calls]).toEqual([1, 2]);
    await cache.close();
    await old.stop();
  });

  test('the process ends, whatever the function waits for', async () => {
    const source = `
      const { createCache } = require('holdfast');
      const { url, io } = JSON.parse(process.env.GIVEN);
      const cache = createCache({ namespace: 'n', url, io, logger: null, password: () => new Promise(() => {}) });
      cache.set('k', 1).then(() => cache.get('k')).then((value) => console.log(JSON.stringify({ value })));`;
    expect(await runForJson(source, { env: { GIVEN: JSON.stringify({ url: url(), io }) } })).toEqual({ value: 1 });
  });
});

test('behind sentinels the function gives the password of the servers', async () => {
  const fleet = await startSentinels({ password: 'of-the-servers' });
  const nodes = fleet.sentinels.map(({ host, port }) => ({ host, port }));
  const password = vault('of-the-servers');
  const cache = makeCache({ sentinel: { nodes, name: fleet.name }, password });
  await untilMode(cache, 'redis');
  await cache.set('k', 1);
  expect([await cache.get('k'), password.calls > 0]).toEqual([1, true]);
  await cache.close();
  await fleet.stop();
});

test('a thread that ends while its function is asked takes nothing with it', async () => {
  const source = `
    const { createCache } = require(${JSON.stringify(ROOT)});
    const { parentPort, workerData: { url } } = require('node:worker_threads');
    const password = () => { parentPort.postMessage('asked'); return new Promise(() => {}); };
    globalThis.cache = createCache({ namespace: 'n', url, logger: null, password });
    setInterval(() => {}, 1_000);`;
  for (let n = 0; n < 5; n++) {
    const worker = new Worker(source, { eval: true, workerData: { url: url() } });
    await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
  }
  const cache = makeCache({ url: url(), password: () => 'token-1' });
  await untilMode(cache, 'redis');
  await until(async () => (await clients()).length === 1, 'the connections of the threads are closed');
});

test('nonsense is refused', () => {
  for (const password of [null, 1, {}, [], Buffer.from('p'), Symbol('p')])
    expectThrows(() => makeCache({ url: url(), password }), 'ERR_CONFIG');
  const sentinel = { nodes: ['127.0.0.1:1'], name: 'm', password: () => 'p' };
  expectThrows(() => makeCache({ url: undefined, sentinel }), 'ERR_CONFIG');
});
