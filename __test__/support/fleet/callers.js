// Callers that go on calling while a fleet changes under them, and count: what was called, answered and rejected, and
// what each answer was.
'use strict';

const { setImmediate: turn } = require('node:timers/promises');
const { until } = require('../until');

/** A call that has not settled by then never does: no cache of the tests waits so long for its server. */
const SETTLE_MS = 20_000;

/** Those that nobody has stopped. A test that fails before it stops its own would leave them calling for ever. */
const going = new Set();
afterEach(() => Promise.all([...going].map((callers) => callers.stop())));

/**
 * One caller for each key and cache. It adds 1 to its key again and again, `depth` calls at a time, which are called in
 * one turn. So a call that is lost, made twice or overtaken shows in the sums.
 */
class Callers {
  #stopped = false;
  #running;

  constructor(caches, keys, { depth = 1 } = {}) {
    this.called = 0;
    this.rejected = [];
    /** @type {Map<string, number[]>} The sums that the callers of a key were given, each caller's in their order. */
    this.sums = new Map(keys.map((key) => [key, []]));
    going.add(this);
    this.#running = caches.flatMap((cache) => keys.map((key) => this.#call(cache, key, depth)));
  }

  async #call(cache, key, depth) {
    while (!this.#stopped) {
      // What is answered in process is answered at once: without this nobody else would come to run.
      await turn();
      this.called += depth;
      const calls = Array.from({ length: depth }, () => cache.increment(key, 1));
      for (const { status, value, reason } of await Promise.allSettled(calls)) {
        if (status === 'fulfilled') this.sums.get(key).push(value);
        else this.rejected.push(reason);
      }
    }
  }

  answered(key) {
    return this.sums.get(key).length;
  }

  /** Waits until each of these keys has been answered so many times more. */
  async goOn(keys = [...this.sums.keys()], times = 20) {
    const before = keys.map((key) => this.answered(key));
    await until(() => keys.every((key, at) => this.answered(key) >= before[at] + times), 'the calls go on');
  }

  /** Ends them; resolves to how many calls were rejected and how many never settled. */
  async stop() {
    this.#stopped = true;
    going.delete(this);
    const settled = () => this.rejected.length + [...this.sums.values()].reduce((sum, { length }) => sum + length, 0);
    await until(() => settled() === this.called, 'all calls settle', SETTLE_MS).catch(() => {});
    const unsettled = this.called - settled();
    if (unsettled === 0) await Promise.all(this.#running);
    return { rejected: this.rejected.length, unsettled };
  }
}

module.exports = { Callers };
