// Faults 25, 26, 28 and 30: passwords that change, users who may not do everything, databases.
'use strict';

const net = require('node:net');
const { inspect } = require('node:util');
const { closeCaches, makeCache, openCache, recorder, watch } = require('../../support/holdfast');
const { startRedis } = require('../../support/redis-server');
const { until, untilMode } = require('../../support/until');

let server;
afterEach(async () => {
  await closeCaches();
  await server.stop();
});

const connected = (options) => openCache({ url: server.url(), ...options });

describe('fault 25: passwords', () => {
  const SECRET = 'hush-hush-7';

  test('a password rotated live: memory mode, recovery, and no password in anything said', async () => {
    server = await startRedis({ password: SECRET });
    const logger = recorder();
    const cache = await connected({ logger });
    const { events } = watch(cache);
    await cache.set('k', 1);
    await server.cli('config', 'set', 'requirepass', 'other');
    server.password = 'other';
    await server.cli('client', 'kill', 'type', 'normal');
    await untilMode(cache, 'memory');
    await until(() => cache.health().lastError.kind === 'auth');
    await cache.set('k', 2);
    expect(await cache.get('k')).toBe(2);
    const said = inspect([cache, cache.health(), await cache.getStats(), events, logger.lines], {
      depth: 10,
      showHidden: true,
    });
    expect(said).toContain('auth');
    expect(said).not.toContain(SECRET);
    expect(said).not.toContain('other');

    await server.cli('config', 'set', 'requirepass', SECRET);
    server.password = SECRET;
    await untilMode(cache, 'redis');
    await cache.set('k', 3);
    expect(await cache.get('k')).toBe(3);
  });

  test('a wrong password, and none where one is needed', async () => {
    server = await startRedis({ password: SECRET });
    for (const password of ['wrong', null]) {
      const cache = makeCache({ url: server.url({ password }) });
      await untilMode(cache, 'memory');
      expect(cache.health()).toMatchObject({ status: 'degraded', lastError: { kind: 'auth' } });
      await cache.set('k', 1);
      expect(await cache.get('k')).toBe(1);
    }
  });
});

describe('fault 26: users who may not do everything', () => {
  const limited = async (rules) => {
    server = await startRedis({ acl: [`user limited on >pass ~* &* +@all ${rules}`] });
    const logger = recorder();
    const cache = await connected({ url: server.url({ user: 'limited', password: 'pass' }), logger });
    return { cache, said: () => logger.lines.map(([, message]) => message).join('\n') };
  };

  test.each([
    ['EVALSHA', '-evalsha -eval', []],
    ['SCAN', '-scan', ['SCAN']],
    ['UNLINK', '-unlink', ['UNLINK']],
    ['MGET', '-mget', ['MGET']],
    ['CLIENT', '-client', ['CLIENT SETNAME', 'CLIENT TRACKING']],
    ['CLIENT TRACKING', '-client|tracking', ['CLIENT TRACKING']],
    ['EXEC', '-exec', ['EXEC']],
    ['ECHO', '-echo', ['ECHO']],
    ['all of these', '-evalsha -eval -scan -unlink -mget -client -echo', ['SCAN', 'UNLINK', 'MGET', 'CLIENT', 'ECHO']],
  ])('without %s, what can work works, and what cannot is said', async (_, rules, missed) => {
    const { cache, said } = await limited(rules);
    await cache.setMany({ a: 1, b: 2, c: 3 }, 100);
    expect(await cache.getMany(['a', 'b', 'c'])).toEqual([1, 2, 3]);
    expect(await cache.getOrCompute('d', () => 4)).toBe(4);
    expect(await cache.exists('d')).toBe(true);
    expect(await cache.expire('d', 50)).toBe(true);
    expect(await cache.ttl('d')).toBeLessThanOrEqual(50);
    expect(await cache.increment('n')).toBe(1);
    expect(await cache.increment('with-ttl', 1, { ttl: 50 })).toBe(1);
    expect(await cache.ttl('with-ttl')).toBeLessThanOrEqual(50);
    expect(await cache.del('a')).toBe(1);
    expect(await cache.get('a')).toBeNull();
    await expect(cache.delPattern('b*')).resolves.toEqual(expect.any(Number));
    await expect(cache.clear()).resolves.toEqual(expect.any(Number));
    await expect(cache.getStats()).resolves.toMatchObject({ mode: 'redis' });
    for (const command of missed) await until(() => said().includes(command), `it is said that ${command} is denied`);
    expect(cache.getMode()).toBe('redis');
  });

  test('fault 30: a user for one prefix: inside it all works, outside it writes are counted and fall back', async () => {
    server = await startRedis({ acl: ['user app on >pass ~app:* &* +@all'] });
    const url = server.url({ user: 'app', password: 'pass' });
    const inside = await connected({ url, namespace: 'app' });
    await inside.setMany({ a: 1, b: 2 });
    expect(await inside.getMany(['a', 'b'])).toEqual([1, 2]);
    expect(await inside.increment('n', 1, { ttl: 10 })).toBe(1);

    const outside = await connected({ url, namespace: 'other' });
    expect(await Promise.all([inside.get('a'), outside.get('k'), inside.get('b')])).toEqual([1, null, 2]);
    expect(await inside.clear()).toBe(3);
    await outside.set('k', 1);
    await outside.get('k');
    expect(await outside.getOrCompute('c', () => 'computed')).toBe('computed');
    await outside.del('k');
    expect(outside.getMode()).toBe('redis');
    expect((await outside.getStats()).errors.denied).toBeGreaterThan(0);
    expect(await server.cli('dbsize')).toBe('0');
  });
});

