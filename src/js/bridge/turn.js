// Decides when a turn of the event loop is over and its calls are handed to Rust, and lets the event loop run in
// between.
//
// Handed over too early, calls that could share a pipeline travel alone; too late, they wait for nothing. Three moments
// were measured, under a loop of callers and under an HTTP server (docs/benchmarks/flush.md), and each is the best one
// somewhere:
//
// - Calls of requests that arrived together are made in callbacks of their own, one behind the other in one poll of the
//   event loop. `setImmediate` runs behind all of them; `process.nextTick` behind the first.
// - Callers that one group of replies has woken make their next calls in the promise jobs that follow. When these have
//   run, all calls are made: waiting for `setImmediate` would gain nothing there.
// - Where Rust answers at once (memory mode), a lone caller would pay a round of the event loop for each call with
//   `setImmediate`.
//
// So: calls made in the promise jobs after a wake-up go when these jobs have run; other calls go at `setImmediate`, or
// at `process.nextTick` while answers come at once.
//
// A loop of awaited calls that are answered at once, or from hot values, would then never let the event loop poll: no
// timer fires and no request is read while it runs. So now and then an answer waits for the next turn (`isDue`).
'use strict';

const { microtask, nextTick, setImmediate } = require('../base/host.js');

// Answers given at once between two turns of the event loop, in hot hits: some 0.5 ms of a loop that does nothing else.
const MAX_ANSWERS = 4096;
// A batch that Rust answers at once counts for this many hot hits, and each of its calls for this many more: about the
// time that a lone call takes.
const BATCH_ANSWERS = 32;
const CALL_ANSWERS = 4;

// For the benchmark, which compares the moments.
const FORCED = new Map([
  ['microtask', microtask],
  ['nextTick', nextTick],
  ['immediate', setImmediate],
]);
const forced = Object.hasOwn(process.env, 'HOLDFAST_FLUSH') ? FORCED.get(process.env.HOLDFAST_FLUSH ?? '') : undefined;

let answers = 0;

/**
 * How the first call of a turn schedules the flush.
 * @param {boolean} atOnce whether Rust answered the last batch within the call
 * @returns {(flush: () => void) => void}
 */
function laterBy(atOnce) {
  return forced ?? (atOnce ? nextTick : setImmediate);
}

/**
 * Schedules the flush of the calls that the callers just woken make in this turn.
 * @param {() => void} flush
 * @returns {boolean} whether it is scheduled; if not, each lane schedules its own
 */
function afterWake(flush) {
  if (forced !== undefined) return false;
  // A tick runs when the promise jobs are through; a tick scheduled outside of them could run before them.
  microtask(() => nextTick(flush));
  return true;
}

/** Whether the answer of a hot or near hit must wait for the next turn of the event loop. */
function isDue() {
  if (++answers < MAX_ANSWERS) return false;
  answers = 0;
  return true;
}

/**
 * As `isDue`, for a batch that was answered at once.
 * @param {number} calls
 */
function isBatchDue(calls) {
  answers += BATCH_ANSWERS + calls * CALL_ANSWERS;
  return isDue();
}

/**
 * The promise of a value that is there already.
 * @param {any} value
 * @returns {Promise<any>}
 */
function answered(value) {
  if (!isDue()) return Promise.resolve(value);
  return new Promise((resolve) => {
    setImmediate(() => resolve(value));
  });
}

module.exports = { afterWake, answered, isBatchDue, isDue, laterBy };
