// Input: Object.prototype with names that are our options, as another package's prototype pollution leaves them. They
// change nothing.
'use strict';

const { serverForAll } = require('../support/redis-server');
const { runForJson } = require('../support/run-script');

const server = serverForAll();

// Every name that is read of an option, the environment, or what crosses; and of a descriptor.
const POLLUTION = {
  flushDb: true,
  insecure: true,
  ca: 'no certificate',
  servername: 'elsewhere',
  tls: { insecure: true },
  ttl: 0.001,
  tags: ['polluted'],
  swr: 1_000,
  grace: 1_000,
  timeout: 0.001,
  hardTimeout: 0.001,
  jitter: 1,
  earlyRefresh: 1_000,
  lock: false,
  onOutage: 'reject',
  url: 'redis://127.0.0.1:1',
  namespace: 'polluted',
  maxMemory: 'nonsense',
  maxValueBytes: 1,
  timeoutMs: 'nonsense',
  outageStale: 'nonsense',
  outageTtl: 'nonsense',
  nearCache: false,
  maxAge: -1,
  values: 'frozen',
  codec: 'raw',
  compression: 'zstd',
  threshold: -1,
  logger: 5,
  compressAbove: 1,
  near: 5,
  nearMaxMemory: 'nonsense',
  nearMaxAge: -1,
  tlsCa: 5,
  tlsExtraCa: 5,
  tlsInsecure: true,
  tlsServername: 'elsewhere',
  io: 'nonsense',
  spin: 'nonsense',
  cause: 'polluted',
  REDIS_URL: 'redis://127.0.0.1:1',
  HOLDFAST_NAMESPACE: 'polluted',
  HOLDFAST_TTL: 'nonsense',
  HOLDFAST_MAX_MEMORY: 'nonsense',
  HOLDFAST_TIMEOUT_MS: 'nonsense',
  HOLDFAST_NEAR_CACHE: 'nonsense',
  HOLDFAST_VALUES: 'frozen',
  HOLDFAST_IO: 'nonsense',
  HOLDFAST_SPIN: 'nonsense',
  HOLDFAST_TLS_CA: 'nonsense',
  HOLDFAST_TLS_INSECURE: '1',
  HOLDFAST_LOG: 'nonsense',
  HOLDFAST_FLUSH: 'microtask',
  NODE_EXTRA_CA_CERTS: '/nowhere',
  // Of what lies between the calls and Rust.
  task: 2,
  error: 'polluted',
  text: 'polluted',
  kind: 5,
  done: true,
  many: true,
  waiter: 5,
  quiet: true,
  plan: 5,
  problem: 'polluted',
  0: 5,
  1: 5,
  2: 5,
};

// Prints what each function does, with the names there and without.
const script = (polluted, enumerable) => `
  const pollute = () => {
    for (const [name, value] of Object.entries(${JSON.stringify(polluted)}))
      Object.defineProperty(Object.prototype, name, { value, configurable: true, writable: true, enumerable: ${enumerable} });
  };
  const when = process.argv[2];
  if (when === 'before') pollute();
  const holdfast = require('holdfast');
  if (when === 'after') pollute();
  const codeOf = (call) => call().then(() => 'done', (error) => [error.code, Object.hasOwn(error, 'cause')]);
  const lines = [];
  const logger = { info: (line) => lines.push(line), warn: (line) => lines.push(line), error: (line) => lines.push(line) };
  const use = async (cache) => {
    const told = [await cache.ready()];
    await cache.set('a', { n: 1 });
    await cache.set('b', 'x'.repeat(2_000), { ttl: 500 });
    await cache.setMany({ c: 3 });
    await cache.setMany({ d: 4 }, {});
    await cache.invalidateTags('polluted');
    for (let i = 0; i < 20; i++) await cache.get('a');
    told.push(await cache.getMany(['a', 'b', 'c', 'd']), (await Promise.all(['a', 'b', 'c', 'd'].map((key) => cache.ttl(key)))).map(Math.ceil));
    told.push(Object.isFrozen(await cache.get('a')));
    told.push(await cache.getOrCompute('e', async () => 5), await cache.getOrCompute('f', async () => 6, {}));
    told.push(await cache.getOrComputeMany(['g', 'h'], (keys) => keys, {}));
    told.push(await cache.increment('n', 1, {}), await cache.ttl('n'), Math.ceil(await cache.ttl('f')));
    told.push(await codeOf(() => cache.set('k', 10n)), await codeOf(() => cache.get('')), await codeOf(() => cache.clear()));
    told.push(await codeOf(() => cache.clear({})), await cache.exists('a'), cache.health().status, cache.health().lastError);
    return told;
  };
  (async () => {
    const further = holdfast.createCache({ namespace: 'further', url: process.env.TEST_URL ?? '', logger });
    const raw = holdfast.createCache({ namespace: '', url: process.env.TEST_URL ?? '', logger: null, nearCache: {}, tls: {}, compression: {} });
    console.log(JSON.stringify([await use(holdfast), await use(further), await use(raw), lines]));
  })();`;

describe.each([true, false])('enumerable: %s', (enumerable) => {
  test.each(['before', 'after'])('names that are there %s the package is required have no effect', async (when) => {
    for (const env of [{}, { REDIS_URL: server.url(), TEST_URL: server.url() }]) {
      const options = { env: { HOLDFAST_TIMEOUT_MS: '10000', ...env } };
      await server.cli('flushall');
      const clean = await runForJson(script({}, enumerable), options);
      await server.cli('flushall');
      await server.cli('set', 'bull:queue', 'jobs');
      const polluted = await runForJson(script(POLLUTION, enumerable), { ...options, args: [when] });
      expect(polluted).toEqual(clean);
      expect(await server.cli('get', 'bull:queue')).toBe('jobs');
    }
  });
});

test('TLS stays verified', async () => {
  const source = `
    for (const name of ['insecure', 'tlsInsecure', 'HOLDFAST_TLS_INSECURE']) Object.prototype[name] = name.startsWith('H') ? '1' : true;
    const { createCache } = require('holdfast');
    const lines = [];
    const logger = { info() {}, warn: (line) => lines.push(line), error() {} };
    const url = 'rediss://127.0.0.1:1';
    for (const tls of [undefined, {}]) createCache({ namespace: 'a', url, logger, ...(tls && { tls }) });
    console.log(JSON.stringify(lines));`;
  expect(await runForJson(source)).toEqual([]);
});
