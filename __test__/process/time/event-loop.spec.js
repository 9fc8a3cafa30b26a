// Process 42: an event loop that is blocked is no outage; and a loop of awaited calls that are all answered at once
// lets the event loop poll now and then: timers fire, and requests are read.
'use strict';

const { closeCaches } = require('../../support/holdfast');
const { MODES } = require('../../support/modes');
const { startRedis } = require('../../support/redis-server');
const { runForJson } = require('../../support/run-script');

// Far more calls than may be answered between two turns of the event loop; a loop that starves it ends by this bound.
const MOST = 20_000;

const LOOPS = [
  ['set', (cache, i) => cache.set(`k${i % 10}`, i)],
  ['get', (cache) => cache.get('k0')],
  ['a miss', (cache) => cache.get('none')],
  ['getOrCompute', (cache) => cache.getOrCompute('k0', () => 1)],
  ['getOrComputeMany', (cache) => cache.getOrComputeMany(['k0', 'k1'], (keys) => keys.map(() => 1))],
  ['getMany', (cache) => cache.getMany(['k0', 'k1'])],
  ['256 gets at once', (cache) => Promise.all(Array.from({ length: 256 }, () => cache.get('k0')))],
  ['getStats', (cache) => cache.getStats()],
  ['delPattern', (cache) => cache.delPattern('none*')],
];

describe.each([
  ['memory mode', MODES[0], {}],
  ['redis mode, copied hot values', MODES[1], { nearCache: true }],
  ['redis mode, frozen hot values', MODES[1], { nearCache: { values: 'frozen' } }],
])('in %s', (_name, mode, options) => {
  beforeAll(() => mode.start());
  afterAll(() => mode.stop());
  afterEach(closeCaches);

  test.each(LOOPS)('a loop of %s lets the event loop turn', async (_call, call) => {
    const cache = await mode.cache(options);
    await cache.setMany({ k0: 0, k1: 1 });
    for (let i = 0; i < 100; i++) await cache.get('k0');
    let turned = false;
    setImmediate(() => {
      turned = true;
    });
    let calls = 0;
    while (!turned && calls < MOST) await call(cache, calls++);
    expect(calls).toBeLessThan(MOST);
  });
});

test.each(['thread', 'loop'])(
  'fault 42: an event loop blocked for 5 seconds declares no outage, and answers come after it, io: %s',
  async (io) => {
    const server = await startRedis();
    const script = `
    const { createCache } = require('holdfast');
    const events = [];
    const cache = createCache({ namespace: 'blocked' });
    for (const name of ['ready', 'fallback', 'recovered', 'error']) cache.on(name, () => events.push(name));
    (async () => {
      while (cache.getMode() !== 'redis') await new Promise((resolve) => setTimeout(resolve, 5));
      await cache.set('k', 'before');
      const calls = [cache.get('k'), cache.set('during', 1), cache.get('k')];
      await new Promise(setImmediate); // the calls have been handed over
      const asked = cache.get('k'); // this one is not yet
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5_000);
      const answers = await Promise.all([...calls, asked]);
      const { hits, errors, redis } = await cache.getStats();
      console.log(JSON.stringify({
        answers: answers.map((each) => each ?? null), events, mode: cache.getMode(), errors,
        reconnects: redis.reconnects, memoryHits: hits.memory,
      }));
    })();`;
    // Patient with a busy machine, and far less than the loop is blocked for.
    const env = { REDIS_URL: server.url(), HOLDFAST_TIMEOUT_MS: '1500', HOLDFAST_IO: io };
    const told = await runForJson(script, { env }).finally(() => server.stop());
    expect(told).toEqual({
      answers: ['before', null, 'before', 'before'],
      events: ['ready'],
      mode: 'redis',
      errors: {},
      reconnects: 0,
      memoryHits: 0,
    });
  },
);
