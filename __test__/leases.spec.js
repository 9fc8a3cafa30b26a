// getOrCompute across processes: one computation, whoever dies, whoever deletes.
'use strict';

const { computation } = require('./support/computation');
const { closeCaches, freshNamespace, openCache, recorder } = require('./support/holdfast');
const { serverForAll, startRedis } = require('./support/redis-server');
const { runForJson } = require('./support/run-script');
const { until, untilRenewed } = require('./support/until');

const server = serverForAll();
// A new one for each test: what the last one left may be near until its push has come.
let namespace;
beforeEach(() => {
  namespace = freshNamespace();
});
afterEach(() => closeCaches());

const connected = (options) => openCache({ url: server.url(), namespace, ...options });

// Several processes ask for one key; what ran is counted in Redis by a client of its own.
const STAMPEDE = `
  const { fork } = require('node:child_process');
  const { createCache } = require('holdfast');
  const { setTimeout: sleep } = require('node:timers/promises');
  const cache = createCache({ namespace: process.env.STAMPEDE, timeoutMs: 10000 });
  const [, , role, processes, callers, kill] = process.argv;
  async function ask() {
    const compute = async () => {
      const run = await cache.increment('runs');
      process.send('runs');
      // The one that is to be killed does not end before it is.
      if (kill && run === 1) await new Promise(() => {});
      await sleep(200);
      return { made: true };
    };
    const results = await Promise.all(Array.from({ length: Number(callers) }, () => cache.getOrCompute('k', compute, 60)));
    process.send({ right: results.filter((result) => result.made === true).length }, () => process.disconnect());
    await cache.close();
  }
  async function lead() {
    let killed = false;
    const children = Array.from({ length: Number(processes) }, () => fork(__filename, ['ask', ...process.argv.slice(3)]));
    const right = await Promise.all(children.map((child) => new Promise((resolve) => {
      child.on('message', (message) => {
        if (message !== 'runs') resolve(message.right);
        else if (kill && !killed) {
          killed = true;
          child.kill('SIGKILL');
        }
      });
      child.once('exit', () => resolve(null));
    })));
    console.log(JSON.stringify({ runs: await cache.get('runs'), right }));
  }
  if (role === 'ask') ask();
  else lead();
`;

test('the callers have the value when it is computed, and it is stored behind that', async () => {
  const own = await startRedis();
  const cache = await openCache({ url: own.url(), namespace, timeoutMs: 5_000, nearCache: false });
  const compute = async () => {
    await own.kill('SIGSTOP');
    return 1;
  };
  expect(await Promise.all([cache.getOrCompute('k', compute), cache.getOrCompute('k', compute)])).toEqual([1, 1]);
  expect(cache.getMode()).toBe('redis');
  const behind = cache.get('k');
  await own.kill('SIGCONT');
  expect(await behind).toBe(1);
  await own.stop();
});

test('10,000 callers in 4 processes: one computation', async () => {
  const env = { REDIS_URL: server.url(), STAMPEDE: namespace };
  const { runs, right } = await runForJson(STAMPEDE, { env, args: ['lead', '4', '2500'] });
  expect({ runs, right }).toEqual({ runs: 1, right: [2500, 2500, 2500, 2500] });
});

test('its owner killed halfway: two, and every other caller gets the value', async () => {
  const env = { REDIS_URL: server.url(), STAMPEDE: namespace };
  const { runs, right } = await runForJson(STAMPEDE, { env, args: ['lead', '4', '100', 'kill'] });
  expect(runs).toBe(2);
  expect(right.filter((n) => n === null)).toHaveLength(1);
  expect(right.filter((n) => n === 100)).toHaveLength(3);
});

// A second process, for those who wait elsewhere: its caller's function must not run.
const ELSEWHERE = `
  const { createCache } = require('holdfast');
  const cache = createCache({ namespace: process.argv[2], timeoutMs: 10000 });
  let runs = 0;
  const asked = cache.getOrCompute('k', () => { runs++; return 'elsewhere'; });
  cache.get('other').then(() => console.log('asked'));
  asked.then(async (value) => {
    console.log(JSON.stringify({ value, runs }));
    await cache.close();
  });
`;

function elsewhere() {
  return runForJson(ELSEWHERE, { env: { REDIS_URL: server.url() }, args: [namespace] });
}

test('another process gets the value of this one', async () => {
  const cache = await connected();
  const held = computation();
  const here = cache.getOrCompute('k', held.fn);
  await held.begun();
  const there = elsewhere();
  await until(
    async () => Number(await server.cli('client', 'list').then((list) => list.match(/name=holdfast/g).length)) > 1,
    'both',
  );
  held.open('here');
  expect(await here).toBe('here');
  expect(await there).toEqual({ value: 'here', runs: 0 });
});

test('what throws here is computed there', async () => {
  const cache = await connected();
  const held = computation();
  const here = cache.getOrCompute('k', held.fn);
  const rejected = expect(here).rejects.toThrow('on purpose');
  await held.begun();
  const there = elsewhere();
  await until(async () => (await server.cli('client', 'list')).match(/name=holdfast/g).length > 1, 'both');
  held.fail(new Error('on purpose'));
  await rejected;
  expect(await there).toEqual({ value: 'elsewhere', runs: 1 });
});

