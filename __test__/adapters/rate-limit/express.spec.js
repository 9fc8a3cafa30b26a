// express-rate-limit and hono-rate-limiter over the store: the limit holds across instances, windows end, counters are
// reset, and while Redis is away each process counts for itself.
'use strict';

const express = require('express');
const { rateLimit } = require('express-rate-limit');
const { Hono } = require('hono');
const { rateLimiter } = require('hono-rate-limiter');
const { RateLimitStore } = require('holdfast/rate-limit');
const { serverForAll } = require('../../support/redis-server');
const { silent } = require('../../support/holdfast');
const { until, untilMode } = require('../../support/until');
const { connected } = require('../support/modes');
const { servesThroughOutage } = require('../support/example');

const server = serverForAll();
const stores = [];
const listening = [];

async function makeStore({ windowMs = 60_000, ...options } = {}) {
  const store = new RateLimitStore({ url: server.url(), timeoutMs: 5_000, logger: silent(), ...options });
  stores.push(store);
  store.init({ windowMs });
  if (options.url !== '') await connected(store.cache);
  return store;
}

/** An Express application with a limit; `ask(client)` resolves to the response. */
async function serve(store, options = {}) {
  const app = express();
  const keyGenerator = (request) => request.headers['x-client'];
  app.use(rateLimit({ store, windowMs: 60_000, limit: 3, standardHeaders: 'draft-6', keyGenerator, ...options }));
  app.get('/', (_, response) => response.send('ok'));
  app.get('/broken', (_, response) => response.status(400).send('no'));
  const http = await new Promise((resolve) => {
    const started = app.listen(0, '127.0.0.1', () => resolve(started));
  });
  listening.push(http);
  const origin = `http://127.0.0.1:${http.address().port}`;
  return async (client, path = '/') => fetch(origin + path, { headers: { 'x-client': client } });
}

const statusesOf = async (calls) => {
  const statuses = [];
  for (const call of calls) statuses.push((await call()).status);
  return statuses;
};

beforeEach(() => server.cli('flushall'));
afterEach(async () => {
  for (const http of listening.splice(0)) {
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  }
  await Promise.all(stores.splice(0).map((store) => store.shutdown()));
});

test('a limit holds across instances', async () => {
  // Two addresses of one Redis: nothing is shared in the process.
  const [one, two] = await Promise.all([makeStore(), makeStore({ url: `unix:${server.socket}` })]);
  const [askOne, askTwo] = [await serve(one), await serve(two)];
  const both = [askOne, askTwo, askOne, askTwo, askOne].map((ask) => () => ask('ada'));
  expect(await statusesOf(both)).toEqual([200, 200, 200, 429, 429]);
  expect(await server.cli('get', 'rl:ada')).toBe('5');
  expect((await askTwo('bob')).status).toBe(200);
});

test('the requests of one moment are all counted, once each', async () => {
  const [one, two] = await Promise.all([makeStore(), makeStore({ url: `unix:${server.socket}` })]);
  const asks = [await serve(one), await serve(two)];
  const responses = await Promise.all(Array.from({ length: 20 }, (_, at) => asks[at % 2]('ada')));
  expect(responses.filter(({ status }) => status === 200)).toHaveLength(3);
});

test('a window begins with the first request, is not prolonged by others, and is told to the client', async () => {
  const ask = await serve(await makeStore());
  const first = await ask('ada');
  expect(Number(first.headers.get('ratelimit-reset'))).toBeGreaterThan(30);
  expect(Number(first.headers.get('ratelimit-reset'))).toBeLessThanOrEqual(60);
  await server.cli('pexpire', 'rl:ada', '20000');
  const second = await ask('ada');
  expect(second.headers.get('ratelimit-remaining')).toBe('1');
  expect(Number(second.headers.get('ratelimit-reset'))).toBeLessThanOrEqual(20);
  expect(Number(await server.cli('pttl', 'rl:ada'))).toBeLessThanOrEqual(20_000);
  await server.cli('del', 'rl:ada'); // as its end does
  expect((await ask('ada')).headers.get('ratelimit-remaining')).toBe('2');
});

test('what a limiter does not count is taken back', async () => {
  const store = await makeStore();
  const ask = await serve(store, { skipFailedRequests: true });
  // Taken back behind the response.
  const untilCount = (count) => until(async () => (await store.get('ada'))?.totalHits === count, `it is ${count}`);
  for (let call = 0; call < 3; call++) {
    expect((await ask('ada', '/broken')).status).toBe(400);
    await untilCount(0);
  }
  expect(await statusesOf(Array.from({ length: 4 }, () => () => ask('ada')))).toEqual([200, 200, 200, 429]);
  await untilCount(3);
});

