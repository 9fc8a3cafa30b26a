// getOrCompute on the event loop: runs the caller's function for the flights that Rust lets this environment lead.
//
// Rust decides who computes (src/engine/flight.rs). What must live here: the function itself, the error that it throws, which reaches every
// follower of this environment unchanged, and the time-outs of those who wait (caller.js).
'use strict';

const { checkFunction } = require('./arguments');
const { Caller, staleOf } = require('./caller');
const { UNREADABLE } = require('./codec');
const { HoldfastError } = require('./errors');
const { now, turn } = require('./host');
const { Answer, Ask, Op } = require('./ops');
const { askingOf, storingOf, termsOf, ttlFor, usualTerms } = require('./terms');
const { isDue } = require('./turn');

/** @typedef {import('./terms').Terms} Terms */
/** @typedef {{ value: any, text: string | null } | { error: unknown }} Ended `text` is null where nothing was stored */
/**
 * What this environment computes. `stale`: the value that it is to replace. `ended`: never rejects; `end` resolves it.
 * @typedef {{ key: string, token: number, stale: InstanceType<typeof import('./caller').Stale> | null, ended: Promise<Ended>,
 *   end: (ended: Ended) => void }} Flight
 */

/** The functions whose synchronous part is running right now, innermost last. */
const running = /** @type {{ computer: Computer, keys: Set<string> }[]} */ ([]);

class Computer {
  /**
   * @param {import('./channel').Channel} channel
   * @param {import('./codec').Codec} codec
   * @param {number} ttl the default, in milliseconds
   */
  constructor(channel, codec, ttl) {
    this.channel = channel;
    this.codec = codec;
    this.usual = usualTerms(ttl);
    /** @type {Map<number, Flight>} what this environment computes, by token */
    this.flights = new Map();
    /** Callers that wait. */
    this.waiting = 0;
    this.staleServed = 0;
    /** @type {(() => void)[]} */
    this.whenIdle = [];
  }

  /**
   * @param {string} key
   * @param {() => unknown} fn
   * @param {unknown} given a TTL or options
   */
  async getOrCompute(key, fn, given) {
    checkFunction(fn, 'getOrCompute');
    const terms = termsOf(given, this.usual);
    this.refuseOwn(key);
    // Most calls hit: what follows is only set up for those that do not.
    const hot = this.hot(key, terms);
    if (hot !== undefined) {
      // A loop of hot hits must let the event loop poll.
      if (isDue()) await turn();
      return hot;
    }
    const answer = await this.begin(key, terms, false);
    if (answer[0] === Answer.HIT) {
      const value = this.read(answer[1]);
      if (value !== UNREADABLE) return value;
    }
    return new Caller(this, key, fn, terms).wait(answer);
  }

  /**
   * @param {string} key
   * @param {Terms} terms
   */
  hot(key, terms) {
    // Whether it is time for an early refresh is Rust's to say.
    if (terms.beta > 0) return undefined;
    const value = this.channel.hot?.get(key);
    return value === undefined ? this.channel.near(key) : value;
  }

  /**
   * The value of a reply, or UNREADABLE.
   * @param {any} reply
   */
  read(reply) {
    const { decode } = this.codec;
    return decode === null ? reply : decode(reply);
  }

  /**
   * Asks for a key.
   * @param {string} key
   * @param {Terms} terms
   * @param {boolean} many
   */
  begin(key, terms, many) {
    return this.channel.begin(key, (terms.lock ? Ask.LOCK : 0) | (many ? Ask.MANY : 0), askingOf(terms));
  }

  /**
   * Takes the lead that an answer gives: others may follow. Its function comes with `fly`.
   * @param {string} key
   * @param {any[]} answer
   * @returns {Flight}
   */
  reserve(key, answer) {
    /** @type {Flight['end']} */
    let end = ignore;
    const ended = new Promise((/** @type {Flight['end']} */ resolve) => {
      end = resolve;
    });
    const flight = { key, token: answer[1], stale: staleOf(this.codec, answer), ended, end };
    this.flights.set(flight.token, flight);
    return flight;
  }

  /**
   * Runs the function of a flight, and stores what it returns.
   * @param {Flight} flight
   * @param {() => unknown} fn
   * @param {Terms} terms
   */
  async fly({ key, token, end }, fn, terms) {
    try {
      const began = terms.beta > 0 ? now() : 0;
      const value = await this.start([key], fn);
      if (value === undefined) {
        await this.channel.call(Op.ABANDON, key, '', 1, token);
        end({ value, text: null });
      } else {
        const extras = storingOf(terms, began > 0 ? now() - began : 0);
        const text = this.codec.encode(value);
        await this.channel.call(Op.END, key, text, ttlFor(terms), token, false, extras);
        end({ value: this.codec.made(value, text), text });
      }
    } catch (error) {
      end({ error });
      await this.send(Op.ABANDON, key, 0, token);
    } finally {
      // Only now: answers that send followers here were on their way until Rust had said that the flight is over.
      this.flights.delete(token);
    }
  }

  /**
   * Calls a function, and knows which keys are being computed while its synchronous part runs.
   * @param {Iterable<string>} keys
   * @param {() => unknown} fn
   */
  start(keys, fn) {
    running.push({ computer: this, keys: new Set(keys) });
    try {
      return fn();
    } finally {
      running.pop();
    }
  }

  /** @param {string} key must not be what the calling function computes */
  refuseOwn(key) {
    for (const outer of running) {
      if (outer.computer !== this || !outer.keys.has(key)) continue;
      throw new HoldfastError(
        'ERR_COMPUTE_DEADLOCK',
        'the function given to getOrCompute asks for the key that it computes, which would wait for itself',
      );
    }
  }

  /**
   * Tells Rust something whose answer matters to nobody.
   * @param {number} kind
   * @param {string} key
   * @param {number} a
   * @param {number} token
   */
  send(kind, key, a, token) {
    return this.channel.call(kind, key, '', a, token).catch(ignore);
  }

  /** A caller waits no more. */
  left() {
    if (--this.waiting === 0) for (const resolve of this.whenIdle.splice(0)) resolve();
  }

  /** Resolves once no caller waits. What still runs then (its callers did not wait for it) has lost its right to store. */
  async drained() {
    while (this.waiting > 0) await new Promise((resolve) => this.whenIdle.push(() => resolve(undefined)));
    for (const [token, { key }] of this.flights) this.send(Op.ABANDON, key, 0, token);
  }
}

function ignore() {}

module.exports = { Computer };
