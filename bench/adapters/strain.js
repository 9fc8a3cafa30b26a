// Owns the callers that go on while Redis goes away and comes back: how long one of them waits, and what fails.
'use strict';

const { setImmediate: turn, setTimeout: sleep } = require('node:timers/promises');

/** A caller that has no answer so long after Redis is back will have none. */
const PATIENCE_MS = 10_000;

/**
 * Runs `callers` loops of `call(n)`, which resolves to whether it found what was stored. `mark(away)` says whether
 * Redis is away from now on; `end()` resolves to what the callers saw: the `longest` wait in milliseconds, how many
 * calls of the outage were `served` before its end, how many calls `failed` (those that never ended among them), and
 * how many were `missed`.
 */
function startStrain(call, callers) {
  const seen = { calls: 0, failed: 0, missed: 0, longest: 0, served: 0 };
  const waiting = new Map();
  let away = false;
  let over = false;

  async function caller(id) {
    for (let n = id; !over; n += 1) {
      const began = performance.now();
      const wasAway = away;
      waiting.set(id, began);
      try {
        if (!(await call(n))) seen.missed += 1;
      } catch {
        seen.failed += 1;
      }
      waiting.delete(id);
      seen.calls += 1;
      seen.longest = Math.max(seen.longest, performance.now() - began);
      if (wasAway && away) seen.served += 1;
      // The event loop is left to the others.
      await turn();
    }
  }

  const all = Promise.all(Array.from({ length: callers }, (_, id) => caller(id)));
  return {
    mark(isAway) {
      away = isAway;
      return true;
    },
    async end() {
      over = true;
      await Promise.race([all, sleep(PATIENCE_MS, undefined, { ref: false })]);
      const stuck = [...waiting.values()].map((began) => performance.now() - began);
      return { ...seen, failed: seen.failed + stuck.length, longest: Math.max(seen.longest, ...stuck) };
    },
  };
}

module.exports = { startStrain };
