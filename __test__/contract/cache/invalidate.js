// Contract: the event `invalidate`, which names what others changed.
'use strict';

const { setImmediate: turn } = require('node:timers/promises');
const { freshNamespace, stateOf } = require('../../support/holdfast');
const { until } = require('../../support/until');

module.exports = function invalidate(mode) {
  const pushes = mode.protocol === 3 && !mode.lacks;
  let cache;
  let namespace;
  let told;
  beforeEach(async () => {
    namespace = freshNamespace();
    cache = await mode.cache({ namespace });
    told = [];
    cache.on('invalidate', (keys, tags) => told.push([keys, tags]));
  });

  const names = (which) => told.flatMap((event) => event[which] ?? ['anything']);
  /** Whatever this process may do to a key that it has read. */
  const own = async (on, key) => {
    await on.set(key, 1);
    await on.get(key);
    await on.set(key, 2);
    await on.get(key);
    await on.increment(key);
    await on.get(key);
    await on.expire(key, 60);
    await on.get(key);
    await on.take(key);
    await on.get(key);
    await on.setIfAbsent(key, 1);
    await on.getMany([key, 'other']);
    await on.setMany([[key, 1]]);
    await on.get(key);
    await on.del(key);
    for (let n = 0; n < 2; n++) await on.getOrCompute(key, () => n, { tags: ['own'], swr: 5 });
    await on.exists(key);
    await on.invalidateTags('own');
    await on.getOrCompute(key, () => 3, { tags: ['own'] });
    await on.exists(key);
    await on.delPattern(`${key}*`);
    await on.get(key);
    await on.clear();
    await on.get(key);
  };

  test('what this process does itself is not told', async () => {
    const before = cache.getCounters().invalidations;
    await own(cache, 'k');
    const sibling = await mode.cache({ namespace });
    await own(sibling, 's');
    await cache.exists('behind');
    await turn();
    expect(told).toEqual([]);
    // Though the server does push it.
    if (pushes) expect(cache.getCounters().invalidations.keys - before.keys).toBeGreaterThan(10);
  });

  if (!pushes) return;

  /** Another client, at the stored key. */
  const other = async (command, key, ...args) =>
    (await mode.serverOf(`${namespace}:${key}`)).cli(command, `${namespace}:${key}`, ...args);
  const untilNamed = (which, name) => until(() => names(which).includes(name), `${name} is named`);

  test('names the keys that another client writes, removes or lets expire, and the next read has the new value', async () => {
    await cache.setMany({ 'written:é"': 1, removed: 1, expired: 1, renewed: 1, untouched: 1 });
    await cache.getMany(['written:é"', 'removed', 'expired', 'renewed', 'untouched']);
    await other('set', 'written:é"', '2');
    await untilNamed(0, 'written:é"');
    expect(await cache.get('written:é"')).toBe(2);
    await other('del', 'removed');
    await other('pexpire', 'renewed', '60000');
    await other('pexpire', 'expired', '1');
    for (const key of ['removed', 'renewed', 'expired']) await untilNamed(0, key);
    expect(names(0)).not.toContain('untouched');
    expect(names(0)).not.toContain('anything');
    expect(names(1)).toEqual([]);
  });

  test('is not told of keys that were not read here, nor again of one that was not read since', async () => {
    await cache.setMany({ read: 1, fence: 1 });
    await cache.getMany(['read', 'fence']);
    await other('set', 'unread', '1');
    await other('set', 'read', '2');
    await untilNamed(0, 'read');
    await other('set', 'read', '3');
    await other('set', 'fence', '2');
    await untilNamed(0, 'fence');
    expect(names(0).sort()).toEqual(['fence', 'read']);
  });

  test('our own changes next to those of others are left out', async () => {
    await own(cache, 'k');
    await cache.set('k', 1);
    await cache.get('k');
    await other('set', 'k', '2');
    await untilNamed(0, 'k');
    expect(names(0)).toEqual(['k']);
    expect(names(1)).toEqual([]);
  });

  test('names the tags that others invalidate', async () => {
    await cache.set('k', 1, { tags: ['t', 'u'] });
    expect(await cache.get('k')).toBe(1);
    // Another heartbeat is another connection, as of another process.
    const stranger = await mode.cache({ namespace, heartbeat: 7 });
    await stranger.invalidateTags('t');
    await untilNamed(1, 't');
    expect(names(0)).toEqual([]);
    expect(names(1)).toEqual(['t']);
    expect(await cache.get('k')).toBeNull();
  });

  test('says that anything may have changed behind a flush', async () => {
    await cache.set('k', 1);
    await cache.get('k');
    await (await mode.serverOf(`${namespace}:k`)).cli('flushall');
    await until(() => told.some(([keys, tags]) => keys === null && tags === null), 'null');
    expect(await cache.get('k')).toBeNull();
  });

  test('each cache hears of its own keys, the one without a namespace of all', async () => {
    const raw = await mode.cache({ namespace: '' });
    const rawly = [];
    raw.on('invalidate', (keys) => rawly.push(...(keys ?? [])));
    const second = freshNamespace();
    const sibling = await mode.cache({ namespace: second });
    const siblings = [];
    sibling.on('invalidate', (keys) => siblings.push(...(keys ?? [])));
    await cache.set('k', 1);
    await cache.get('k');
    await sibling.set('s', 1);
    await sibling.get('s');
    await (await mode.serverOf(`${second}:s`)).cli('set', `${second}:s`, '2');
    await other('set', 'k', '2');
    await until(() => names(0).length > 0 && siblings.length > 0 && rawly.length > 1, 'all have heard');
    expect([names(0), siblings]).toEqual([['k'], ['s']]);
    expect(rawly.filter((key) => key.startsWith(namespace) || key.startsWith(second)).sort()).toEqual(
      [`${namespace}:k`, `${second}:s`].sort(),
    );
  });

  test('nothing is gathered while nobody listens', async () => {
    cache.removeAllListeners('invalidate');
    const asked = jest.spyOn(Object.getPrototypeOf(stateOf(cache).handle), 'changed');
    const sibling = await mode.cache({ namespace });
    const siblings = [];
    sibling.once('invalidate', (keys) => siblings.push(...keys));
    await cache.setMany({ a: 1, b: 1 });
    await cache.getMany(['a', 'b']);
    await other('set', 'a', '2');
    await until(() => siblings.length > 0, 'the sibling has heard');
    // Both have switched off now.
    asked.mockClear();
    await other('set', 'b', '2');
    await until(async () => (await cache.get('b')) === 2, 'the change has come');
    await turn();
    expect(asked).not.toHaveBeenCalled();
    asked.mockRestore();
    cache.on('invalidate', (keys, tags) => told.push([keys, tags]));
    await other('set', 'b', '3');
    await untilNamed(0, 'b');
    expect([siblings, names(0)]).toEqual([['a'], ['b']]);
  });
};
