// Refreshes of entries that are still of use (swr, grace, earlyRefresh) across processes: one of them runs the
// function, whoever dies, whoever writes.
'use strict';

const { closeCaches, freshNamespace, openCache } = require('./support/holdfast');
const { computation } = require('./support/computation');
const { serverForAll, startRedis } = require('./support/redis-server');
const { runForJson, startScript } = require('./support/run-script');
const { until, untilRenewed } = require('./support/until');

const server = serverForAll();
let namespace;
beforeEach(() => {
  namespace = freshNamespace();
});
afterEach(closeCaches);

/**
 * An instance: caches of one URL share a connection and their computations, so another way to the server is another
 * instance.
 */
const instance = (url, options) => openCache({ url, namespace, ...options });
const here = () => instance(server.url());
const there = () => instance(`unix:${server.socket}`);

/** Leaves the value `old` at `k`: its TTL is over, and it is kept for a minute more. */
async function leaveOld(cache) {
  await cache.getOrCompute('k', () => 'old', { ttl: 0.05, grace: 60 });
  await until(async () => (await cache.get('k')) === null, 'the TTL is over');
}
const notRun = () => {
  throw new Error('the function must not run');
};

// Four processes ask at once; the one whose function runs lets it finish when all callers of all processes have been
// served.
const PROCESSES = `
  const { fork } = require('node:child_process');
  const { setTimeout: sleep } = require('node:timers/promises');
  const { createCache } = require('holdfast');
  const [, , role, namespace, options] = process.argv;
  const cache = createCache({ namespace, timeoutMs: 10000 });
  const one = (message) => new Promise((resolve) => process.on('message', (got) => got === message && resolve()));
  async function ask() {
    const finish = one('finish');
    const go = one('go');
    const compute = async () => {
      process.send({ runs: 1 });
      await finish;
      return 'new';
    };
    const call = () => cache.getOrCompute('k', compute, JSON.parse(options));
    while (cache.getMode() !== 'redis') await sleep(5);
    process.send({ ready: true });
    await go;
    process.send({ served: await Promise.all(Array.from({ length: 100 }, call)) });
    while ((await call()) !== 'new') await sleep(5);
    process.send({ refreshed: true }, () => process.disconnect());
    await cache.close();
  }
  async function lead() {
    const count = { runs: 0, ready: 0, refreshed: 0 };
    const served = [];
    const children = Array.from({ length: 4 }, () => fork(__filename, ['ask', namespace, options]));
    const tell = (message) => children.forEach((child) => child.send(message));
    for (const child of children) child.on('message', (message) => {
      for (const name of Object.keys(count)) if (message[name]) count[name]++;
      if (message.ready && count.ready === 4) tell('go');
      if (message.served) served.push(...message.served);
      if (message.served && served.length === 400) tell('finish');
    });
    await Promise.all(children.map((child) => new Promise((resolve) => child.once('exit', resolve))));
    console.log(JSON.stringify({ ...count, served: served.length, values: [...new Set(served)] }));
    await cache.close();
  }
  if (role === 'ask') ask();
  else lead();
`;

test.each([
  ['swr', { swr: 60 }],
  ['grace with a timeout', { grace: 60, timeout: 0.02 }],
])('%s: 4 processes, 400 callers, one refresh, and all are served the old value meanwhile', async (_, options) => {
  await leaveOld(await here());
  const args = ['lead', namespace, JSON.stringify(options)];
  const result = await runForJson(PROCESSES, { env: { REDIS_URL: server.url() }, args });
  expect(result).toEqual({ runs: 1, ready: 4, refreshed: 4, served: 400, values: ['old'] });
});

const ENDLESS = `
  const { createCache } = require('holdfast');
  const cache = createCache({ namespace: process.argv[2], timeoutMs: 10000 });
  const endless = () => {
    console.log('it runs');
    return new Promise(() => {});
  };
  cache.getOrCompute('k', endless, { swr: 60 }).then((value) => console.log('served ' + value));
  setInterval(() => {}, 1000);
`;

test('the owner of a refresh is killed: another process refreshes', async () => {
  const cache = await here();
  await leaveOld(cache);
  const owner = startScript(ENDLESS, { env: { REDIS_URL: server.url() }, args: [namespace] });
  await owner.says('it runs');
  await owner.says('served old');
  for (let i = 0; i < 5; i++) expect(await cache.getOrCompute('k', notRun, { swr: 60, grace: 60 })).toBe('old');
  owner.kill('SIGKILL');
  await owner.result;
  const fn = jest.fn(() => 'new');
  const seen = new Set();
  await until(async () => {
    const value = await cache.getOrCompute('k', fn, { swr: 60 });
    seen.add(value);
    return value === 'new';
  });
  expect([...seen]).toEqual(['old', 'new']);
  expect(fn).toHaveBeenCalledTimes(1);
});

test('while another instance refreshes, all who take an old value are served it, and those who wait get the new one', async () => {
  const [one, two] = [await here(), await there()];
  await leaveOld(one);
  const refresh = computation();
  expect(await one.getOrCompute('k', refresh.fn, { swr: 60 })).toBe('old');
  await refresh.begun();
  for (const options of [{ swr: 60 }, { grace: 60 }, { grace: 60, timeout: 5 }]) {
    expect(await two.getOrCompute('k', notRun, options)).toBe('old');
    expect(await two.getOrComputeMany(['k', 'k'], notRun, options)).toEqual(['old', 'old']);
  }
  expect((await two.getStats()).staleServed).toBe(6);
  refresh.open('new');
  await until(async () => (await two.getOrCompute('k', notRun, { swr: 60 })) === 'new');
  expect(refresh.runs).toBe(1);
});

