// express-session over the store: what lies in Redis, how long, every function of a store, and what an outage does.
'use strict';

const { promisify } = require('node:util');
const express = require('express');
const session = require('express-session');
const { sessionStore } = require('holdfast/session');
const { serverForAll } = require('../../support/redis-server');
const { silent } = require('../../support/holdfast');
const { until, untilMode } = require('../../support/until');
const { connected } = require('../support/modes');
const { servesThroughOutage } = require('../support/example');

const server = serverForAll();
const stores = [];
const listening = [];

async function makeStore(options = {}) {
  const store = sessionStore(session, { url: server.url(), timeoutMs: 5_000, logger: silent(), ...options });
  stores.push(store);
  if (options.url !== '') await connected(store.cache);
  return store;
}

/** The functions of a store as promises. */
const asked = (store) =>
  Object.fromEntries(
    ['get', 'set', 'destroy', 'touch', 'all', 'ids', 'length', 'clear'].map((name) => [
      name,
      promisify(store[name]).bind(store),
    ]),
  );

/** An Express application that counts visits; `ask(path)` keeps its cookie, as a browser does. */
async function serve(store, settings = {}) {
  const app = express();
  app.use(session({ store, secret: 'any', resave: false, saveUninitialized: false, ...settings }));
  app.get('/visit', (request, response) => {
    request.session.visits = (request.session.visits ?? 0) + 1;
    response.json({ visits: request.session.visits, id: request.sessionID });
  });
  app.get('/look', (request, response) =>
    response.json({ visits: request.session.visits ?? 0, id: request.sessionID }),
  );
  app.get('/leave', (request, response) => request.session.destroy(() => response.json({})));
  app.get('/renew', (request, response) => request.session.regenerate(() => response.json({ id: request.sessionID })));
  const http = await new Promise((resolve) => {
    const started = app.listen(0, '127.0.0.1', () => resolve(started));
  });
  listening.push(http);
  let cookie;
  return async (path) => {
    const response = await fetch(`http://127.0.0.1:${http.address().port}${path}`, {
      headers: cookie ? { cookie } : {},
    });
    cookie = response.headers.get('set-cookie')?.split(';')[0] ?? cookie;
    expect(response.status).toBe(200);
    return response.json();
  };
}

const sessionOf = (more = {}) => ({ cookie: { originalMaxAge: null, expires: null }, user: 'ada', ...more });

beforeEach(() => server.cli('flushall'));
afterEach(async () => {
  await server.kill('SIGCONT'); // a test that failed may have left it stopped
  for (const http of listening.splice(0)) {
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  }
  await Promise.all(stores.splice(0).map((store) => store.cache.close()));
});

test('a session lives through requests, is renewed and ends, in Redis as connect-redis leaves it', async () => {
  const ask = await serve(await makeStore());
  expect((await ask('/visit')).visits).toBe(1);
  const { visits, id } = await ask('/visit');
  expect(visits).toBe(2);
  const stored = JSON.parse(await server.cli('get', `sess:${id}`));
  expect(stored).toMatchObject({ visits: 2, cookie: { path: '/', httpOnly: true } });
  const renewed = await ask('/renew');
  expect(renewed.id).not.toBe(id);
  expect(await server.cli('exists', `sess:${id}`)).toBe('0');
  expect((await ask('/visit')).visits).toBe(1);
  await ask('/leave');
  expect(await server.cli('dbsize')).toBe('0');
  expect((await ask('/look')).visits).toBe(0);
});

test('a session that connect-redis stored is read', async () => {
  const { get } = asked(await makeStore());
  await server.cli('set', 'sess:a', JSON.stringify(sessionOf()));
  expect(await get('a')).toEqual(sessionOf());
});

test('a session ends with its cookie, or after a day, and a request that changes nothing prolongs it', async () => {
  const store = await makeStore();
  const ask = await serve(store, { cookie: { maxAge: 600_000 } });
  const { id } = await ask('/visit');
  const left = async () => Number(await server.cli('ttl', `sess:${id}`));
  expect(await left()).toBeLessThanOrEqual(600);
  await server.cli('expire', `sess:${id}`, '100');
  await ask('/look');
  expect(await left()).toBeGreaterThan(300);
  const { set, touch } = asked(store);
  await set('day', sessionOf());
  expect(Number(await server.cli('ttl', 'sess:day'))).toBeGreaterThan(80_000);
  await server.cli('expire', 'sess:day', '100');
  await touch('day', sessionOf());
  expect(Number(await server.cli('ttl', 'sess:day'))).toBeGreaterThan(80_000);
});

