// The time of a run: each step has a deadline of its own, and all together never have more than TOTAL_MS, however
// broken the server is. What is left of five seconds is for Node to start and for the report to be printed.
//
// On a busy machine a step may be slow for want of a processor, and the server is well. So a step is given what those
// before it did not need, up to MOST_TIMES of its own.
'use strict';

const { Late } = require('../redis/connection.js');

/** Milliseconds that each step has, in their order. One that is not listed waits for nobody. */
const STEPS_MS = {
  sentinels: 400,
  // A process is started for it.
  dns: 900,
  tcp: 400,
  tls: 600,
  access: 400,
  server: 300,
  pushes: 300,
  latency: 300,
  keys: 500,
  commands: 400,
};
/** Milliseconds that all steps have together. */
const TOTAL_MS = 4_500;

/** A step is given no more than so many times its own. */
const MOST_TIMES = 3;

/** @typedef {keyof typeof STEPS_MS} Timed */

class Deadline {
  /** @param {number} ms from now */
  constructor(ms) {
    this.ms = ms;
    this.at = performance.now() + ms;
  }

  left() {
    return Math.max(0, this.at - performance.now());
  }

  /** A deadline within this one, which leaves so many milliseconds for what comes behind it. */
  leaving(/** @type {number} */ ms) {
    return new Deadline(Math.max(0, this.left() - ms));
  }

  /**
   * What `promise` comes to, or a rejection with Late.
   * @template T
   * @param {Promise<T>} promise
   * @returns {Promise<T>}
   */
  race(promise) {
    // It may fail behind the deadline, when nobody listens any more.
    promise.catch(() => {});
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Late()), this.left());
      promise.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }
}

class Budget {
  #began = performance.now();

  /** Milliseconds since the beginning. */
  took() {
    return performance.now() - this.#began;
  }

  /**
   * The deadline of a step that begins now.
   * @param {string} name
   */
  deadline(name) {
    if (!(name in STEPS_MS)) return new Deadline(0);
    const own = STEPS_MS[/** @type {Timed} */ (name)];
    const names = Object.keys(STEPS_MS);
    const upTo = names.slice(0, names.indexOf(name) + 1);
    const granted = upTo.reduce((sum, each) => sum + STEPS_MS[/** @type {Timed} */ (each)], 0);
    const left = Math.min(granted, TOTAL_MS) - this.took();
    return new Deadline(Math.max(0, Math.min(left, own * MOST_TIMES)));
  }
}

module.exports = { Budget, Deadline, STEPS_MS, TOTAL_MS };
