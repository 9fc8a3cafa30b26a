// Process 43 and 44: our own process stopped for a while, and the system's clock moved.
'use strict';

const { startRedis } = require('../../support/redis-server');
const { makeMachine } = require('../../support/machine/machine');
const { startScript } = require('../../support/run-script');
const { sleep } = require('../../support/until');

// 60000 for a run with the figure of the fault; anything longer than a heartbeat and its deadline shows the same.
const STOPPED_MS = Number(process.env.HOLDFAST_TEST_STOPPED_MS ?? 3_000);
// Patient with a busy machine: an outage would let them have what was held.
const TIMEOUT_MS = '1000';

let server;
let machine;
const scripts = [];
beforeAll(async () => {
  server = await startRedis();
  machine = makeMachine();
});
afterAll(async () => {
  await server.stop();
  machine.remove();
});
afterEach(async () => {
  for (const script of scripts.splice(0)) {
    script.kill('SIGKILL');
    await script.result;
  }
});
beforeEach(() => {
  machine.moveClock(0);
  return server.cli('flushall');
});

function start(...script) {
  const started = startScript(...script);
  scripts.push(started);
  return started;
}

// Reads in a loop that seldom yields; when it finds that time has passed it without, it tells what it reads from there
// on.
const STOPPED = `
  const { createCache } = require('holdfast');
  const cache = createCache({ namespace: 's', nearCache: { values: process.argv[2], maxAge: 3600 } });
  const KEYS = ['changed', 'deleted', 'expired', 'steady'];
  const read = () => Promise.all(KEYS.map((key) => cache.get(key)));
  (async () => {
    while (cache.getMode() === 'initializing') await new Promise((resolve) => setTimeout(resolve, 5));
    for (let round = 1; round <= Number(process.argv[3]); round++) {
      // Until all are held: a slow machine lets one expire.
      let held = '';
      while (held !== 'old,old,expired,steady') {
        await cache.setMany({ changed: 'old', deleted: 'old', steady: 'steady' }, 3600);
        await cache.set('expired', 'expired', 1);
        for (let n = 0; n < 5; n++) await read();
        held = String(await read());
      }
      console.log('hot ' + round + ';');
      for (let last = performance.now(), n = 0; ; n++) {
        const now = performance.now();
        if (now - last > 2500) break;
        last = now;
        await cache.get('changed');
        if (n % 1000 === 0) await new Promise(setImmediate);
      }
      const first = await read();
      const seen = new Set();
      for (let n = 0; n < 300; n++) for (const value of [await cache.get('changed'), await cache.get('deleted'), await cache.get('expired')]) seen.add(value);
      console.log('then ' + JSON.stringify({ round, first, seen: [...seen], mode: cache.getMode() }) + ';');
    }
    process.exit();
  })();
`;

async function expectFresh(values, rounds, url, change, expected) {
  const env = { REDIS_URL: url, HOLDFAST_LOG: 'silent', HOLDFAST_TIMEOUT_MS: TIMEOUT_MS };
  const script = start(STOPPED, { env, args: [values, String(rounds)], boundMs: 100_000 + 4 * STOPPED_MS });
  for (let round = 1; round <= rounds; round++) {
    await script.says(`hot ${round};`);
    await sleep(50);
    script.kill('SIGSTOP');
    await change();
    await sleep(STOPPED_MS);
    script.kill('SIGCONT');
    await script.says(`"round":${round},`);
    const told = JSON.parse(new RegExp(`then (.*"round":${round},.*);\n`).exec(script.stdout)[1]);
    expect(told).toMatchObject(expected);
  }
  await script.result;
}

const BOUND = 120_000 + 4 * STOPPED_MS;

test.each(['copied', 'frozen'])(
  'fault 43: stopped for a while: nothing expired is served, and %s values that were held are checked again',
  async (values) => {
    const change = () => Promise.all([server.cli('set', 's:changed', '"new"'), server.cli('del', 's:deleted')]);
    const first = ['new', null, null, 'steady'];
    await expectFresh(values, 2, server.url(), change, { first, seen: ['new', null], mode: 'redis' });
  },
  BOUND,
);

