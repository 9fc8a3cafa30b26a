// When a turn of the event loop is over, and its calls are handed to Rust.
//
// Too early, and calls that would have shared a pipeline travel alone; too late, and they wait for nothing. Three moments were measured, under a loop of callers and under an
// HTTP server (docs/benchmarks/flush.md), and each is best somewhere:
//
// - Calls of requests that arrived together are made in callbacks of their own, one behind the other in one poll of the event loop. `setImmediate` runs behind all of them;
//   `process.nextTick` behind the first.
// - Callers that one group of replies has woken make their next calls in the promise jobs behind it. All are made when these have run: waiting for
//   `setImmediate` would gain nothing there.
// - Where Rust answers at once (memory mode), a lone caller would pay a round of the event loop for each call with `setImmediate`.
//
// So: behind the promise jobs of a wake-up for what they call, else `setImmediate`; and `process.nextTick` while answers come at once.
'use strict';

// For the benchmark, which compares the moments.
const FORCED = new Map([
  ['microtask', queueMicrotask],
  ['nextTick', process.nextTick],
  ['immediate', setImmediate],
]);
const forced = Object.hasOwn(process.env, 'HOLDFAST_FLUSH') ? FORCED.get(process.env.HOLDFAST_FLUSH ?? '') : undefined;

/**
 * How the first call of a turn schedules the flush.
 * @param {boolean} atOnce whether Rust answered the last batch within the call
 * @returns {(flush: () => void) => void}
 */
function laterBy(atOnce) {
  return forced ?? (atOnce ? process.nextTick : setImmediate);
}

/**
 * Flushes what callers do who were woken just now, in this turn.
 * @param {() => void} flush
 * @returns {boolean} whether it will, and nobody else need
 */
function afterWake(flush) {
  if (forced !== undefined) return false;
  // A tick runs when the promise jobs are through; one that is scheduled from outside of them could run before.
  queueMicrotask(() => process.nextTick(flush));
  return true;
}

module.exports = { afterWake, laterBy };
