// @fastify/rate-limit over its store: across instances, by route, with its penalties, and while Redis is away.
'use strict';

const rateLimit = require('@fastify/rate-limit');
const fastify = require('fastify');
const { fastifyStore } = require('holdfast/rate-limit');
const { serverForAll } = require('../../support/redis-server');
const { silent } = require('../../support/holdfast');
const { untilMode } = require('../../support/until');
const { connected } = require('../support/modes');

const server = serverForAll();
const apps = [];

async function serve({ url = server.url(), timeoutMs = 5_000, namespace, routes = () => {}, ...options } = {}) {
  const store = fastifyStore({ url, timeoutMs, logger: silent(), ...(namespace && { namespace }) });
  await connected(store.cache);
  const app = fastify();
  apps.push({ app, store });
  const keyGenerator = (request) => request.headers['x-client'];
  await app.register(rateLimit, { max: 2, timeWindow: 60_000, keyGenerator, store, ...options });
  app.get('/', async () => 'ok');
  await routes(app);
  const origin = await app.listen({ host: '127.0.0.1', port: 0 });
  const ask = (client, path = '/') => fetch(origin + path, { headers: { 'x-client': client } });
  return { app, store, ask };
}

const statusesOf = async (calls) => {
  const statuses = [];
  for (const call of calls) statuses.push((await call()).status);
  return statuses;
};

beforeEach(() => server.cli('flushall'));
afterEach(async () => {
  for (const { app, store } of apps.splice(0)) {
    await app.close();
    await store.cache.close();
  }
});

test('a limit holds across instances, and the client is told when its window ends', async () => {
  const [one, two] = [await serve(), await serve({ url: `unix:${server.socket}` })];
  const calls = [one, two, one, two].map(
    ({ ask }) =>
      () =>
        ask('ada'),
  );
  expect(await statusesOf(calls)).toEqual([200, 200, 429, 429]);
  await server.cli('pexpire', 'rl:ada', '20000');
  const { headers } = await two.ask('ada');
  expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(20);
  expect((await one.ask('bob')).status).toBe(200);
});

test('a route with a limit of its own counts for itself', async () => {
  const routes = (app) => app.get('/own', { config: { rateLimit: { max: 1 } } }, async () => 'own');
  const { ask } = await serve({ routes });
  const calls = ['/', '/', '/own', '/own', '/'].map((path) => () => ask('ada', path));
  expect(await statusesOf(calls)).toEqual([200, 200, 200, 429, 429]);
  expect((await server.cli('keys', '*')).split('\n').sort()).toEqual(['rl:GET/own-ada', 'rl:ada']);
});

test('looking at a limit does not count', async () => {
  let look;
  const routes = (app) => {
    look = app.createRateLimit({ max: 2 });
    app.get('/look', { config: { rateLimit: false } }, (request) => look(request, { increment: false }));
    app.get('/count', { config: { rateLimit: false } }, (request) => look(request));
  };
  const { ask } = await serve({ routes });
  const remaining = async (path) => (await (await ask('ada', path)).json()).remaining;
  expect([await remaining('/look'), await remaining('/look')]).toEqual([2, 2]);
  expect([await remaining('/count'), await remaining('/look')]).toEqual([1, 1]);
});

test('continueExceeding begins the window anew with each request beyond the limit', async () => {
  const { ask } = await serve({ max: 1, continueExceeding: true });
  await ask('ada');
  await server.cli('pexpire', 'rl:ada', '20000');
  expect((await ask('ada')).status).toBe(429);
  expect(Number(await server.cli('pttl', 'rl:ada'))).toBeGreaterThan(20_000);
});

test('exponentialBackoff doubles the window with each request beyond the limit, up to a year', async () => {
  const { ask } = await serve({ max: 1, exponentialBackoff: true });
  const left = [];
  for (let call = 0; call < 4; call++) {
    await ask('ada');
    left.push(Math.round(Number(await server.cli('pttl', 'rl:ada')) / 60_000));
  }
  expect(left).toEqual([1, 1, 2, 4]);
  await server.cli('set', 'rl:bob', '2000', 'PX', '60000');
  expect((await ask('bob')).status).toBe(429);
  const longest = Number(await server.cli('ttl', 'rl:bob'));
  expect(longest).toBeGreaterThan(364 * 86_400);
  expect(longest).toBeLessThanOrEqual(365 * 86_400);
});

test('while Redis is away each process counts for itself, and no request fails', async () => {
  const { ask, store } = await serve({ timeoutMs: 250 });
  await server.kill('SIGSTOP');
  expect(await statusesOf(Array.from({ length: 4 }, () => () => ask('ada')))).toEqual([200, 200, 429, 429]);
  await untilMode(store.cache, 'memory');
  await server.kill('SIGCONT');
  await untilMode(store.cache, 'redis');
  expect([200, 429]).toContain((await ask('ada')).status);
});
