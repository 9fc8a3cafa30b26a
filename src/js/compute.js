// getOrCompute on the event loop: runs the caller's function for the flights that Rust lets this environment lead, and gives each follower its copy.
//
// Rust decides who computes (src/engine/flight.rs). What must live here: the function itself, the error that it throws, which reaches every
// follower of this environment unchanged, and the time-outs of those who wait.
'use strict';

const { setImmediate: turn } = require('node:timers/promises');
const { checkOptions, describe, encode, invalid, toMs } = require('./codec');
const { HoldfastError } = require('./errors');
const { frozenCopy } = require('./hot');
const { Op } = require('./ops');

// The first element of a reply to BEGIN; src/engine/splice.rs writes it.
const Answer = Object.freeze({ HIT: 0, LEAD: 1, FOLLOW: 2, NOTHING: 4, AGAIN: 5 });
const OPTIONS = ['ttl', 'hardTimeout', 'jitter', 'lock'];
const DEFAULT_HARD_TIMEOUT = 30;
// Node's timers hold a signed 32-bit number of milliseconds; beyond that is as good as never.
const LONGEST_TIMER = 0x7fffffff;

/** @typedef {{ text: string } | { nothing: true } | { error: unknown }} Outcome */
/** @typedef {{ key: string, outcome: Promise<Outcome> }} Flight */

/** The functions whose synchronous part is running right now, innermost last. */
const running = /** @type {{ computer: Computer, key: string }[]} */ ([]);

class Computer {
  /**
   * @param {import('./channel').Channel} channel
   * @param {number} defaultTtl milliseconds
   * @param {boolean} frozen
   */
  constructor(channel, defaultTtl, frozen) {
    this.channel = channel;
    this.defaultTtl = defaultTtl;
    this.frozen = frozen;
    /** @type {Map<number, Flight>} what this environment computes, by token */
    this.flights = new Map();
    /** Callers that wait for a function. */
    this.waiting = 0;
    /** @type {(() => void)[]} */
    this.whenIdle = [];
  }

  /**
   * @param {string} key
   * @param {() => unknown} fn
   * @param {unknown} given a TTL or options
   */
  async getOrCompute(key, fn, given) {
    if (typeof fn !== 'function')
      throw invalid(`getOrCompute needs a function that computes the value, not ${describe(fn)}`);
    const options = checkOptions(given, OPTIONS, true);
    const ttl = spread(options.ttl === undefined ? this.defaultTtl : toMs(options.ttl), options.jitter);
    const patience = toMs(
      options.hardTimeout === undefined ? DEFAULT_HARD_TIMEOUT : options.hardTimeout,
      'hardTimeout',
    );
    if (options.lock !== undefined && typeof options.lock !== 'boolean') throw invalid('lock must be true or false');
    if (running.some((outer) => outer.computer === this && outer.key === key)) {
      throw new HoldfastError(
        'ERR_COMPUTE_DEADLOCK',
        'the function given to getOrCompute asks for the key that it computes, which would wait for itself',
      );
    }
    // Most calls hit: what follows is only set up for those that do not.
    const hot = this.channel.hot?.get(key);
    if (hot !== undefined) return hot;
    const lock = options.lock !== false;
    const answer = await this.channel.begin(key, lock);
    if (answer[0] === Answer.HIT) return this.frozen ? frozenCopy(answer[1]) : answer[1];
    return this.wait(key, fn, ttl, patience, lock, answer);
  }