test('requests in quick succession prolong a session once', async () => {
  const { set, touch } = asked(await makeStore({ ttl: 600 }));
  await set('a', sessionOf());
  await server.cli('expire', 'sess:a', '585');
  await touch('a', sessionOf());
  expect(Number(await server.cli('ttl', 'sess:a'))).toBeLessThanOrEqual(585);
  await server.cli('expire', 'sess:a', '560');
  await touch('a', sessionOf());
  expect(Number(await server.cli('ttl', 'sess:a'))).toBeGreaterThan(585);
});

test('with disableTouch a session ends where it would have', async () => {
  const { set, touch } = asked(await makeStore({ disableTouch: true, ttl: 600 }));
  await set('a', sessionOf());
  expect(Number(await server.cli('ttl', 'sess:a'))).toBeGreaterThan(500);
  await server.cli('expire', 'sess:a', '100');
  await touch('a', sessionOf());
  expect(Number(await server.cli('ttl', 'sess:a'))).toBeLessThanOrEqual(100);
});

test('a session whose cookie has ended is removed', async () => {
  const { set, get } = asked(await makeStore());
  await set('a', sessionOf());
  await set('a', sessionOf({ cookie: { expires: new Date(Date.now() - 1) } }));
  expect(await get('a')).toBeNull();
  expect(await server.cli('exists', 'sess:a')).toBe('0');
});

test.each([
  ['over Redis', {}],
  ['in memory mode', { url: '', namespace: 'memory-sess' }],
])('every function of a store works %s', async (_, options) => {
  const { get, set, destroy, all, ids, length, clear } = asked(await makeStore(options));
  await set('a', sessionOf());
  await set('b', sessionOf({ user: 'bob' }));
  expect(await get('a')).toEqual(sessionOf());
  expect(await get('missing')).toBeNull();
  expect((await ids()).sort()).toEqual(['a', 'b']);
  expect(await length()).toBe(2);
  const found = (await all()).sort((one, other) => one.id.localeCompare(other.id));
  expect(found).toEqual([sessionOf({ id: 'a' }), sessionOf({ id: 'b', user: 'bob' })]);
  await destroy('a');
  expect(await get('a')).toBeNull();
  await clear();
  expect(await length()).toBe(0);
});

test('clear removes sessions alone', async () => {
  const { set, clear } = asked(await makeStore());
  await set('a', sessionOf());
  await server.cli('set', 'bull:queue', 'kept');
  await clear();
  expect(await server.cli('keys', '*')).toBe('bull:queue');
});

test.each(['no JSON', 'null', '7', '{}', '{"cookie":null}'])('what is no session is none: %s', async (text) => {
  const { get } = asked(await makeStore());
  await server.cli('set', 'sess:a', text);
  expect(await get('a')).toBeNull();
});

test('a mistake reaches the callback, and a callback may be left out', async () => {
  const store = await makeStore();
  const { get, set } = asked(store);
  await expect(get('')).rejects.toMatchObject({ code: 'ERR_INVALID_KEY' });
  await expect(set('a', sessionOf({ big: 1n }))).rejects.toThrow(TypeError);
  store.destroy('');
  store.set('b', sessionOf());
  expect(await get('b')).toEqual(sessionOf());
});

test('a session that was only used during an outage is there when Redis is back', async () => {
  const store = await makeStore({ timeoutMs: 250 });
  const ask = await serve(store);
  const { id } = await ask('/visit');
  await server.cli('expire', `sess:${id}`, '100'); // so that the next request prolongs it
  expect((await ask('/look')).visits).toBe(1);
  expect(Number(await server.cli('ttl', `sess:${id}`))).toBeGreaterThan(100);
  // Another look would prolong it again; it must not, meanwhile.
  await server.cli('expire', `sess:${id}`, '100');
  await until(async () => (await store.cache.ttl(id)) <= 100, 'the new end is known');
  await store.cache.get(id);
  await server.kill('SIGSTOP');
  await store.cache.get('nobody'); // which notices
  await untilMode(store.cache, 'memory');
  expect((await ask('/look')).visits).toBe(1);
  await server.kill('SIGCONT');
  await untilMode(store.cache, 'redis');
  expect(await server.cli('exists', `sess:${id}`)).toBe('1');
  expect((await ask('/look')).visits).toBe(1);
});

test('sessions begin and change during an outage, no request fails, and they end with it', async () => {
  const store = await makeStore({ timeoutMs: 250 });
  await server.kill('SIGSTOP');
  await store.cache.get('nobody');
  await untilMode(store.cache, 'memory');
  const ask = await serve(store);
  expect((await ask('/visit')).visits).toBe(1);
  expect((await ask('/visit')).visits).toBe(2);
  await server.kill('SIGCONT');
  await untilMode(store.cache, 'redis');
  expect((await ask('/look')).visits).toBe(0);
});

test('examples/session serves through an outage', async () => {
  await servesThroughOutage('session', ['/']);
});
