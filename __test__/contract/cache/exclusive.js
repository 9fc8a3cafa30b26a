// Contract: runExclusive, a function that runs once at a time under a name.
'use strict';

const { computation } = require('../../support/computation');
const { expectCode, freshNamespace } = require('../../support/holdfast');
const { sleep } = require('../../support/until');

const LONG = { wait: Infinity };

module.exports = function exclusive(mode) {
  let cache;
  beforeEach(async () => {
    cache = await mode.cache();
  });

  test('it resolves to what the function returns', async () => {
    expect(await cache.runExclusive('n', () => 1)).toBe(1);
    expect(await cache.runExclusive('n', async () => ({ a: 1 }))).toEqual({ a: 1 });
    expect(await cache.runExclusive('n', ({ signal }) => signal.aborted)).toBe(false);
  });

  test('while it runs another call rejects, and does not run; behind it the next one does', async () => {
    const held = computation();
    const running = cache.runExclusive('n', held.fn);
    await held.begun();
    const other = jest.fn();
    await expectCode(() => cache.runExclusive('n', other), 'ERR_LEASE_HELD');
    await expectCode(() => cache.runExclusive('n', other, { wait: 0.05 }), 'ERR_LEASE_HELD');
    expect(other).not.toHaveBeenCalled();
    held.open('done');
    expect(await running).toBe('done');
    await cache.runExclusive('n', other);
    expect(other).toHaveBeenCalledTimes(1);
  });

  test('an error of the function reaches its caller unchanged, and frees the name', async () => {
    const error = new TypeError('on purpose');
    await expect(cache.runExclusive('n', () => Promise.reject(error))).rejects.toBe(error);
    await expect(
      cache.runExclusive('n', () => {
        throw error;
      }),
    ).rejects.toBe(error);
    expect(await cache.runExclusive('n', () => 'free')).toBe('free');
  });

  test('calls of one thread wait in their order', async () => {
    const order = [];
    const calls = Array.from({ length: 20 }, (_, n) => cache.runExclusive('n', () => order.push(n), LONG));
    await Promise.all(calls);
    expect(order).toEqual(Array.from({ length: 20 }, (_, n) => n));
  });

  test('a caller that waited for too long leaves the line to the others', async () => {
    const held = computation();
    const running = cache.runExclusive('n', held.fn);
    await held.begun();
    const brief = expectCode(() => cache.runExclusive('n', () => 'brief', { wait: 0.1 }), 'ERR_LEASE_HELD');
    const patient = cache.runExclusive('n', () => 'patient', LONG);
    await brief;
    held.open(1);
    expect(await Promise.all([running, patient])).toEqual([1, 'patient']);
  });

  test('of many callers one runs at a time', async () => {
    const namespace = freshNamespace();
    const caches = await Promise.all([1, 2, 3].map(() => mode.cache({ namespace })));
    // In memory mode each has a tier of its own.
    const callers = mode.shared ? caches : [caches[0]];
    let [running, runs] = [0, 0];
    const fn = async () => {
      expect(++running).toBe(1);
      await sleep(1);
      runs++;
      running--;
    };
    await Promise.all(Array.from({ length: 30 }, (_, n) => callers[n % callers.length].runExclusive('n', fn, LONG)));
    expect(runs).toBe(30);
  });

  test('other names are not held up, nor those of other namespaces', async () => {
    const other = await mode.cache();
    const names = ['n', 'm', '{n}', '{n}m', 'n}', ' ', 'ü', '\0', 'x'.repeat(1024)];
    const held = [cache, other].flatMap((from) => names.map((name) => ({ from, name, ...computation() })));
    const running = held.map(({ from, name, fn }) => from.runExclusive(name, fn));
    for (const { begun } of held) await begun();
    for (const { name } of held) await expectCode(() => cache.runExclusive(name, () => 1), 'ERR_LEASE_HELD');
    for (const { open } of held) open('ran');
    expect(new Set(await Promise.all(running))).toEqual(new Set(['ran']));
  });

  test('it is no value: no function of keys finds it, counts it or ends it', async () => {
    await cache.set('n', 'a value');
    const held = computation();
    let signal;
    const running = cache.runExclusive('n', (context) => {
      signal = context.signal;
      return held.fn();
    });
    await held.begun();
    expect(await cache.get('n')).toBe('a value');
    const named = [];
    for await (const keys of cache.scan()) named.push(...keys);
    expect(named).toEqual(['n']);
    expect(await cache.delPattern('*')).toBe(1);
    expect(await cache.clear()).toBe(0);
    await expectCode(() => cache.runExclusive('n', () => 1), 'ERR_LEASE_HELD');
    expect(signal.aborted).toBe(false);
    for (const call of [
      () => cache.get('\0lease\0n'),
      () => cache.set('\0lease\0n', 1),
      () => cache.del('\0lease\0n'),
      () => cache.take('\0lease\0n'),
    ]) {
      await expectCode(call, 'ERR_INVALID_KEY');
    }
    held.open(1);
    await running;
    expect(await cache.runExclusive('n', () => 'free')).toBe('free');
  });

  test('a function that calls itself does not get in', async () => {
    const outer = cache.runExclusive('n', () => cache.runExclusive('n', () => 1));
    await expectCode(() => outer, 'ERR_LEASE_HELD');
    expect(await cache.runExclusive('n', () => cache.runExclusive('m', () => 2))).toBe(2);
  });

  test('close waits for the function, and ends the waiting of the others', async () => {
    const held = computation();
    const running = cache.runExclusive('n', held.fn);
    await held.begun();
    const waits = [1, 2].map(() => expectCode(() => cache.runExclusive('n', () => 1, LONG), 'ERR_CLOSED'));
    const closing = cache.close();
    await Promise.all(waits);
    await expectCode(() => cache.runExclusive('m', () => 1), 'ERR_CLOSED');
    held.open('done');
    expect(await Promise.all([running, closing])).toEqual(['done', undefined]);
  });

  test('what is no name, no function or no option is refused, and nothing is run', async () => {
    const fn = jest.fn();
    for (const name of [undefined, null, 5, '', 'x'.repeat(1025), 'ü'.repeat(513), '\ud800']) {
      await expectCode(() => cache.runExclusive(name, fn), 'ERR_INVALID_KEY');
    }
    for (const none of [undefined, 5, {}])
      await expectCode(() => cache.runExclusive('n', none), 'ERR_INVALID_ARGUMENT');
    for (const ttl of [0, 0.9, -1, NaN, Infinity, 86_401, '5', null]) {
      await expectCode(() => cache.runExclusive('n', fn, { ttl }), 'ERR_INVALID_TTL');
    }
    for (const options of [{ wait: -1 }, { wait: NaN }, { wait: '5' }, { onOutage: 'no' }, { grace: 5 }, 5, null]) {
      await expectCode(() => cache.runExclusive('n', fn, options), 'ERR_INVALID_ARGUMENT');
    }
    expect(fn).not.toHaveBeenCalled();
    expect(await cache.runExclusive('n', () => 'free', { ttl: 86_400 })).toBe('free');
  });
};
