// Faults 26 and 30: users of some keys, and servers without some commands: what is denied is told apart, and nothing
// else is given up for it.
'use strict';

const { closeCaches, openWatched, recorder } = require('../../support/holdfast');
const { startRedis } = require('../../support/redis-server');
const { until } = require('../../support/until');

let server;
afterEach(async () => {
  await closeCaches();
  await server.stop();
});

const url = (user) => server.url({ user, password: 'pass' });

async function connected(options) {
  const logger = recorder();
  const { cache, told } = await openWatched({ logger, ...options });
  const said = () => logger.lines.map(([, message]) => message).join('\n');
  return {
    cache,
    said,
    errors: () => told.events.filter(([name]) => name === 'error').map(([, { message }]) => message),
  };
}

describe('fault 30: a user of the keys of one namespace', () => {
  const PREFIX_USERS = [
    ['by a pattern', 'user app on >pass ~app:* &* +@all'],
    ['by a selector', 'user app on >pass &* (~app:* +@all) +@connection +info +role +scan +script|load'],
    ['without channels', 'user app on >pass ~app:* resetchannels +@all'],
  ];

  test.each(PREFIX_USERS)('%s: all works, nothing is said, and the server logs no denial', async (_, acl) => {
    server = await startRedis({ acl: [acl] });
    const { cache, errors } = await connected({ url: url('app'), namespace: 'app' });
    await cache.setMany({ a: 1, b: 2 }, { ttl: 60, tags: ['t'] });
    expect(await cache.getMany(['a', 'b'])).toEqual([1, 2]);
    expect(await cache.getOrCompute('c', () => 3, { ttl: 60, swr: 5, grace: 5 })).toBe(3);
    expect(await cache.expire('a', 50)).toBe(true);
    expect(await cache.increment('n', 1, { ttl: 5 })).toBe(1);
    await cache.invalidateTags('t');
    expect(await cache.exists('a')).toBe(false);
    expect(await cache.delPattern('*')).toBe(4);
    expect(cache.health()).toMatchObject({ status: 'ok', lastError: null });
    expect(errors()).toEqual([]);
    expect(await server.cli('acl', 'log')).toBe('');
    expect((await cache.getStats()).errors).toEqual({});
  });

  test('may run scripts, so that two processes compute a key once', async () => {
    server = await startRedis({ acl: [PREFIX_USERS[0][1]] });
    // Two connections, as of two processes: an address each.
    const caches = await Promise.all(
      [url('app'), `unix:${server.socket}?user=app&pass=pass`].map((each) =>
        connected({ url: each, namespace: 'app' }),
      ),
    );
    let runs = 0;
    let begun;
    const running = new Promise((resolve) => {
      begun = resolve;
    });
    let finish;
    const compute = () => {
      runs++;
      begun();
      return new Promise((resolve) => {
        finish = () => resolve('computed');
      });
    };
    const first = caches[0].cache.getOrCompute('k', compute, { ttl: 60 });
    await running;
    expect(await server.cli('get', 'app:k')).toMatch(/holdfast:lease/);
    const second = caches[1].cache.getOrCompute('k', compute, { ttl: 60 });
    finish();
    expect([await first, await second, runs]).toEqual(['computed', 'computed', 1]);
  });

  test('of another one: the keys are what is denied, and health() is degraded until they are granted', async () => {
    server = await startRedis({ acl: ['user app on >pass ~app:* &* +@all'] });
    const { cache, said } = await connected({ url: url('app'), namespace: 'other' });
    await until(() => cache.health().lastError, 'it is said');
    expect(cache.health()).toMatchObject({ status: 'degraded', mode: 'redis', lastError: { kind: 'denied' } });
    const { message } = cache.health().lastError;
    expect(message).toMatch(/ACL denies this user keys of the namespace other: .*~other:\*/);
    expect(message).not.toMatch(/scripts|EVAL|UNLINK|MGET/);
    await until(() => said().includes(message), 'the logger is told');
    expect(await cache.getOrCompute('k', () => 'computed')).toBe('computed');
    await server.cli('acl', 'setuser', 'app', '~other:*');
    await cache.set('k', 'stored');
    expect(await cache.get('k')).toBe('stored');
    expect(cache.health().status).toBe('ok');
  });

  test('and a second cache on the same connection with another one: it is said once, at its first call', async () => {
    server = await startRedis({ acl: ['user app on >pass ~app:* &* +@all'] });
    const inside = await connected({ url: url('app'), namespace: 'app' });
    const outside = await connected({ url: url('app'), namespace: 'other' });
    expect(outside.cache.health().status).toBe('ok');
    for (let n = 0; n < 3; n++) {
      await outside.cache.set('k', n);
      expect(await outside.cache.get('k')).toBeNull();
    }
    expect(outside.cache.health()).toMatchObject({ status: 'degraded', lastError: { kind: 'denied' } });
    expect(inside.cache.health().status).toBe('ok');
    expect(outside.errors()).toEqual([expect.stringMatching(/keys of the namespace other/)]);
  });

  test('who may read and not write them', async () => {
    server = await startRedis({ acl: ['user app on >pass %R~app:* &* +@all'] });
    await server.cli('set', 'app:k', '1');
    const { cache } = await connected({ url: url('app'), namespace: 'app' });
    await until(() => cache.health().lastError, 'it is said');
    expect(cache.health().lastError.message).toMatch(/keys of the namespace app/);
    expect(await cache.get('k')).toBe(1);
    await cache.set('k', 2);
    expect(await cache.get('k')).toBeNull(); // what could be neither stored nor removed is not read
  });

  test('of raw keys: what begins otherwise is used', async () => {
    server = await startRedis({ acl: ['user app on >pass ~user:* &* +@all'] });
    const { cache } = await connected({ url: url('app'), namespace: '' });
    await cache.set('user:1', 1);
    expect(await cache.get('user:1')).toBe(1);
    expect(await cache.getOrCompute('user:2', () => 2)).toBe(2);
    expect(cache.health()).toMatchObject({ status: 'ok', lastError: { message: expect.stringMatching(/tags/) } });
  });
});

