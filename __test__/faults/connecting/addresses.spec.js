// Faults 17 and 18: names that do not resolve, resolve slowly or change, and IPv6.
'use strict';

const { closeCaches, makeCache, openCache } = require('../../support/holdfast');
const { startRedis } = require('../../support/redis-server');
const { makeResolver } = require('../../support/machine/machine');
const { startScript } = require('../../support/run-script');
const { until, untilMode } = require('../../support/until');

let resolver;
const scripts = [];
const servers = [];
beforeAll(() => {
  resolver = makeResolver();
});
afterAll(() => resolver.remove());
afterEach(async () => {
  for (const script of scripts.splice(0)) script.kill('SIGKILL');
  await closeCaches();
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

async function redis(options) {
  const server = await startRedis(options);
  servers.push(server);
  return server;
}

// Says what one call was answered by, then each change of mode. `getMode` alone tells: no call is needed to notice.
const WATCHER = `
  const { createCache } = require('holdfast');
  const cache = createCache({ namespace: 'n', timeoutMs: 2_000, logger: { info() {}, warn() {}, error() {} } });
  cache.set('k', 1).then(() => cache.get('k')).then((value) => console.log('answered ' + value + ' in ' + cache.getMode()));
  let said;
  setInterval(() => {
    const { mode, lastError } = cache.health();
    const state = 'mode ' + mode + ' after ' + (lastError ? lastError.kind : 'nothing') + ';';
    if (state !== said) console.log(said = state);
  }, 5);
`;

function watcher(url) {
  const script = startScript(WATCHER, { env: { REDIS_URL: url, ...resolver.env } });
  scripts.push(script);
  return script;
}

test('fault 17: a name that does not exist: memory mode says so, and the name is asked for again until it does', async () => {
  resolver.answer({});
  const server = await redis();
  const script = watcher(`redis://cache.test:${server.port}`);
  await script.says('answered 1 in memory');
  await script.says('mode memory after dns');
  resolver.answer({ 'cache.test': '127.0.0.1' });
  await script.says('mode redis');
});

test('fault 17: nobody waits for a slow resolver', async () => {
  const server = await redis();
  resolver.answer({ 'slow.test': 'slow=5 127.0.0.1' });
  const script = watcher(`redis://slow.test:${server.port}`);
  await script.says('answered 1');
  expect(script.stdout).not.toContain('mode redis');
  resolver.answer({ 'slow.test': '127.0.0.1' });
  await script.says('mode redis');
});

test('fault 17: a name that points elsewhere after a failover is followed', async () => {
  const old = await redis();
  resolver.answer({ 'moved.test': '127.0.0.1' });
  const script = watcher(`redis://moved.test:${old.port}`);
  await script.says('answered 1 in redis');
  expect(await old.cli('get', 'n:k')).toBe('1');
  const next = await redis({ bind: '::1', port: old.port });
  resolver.answer({ 'moved.test': '::1' });
  await old.kill('SIGKILL');
  await until(async () => /addr=\[::1\]/.test(await next.cli('client', 'list')));
});

test('fault 18: a name with both kinds of addresses reaches a server that listens on one of them', async () => {
  const six = await redis({ bind: '::1' });
  const four = await redis({ bind: '127.0.0.1' });
  resolver.answer({ 'four-first.test': '127.0.0.1 ::1', 'six-first.test': '::1 127.0.0.1' });
  for (const [name, server] of [
    ['four-first.test', six],
    ['six-first.test', four],
    ['six-first.test', six],
  ]) {
    await watcher(`redis://${name}:${server.port}`).says('mode redis');
  }
});

test('fault 18: an IPv6 literal needs no option', async () => {
  const server = await redis({ bind: '::1' });
  const cache = await openCache({ url: `redis://[::1]:${server.port}` });
  await cache.set('k', 1);
  expect(await cache.get('k')).toBe(1);
});

test.each(['unix:', 'redis+unix:', 'unix://', 'redis+unix://'])('%s reaches a unix socket', async (scheme) => {
  const server = await redis();
  const cache = await openCache({ url: `${scheme}${server.socket}` });
  await cache.set('k', 1);
  expect(await cache.get('k')).toBe(1);
});

test.each(['redis', 'valkey'])('%s:// with user, password and database reaches its database', async (scheme) => {
  const password = 'p@ss/w:rd%20#?';
  const server = await redis({ acl: ['user app on ~* &* +@all'] });
  await server.cli('acl', 'setuser', 'app', `>${password}`);
  const cache = makeCache({
    url: `${scheme}://app:${encodeURIComponent(password)}@127.0.0.1:${server.port}/3`,
    namespace: '',
  });
  await untilMode(cache, 'redis');
  await cache.set('k', 'three');
  expect(await server.cli('-n', '3', 'get', 'k')).toBe('"three"');
  expect(await server.cli('-n', '0', 'exists', 'k')).toBe('0');
});
