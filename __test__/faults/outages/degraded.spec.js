// Faults 19, 20 and 22 to 24: a server that answers, and will not do everything: paused, busy, a replica, without its
// disk, without memory.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { closeCaches, openCache, watch } = require('../../support/holdfast');
const { startProxy } = require('../../support/network/fault-proxy');
const { startRedis } = require('../../support/redis-server');
const { makeResolver } = require('../../support/machine/machine');
const { startScript } = require('../../support/run-script');
const { until, untilMode } = require('../../support/until');

const servers = [];
let server;
beforeEach(async () => {
  server = await redis();
});
afterEach(async () => {
  await closeCaches();
  await Promise.all(servers.splice(0).map((each) => each.stop()));
});

async function redis(options) {
  const started = await startRedis(options);
  servers.push(started);
  return started;
}

const connected = (options) => openCache({ url: server.url(), namespace: 'n', ...options });

async function untilRecovered({ count }) {
  await until(() => count('recovered') === 1, 'recovered');
}

// Calls that each waited for the deadline would need more than the time that Jest gives a test.
async function expectNoWaiting(cache) {
  for (let n = 0; n < 600; n++) await cache.get(`nothing${n}`);
}

describe('fault 19: CLIENT PAUSE WRITE', () => {
  test('reads go on', async () => {
    const cache = await connected({ nearCache: false, timeoutMs: 1_000 });
    const { count } = watch(cache);
    await cache.setMany({ a: 1, b: 2 });
    await server.cli('client', 'pause', '60000', 'write');
    for (let n = 0; n < 100; n++) expect(await cache.getMany(['a', 'b', 'nothing'])).toEqual([1, 2, null]);
    // For longer than a heartbeat and its deadline.
    const { redis: hits } = (await cache.getStats()).hits;
    const end = Date.now() + 2_500;
    while (Date.now() < end) expect(await cache.get('a')).toBe(1);
    expect((await cache.getStats()).hits.redis).toBeGreaterThan(hits);
    expect([cache.getMode(), count('fallback')]).toEqual(['redis', 0]);
  });

  test('a write settles by its deadline, nobody waits after it, and it is undone when the pause is over', async () => {
    const cache = await connected({ timeoutMs: 250 });
    const told = watch(cache);
    await cache.setMany({ a: 'before', b: 'before' });
    await cache.get('b');
    await server.cli('client', 'pause', '60000', 'write');
    await cache.set('a', 'during');
    expect(await cache.get('a')).toBe('during');
    expect(await cache.get('b')).toBe('before'); // what was held goes on being served
    await expectNoWaiting(cache);
    await server.cli('client', 'unpause');
    await untilRecovered(told);
    expect(await cache.getMany(['a', 'b'])).toEqual([null, 'before']);
    await cache.set('a', 'after');
    expect(await server.cli('get', 'n:a')).toBe('"after"');
  });
});

describe('fault 20: a server that is busy', () => {
  test('a script without end is an outage, and nobody else’s script is killed', async () => {
    await server.cli('config', 'set', 'busy-reply-threshold', '50');
    const cache = await connected({ timeoutMs: 250 });
    const told = watch(cache);
    await cache.setMany({ a: 'before', b: 'before' });
    const script = spawn('redis-cli', ['-s', server.socket, 'eval', 'while true do end', '0']);
    const ended = new Promise((resolve) => script.once('exit', resolve));
    await untilMode(cache, 'memory');
    await until(() => cache.health().lastError.kind === 'loading');
    await cache.del('a');
    await expectNoWaiting(cache);
    expect(script.exitCode).toBeNull();
    expect(await server.cli('ping').catch((error) => error.message)).toMatch(/^.*BUSY/);
    await server.cli('script', 'kill');
    await ended;
    await untilRecovered(told);
    expect(await cache.getMany(['a', 'b'])).toEqual([null, 'before']);
  });

  test('DEBUG SLEEP is an outage that ends by itself', async () => {
    const slow = await redis({ config: ['enable-debug-command local'] });
    const cache = await connected({ url: slow.url(), timeoutMs: 250 });
    const told = watch(cache);
    await cache.set('a', 'before');
    const sleeping = slow.cli('debug', 'sleep', '2');
    await until(async () => {
      await cache.set('busy', 1);
      return cache.getMode() === 'memory';
    });
    await cache.del('a');
    await expectNoWaiting(cache);
    await sleeping;
    await untilRecovered(told);
    expect(await cache.get('a')).toBeNull();
  });
});

