// Fault 56: the fake timers of Jest, sinon and node:test concern the application's timers, never the cache's calls.
'use strict';

const { closeCaches, makeCache, stateOf } = require('../../support/holdfast');
const { MODES } = require('../../support/modes');
const { runForJson } = require('../../support/run-script');
const { sleep } = require('../../support/until');

/** Every kind of call, the cold ones included; each settles, or Jest ends the test. */
async function useAll(cache) {
  await cache.set('k', { n: 1 });
  const all = await Promise.all([
    cache.get('k'),
    cache.getMany(['k', 'none']),
    cache.getOrCompute('computed', async () => 2, { ttl: 60, swr: 60 }),
    cache.getOrComputeMany(['k', 'many'], async (keys) => keys.map(() => 3)),
    cache.delPattern('nothing*'),
    cache.getStats().then((stats) => stats.sets > 0),
  ]);
  expect(all).toEqual([{ n: 1 }, [{ n: 1 }, null], 2, [{ n: 1 }, 3], 0, true]);
}

const FAKES = [
  ["Jest's fake timers", () => jest.useFakeTimers(), () => jest.useRealTimers()],
  ["Jest's legacy fake timers", () => jest.useFakeTimers({ legacyFakeTimers: true }), () => jest.useRealTimers()],
];

describe.each(MODES)('in $name', (mode) => {
  beforeAll(() => mode.start());
  afterAll(() => mode.stop());
  afterEach(async () => {
    jest.useRealTimers();
    await closeCaches();
  });

  test.each(FAKES)('fault 56: calls settle under %s, and afterwards', async (_name, fake, real) => {
    const cache = await mode.cache();
    fake();
    await useAll(cache);
    // Left unanswered when the real timers come back.
    const calls = [cache.set('a', 2), cache.get('a'), cache.getOrCompute('b', () => 3)];
    real();
    expect(await Promise.all(calls)).toEqual([undefined, 2, 3]);
    await useAll(cache);
  });

  test.each(FAKES)('fault 56: the package may be loaded under %s', async (_name, fake, real) => {
    fake();
    let holdfast;
    jest.isolateModules(() => {
      holdfast = require('../../..');
    });
    const cache = holdfast.createCache({ namespace: 'fake', url: mode.url, logger: null, timeoutMs: 5_000 });
    await useAll(cache);
    real();
    await useAll(cache);
    await cache.close();
  });

  test('expiresAt is a moment of the real clock, whatever the fake one shows', async () => {
    const cache = await mode.cache();
    const real = Date.now();
    jest.useFakeTimers({ now: 0 });
    for (const expiresAt of [real + 1_000_000, new Date(real + 1_000_000)]) {
      await cache.set('k', 1, { expiresAt });
      expect(await cache.ttl('k')).toBeLessThan(2_000);
    }
    await cache.set('k', 1, { expiresAt: Date.now() + 1_000_000 });
    expect(await cache.get('k')).toBeNull();
  });

  test('a flush that never came is made up for by later calls', async () => {
    const cache = await mode.cache({ nearCache: false });
    const { lane } = stateOf(cache).channel;
    lane.later = () => {};
    const lost = cache.set('k', 1);
    lane.since -= 60_000;
    expect(await cache.get('k')).toBe(1);
    expect(await lost).toBeUndefined();
    await useAll(cache);
  });

  const GROUPS = [
    ['getMany', (cache) => cache.getMany(['a', 'b', 'c', 'a']), [null, null, null, null]],
    ['setMany', (cache) => cache.setMany({ a: 1, b: 2, c: 3 }), undefined],
    ['del of many', (cache) => cache.del(['a', 'b', 'c']), 0],
    ['delMany', (cache) => cache.delMany(['a', 'b', 'c']), [false, false, false]],
    ['existsMany', (cache) => cache.existsMany(['a', 'b', 'c']), [false, false, false]],
    ['invalidateTags', (cache) => cache.invalidateTags(['a', 'b', 'c']), undefined],
    ['getOrComputeMany', (cache) => cache.getOrComputeMany(['a', 'b', 'c'], () => [1, 2, 3]), [1, 2, 3]],
  ];

  test.each(GROUPS)('%s at the end of a long turn keeps its keys together', async (_name, group, expected) => {
    const cache = await mode.cache({ nearCache: false });
    const { lane } = stateOf(cache).channel;
    const before = cache.set('k', 1);
    // As if the application had computed for a minute between the two calls.
    lane.since -= 60_000;
    expect(await group(cache)).toEqual(expected);
    expect(await before).toBeUndefined();
    await useAll(cache);
  });
});

const SCRIPT = (fakes, before) => `
  process.env.HOLDFAST_LOG = 'silent';
  ${before ? '' : "const { createCache } = require('holdfast');"}
  const fakes = ${fakes};
  const restore = fakes();
  ${before ? "const { createCache } = require('holdfast');" : ''}
  const cache = createCache({ namespace: 'fake', url: process.argv[2] ?? '', timeoutMs: 5000 });
  const use = async () => {
    await cache.set('k', 1);
    return Promise.all([cache.get('k'), cache.getOrCompute('c', async () => 2), cache.getMany(['k']), cache.delPattern('x')]);
  };
  (async () => {
    const faked = await use();
    restore();
    console.log(JSON.stringify([faked, await use()]));
    await cache.close();
  })();
`;

const OTHERS = [
  [
    'sinon',
    `() => {
      const clock = require(${JSON.stringify(require.resolve('@sinonjs/fake-timers'))}).install({
        toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'setInterval', 'clearInterval', 'Date', 'nextTick', 'queueMicrotask', 'performance', 'hrtime'],
      });
      return () => clock.uninstall();
    }`,
  ],
  [
    'node:test',
    `() => {
      const { mock } = require('node:test');
      mock.timers.enable();
      return () => mock.timers.reset();
    }`,
  ],
];

describe.each(OTHERS)('under the fake timers of %s', (_name, fakes) => {
  test.each([
    ['loaded before', false],
    ['loaded under them', true],
  ])('fault 56: calls settle in memory and redis mode, the package %s', async (_when, before) => {
    const [, mode] = MODES;
    await mode.start();
    try {
      const expected = [
        [1, 2, [1], 0],
        [1, 2, [1], 0],
      ];
      for (const args of [[], [mode.url]]) expect(await runForJson(SCRIPT(fakes, before), { args })).toEqual(expected);
    } finally {
      await mode.stop();
    }
  });
});

test('fault 56: a pause ends under timers that were fakes when the package was loaded', async () => {
  const script = `
    require(${JSON.stringify(require.resolve('@sinonjs/fake-timers'))}).install();
    require(${JSON.stringify(require.resolve('../../../src/js/base/host'))}).pause(5).then(() => console.log('true'));
  `;
  expect(await runForJson(script)).toBe(true);
});

test("fault 56: the clock is a real one where Jest's fake timers were on when the package was loaded", () => {
  jest.useFakeTimers();
  let host;
  jest.isolateModules(() => {
    host = require('../../../src/js/base/host');
  });
  const began = host.now();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  expect(host.now()).toBeGreaterThan(began);
  jest.useRealTimers();
});

test('fault 56: the time-outs of getOrCompute are real ones', async () => {
  const cache = makeCache();
  jest.useFakeTimers();
  const call = cache.getOrCompute('k', () => new Promise(() => {}), { ttl: 60, hardTimeout: 0.05 });
  await expect(call).rejects.toMatchObject({ code: 'ERR_COMPUTE_TIMEOUT' });
  jest.useRealTimers();
  await sleep(0);
  await closeCaches();
});