test('fault 30: a database that the server does not have is said, and the same URL without it works', async () => {
  server = await startRedis();
  const cache = makeCache({ url: server.url({ db: '16' }) });
  await untilMode(cache, 'memory');
  expect(cache.health()).toMatchObject({ status: 'degraded', lastError: { kind: 'config' } });
  expect(cache.health().lastError.message).toMatch(/database/);
  await connected({ url: server.url({ db: '15' }) });
});

test('fault 30: a user who may not SELECT is told to name no database', async () => {
  server = await startRedis({ acl: ['user app on >pass ~* &* +@all -select'] });
  const cache = makeCache({ url: server.url({ user: 'app', password: 'pass', db: '3' }) });
  await untilMode(cache, 'memory');
  expect(cache.health().lastError).toMatchObject({
    kind: 'config',
    message: expect.stringMatching(/SELECT.*no database/),
  });
});

test('a server that takes no more clients, and one that hangs up, say why', async () => {
  server = await startRedis({ config: ['maxclients 1'] });
  const held = net.connect(server.port, server.host);
  await until(async () => /max number of clients/.test(await server.cli('ping').catch(String)));
  const cache = makeCache({ url: server.url() });
  await until(() => cache.health().lastError?.kind === 'connect');
  expect(cache.health().lastError.message).toMatch(/maxclients/);
  held.destroy();
  await untilMode(cache, 'redis');
});

// What cannot be had from a server on loopback.
test.each([
  [
    'in protected mode',
    '-DENIED Redis is running in protected mode because it is enabled\r\n',
    'connect',
    /protected mode/,
  ],
  ['that speaks TLS', '\x15\x03\x03\x00\x02\x02\x46', 'tls', /rediss:\/\//],
  ['that is none', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'protocol', /Redis protocol/],
  ['that says nothing and hangs up', '', 'connection', /without a word.*rediss:\/\//],
])('a server %s: what it says in place of a greeting is what is told', async (_, words, kind, told) => {
  server = await startRedis();
  const stranger = net.createServer((socket) =>
    socket.on('error', () => {}).once('data', () => socket.end(words, 'latin1')),
  );
  await new Promise((resolve) => stranger.listen(0, '127.0.0.1', resolve));
  const cache = makeCache({ url: `redis://127.0.0.1:${stranger.address().port}` });
  await untilMode(cache, 'memory');
  expect(cache.health().lastError).toMatchObject({ kind, message: expect.stringMatching(told) });
  stranger.close();
});

test('fault 30: two databases of one server keep apart', async () => {
  server = await startRedis();
  const [zero, three] = await Promise.all(
    ['0', '3'].map((db) => connected({ url: server.url({ db }), namespace: '' })),
  );
  await zero.set('k', 'zero');
  await three.set('k', 'three');
  expect([await zero.get('k'), await three.get('k')]).toEqual(['zero', 'three']);
  expect(await server.cli('-n', '3', 'get', 'k')).toBe('"three"');
  expect(await three.clear({ flushDb: true })).toBe(1);
  expect(await zero.get('k')).toBe('zero');
});

test('fault 28: a server without HELLO and ECHO: RESP2 is spoken, and a loss is noticed without traffic', async () => {
  // As those before Redis 6: the command is unknown.
  server = await startRedis({ password: 'pass', config: ['rename-command HELLO ""', 'rename-command ECHO ""'] });
  const cache = await connected();
  await cache.set('k', 1);
  expect(await cache.get('k')).toBe(1);
  expect(await server.cli('client', 'list')).not.toMatch(/resp=3/);
  for (let n = 0; n < 5; n++) expect(await cache.get('k')).toBe(1);
  expect((await cache.getStats()).hits.near).toBe(0); // nobody would tell of changes
  await server.kill('SIGKILL');
  await untilMode(cache, 'memory');
  await server.restart();
  await untilMode(cache, 'redis');
});

test('fault 28: a server with HELLO speaks RESP3', async () => {
  server = await startRedis();
  await connected();
  expect(await server.cli('client', 'list')).toMatch(/resp=3/);
});