test('a request that is taken back when its window is over does not begin one', async () => {
  const store = await makeStore();
  await store.decrement('ada');
  expect(await server.cli('exists', 'rl:ada')).toBe('0');
  await store.increment('ada');
  await store.decrement('ada');
  expect(await store.get('ada')).toMatchObject({ totalHits: 0 });
});

test('counters can be looked at and reset, one or all, and nothing else is removed', async () => {
  const store = await makeStore();
  for (const key of ['a', 'a', 'b', 'c']) await store.increment(key);
  await server.cli('set', 'bull:queue', 'kept');
  const { totalHits, resetTime } = await store.get('a');
  expect(totalHits).toBe(2);
  expect(resetTime.getTime()).toBeGreaterThan(Date.now());
  await store.resetKey('a');
  expect(await store.get('a')).toBeUndefined();
  expect(await store.get('b')).toMatchObject({ totalHits: 1 });
  await store.resetAll();
  expect(await server.cli('keys', '*')).toBe('bull:queue');
});

test('a counter without an end, as another client may leave it, is given one', async () => {
  const store = await makeStore();
  await server.cli('set', 'rl:ada', '7');
  const { totalHits, resetTime } = await store.increment('ada');
  expect(totalHits).toBe(8);
  expect(resetTime.getTime()).toBeLessThanOrEqual(Date.now() + 60_000);
  expect(Number(await server.cli('pttl', 'rl:ada'))).toBeGreaterThan(0);
});

test.each([
  ['empty', ''],
  ['very long', 'x'.repeat(100_000)],
  ['not well-formed', '\ud800'],
])('a client whose key is %s is counted like any other', async (_, key) => {
  const store = await makeStore();
  expect(await store.increment(key)).toMatchObject({ totalHits: 1 });
  expect(await store.increment(key)).toMatchObject({ totalHits: 2 });
  expect((await server.cli('keys', '*')).length).toBeLessThan(600);
});

test('limiters with namespaces of their own count apart', async () => {
  const [api, login] = await Promise.all([makeStore({ namespace: 'api' }), makeStore({ namespace: 'login' })]);
  await api.increment('ada');
  expect(await login.get('ada')).toBeUndefined();
  expect([api.prefix, login.prefix]).toEqual(['api:', 'login:']);
});

test('while Redis is away each process counts for itself, and no request fails', async () => {
  const store = await makeStore({ timeoutMs: 250 });
  const ask = await serve(store);
  expect((await ask('ada')).status).toBe(200);
  await server.kill('SIGSTOP');
  const calls = Array.from({ length: 5 }, () => () => ask('ada'));
  expect(await statusesOf(calls)).toEqual([200, 200, 200, 429, 429]);
  await untilMode(store.cache, 'memory');
  expect((await ask('ada')).status).toBe(429);
  await server.kill('SIGCONT');
  await untilMode(store.cache, 'redis');
  expect([200, 429]).toContain((await ask('ada')).status);
});

test('in memory mode the limit is that of the process', async () => {
  const ask = await serve(await makeStore({ url: '', namespace: 'in-memory' }));
  expect(await statusesOf(Array.from({ length: 4 }, () => () => ask('ada')))).toEqual([200, 200, 200, 429]);
});

test('hono-rate-limiter counts with it', async () => {
  const app = new Hono();
  const keyGenerator = (context) => context.req.header('x-client');
  app.use(rateLimiter({ store: await makeStore({ namespace: 'hono' }), windowMs: 60_000, limit: 2, keyGenerator }));
  app.get('/', (context) => context.text('ok'));
  const ask = (client) => app.request('/', { headers: { 'x-client': client } });
  expect(await statusesOf(['ada', 'ada', 'ada', 'bob'].map((client) => () => ask(client)))).toEqual([
    200, 200, 429, 200,
  ]);
  expect(await server.cli('get', 'hono:ada')).toBe('3');
});

test('examples/rate-limit serves through an outage', async () => {
  await servesThroughOutage('rate-limit', ['/'], {
    allowed: [200, 429],
    check: (answers) => expect(answers.some(([, status]) => status === 429)).toBe(true),
  });
});
