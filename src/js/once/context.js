// What the function of getOrCompute is given: the old value, and how it tells what is to become of its result.
//
// Most functions take no argument, and none can be told from one that does (rest parameters, `arguments`). So each run
// makes two small objects, and all that costs is behind getters: a copy of the old value, an AbortController, functions
// that may be taken out (`({ skip }) => …`).
'use strict';

const { computations, isWatched, traced } = require('../base/channels.js');
const { AbortController, now } = require('../base/host.js');
const { checkTags, toMs } = require('../options/arguments.js');
const { checkMade } = require('./validation.js');

/** @typedef {import('./flights').Flight} Flight */
/** @typedef {import('../value/codec').Codec} Codec */

/** One run of a function, and what the function has said of its result. */
class Run {
  /**
   * @param {Flight | null} flight null where the result is for one caller alone
   * @param {Codec} codec
   * @param {any} old a value that nobody else has, or undefined: that of the flight, if there is one
   * @param {import('../base/durations').Durations} durations where the time that it takes is counted
   * @param {string[]} [known] the tags that its caller gave
   */
  constructor(flight, codec, old, durations, known = []) {
    this.flight = flight;
    this.codec = codec;
    this.old = old;
    /** Milliseconds; null: as the terms say. */
    this.ttl = /** @type {number | null} */ (null);
    this.skipped = false;
    this.known = known;
    /** @type {string[]} the tags that it named beside those */
    this.named = [];
    this.over = false;
    this.durations = durations;
    this.began = now();
    /** Milliseconds, once it is over. */
    this.took = 0;
  }

  /** The function has settled: what it says from here on is not heard. */
  end() {
    if (this.over) return;
    this.over = true;
    this.took = now() - this.began;
    this.durations.add(this.took);
  }

  /** The value that is replaced: of this run alone, and the same each time that it is asked for. */
  get stale() {
    const { flight } = this;
    if (this.old === undefined && !this.over && flight !== null && flight.stale !== null)
      this.old = flight.stale.take(this.codec);
    return this.old;
  }

  get signal() {
    return this.flight === null ? new AbortController().signal : this.flight.signal;
  }

  /** @param {unknown} seconds */
  setTtl(seconds) {
    const ms = toMs(seconds);
    if (!this.over) this.ttl = ms;
  }

  /** @param {unknown} tags */
  setTags(tags) {
    const given = checkTags(tags) ?? [];
    // Together they may be too many.
    const all = checkTags([...this.known, ...given]) ?? [];
    if (!this.over) this.named = all.slice(this.known.length);
  }

  skip() {
    if (!this.over) this.skipped = true;
  }

  /** Milliseconds since its function began, and no less. */
  get age() {
    return Math.ceil(now() - this.began) + 1;
  }
}

/** What the function sees of its run. */
class Context {
  /** @type {Run} */
  #run;

  /** @param {Run} run */
  constructor(run) {
    this.#run = run;
  }

  get stale() {
    return this.#run.stale;
  }

  get signal() {
    return this.#run.signal;
  }

  get setTtl() {
    const run = this.#run;
    return (/** @type {unknown} */ seconds) => run.setTtl(seconds);
  }

  get setTags() {
    const run = this.#run;
    return (/** @type {unknown} */ tags) => run.setTags(tags);
  }

  get skip() {
    const run = this.#run;
    return () => run.skip();
  }
}

/**
 * The function of a call, so that subscribers hear of its runs.
 * @param {import('./compute').Computer} computer
 * @param {string[]} keys
 * @param {(context: any) => unknown} fn
 */
function told({ channel }, keys, fn) {
  if (!isWatched(computations)) return fn;
  return (/** @type {any} */ context) =>
    traced(computations, { cache: channel.namespace, keys: [...keys] }, () => fn(context));
}

/**
 * Runs the function for one caller alone, and stores nothing.
 * @param {import('./compute').Computer} computer
 * @param {string} key
 * @param {import('./compute').Fn} fn
 * @param {import('./terms').Terms} terms
 * @param {any} old the value that the caller refused, or undefined
 */
async function alone(computer, key, fn, { validate }, old) {
  const run = new Run(null, computer.codec, old, computer.durations);
  let value;
  try {
    value = await computer.start([key], fn, new Context(run));
  } finally {
    run.end();
  }
  if (validate !== null && value !== undefined) await checkMade(validate, value);
  return value;
}

module.exports = { Context, Run, alone, told };
