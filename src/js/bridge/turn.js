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
// So: calls made in the promise jobs after a wake-up go when these jobs have run, where the event loop has slept and
// all calls are such; other calls go at `setImmediate`, or at `process.nextTick` while answers come at once. A server
// has calls of requests, too, which no reply has woken: there the ones gather with the others.
//
// **Callers in lockstep.** Calls that travel together come back together, make the next calls together, and so on:
// while Redis works the event loop sleeps, and the other way round, and waking a sleeper takes longer than either
// works. Where the event loop has slept, it has the time for more batches than one. So the callers that it was woken by
// are not waited for: their calls go as soon as they are an eighth of all, while less than four batches are under way.
// From then on they come back apart, and neither side sleeps. An event loop that does not sleep gathers, as what it
// does then costs throughput. Two callers in step are as fast as two apart, and three, for less CPU. The engine's
// thread has to be woken for each batch, so this is for the event loop's own socket alone. Measured: docs/bridge.md.
//
// A loop of awaited calls that are answered at once, or from hot values, would then never let the event loop poll: no
// timer fires and no request is read while it runs. So now and then an answer waits for the next turn (`isDue`).
'use strict';

const { microtask, nextTick, setImmediate, slept } = require('../base/host.js');

// Answers given at once between two turns of the event loop, in hot hits: some 0.5 ms of a loop that does nothing else.
const MAX_ANSWERS = 4096;
// A batch that Rust answers at once counts for this many hot hits, and each of its calls for this many more: about the
// time that a lone call takes.
const BATCH_ANSWERS = 32;
const CALL_ANSWERS = 4;

// A sleep is no shorter: to look at the sockets counts for a few microseconds, whatever is there.
const REST_MS = 0.01;
const MIN_CALLERS = 4;
const SHARES = 8;
/** Batches under way up to which calls go in shares. */
const SHARED = 4;
/** Wake-ups for which a call that no reply has woken is taken for a sign of more of them. */
const EXPECTED = 16;

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

/** Which part of the calls that a wake-up finds may go at once. */
class Shares {
  constructor() {
    this.slept = 0;
    /** Wake-ups until no further calls of others are expected. */
    this.others = 0;
  }

  /** A call was made, and not by a caller that a reply had woken. */
  other() {
    this.others = EXPECTED;
  }

  /** Whether the calls of the callers that are woken now need not wait for the end of the turn. Once a wake-up. */
  mayGoAhead() {
    const before = this.slept;
    this.slept = slept();
    if (this.others > 0) this.others--;
    return this.others === 0 && this.slept - before > REST_MS;
  }

  /**
   * Callers are woken.
   * @param {number} underWay calls, theirs among them
   * @returns {number} how many calls of theirs go together, if not all of them
   */
  of(underWay) {
    return underWay >= MIN_CALLERS ? Math.ceil(underWay / SHARES) : Infinity;
  }
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

module.exports = { SHARED, Shares, afterWake, answered, isBatchDue, isDue, laterBy };