test.each([
  ['DEL', (key) => server.cli('del', key), null],
  ['SET', (key) => server.cli('set', key, '"theirs"'), 'theirs'],
  ['FLUSHALL', () => server.cli('flushall'), null],
])('%s by another client during the computation: the result is returned and not stored', async (_, write, left) => {
  const cache = await connected();
  const held = computation();
  const result = cache.getOrCompute('k', held.fn);
  await held.begun();
  await write(`${namespace}:k`);
  held.open('computed before');
  expect(await result).toBe('computed before');
  await until(async () => (await cache.get('k')) === left, 'what the other client left');
});

test('while it is computed the key is not there', async () => {
  const cache = await connected();
  const held = computation();
  const result = cache.getOrCompute('k', held.fn, 60);
  await held.begun();
  expect(await cache.get('k')).toBeNull();
  expect(await cache.getMany(['k', 'k'])).toEqual([null, null]);
  expect(await cache.exists('k')).toBe(false);
  expect(await cache.ttl('k')).toBeNull();
  expect((await cache.getStats()).decodeErrors).toBe(0);
  held.open(1);
  expect(await result).toBe(1);
  expect(await cache.exists('k')).toBe(true);
  expect(await cache.ttl('k')).toBeGreaterThan(50);
});

test.each([
  ['an invalidated tag', (cache) => cache.invalidateTags('t')],
  ['a deleted pattern', (cache) => cache.delPattern('*')],
  ['a deleted key', (cache) => cache.del('k')],
])('%s ends a computation, and nobody waits for it any more', async (_, write) => {
  const [one, two] = [await connected(), await connected({ url: `unix:${server.socket}` })];
  const held = computation();
  const options = { tags: ['t'], hardTimeout: 20 };
  const old = one.getOrCompute('k', held.fn, options);
  await held.begun();
  // Longer than anyone waits: its own end does not come in time.
  await server.cli('pexpire', `${namespace}:k`, '60000');
  await write(one);
  const made = await Promise.all([one, two].map((cache) => cache.getOrCompute('k', () => 'new', options)));
  expect(made).toEqual(['new', 'new']);
  held.open('old');
  expect(await old).toBe('old');
  expect(await one.get('k')).toBe('new');
});

test('a lease is renewed while the function runs', async () => {
  const cache = await connected();
  const held = computation();
  const result = cache.getOrCompute('k', held.fn);
  await held.begun();
  await untilRenewed(() => server.cli('pttl', `${namespace}:k`));
  held.open('slow');
  expect(await result).toBe('slow');
  expect(await cache.get('k')).toBe('slow');
});

test('a server that forgets its scripts is taught them again', async () => {
  const cache = await connected();
  const held = computation();
  const result = cache.getOrCompute('k', held.fn);
  await held.begun();
  await server.cli('script', 'flush');
  held.open('kept');
  expect(await result).toBe('kept');
  await until(async () => (await server.cli('get', `${namespace}:k`)) === '"kept"', 'the value in Redis');
  await server.cli('script', 'flush');
  expect(await cache.getOrCompute('k2', () => 2)).toBe(2);
  expect(await cache.get('k2')).toBe(2);
});

test('a call of many that waits for its leases waits no longer than hardTimeout, and begins nothing behind it', async () => {
  const cache = await connected();
  const fn = jest.fn((keys) => keys);
  // Reads are answered, scripts are not.
  await server.cli('client', 'pause', '60000', 'write');
  const late = cache.getOrComputeMany(['a', 'b'], fn, { hardTimeout: 0.1 });
  await expect(late).rejects.toMatchObject({ code: 'ERR_COMPUTE_TIMEOUT' });
  await server.cli('client', 'unpause');
  expect(await cache.getOrComputeMany(['b', 'c'], (keys) => keys.map(() => 'anew'))).toEqual(['anew', 'anew']);
  expect(await cache.getOrCompute('a', () => 'anew')).toBe('anew');
  expect(fn).not.toHaveBeenCalled();
});

test('with lock: false nothing is put at the key', async () => {
  const cache = await connected();
  const held = computation();
  const result = cache.getOrCompute('k', held.fn, { lock: false });
  await held.begun();
  expect(await server.cli('exists', `${namespace}:k`)).toBe('0');
  held.open(1);
  expect(await result).toBe(1);
  expect(await cache.get('k')).toBe(1);
});

test('where scripts are denied it computes per process, and that is said', async () => {
  const denied = await startRedis({ acl: ['user plain on >pass ~* &* +@all -@scripting'] });
  const logger = recorder();
  const cache = await openCache({ url: denied.url({ user: 'plain', password: 'pass' }), logger });
  const fn = jest.fn(async () => 'value');
  expect(await Promise.all([1, 2, 3].map(() => cache.getOrCompute('k', fn)))).toEqual(['value', 'value', 'value']);
  expect(fn).toHaveBeenCalledTimes(1);
  expect(await cache.get('k')).toBe('value');
  await until(() => logger.lines.some(([, line]) => line.includes('scripts')), 'it is said');
  await closeCaches();
  await denied.stop();
});

test('bytes that are no value do not keep a key from being computed', async () => {
  const cache = await connected();
  await server.cli('set', `${namespace}:k`, 'no json');
  expect(await cache.getOrCompute('k', () => 'computed')).toBe('computed');
  expect(await cache.get('k')).toBe('computed');
});
