// Long work of a large in-process tier: it is done beside the event loop, and nobody who calls meanwhile sees a
// difference.
'use strict';

const { closeCaches, makeCache } = require('../../support/holdfast');

afterEach(closeCaches);

const COUNT = 50_000;

async function filled() {
  const cache = makeCache({ url: null, namespace: 'n', maxMemory: '64mb' });
  for (let i = 0; i < COUNT; i += 2_000)
    await cache.setMany(Array.from({ length: 2_000 }, (_, j) => [`key:${i + j}`, i + j]));
  return cache;
}

/** How many turns of the event loop a call takes; and what it resolves to. */
async function turnsOf(call) {
  let turns = 0;
  let over = false;
  const turn = () => {
    turns++;
    if (!over) setImmediate(turn);
  };
  setImmediate(turn);
  const result = await call();
  over = true;
  return { turns, result };
}

test.each([
  ['getStats', (cache) => cache.getStats().then(({ keys }) => keys)],
  ['delPattern', (cache) => cache.delPattern('key:*')],
  ['clear', (cache) => cache.clear()],
])('%s leaves the event loop its turns', async (_, call) => {
  const cache = await filled();
  const { turns, result } = await turnsOf(() => call(cache));
  expect(result).toBe(COUNT);
  expect(turns).toBeGreaterThan(0);
});

test('what is called behind a sweep sees nothing of what it removes, and is not removed by it', async () => {
  const cache = await filled();
  const tagged = cache.set('tagged', 1, { ttl: 60, tags: ['t'] });
  const sweep = cache.clear();
  const again = cache.delPattern('key:1*');
  const read = [
    cache.get('key:1'),
    cache.exists('key:2'),
    cache.ttl('key:3'),
    cache.expire('key:4', 60),
    cache.del('key:5'),
  ];
  const counted = cache.increment('key:6', 7);
  const written = cache.set('key:7', 'new', { ttl: 60, tags: ['t'] });
  const computed = cache.getOrCompute('key:8', () => 'computed');
  expect(await Promise.all(read)).toEqual([null, false, null, false, 0]);
  expect(await Promise.all([counted, computed, tagged, written])).toEqual([7, 'computed', undefined, undefined]);
  expect(await Promise.all([sweep, again])).toEqual([COUNT + 1, 0]);
  expect(await cache.getMany(['key:1', 'key:6', 'key:7', 'key:8', 'tagged'])).toEqual([
    null,
    7,
    'new',
    'computed',
    null,
  ]);
  expect((await cache.getStats()).keys).toBe(3);
});
