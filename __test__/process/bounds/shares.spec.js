// When the callers that a reply has woken go on in shares, and not all together (src/js/bridge/turn.js): over the event
// loop's own socket, and only where the event loop has slept.
'use strict';

let mockSlept = 0;
let mockSleeping = false;
jest.mock('../../../src/js/base/host', () => ({
  ...jest.requireActual('../../../src/js/base/host'),
  slept: () => (mockSleeping ? ++mockSlept : mockSlept),
}));

const { Shares } = require('../../../src/js/bridge/turn');
const { closeCaches, openCache, stateOf } = require('../../support/holdfast');
const { serverForAll } = require('../../support/redis-server');

const server = serverForAll();
afterEach(closeCaches);

test('an eighth of the calls that are under way, where the event loop has slept', () => {
  const shares = new Shares();
  const slept = (ms) => {
    mockSlept += ms;
    return shares.mayGoAhead();
  };
  expect([4, 8, 9, 64, 512].map((underWay) => shares.of(underWay))).toEqual([1, 1, 2, 8, 64]);
  // Two or three callers in step are as fast as apart.
  expect([1, 2, 3].map((underWay) => shares.of(underWay))).toEqual([Infinity, Infinity, Infinity]);
  // It only looked at its sockets, or did not even that.
  expect([slept(0.02), slept(0.005), slept(0), slept(0.02)]).toEqual([true, false, false, true]);
});

test('while others call as well, as the requests of a server do, all calls of a turn go together', () => {
  const shares = new Shares();
  const wakes = (count) =>
    Array.from({ length: count }, () => {
      mockSlept += 1;
      return shares.mayGoAhead();
    });
  shares.other();
  expect(wakes(16).lastIndexOf(false)).toBe(14);
  expect(wakes(3)).toEqual([true, true, true]);
});

const CALLERS = 8;
const CALLS = 400;

/** How often Redis read what 8 callers asked, each for 400 calls that it awaits one after the other. */
async function reads() {
  const cache = await openCache({ url: server.url(), io: 'loop', nearCache: false });
  await cache.set('k', 1);
  const count = async () => Number(/total_reads_processed:(\d+)/.exec(await server.cli('info', 'stats'))[1]);
  const before = await count();
  const caller = async () => {
    for (let i = 0; i < CALLS; i++) await cache.get('k');
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return (await count()) - before;
}

test('calls of others keep them together: a call that no reply has woken, now and then', async () => {
  mockSleeping = true;
  const cache = await openCache({ url: server.url(), io: 'loop', nearCache: false });
  const { shares } = stateOf(cache).channel.bridge;
  await cache.get('k');
  expect(shares.others).toBeGreaterThan(0);
  for (let i = 0; i < 40; i++) await cache.get('k');
  expect(shares.others).toBe(0);
  await new Promise((resolve) => setImmediate(resolve));
  const other = cache.get('k');
  expect(shares.others).toBeGreaterThan(0);
  await other;
});

test('callers that travelled together come apart where the event loop has slept, over its own socket', async () => {
  mockSleeping = false;
  expect(await reads()).toBeLessThan(1.5 * CALLS);
  mockSleeping = true;
  expect(await reads()).toBeGreaterThan(2 * CALLS);
});
