// What ends a call's waiting, whatever becomes of its function: its time, and its caller's AbortSignal.
'use strict';

const { HoldfastError } = require('../base/errors.js');
const { clearTimeout, setTimeout } = require('../base/host.js');

// Node's timers hold a signed 32-bit number of milliseconds; a longer time is as good as never.
const LONGEST_TIMER = 0x7fffffff;

/** @typedef {import('./terms').Terms} Terms */

/**
 * How long a call waits: one timer. It keeps the process alive until the call is settled, and runs on for the flights
 * that the call leads.
 */
class Patience {
  /**
   * @param {number} ms
   * @param {() => void} end
   */
  constructor(ms, end) {
    this.timer = after(ms, end);
    /** The call, and each flight that it leads. */
    this.holders = 1;
  }

  hold() {
    this.holders++;
  }

  release() {
    if (--this.holders === 0) clearTimeout(this.timer);
  }

  /** The call is settled. Its functions may go on; after its time the next caller leads anew. */
  leave() {
    this.timer?.unref();
    this.release();
  }
}

/**
 * The calls that wait, by their signal. Each signal has one listener of ours: Node takes more than ten for a leak.
 * @type {WeakMap<AbortSignal, Set<Listening>>}
 */
const listening = new WeakMap();

/** A call that heeds its caller's signal until it is settled. */
class Listening {
  /**
   * @param {AbortSignal} signal
   * @param {(reason: unknown) => void} end
   */
  constructor(signal, end) {
    this.signal = signal;
    this.end = end;
    const others = listening.get(signal);
    if (others !== undefined) {
      others.add(this);
      return;
    }
    signal.addEventListener('abort', endAll);
    listening.set(signal, new Set([this]));
  }

  stop() {
    const { signal } = this;
    const calls = listening.get(signal);
    if (calls === undefined || !calls.delete(this) || calls.size > 0) return;
    listening.delete(signal);
    try {
      signal.removeEventListener('abort', endAll);
    } catch {
      // Not one of the runtime's own. Our listener finds no call any more.
    }
  }
}

/**
 * Ends the waiting of all calls with a signal.
 * @this {AbortSignal}
 */
function endAll() {
  const calls = listening.get(this) ?? [];
  const reason = reasonOf(this);
  for (const call of [...calls]) call.end(reason);
}

/**
 * Why a signal was aborted.
 * @param {AbortSignal} signal
 * @returns {unknown}
 */
function reasonOf(signal) {
  try {
    return signal.reason;
  } catch (error) {
    return error;
  }
}

/**
 * Refuses a call whose signal was aborted before it was made.
 * @param {AbortSignal | undefined} signal
 */
function checkSignal(signal) {
  if (signal?.aborted) throw reasonOf(signal);
}

/** @param {Terms} terms of a call whose patience is over */
function tooLate({ hardTimeout }) {
  return new HoldfastError(
    'ERR_COMPUTE_TIMEOUT',
    `the function did not settle within hardTimeout (${hardTimeout / 1000} s); it goes on, and its result may still be stored`,
  );
}

/**
 * @param {number} ms
 * @param {() => void} act
 */
function after(ms, act) {
  return ms > LONGEST_TIMER ? undefined : setTimeout(act, ms);
}

module.exports = { Listening, Patience, after, checkSignal, tooLate };