describe('fault 26: a command that only some calls need', () => {
  test.each([
    ['INCRBY', 'incrby', (cache) => cache.increment('n')],
    ['GETRANGE', 'getrange', (cache) => cache.exists('k')],
    ['PTTL', 'pttl', (cache) => cache.ttl('k')],
  ])('%s: what is denied is said, and not that a key or a script is', async (name, command, call) => {
    server = await startRedis({ acl: [`user app on >pass ~* &* +@all -${command}`] });
    const { cache, errors } = await connected({ url: url('app'), namespace: 'n', nearCache: false });
    await cache.set('k', 1);
    await call(cache);
    await until(() => errors().some((message) => message.includes(name)), `${name} is named`);
    expect(errors().join()).toMatch(/ACL denies/);
    expect(errors().join()).not.toMatch(/keys of the namespace|does not know/);
    expect(cache.getMode()).toBe('redis');
    expect(await cache.get('k')).toBe(1);
  });
});

describe('fault 26: commands without which some calls can do nothing', () => {
  test('without PEXPIRE expire says that it did nothing, and no lease is taken that cannot be renewed', async () => {
    server = await startRedis({ acl: ['user app on >pass ~* &* +@all -pexpire'] });
    const { cache, errors } = await connected({ url: url('app'), namespace: 'n' });
    await until(() => /PEXPIRE.*/.test(errors().join()), 'it is said');
    expect(errors().join()).toMatch(/EVAL, EVALSHA or what scripts call/);
    await cache.set('k', 1, 100);
    expect(await cache.expire('k', 5)).toBe(false);
    expect(await cache.ttl('k')).toBeGreaterThan(90);
    expect(await cache.getOrCompute('c', () => 'computed')).toBe('computed');
    expect(await cache.get('c')).toBe('computed');
  });

  test('without UNLINK and DEL what is deleted reads as a miss until it is replaced, and that is said', async () => {
    server = await startRedis({ acl: ['user app on >pass ~* &* +@all -unlink -del'] });
    const { cache, errors } = await connected({ url: url('app'), namespace: 'n' });
    await until(() => errors().join().includes('UNLINK and DEL'), 'it is said');
    await cache.set('k', 'old');
    expect(await cache.del('k')).toBe(0);
    expect([await cache.get('k'), await cache.exists('k'), await cache.expire('k', 5)]).toEqual([null, false, false]);
    expect(Number(await server.cli('ttl', 'n:k'))).toBeGreaterThan(200); // and is not touched by expire
    await cache.set('k', 'new');
    expect([await cache.get('k'), await cache.exists('k'), await cache.expire('k', 5)]).toEqual(['new', true, true]);
  });
});

describe('a server that does not know a command, and quotes what came with it', () => {
  // Errors quote 128 bytes of the arguments: they cut characters in two.
  const LONG = 'é'.repeat(200);

  test.each([
    'EVALSHA',
    'EVAL',
    'SCRIPT',
    'PTTL',
    'PEXPIRE',
    'GETRANGE',
    'INCRBY',
    'MGET',
    'UNLINK',
    'SCAN',
    'EXEC',
    'MULTI',
    'ECHO',
    'ROLE',
    'INFO',
    'CLIENT',
  ])('without %s no call is an outage, and none lies', async (name) => {
    server = await startRedis({ config: [`rename-command ${name} ""`] });
    const { cache, errors } = await connected({ url: server.url(), namespace: 'n', nearCache: false });
    for (const at of [0, 1]) {
      const key = 'x'.repeat(at) + LONG;
      await cache.set(key, 1);
      expect(await cache.get(key)).toBe(1);
      expect(await cache.getMany([key, `${key}none`])).toEqual([1, null]);
      expect([null, 300]).toContain(await cache.ttl(key).then((left) => left && Math.ceil(left)));
      expect([true, false]).toContain(await cache.expire(key, 300));
      expect([true, false]).toContain(await cache.exists(key));
      expect(await cache.getOrCompute(`c${key}`, () => 'computed')).toBe('computed');
      // Counted in Redis, or here.
      expect(await cache.increment(`n${key}`)).toBe(1);
      expect(await cache.increment(`t${key}`, 1, { ttl: 60 })).toBe(1);
      expect(await cache.increment(`t${key}`, 1, { ttl: 60 })).toBe(2);
      expect(await cache.del(key)).toBe(1);
      expect(await cache.get(key)).toBeNull();
      await cache.delPattern('x*');
    }
    expect([cache.getMode(), (await cache.getStats()).redis.reconnects]).toEqual(['redis', 0]);
    expect(errors().join()).not.toMatch(/ACL/);
    if (!['SCRIPT', 'ROLE', 'INFO', 'MULTI'].includes(name)) {
      await until(() => errors().some((message) => /does not know/.test(message)), 'it is said');
    }
  });
});
