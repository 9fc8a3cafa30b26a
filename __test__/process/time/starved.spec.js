// A loop of awaited calls that are all answered at once lets the event loop poll now and then: timers fire, and
// requests are read.
'use strict';

const { closeCaches } = require('../../support/holdfast');
const { MODES } = require('../../support/modes');

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