test('who takes no old value computes beside the refresh of another instance, whose result does not replace the newer one', async () => {
  const [one, two] = [await here(), await there()];
  await leaveOld(one);
  const refresh = computation();
  expect(await one.getOrCompute('k', refresh.fn, { swr: 60 })).toBe('old');
  await refresh.begun();
  expect(await two.getOrCompute('k', () => 'own')).toBe('own');
  const waiting = one.getOrCompute('k', notRun);
  refresh.open('refreshed');
  expect(['own', 'refreshed']).toContain(await waiting);
  await until(async () => (await one.get('k')) === 'own');
  expect(await two.get('k')).toBe('own');
});

test('an early refresh runs in one of two instances', async () => {
  const [one, two] = [await here(), await there()];
  const eager = { ttl: 100, earlyRefresh: 1e9, hardTimeout: 5 };
  await one.getOrCompute('k', () => 'present', eager);
  const refresh = computation();
  for (let i = 0; i < 20; i++) {
    for (const cache of [one, two]) expect(await cache.getOrCompute('k', refresh.fn, eager)).toBe('present');
  }
  await refresh.begun();
  refresh.open('refreshed');
  for (const cache of [one, two]) await until(async () => (await cache.get('k')) === 'refreshed');
  expect(refresh.runs).toBe(1);
});

test.each([
  ['DEL', (key) => server.cli('del', key), null],
  ['SET', (key) => server.cli('set', key, '"theirs"'), 'theirs'],
  ['FLUSHALL', () => server.cli('flushall'), null],
])('%s by another client during a refresh: its result is not stored', async (_, write, left) => {
  const cache = await here();
  await leaveOld(cache);
  const refresh = computation();
  const options = { grace: 60, timeout: 20 };
  const result = cache.getOrCompute('k', refresh.fn, options);
  await refresh.begun();
  await write(`${namespace}:k`);
  refresh.open('late');
  expect(await result).toBe('late');
  await until(async () => (await cache.get('k')) === left, 'what the other client left');
  for (let i = 0; i < 10; i++) expect(await cache.get('k')).toBe(left);
});

test('an expire by another client during a refresh does not keep its result from being stored', async () => {
  const cache = await here();
  await leaveOld(cache);
  const refresh = computation();
  expect(await cache.getOrCompute('k', refresh.fn, { swr: 60 })).toBe('old');
  await refresh.begun();
  await server.cli('pexpire', `${namespace}:k`, '30000');
  refresh.open('new');
  await until(async () => (await cache.get('k')) === 'new');
});

test('the right to refresh is renewed while the function runs', async () => {
  const [one, two] = [await here(), await there()];
  await leaveOld(one);
  const refresh = computation();
  expect(await one.getOrCompute('k', refresh.fn, { swr: 60 })).toBe('old');
  await refresh.begun();
  await untilRenewed(() =>
    server.cli('eval', `return redis.call('PTTL', ARGV[1] .. '\\0refresh\\0k')`, '0', `${namespace}:`),
  );
  expect(await two.getOrCompute('k', notRun, { swr: 60 })).toBe('old');
  refresh.open('new');
  await until(async () => (await two.get('k')) === 'new');
});

test('when the function throws, others go on being served, and one of them tries again', async () => {
  const [one, two] = [await here(), await there()];
  await leaveOld(one);
  const fail = () => Promise.reject(new Error('on purpose'));
  expect(await one.getOrCompute('k', fail, { grace: 60 })).toBe('old');
  await until(async () => {
    const value = await two.getOrCompute('k', () => 'new', { grace: 60 });
    expect(['old', 'new']).toContain(value);
    return value === 'new';
  });
  await until(async () => (await one.get('k')) === 'new');
});

test('a server that forgets its scripts is taught them again', async () => {
  const cache = await here();
  await leaveOld(cache);
  const refresh = computation();
  expect(await cache.getOrCompute('k', refresh.fn, { swr: 60 })).toBe('old');
  await refresh.begun();
  await server.cli('script', 'flush');
  refresh.open('new');
  await until(async () => (await cache.get('k')) === 'new');
});

test('where scripts are denied each process refreshes for itself', async () => {
  const denied = await startRedis({ acl: ['user plain on >pass ~* &* +@all -@scripting'] });
  const cache = await instance(denied.url({ user: 'plain', password: 'pass' }));
  await leaveOld(cache);
  const fn = jest.fn(async () => 'new');
  expect(await Promise.all([1, 2, 3].map(() => cache.getOrCompute('k', fn, { swr: 60 })))).toEqual(
    Array(3).fill('old'),
  );
  await until(async () => (await cache.get('k')) === 'new');
  expect(fn).toHaveBeenCalledTimes(1);
  await closeCaches();
  await denied.stop();
});

test('no lock is left behind, and none is a key of the cache', async () => {
  const cache = await here();
  await leaveOld(cache);
  const refresh = computation();
  await cache.getOrCompute('k', refresh.fn, { swr: 60 });
  await refresh.begun();
  expect(await server.cli('keys', `${namespace}:*refresh*`)).not.toBe('');
  expect(await cache.delPattern('*refresh*')).toBe(0);
  refresh.open('new');
  await until(async () => (await cache.get('k')) === 'new');
  expect(await server.cli('keys', `${namespace}:*refresh*`)).toBe('');
});