test(
  'fault 43: the same in memory mode, where nobody else could change what is held',
  async () => {
    const first = ['old', 'old', null, 'steady'];
    await expectFresh('copied', 1, '', async () => {}, { first, seen: ['old', null], mode: 'memory' });
  },
  BOUND,
);

// Stores with TTLs, says how the clock goes, and what is left.
const CLOCK = `
  const { createCache } = require('holdfast');
  const cache = createCache({ namespace: 'c' });
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  (async () => {
    while (cache.getMode() === 'initializing') await sleep(5);
    let runs = 0;
    let stored = 0;
    const computed = () => cache.getOrCompute('computed', () => ++runs, { ttl: 600, swr: 600 });
    const store = async () => {
      await cache.setMany({ long: 1, near: 1 }, 600);
      stored = performance.now();
      await cache.set('short', 1, 0.5);
      await computed();
      for (let n = 0; n < 4; n++) await cache.get('near');
    };
    const state = async () => ({
      values: await cache.getMany(['long', 'near', 'short']),
      // There for its half second, whatever the clock says; a slow machine may look later.
      short: (await cache.get('short')) === 1 || performance.now() - stored >= 500,
      ttl: await cache.ttl('long'),
      computed: await computed(),
      mode: cache.getMode(),
      hour: Math.round((Date.now() - began - (performance.now() - start)) / 3600000),
    });
    const began = Date.now();
    const start = performance.now();
    for await (const order of require('node:readline').createInterface({ input: process.stdin })) {
      if (order === 'store') await store();
      if (order === 'expire') while ((await cache.get('short')) !== null) await sleep(5);
      console.log(JSON.stringify({ order, ...(await state()) }) + ';');
    }
  })();
`;

/** Gives an order, and resolves to what it led to. */
async function tell(script, order) {
  script.stdout = '';
  script.child.stdin.write(`${order}\n`);
  await script.says(';\n');
  return JSON.parse(script.stdout.replace(/;\n$/, ''));
}

test.each([
  ['redis', () => server.url()],
  ['memory', () => ''],
])('fault 44: the clock moved by an hour, and back by two, moves no TTL in %s mode', async (mode, url) => {
  const env = { REDIS_URL: url(), HOLDFAST_TIMEOUT_MS: '5000', ...machine.env };
  const script = start(CLOCK, { env, input: true });
  for (const hours of [1, -1]) {
    await tell(script, 'store');
    machine.moveClock(hours * 3600);
    const moved = await tell(script, 'look');
    expect(moved).toMatchObject({ short: true, computed: 1, mode, hour: hours });
    expect(moved.values.slice(0, 2)).toEqual([1, 1]);
    expect(moved.ttl).toBeGreaterThan(500);
    expect(moved.ttl).toBeLessThanOrEqual(600);
    expect(await tell(script, 'expire')).toMatchObject({ values: [1, 1, null], computed: 1, mode });
  }
  script.child.stdin.end();
  expect(await script.result).toMatchObject({ code: 0, hung: false, stderr: '' });
});

test('fault 44: nor the length of an outage, or what is served in it', async () => {
  const other = await startRedis();
  const script = start(CLOCK, {
    env: { REDIS_URL: other.url(), HOLDFAST_LOG: 'silent', HOLDFAST_TIMEOUT_MS: '5000', ...machine.env },
    input: true,
  });
  await tell(script, 'store');
  await other.kill('SIGKILL');
  machine.moveClock(3600);
  let state = await tell(script, 'look');
  while (state.mode !== 'memory') state = await tell(script, 'look');
  expect(state.values[1]).toBe(1); // held when it went, within outageStale
  await tell(script, 'store');
  machine.moveClock(-3600);
  const later = await tell(script, 'look');
  expect(later).toMatchObject({ short: true, mode: 'memory', hour: -1 });
  expect(later.values.slice(0, 2)).toEqual([1, 1]);
  await other.restart();
  while ((await tell(script, 'look')).mode !== 'redis') await sleep(20);
  script.child.stdin.end();
  expect(await script.result).toMatchObject({ code: 0, hung: false });
  await other.stop();
});
