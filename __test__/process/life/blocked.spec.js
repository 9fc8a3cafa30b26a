// An event loop that has the socket itself (`io: 'loop'`) and is blocked for longer than a lease lasts, while functions
// of getOrCompute run: their leases are renewed all the same, and the results are stored.
'use strict';

const { closeCaches, freshNamespace, openCache } = require('../../support/holdfast');
const { serverForAll } = require('../../support/redis-server');
const { startScript } = require('../../support/run-script');
const { until } = require('../../support/until');

const server = serverForAll();
let namespace;
beforeEach(() => {
  namespace = freshNamespace();
});
afterEach(closeCaches);

// A lease lasts for 3 s.
const BLOCKED_MS = 4_500;

/** Starts a process that makes `calls` of `cache`; its functions may `block(value)`. It does not close the cache. */
function startBlocked(calls) {
  const source = `
    const { createCache } = require('holdfast');
    const { setTimeout: sleep } = require('node:timers/promises');
    const [, , url, namespace] = process.argv;
    const cache = createCache({ url, namespace, io: 'loop', timeoutMs: 10_000, logger: null });
    const events = [];
    for (const name of ['fallback', 'error']) cache.on(name, () => events.push(name));
    function block(value) {
      console.log('begun');
      const end = process.hrtime.bigint() + ${BLOCKED_MS}_000_000n;
      while (process.hrtime.bigint() < end);
      return value;
    }
    (async () => {
      await cache.ready();
      ${calls}
      console.log(JSON.stringify({ found: await cache.get('k'), events }));
    })();`;
  return startScript(source, { args: [server.url(), namespace] });
}

/** The process has found this at the key, has had no outage, and has ended by itself. */
async function expectEnd(script, found) {
  const { code, stdout, stderr, hung } = await script.result;
  expect({ code, stderr, hung }).toEqual({ code: 0, stderr: '', hung: false });
  expect(JSON.parse(stdout.trimEnd().split('\n').at(-1))).toEqual({ found, events: [] });
}

test('another process waits for its value, and the value is stored', async () => {
  const cache = await openCache({ url: server.url(), namespace });
  const script = startBlocked(`await cache.getOrCompute('k', () => block('here'), 60);`);
  await script.says('begun');
  const fn = jest.fn(() => 'there');
  expect(await cache.getOrCompute('k', fn, 60)).toBe('here');
  expect(fn).not.toHaveBeenCalled();
  expect(await server.cli('get', `${namespace}:k`)).toBe('"here"');
  await expectEnd(script, 'here');
});

test('so it does where something else blocks it while functions run, and of many keys each is stored', async () => {
  const cache = await openCache({ url: server.url(), namespace });
  const script = startBlocked(`
      const keys = Array.from({ length: 1_000 }, (_, i) => 'k' + i);
      const computing = cache.getOrComputeMany(keys, (missing) => {
        setImmediate(block);
        return sleep(10).then(() => missing.map((key) => 'of ' + key));
      }, 60);
      const one = cache.getOrCompute('k', () => sleep(10).then(() => 'here'), 60);
      await Promise.all([computing, one]);`);
  await script.says('begun');
  const keys = Array.from({ length: 1_000 }, (_, i) => `k${i}`);
  const fn = jest.fn((missing) => missing.map(() => 'there'));
  const got = await cache.getOrComputeMany(keys, fn, 60);
  expect(fn).not.toHaveBeenCalled();
  expect(got).toEqual(keys.map((key) => `of ${key}`));
  await expectEnd(script, 'here');
});

test('its refresh keeps the lock, so that the old value serves until the new one is there', async () => {
  const cache = await openCache({ url: server.url(), namespace });
  const script = startBlocked(`
      await cache.getOrCompute('k', () => 'old', { ttl: 0.05, grace: 60 });
      while ((await cache.get('k')) !== null) await sleep(10);
      await cache.getOrCompute('k', () => block('new'), { ttl: 60, grace: 60 });`);
  await script.says('begun');
  const fn = jest.fn(() => 'there');
  const seen = new Set();
  await until(async () => {
    seen.add(await cache.getOrCompute('k', fn, { ttl: 60, grace: 60 }));
    return seen.has('new') || fn.mock.calls.length > 0;
  }, 'the new value');
  expect([...seen]).toEqual(['old', 'new']);
  expect(fn).not.toHaveBeenCalled();
  await expectEnd(script, 'new');
});

test('a key that is deleted meanwhile stays deleted', async () => {
  const script = startBlocked(`await cache.getOrCompute('k', () => block('here'), 60);`);
  await script.says('begun');
  // Once the lease has been renewed in place of the event loop: a second or more has passed, and it is whole again.
  let left = Infinity;
  await until(async () => {
    const before = left;
    left = Number(await server.cli('pttl', `${namespace}:k`));
    if (left < 0) throw new Error('the lease has ended');
    return left > before;
  }, 'the lease is renewed');
  expect(await server.cli('del', `${namespace}:k`)).toBe('1');
  await expectEnd(script, null);
  expect(await server.cli('exists', `${namespace}:k`)).toBe('0');
});

test('a process ends by itself though it still holds a lease', async () => {
  const script = startBlocked(`
      const forEver = () => block(new Promise(() => {}));
      await cache.getOrCompute('k', forEver, { hardTimeout: 0.1 }).catch((error) => console.log(error.code));`);
  await expectEnd(script, null);
  expect(script.stdout).toContain('ERR_COMPUTE_TIMEOUT');
});