describe('fault 22: the server becomes a replica', () => {
  test('an outage; deletes are undone when it is a master again', async () => {
    const master = await redis();
    const proxy = await startProxy(server);
    servers.push(proxy);
    const cache = await connected({ url: proxy.url() });
    const told = watch(cache);
    await cache.setMany({ a: 'before', b: 'before' });
    // The master that it follows has nothing: who goes on reading here reads what is going to vanish.
    await server.cli('replicaof', '127.0.0.1', String(master.port));
    await cache.set('a', 'refused');
    await untilMode(cache, 'memory');
    await until(() => cache.health().lastError.kind === 'readonly' || cache.health().lastError.kind === 'loading');
    await cache.del('b');
    await expectNoWaiting(cache);
    proxy.refuse();
    // A dial that is under way would meet the master before its keys are there.
    proxy.reset();
    await server.cli('replicaof', 'no', 'one');
    await server.cli('mset', 'n:a', '"before"', 'n:b', '"before"');
    await proxy.accept();
    await untilRecovered(told);
    expect(await cache.getMany(['a', 'b'])).toEqual([null, null]);
    expect(await server.cli('exists', 'n:a', 'n:b')).toBe('0');
  });

  test('the name is resolved again: the new master is found, and the deletes are replayed there', async () => {
    const next = await redis({ bind: '::1', port: server.port });
    const resolver = makeResolver();
    resolver.answer({ 'failover.test': '127.0.0.1' });
    const script = startScript(
      `const { createCache } = require('holdfast');
      const cache = createCache({ namespace: 'n', logger: { info() {}, warn() {}, error() {} } });
      cache.on('recovered', async () => console.log('recovered ' + JSON.stringify(await cache.getMany(['a', 'b']))));
      cache.on('fallback', async ({ kind }) => {
        await cache.del('b');
        console.log('fallback ' + kind);
      });
      cache.on('ready', () => console.log('ready'));
      setInterval(() => cache.set('a', 'written'), 20);`,
      { env: { REDIS_URL: `redis://failover.test:${server.port}`, ...resolver.env } },
    );
    await script.says('ready');
    await next.cli('mset', 'n:a', '"old"', 'n:b', '"old"', 'foreign', '1');
    await next.cli('config', 'set', 'requirepass', 'not yet');
    await server.cli('replicaof', '::1', String(next.port));
    await script.says('fallback readonly');
    resolver.answer({ 'failover.test': '::1' });
    next.password = 'not yet';
    await next.cli('config', 'set', 'requirepass', '');
    await script.says('recovered [');
    expect(script.stdout).toMatch(/recovered \[(null|"written"),null\]/);
    expect(await next.cli('exists', 'n:b')).toBe('0');
    expect(await next.cli('get', 'foreign')).toBe('1');
    script.kill('SIGKILL');
    await script.result;
    resolver.remove();
  });
});

/** The server refuses every write; `mend()` ends that. */
const REFUSALS = [
  {
    code: 'MISCONF',
    refuse: async () => {
      await server.cli('config', 'set', 'save', '3600 1000000');
      fs.mkdirSync(path.join(server.dir, 'dump.rdb')); // no snapshot can be put there
      await server.cli('bgsave');
      await until(async () => /rdb_last_bgsave_status:err/.test(await server.cli('info', 'persistence')));
    },
    mend: () => server.cli('config', 'set', 'stop-writes-on-bgsave-error', 'no'),
  },
  {
    code: 'NOREPLICAS',
    refuse: () => server.cli('config', 'set', 'min-replicas-to-write', '1'),
    mend: () => server.cli('config', 'set', 'min-replicas-to-write', '0'),
  },
];