  /**
   * @param {string} key
   * @param {() => unknown} fn
   * @param {number} ttl
   * @param {number} patience
   * @param {boolean} lock
   * @param {[number, any]} first
   */
  async wait(key, fn, ttl, patience, lock, first) {
    this.waiting++;
    /** @type {number | null} */
    let leading = null;
    let late = false;
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    // Keeps the process alive, as every call under way does until it is settled.
    const timedOut = new Promise((_, reject) => {
      if (patience > LONGEST_TIMER) return;
      timer = setTimeout(() => {
        late = true;
        if (leading !== null) this.channel.call(Op.OVERDUE, key, '', 0, leading).catch(ignore);
        reject(
          new HoldfastError(
            'ERR_COMPUTE_TIMEOUT',
            `the function given to getOrCompute did not settle within hardTimeout (${patience / 1000} s); it goes on, and its result will be stored`,
          ),
        );
      }, patience);
    });
    const result = (async () => {
      for (let answer = first; ; answer = await this.channel.begin(key, lock)) {
        switch (answer[0]) {
          case Answer.HIT:
            return answer[1];
          case Answer.NOTHING:
            return undefined;
          case Answer.LEAD:
            // Nobody waits any more: somebody else shall lead.
            if (late) return void this.channel.call(Op.ABANDON, key, '', 0, answer[1]).catch(ignore);
            leading = answer[1];
            return await this.lead(key, fn, ttl, answer[1]);
          case Answer.AGAIN:
            if (late) return undefined;
            break;
          default: {
            const flight = this.flights.get(answer[1]);
            if (flight !== undefined) return copyOf(await flight.outcome);
            // It has ended, or the answer that begins it is still on its way here: an answer given at once overtakes a wake-up. Asked again at once,
            // in memory mode, the event loop would turn on the spot and never get to that wake-up.
            await turn();
          }
        }
      }
    })();
    try {
      return await Promise.race([result, timedOut]);
    } finally {
      clearTimeout(timer);
      if (--this.waiting === 0) for (const resolve of this.whenIdle.splice(0)) resolve();
      // Its late rejection has been told to nobody, and is nobody's any more.
      if (late) result.catch(ignore);
    }
  }

  /** Resolves once no caller waits for a function. What still runs then (its callers timed out) has lost its right to store. */
  async drained() {
    while (this.waiting > 0) await new Promise((resolve) => this.whenIdle.push(() => resolve(undefined)));
    for (const [token, { key }] of this.flights) this.channel.call(Op.ABANDON, key, '', 0, token).catch(ignore);
  }

  /**
   * Runs the function for the flight `token`.
   * @param {string} key
   * @param {() => unknown} fn
   * @param {number} ttl
   * @param {number} token
   */
  async lead(key, fn, ttl, token) {
    /** @type {(outcome: Outcome) => void} */
    let finish = ignore;
    const outcome = new Promise((/** @type {(outcome: Outcome) => void} */ resolve) => {
      finish = resolve;
    });
    this.flights.set(token, { key, outcome });
    try {
      const value = await this.start(key, fn);
      if (value === undefined) {
        await this.channel.call(Op.ABANDON, key, '', 1, token);
        finish({ nothing: true });
        return undefined;
      }
      const text = encode(value);
      await this.channel.call(Op.END, key, text, ttl, token);
      finish({ text });
      return value;
    } catch (error) {
      finish({ error });
      await this.channel.call(Op.ABANDON, key, '', 0, token);
      throw error;
    } finally {
      // Only now: answers that send followers here were on their way until Rust had said that the flight is over.
      this.flights.delete(token);
    }
  }

  /**
   * Calls the function, and knows which keys are being computed while its synchronous part runs.
   * @param {string} key
   * @param {() => unknown} fn
   */
  start(key, fn) {
    running.push({ computer: this, key });
    try {
      return fn();
    } finally {
      running.pop();
    }
  }
}

/**
 * A follower's own copy, which no other caller can change.
 * @param {Outcome} outcome
 */
function copyOf(outcome) {
  if ('error' in outcome) throw outcome.error;
  return 'text' in outcome ? JSON.parse(outcome.text) : undefined;
}

/**
 * A TTL shortened at random by up to the part `jitter` of it.
 * @param {number} ttl milliseconds
 * @param {unknown} jitter
 */
function spread(ttl, jitter) {
  if (jitter === undefined || jitter === 0) return ttl;
  if (typeof jitter !== 'number' || !(jitter > 0 && jitter <= 1))
    throw invalid(`jitter must be a number from 0 to 1, not ${describe(jitter)}`);
  return ttl === Infinity ? ttl : Math.max(1, Math.round(ttl * (1 - jitter * Math.random())));
}

function ignore() {}

module.exports = { Computer };
