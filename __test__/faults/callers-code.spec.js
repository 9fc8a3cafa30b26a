// Fault 58: code of the caller's that throws, or does what nobody expects, keeps no call from settling and is not lost
// in silence.
'use strict';

const { closeCaches, expectCode, makeCache, openCache, recorder, stateOf } = require('../support/holdfast');
const { MODES } = require('../support/modes');
const { serverForAll } = require('../support/redis-server');
const { startScript } = require('../support/run-script');
const { until, untilMode } = require('../support/until');

const server = serverForAll();
afterEach(async () => {
  jest.restoreAllMocks();
  await server.kill('SIGCONT');
  await closeCaches();
});

const throws = () => {
  throw new Error('the stream was closed');
};
const untouched = () => {};
const LOGGERS = [
  ['throws', () => ({ info: throws, warn: throws, error: throws }), untouched],
  ['returns a promise that rejects', () => ({ info() {}, warn: async () => throws(), error() {} }), untouched],
  ['was robbed of its functions', () => recorder(), (logger) => delete logger.warn],
  [
    'has a getter that throws',
    () => recorder(),
    (logger) => Object.defineProperty(logger, 'warn', { get: () => throws() }),
  ],
];

/** Waits until the event loop is free again with an event and the replies of many calls to tell. */
function block(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test.each(LOGGERS)('fault 58: a logger that %s keeps no call from settling', async (_name, make, spoil) => {
  const logger = make();
  const cache = await openCache({ url: server.url(), logger, timeoutMs: 250 });
  spoil(logger);
  const told = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  await server.kill('SIGSTOP');
  const calls = Array.from({ length: 200 }, (_, i) => cache.get(`k${i}`));
  await new Promise((resolve) => setImmediate(resolve));
  // The outage and its answers travel in one text.
  block(600);
  expect(await Promise.all(calls)).toEqual(Array(200).fill(null));
  expect(cache.getMode()).toBe('memory');
  await until(() => told.mock.calls.length > 0);
  expect(told.mock.calls[0][0]).toContain('logger');
});

test('fault 58: a logger that is a proxy whose traps throw is told all the same, and so are listeners', async () => {
  const logger = new Proxy(recorder(), { getOwnPropertyDescriptor: throws, has: throws, ownKeys: throws });
  const cache = makeCache({ url: server.url(), logger });
  const heard = new Promise((resolve) => cache.on('ready', resolve));
  expect(await cache.ready()).toBe('redis');
  await heard;
  await until(() => logger.lines.length > 0);
});

test('fault 58: a logger may call the cache that tells it', async () => {
  const values = [];
  const logger = recorder();
  const cache = makeCache({ url: server.url(), logger, timeoutMs: 250 });
  logger.warn = () => values.push(cache.get('k'));
  await untilMode(cache, 'redis');
  await server.kill('SIGSTOP');
  await cache.set('k', 1);
  await until(() => values.length > 0);
  expect(await Promise.all(values)).toEqual([1]);
});

test('fault 58: what a listener throws is an uncaught exception, and every call settles', async () => {
  const script = startScript(
    `
    process.env.HOLDFAST_LOG = 'silent';
    const { createCache } = require('holdfast');
    setInterval(() => {}, 1_000);
    const cache = createCache({ namespace: 'listener', url: '${server.url()}', timeoutMs: 250 });
    process.on('uncaughtException', (error) => console.log('uncaught:', error.message));
    cache.on('fallback', () => { throw new Error('mine'); });
    cache.once('ready', () => {
      console.log('ready');
      process.stdin.once('data', async () => {
        const calls = Array.from({ length: 200 }, (_, i) => cache.get('k' + i));
        await Promise.all(calls);
        console.log('settled');
        process.exit();
      });
    });
  `,
    { input: true },
  );
  await script.says('ready');
  await server.kill('SIGSTOP');
  script.child.stdin.write('go\n');
  const { stdout } = await script.result;
  expect(stdout).toContain('uncaught: mine');
  expect(stdout).toContain('settled');
});

describe.each(MODES)('in $name', (mode) => {
  beforeAll(() => mode.start());
  afterAll(() => mode.stop());

  test('fault 58: globals that are replaced after the package was loaded are not asked', async () => {
    const cache = await mode.cache();
    const names = { JSON: ['parse', 'stringify'], performance: ['now'], Date: ['now'], Object: ['hasOwn'] };
    for (const [of, methods] of Object.entries(names))
      for (const method of methods) jest.spyOn(globalThis[of], method).mockImplementation(throws);
    for (const timer of ['setImmediate', 'setTimeout', 'queueMicrotask'])
      jest.spyOn(globalThis, timer).mockImplementation(throws);
    jest.spyOn(process, 'nextTick').mockImplementation(throws);
    const stored = cache.set('k', { a: [1, 'x'] }, { tags: ['t'] });
    const values = Promise.all([
      cache.get('k'),
      cache.getMany(['k', 'none']),
      cache.getOrCompute('k', () => 1),
      cache.getOrCompute('c', () => ({ b: 2 }), { ttl: 60, swr: 60, grace: 60 }),
      cache.increment('n'),
    ]);
    await stored;
    const read = await values;
    jest.restoreAllMocks();
    expect(read).toEqual([{ a: [1, 'x'] }, [{ a: [1, 'x'] }, null], { a: [1, 'x'] }, { b: 2 }, 1]);
  });

  test('fault 58: a toJSON that works once, of a value with a cycle, ends a call for two of it', async () => {
    const cache = await mode.cache();
    const made = { first: true };
    made.itself = made;
    made.toJSON = () => {
      if (!made.first) throws();
      made.first = false;
      return 1;
    };
    await expectCode(() => cache.getOrComputeMany(['k', 'k'], () => [made]), 'ERR_UNSERIALIZABLE');
    expect(await cache.get('k')).toBe(1);
  });

  test('fault 58: an iterator that is replaced while calls are under way loses no replies', async () => {
    const cache = await mode.cache({ nearCache: false });
    const calls = [
      cache.set('k', 1),
      cache.getOrCompute('c', async () => 2),
      cache.getOrComputeMany(['d', 'e'], async () => [3, 4]),
      cache.get('k'),
    ];
    const { [Symbol.iterator]: iterator } = Set.prototype;
    Set.prototype[Symbol.iterator] = throws;
    try {
      await Promise.all([calls[0], calls[1], calls[3]]);
    } finally {
      Set.prototype[Symbol.iterator] = iterator;
    }
    await Promise.allSettled(calls);
    expect(await cache.get('k')).toBe(1);
    await cache.close();
  });

  test('fault 58: a toJSON or a getter that throws, or calls the cache, concerns its own call', async () => {
    const cache = await mode.cache();
    const inner = [];
    const calling = {
      toJSON: () => {
        inner.push(cache.set('inner', 1));
        return 'outer';
      },
    };
    const bad = Object.defineProperty({}, 'x', { enumerable: true, get: throws });
    const before = cache.set('before', 1);
    const refused = expectCode(() => cache.set('bad', bad), 'ERR_UNSERIALIZABLE');
    const proxied = expectCode(() => cache.set('bad', new Proxy({}, { ownKeys: throws })), 'ERR_UNSERIALIZABLE');
    const outer = cache.set('outer', calling);
    await Promise.all([before, refused, proxied, outer, ...inner]);
    expect(await cache.getMany(['before', 'bad', 'outer', 'inner'])).toEqual([1, null, 'outer', 1]);
  });

  test('replies that cannot be handed over reject the calls that they are for, and no others', async () => {
    const cache = await mode.cache({ nearCache: false });
    const { bridge } = stateOf(cache).channel;
    await cache.set('k', 1);
    // In memory mode the replies come within the call, else by a wake-up; either text may be more than V8 holds.
    const [target, name] = mode.shared ? [bridge, 'take'] : [bridge.native, 'submit'];
    jest.spyOn(target, name).mockImplementationOnce(() => {
      throw new RangeError('Invalid string length');
    });
    const lost = Promise.all([
      expectCode(() => cache.get('k'), 'ERR_REPLY_LOST'),
      expectCode(() => cache.getMany(['k']), 'ERR_REPLY_LOST'),
      expectCode(() => cache.getOrCompute('k', () => 2), 'ERR_REPLY_LOST'),
    ]);
    const [error] = await lost;
    expect(error.cause).toBeInstanceOf(RangeError);
    expect(await Promise.all([cache.get('k'), cache.getOrCompute('k', () => 2)])).toEqual([1, 1]);
    await cache.close();
  });

  test('a reply that cannot be given to its caller rejects that call alone', async () => {
    const cache = await mode.cache({ nearCache: false });
    await cache.set('k', 1);
    const before = cache.get('k');
    const spoilt = cache.getMany(['k', 'k']);
    const behind = cache.get('k');
    jest.spyOn(Array.prototype, 'slice').mockImplementation(throws);
    const settled = await Promise.allSettled([before, spoilt, behind]);
    jest.restoreAllMocks();
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(settled[1].reason).toMatchObject({ code: 'ERR_REPLY_LOST' });
  });
});