describe.each(REFUSALS)('fault 23: $code', ({ code, refuse, mend }) => {
  let cache;
  let told;
  beforeEach(async () => {
    cache = await connected();
    told = watch(cache);
    await cache.setMany({ a: 'before', b: 'before', c: 'before', other: 'other' });
    await cache.set('n', 5);
    await refuse();
    expect(await server.cli('set', 'x', '1')).toContain(code);
  });
  afterEach(() => {
    // No outage: reads go on, in Redis.
    expect([cache.getMode(), told.count('fallback')]).toEqual(['redis', 0]);
  });

  test('writes degrade alone: none rejects, no older value is read, and reads go on', async () => {
    await cache.set('a', 'refused');
    await cache.setMany({ b: 'refused' });
    expect(await cache.getMany(['a', 'b', 'other'])).toEqual([null, null, 'other']);
    expect((await cache.getStats()).errors.refused).toBeGreaterThan(0);
    expect(await cache.getOrCompute('computed', () => 'value')).toBe('value');
    expect(await cache.getOrCompute('a', () => 'value')).toBe('value');
    expect(await cache.get('other')).toBe('other');
    await mend();
    await cache.setMany({ a: 'after', b: 'after' });
    expect(await cache.getMany(['a', 'b'])).toEqual(['after', 'after']);
    expect(await server.cli('mget', 'n:a', 'n:b')).toBe('"after"\n"after"');
  });

  test('what was deleted is not read again', async () => {
    await cache.get('b');
    await cache.del('a');
    await cache.del(['b', 'c']);
    expect(await cache.getMany(['a', 'b', 'c', 'other'])).toEqual([null, null, null, 'other']);
    expect(await cache.exists('a')).toBe(false);
    expect(await cache.ttl('b')).toBeNull();
    await mend();
    expect(await cache.getMany(['a', 'b', 'c', 'other'])).toEqual([null, null, null, 'other']);
    expect(await cache.getOrCompute('a', () => 'computed')).toBe('computed');
    expect(await cache.get('a')).toBe('computed');
  });

  test('increment counts here, and does not say that the number is none', async () => {
    for (const options of [{}, { ttl: 100 }]) {
      await expect(cache.increment('new', 1, options)).resolves.toEqual(expect.any(Number));
      await expect(cache.increment('n', 1, options)).resolves.toEqual(expect.any(Number));
    }
    await mend();
    expect(await server.cli('get', 'n:n')).toBe('5');
    expect(await cache.increment('n')).toBe(6);
  });
});

describe('fault 24: maxmemory with noeviction', () => {
  let cache;
  let told;
  beforeEach(async () => {
    cache = await connected();
    told = watch(cache);
    await cache.setMany({ a: 'before', b: 'before', other: 'other', n: 5 });
    await server.cli('config', 'set', 'maxmemory', '1');
  });
  afterEach(() => {
    expect([cache.getMode(), told.count('fallback')]).toEqual(['redis', 0]);
  });

  test('sets fall back and are counted, deletes and reads go on, and no older value is read', async () => {
    await cache.set('a', 'refused');
    expect(await cache.getMany(['a', 'b', 'other'])).toEqual([null, 'before', 'other']);
    expect(await cache.del('b')).toBe(1);
    expect(await cache.get('b')).toBeNull();
    expect(await cache.getOrCompute('computed', () => 'value')).toBe('value');
    expect(await cache.getOrComputeMany(['x', 'y'], () => [1, 2])).toEqual([1, 2]);
    expect(await cache.expire('other', 50)).toBe(true);
    expect((await cache.getStats()).errors.oom).toBeGreaterThanOrEqual(1);
    await server.cli('config', 'set', 'maxmemory', '0');
    await cache.set('a', 'after');
    expect(await cache.get('a')).toBe('after');
    expect(await server.cli('get', 'n:a')).toBe('"after"');
  });

  test('increment counts here, with and without a ttl', async () => {
    expect(await cache.increment('new')).toEqual(expect.any(Number));
    expect(await cache.increment('new', 1, { ttl: 100 })).toEqual(expect.any(Number));
    expect(await cache.increment('other-new', 1, { ttl: 100 })).toEqual(expect.any(Number));
    await server.cli('config', 'set', 'maxmemory', '0');
    expect(await cache.increment('n')).toBe(6);
  });
});
