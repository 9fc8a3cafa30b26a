// Contract: forceFresh. Other processes are in fresh.spec.js.
'use strict';

const { computation } = require('../../support/computation');
const { expectCode, freshNamespace } = require('../../support/holdfast');

const failure = new Error('on purpose');

module.exports = function fresh(mode) {
  let cache;
  let other;
  beforeEach(async () => {
    const options = { namespace: freshNamespace() };
    cache = await mode.cache(options);
    other = await mode.cache(options);
  });
  const force = (fn, options) => cache.getOrCompute('k', fn, { forceFresh: true, ...options });

  test('computes although there is a value, and replaces it', async () => {
    await cache.set('k', 'old');
    await cache.get('k'); // it is near now, and hot
    await cache.get('k');
    expect(await force(() => 'new')).toBe('new');
    expect(await cache.get('k')).toBe('new');
    expect(await other.get('k')).toBe('new');
    expect(await force(() => 'newer', { forceFresh: false })).toBe('new');
  });

  test('the function sees the value that is replaced', async () => {
    await cache.set('k', { n: 1 });
    expect(await force(({ stale }) => ({ n: stale.n + 1 }))).toEqual({ n: 2 });
    expect(await force(({ stale }) => ({ n: stale.n + 1 }))).toEqual({ n: 3 });
    await cache.del('k');
    expect(await force(({ stale }) => stale === undefined)).toBe(true);
  });

  test('a computation that had begun before is not the answer, and is not stored', async () => {
    const before = computation();
    const earlier = [cache, other].map((each) => each.getOrCompute('k', before.fn));
    await before.begun();
    const after = computation();
    const forced = force(after.fn);
    await after.begun();
    before.open('before');
    expect(await Promise.all(earlier)).toEqual(['before', 'before']);
    expect(await cache.get('k')).toBeNull();
    after.open('after');
    expect(await forced).toBe('after');
    expect(await other.get('k')).toBe('after');
  });

  test('a call that comes while another one runs is a run of its own, and its result is stored', async () => {
    const runs = [computation(), computation()];
    const calls = [];
    for (const run of runs) {
      calls.push(force(run.fn));
      await run.begun();
    }
    runs[1].open('later');
    runs[0].open('earlier');
    expect(await Promise.all(calls)).toEqual(['earlier', 'later']);
    expect(await other.get('k')).toBe('later');
  });

  test('callers without it share the computation, each with a copy of its own', async () => {
    await cache.set('k', 'old');
    const held = computation();
    const calls = [force(held.fn)];
    await held.begun();
    for (const each of [cache, other]) calls.push(each.getOrCompute('k', () => 'own'));
    await cache.getStats();
    held.open({ n: 1 });
    const values = await Promise.all(calls);
    expect(values).toEqual(Array(3).fill({ n: 1 }));
    expect(new Set(values).size).toBe(3);
  });

  test('the key is missing until the result is there, and where the function fails', async () => {
    await cache.set('k', 'old');
    const held = computation();
    const forced = force(held.fn, { swr: 60, grace: 60 });
    await held.begun();
    expect(await other.get('k')).toBeNull();
    held.fail(failure);
    await expect(forced).rejects.toBe(failure);
    expect(await cache.getOrCompute('k', () => 'next', { grace: 60 })).toBe('next');
  });

  test('an old value within swr or grace is not the answer', async () => {
    await cache.getOrCompute('k', () => 'old', { ttl: 0.02, grace: 60 });
    while ((await cache.get('k')) !== null);
    expect(await force(() => 'new', { swr: 60, grace: 60 })).toBe('new');
    expect(await cache.get('k')).toBe('new');
  });

  test('a delete while it computes is not undone', async () => {
    const held = computation();
    const forced = force(held.fn);
    await held.begun();
    await other.del('k');
    held.open('computed');
    expect(await forced).toBe('computed');
    expect(await cache.get('k')).toBeNull();
  });

  test('of many keys, all are computed', async () => {
    await cache.setMany({ a: 1, b: 2 });
    await cache.getMany(['a', 'b']);
    const fn = jest.fn((keys) => keys.map(() => 'new'));
    expect(await cache.getOrComputeMany(['a', 'b', 'a'], fn, { forceFresh: true })).toEqual(['new', 'new', 'new']);
    expect(fn.mock.calls).toEqual([[['a', 'b']]]);
    expect(await other.getMany(['a', 'b'])).toEqual(['new', 'new']);
  });

  test('what is neither true nor false is refused', async () => {
    for (const forceFresh of [null, 1, 'yes']) {
      await expectCode(() => cache.getOrCompute('k', () => 1, { forceFresh }), 'ERR_INVALID_ARGUMENT');
    }
    expect(await cache.exists('k')).toBe(false);
  });
};
