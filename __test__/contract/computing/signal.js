// Contract: the AbortSignal of a caller ends its own waiting; that of the context tells the function that nobody waits
// any more.
'use strict';

const { computation } = require('../../support/computation');
const { expectCode, freshNamespace, stateOf } = require('../../support/holdfast');
const { until } = require('../../support/until');

const reason = new Error('the caller has left');
const notRun = () => {
  throw new Error('the function must not run');
};

/** A computation that keeps its context, and rejects when its signal is aborted. */
function heeding() {
  const made = computation();
  const { fn } = made;
  made.fn = (context) => {
    made.signal = context.signal;
    made.signal.addEventListener('abort', () => made.fail(made.signal.reason));
    return fn();
  };
  return made;
}

module.exports = function signal(mode) {
  let cache;
  let other;
  let caller;
  beforeEach(async () => {
    const options = { namespace: freshNamespace() };
    cache = await mode.cache(options);
    other = await mode.cache(options);
    caller = new AbortController();
  });
  const ask = (fn, options) => cache.getOrCompute('k', fn, { signal: caller.signal, ...options });

  describe('of a caller', () => {
    test('aborted, it rejects that call at once; the computation goes on for the others, and is stored', async () => {
      const held = computation();
      const mine = ask(held.fn);
      await held.begun();
      const others = [cache, other].map((each) => each.getOrCompute('k', notRun));
      await other.getStats();
      caller.abort(reason);
      await expect(mine).rejects.toBe(reason);
      held.open('computed');
      expect(await Promise.all(others)).toEqual(['computed', 'computed']);
      expect(await cache.get('k')).toBe('computed');
    });

    test('with nobody left, what the function returns is stored, and who comes later shares it', async () => {
      const held = computation();
      const mine = ask(held.fn);
      await held.begun();
      caller.abort(reason);
      await expect(mine).rejects.toBe(reason);
      const later = other.getOrCompute('k', notRun);
      await other.getStats();
      held.open('computed');
      expect(await later).toBe('computed');
      expect(await other.get('k')).toBe('computed');
    });

    test('aborted before the call, nothing is asked: not even what is in process', async () => {
      await cache.set('k', 'stored');
      await cache.get('k');
      caller.abort(reason);
      await expect(ask(notRun)).rejects.toBe(reason);
      await expect(ask(notRun, { forceFresh: true })).rejects.toBe(reason);
      const many = cache.getOrComputeMany(['k', 'l'], notRun, { forceFresh: true, signal: caller.signal });
      await expect(many).rejects.toBe(reason);
      expect(await other.get('k')).toBe('stored');
    });

    test('aborted in the turn of the call, it rejects, and keeps the key from nobody', async () => {
      const mine = ask(() => 'mine');
      caller.abort(reason);
      await expect(mine).rejects.toBe(reason);
      expect(['mine', 'next']).toContain(await other.getOrCompute('k', () => 'next'));
    });

    test('rejects a call for which grace would have an old value', async () => {
      await cache.getOrCompute('k', () => 'old', { ttl: 0.02, grace: 60 });
      await until(async () => (await cache.get('k')) === null);
      const held = computation();
      const mine = ask(held.fn, { grace: 60 });
      await held.begun();
      caller.abort(reason);
      await expect(mine).rejects.toBe(reason);
      held.open('new');
    });

    test('does not matter to a hit, nor once the call is settled', async () => {
      await cache.set('k', 'stored');
      expect(await ask(notRun)).toBe('stored');
      expect(await ask(notRun)).toBe('stored');
      caller.abort(reason);
      expect(await cache.getOrCompute('k', notRun)).toBe('stored');
    });

    test('ends a call of many keys; its function goes on, and what it returns is stored', async () => {
      const held = computation();
      const fn = (keys) => held.fn().then(() => keys);
      const many = cache.getOrComputeMany(['a', 'b'], fn, { signal: caller.signal });
      await held.begun();
      caller.abort(reason);
      await expect(many).rejects.toBe(reason);
      held.open();
      await until(async () => (await other.get('b')) === 'b');
      expect(await other.get('a')).toBe('a');
    });

    test('ends a call of one key or many whose validate never answers', async () => {
      await cache.set('k', 1);
      const judged = computation();
      const options = { signal: caller.signal, validate: judged.fn };
      const calls = [cache.getOrCompute('k', notRun, options), cache.getOrComputeMany(['k'], notRun, options)];
      await until(() => judged.runs === 2);
      caller.abort(reason);
      for (const call of calls) await expect(call).rejects.toBe(reason);
      expect(await other.get('k')).toBe(1);
    });

    test('shared by many calls, it has one listener, and none when they are settled', async () => {
      const { signal } = caller;
      const listeners = new Set();
      const add = jest.spyOn(signal, 'addEventListener').mockImplementation((_, listener) => listeners.add(listener));
      const remove = jest
        .spyOn(signal, 'removeEventListener')
        .mockImplementation((_, listener) => listeners.delete(listener));
      for (let round = 1; round <= 2; round++) {
        const held = computation();
        const calls = Array.from({ length: 30 }, (_, i) =>
          cache.getOrCompute(`${round}:${i % 3}`, held.fn, { signal }),
        );
        calls.push(cache.getOrComputeMany([`${round}:many`], () => held.fn().then((n) => [n]), { signal }));
        await held.begun();
        expect(listeners.size).toBe(1);
        held.open(1);
        await Promise.all(calls);
        expect([listeners.size, add.mock.calls.length, remove.mock.calls.length]).toEqual([0, round, round]);
      }
    });

    test('shared by many calls, it ends them all', async () => {
      const held = computation();
      const calls = Array.from({ length: 20 }, (_, i) =>
        cache.getOrCompute(`${i}`, held.fn, { signal: caller.signal }),
      );
      await until(() => held.runs === 20);
      caller.abort(reason);
      for (const result of await Promise.allSettled(calls)) expect(result.reason).toBe(reason);
      held.open(1);
    });

    test('whose reason cannot be read rejects its own call, and others are served', async () => {
      Object.defineProperty(caller.signal, 'reason', {
        get() {
          throw reason;
        },
      });
      const held = computation();
      const mine = ask(held.fn);
      await held.begun();
      const next = other.getOrCompute('k', notRun);
      await other.getStats();
      caller.abort();
      await expect(mine).rejects.toBe(reason);
      held.open(1);
      expect(await next).toBe(1);
    });

    test('what is none is refused', async () => {
      const unreadable = Object.defineProperty({}, 'aborted', {
        get() {
          throw reason;
        },
      });
      for (const signal of [null, true, {}, caller, { aborted: false }, unreadable]) {
        await expectCode(() => ask(notRun, { signal }), 'ERR_INVALID_ARGUMENT');
      }
    });
  });

  describe('of the context', () => {
    test('is aborted when the only caller gives up by its signal; the next one runs anew', async () => {
      const held = heeding();
      const mine = ask(held.fn);
      await held.begun();
      expect(held.signal.aborted).toBe(false);
      caller.abort(reason);
      expect(held.signal.aborted).toBe(true);
      expect(held.signal.reason).toMatchObject({ name: 'AbortError' });
      // At once, and thus before the function's error is known.
      const next = cache.getOrCompute('k', () => 'anew');
      await expect(mine).rejects.toBe(reason);
      expect(await next).toBe('anew');
      expect(await other.get('k')).toBe('anew');
    });

    test('not heeded, it does not keep the next caller waiting for a function that never ends', async () => {
      const held = computation();
      const deaf = (context) => context.signal && held.fn();
      const mine = ask(deaf);
      await held.begun();
      caller.abort(reason);
      await expect(mine).rejects.toBe(reason);
      expect(await other.getOrCompute('k', () => 'anew')).toBe('anew');
    });

    test('who asked in the turn in which it was aborted does not get the error of the function', async () => {
      const held = heeding();
      const mine = ask(held.fn);
      await held.begun();
      const next = [cache, other, cache].map((each) => each.getOrCompute('k', () => 'anew'));
      caller.abort(reason);
      await expect(mine).rejects.toBe(reason);
      expect(await Promise.all(next)).toEqual(['anew', 'anew', 'anew']);
    });

    test('is aborted when the last of all callers has given up, by whichever means', async () => {
      const held = heeding();
      const mine = ask(held.fn);
      await held.begun();
      const late = [cache, other].map((each) => each.getOrCompute('k', notRun, { hardTimeout: 0.2 }));
      const many = cache.getOrComputeMany(['k'], notRun, { hardTimeout: 0.3 });
      await other.getStats();
      caller.abort(reason);
      expect(held.signal.aborted).toBe(false);
      await expect(mine).rejects.toBe(reason);
      for (const call of [...late, many]) await expectCode(() => call, 'ERR_COMPUTE_TIMEOUT');
      expect(held.signal.aborted).toBe(true);
    });

    test('is aborted by hardTimeout', async () => {
      const held = heeding();
      await expectCode(() => cache.getOrCompute('k', held.fn, { hardTimeout: 0.2 }), 'ERR_COMPUTE_TIMEOUT');
      if (held.runs > 0) expect(held.signal.aborted).toBe(true);
      expect(await cache.getOrCompute('k', () => 'anew')).toBe('anew');
    });

    test('read by a function for which nobody waits any more, it is aborted already', async () => {
      const held = computation();
      let seen;
      const fn = async (context) => {
        await held.fn();
        seen = context.signal.aborted;
        return 'late';
      };
      const mine = ask(fn);
      await held.begun();
      caller.abort(reason);
      await expect(mine).rejects.toBe(reason);
      held.open();
      await until(() => seen !== undefined);
      expect(seen).toBe(true);
      await until(async () => (await cache.get('k')) === 'late');
    });

    test('is not aborted where somebody has come to wait in between', async () => {
      const held = computation();
      let seen;
      const fn = async (context) => {
        const value = await held.fn();
        seen = context.signal.aborted;
        return value;
      };
      const mine = ask(fn);
      await held.begun();
      caller.abort(reason);
      await expect(mine).rejects.toBe(reason);
      const later = cache.getOrCompute('k', notRun);
      await cache.getStats();
      held.open('computed');
      expect(await later).toBe('computed');
      expect(seen).toBe(false);
    });

    test('is not aborted while a refresh runs behind the old value', async () => {
      await cache.getOrCompute('k', () => 'old', { ttl: 0.02, grace: 60 });
      await until(async () => (await cache.get('k')) === null);
      const held = heeding();
      expect(await cache.getOrCompute('k', held.fn, { swr: 60 })).toBe('old');
      await held.begun();
      const mine = cache.getOrCompute('k', notRun, { signal: caller.signal });
      await cache.getStats();
      caller.abort(reason);
      await expect(mine).rejects.toBe(reason);
      expect(held.signal.aborted).toBe(false);
      held.open('new');
      await until(async () => (await cache.get('k')) === 'new');
      expect(held.signal.aborted).toBe(false);
    });

    test('is aborted when a refresh behind the old value outlives hardTimeout', async () => {
      await cache.getOrCompute('k', () => 'old', { ttl: 0.02, grace: 60 });
      await until(async () => (await cache.get('k')) === null);
      const held = heeding();
      expect(await cache.getOrCompute('k', held.fn, { swr: 60, hardTimeout: 0.1 })).toBe('old');
      await held.begun();
      await until(() => held.signal.aborted);
    });
  });

  test('calls that were ended leave nothing behind', async () => {
    const held = computation();
    const options = { signal: caller.signal, validate: () => true };
    const calls = [ask(held.fn, options), ask(held.fn, options), cache.getOrComputeMany(['k', 'l'], held.fn, options)];
    await held.begun();
    caller.abort(reason);
    await Promise.allSettled(calls);
    const { computer } = stateOf(cache);
    expect([computer.waiting, computer.readers.size]).toEqual([0, 0]);
    held.open(1);
    await cache.close();
  });
};
