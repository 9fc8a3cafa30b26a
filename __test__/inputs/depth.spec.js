// Values so deep that a recursive walk has no stack for them: somebody else wrote them, or a caller tries to store one.
'use strict';

const { closeCaches, expectCode, makeCache, openCache } = require('../support/holdfast');
const { serverForAll } = require('../support/redis-server');

const DEPTH = 20_000;
const TEXT = '['.repeat(DEPTH) + ']'.repeat(DEPTH);
const OBJECTS = `${'{"__proto__":'.repeat(DEPTH)}[]${'}'.repeat(DEPTH)}`;

const server = serverForAll();
afterEach(closeCaches);

/** How many arrays or objects lie within each other. */
function depthOf(value) {
  let depth = 0;
  for (let inner = value; inner !== undefined; inner = Object.values(inner)[0]) depth++;
  return depth;
}

function deep() {
  let value = [];
  for (let i = 1; i < DEPTH; i++) value = [value];
  return value;
}

describe.each(['copied', 'frozen'])('values that somebody else wrote, %s', (values) => {
  let cache;
  beforeEach(async () => {
    await server.cli('flushall');
    cache = await openCache({ namespace: 'deep', url: server.url(), nearCache: { values } });
    await server.setBytes('deep:lists', TEXT);
    await server.setBytes('deep:objects', OBJECTS);
    await server.cli('set', 'deep:flat', '[1]');
  });

  test('are read as what they are, from Redis, near and hot, and their neighbours with them', async () => {
    for (let i = 0; i < 4; i++) {
      const [none, lists, flat, [objects, again]] = await Promise.all([
        cache.get('none'),
        cache.get('lists'),
        cache.get('flat'),
        cache.getMany(['objects', 'flat']),
      ]);
      expect([none, flat, again]).toEqual([null, [1], [1]]);
      expect([depthOf(lists), depthOf(objects)]).toEqual([DEPTH, DEPTH + 1]);
      expect(Object.isFrozen(lists[0][0])).toBe(values === 'frozen');
      expect(depthOf(await cache.get('lists'))).toBe(DEPTH);
    }
  });

  test('are shared by callers of getOrCompute', async () => {
    const fn = () => 1;
    const read = await Promise.all([
      cache.getOrCompute('lists', fn),
      cache.getOrCompute('lists', fn, { ttl: 60, swr: 60 }),
      cache
        .getOrComputeMany(['lists', 'flat', 'lists'], (keys) => keys.map(fn))
        .then(([first, , last]) => {
          expect(last === first).toBe(false);
          return last;
        }),
    ]);
    expect(read.map(depthOf)).toEqual([DEPTH, DEPTH, DEPTH]);
  });
});

test.each(['json', 'structured'])(
  "a value that codec '%s' has no stack for is refused, for its call alone",
  async (codec) => {
    const cache = makeCache({ codec });
    await cache.set('k', 1);
    const before = cache.set('before', 1);
    const refused = expectCode(() => cache.set('k', deep()), 'ERR_UNSERIALIZABLE');
    const many = expectCode(() => cache.setMany({ a: 1, k: deep() }), 'ERR_UNSERIALIZABLE');
    const computed = expectCode(() => cache.getOrCompute('c', deep), 'ERR_UNSERIALIZABLE');
    await Promise.all([before, refused, many, computed]);
    expect(await cache.getMany(['before', 'k', 'a', 'c'])).toEqual([1, 1, null, null]);
  },
);
