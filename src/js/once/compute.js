// getOrCompute on the event loop: runs the caller's function for the flights that Rust lets this environment lead.
//
// Rust decides who computes (src/engine/once/flight.rs). What must live here: the function itself, the error that it throws,
// which reaches every follower of this environment unchanged (flights.js), and the time-outs of those who wait
// (caller.js).
'use strict';

const { HoldfastError } = require('../base/errors.js');
const { now, turn } = require('../base/host.js');
const { Answer, Ask, Op, Why } = require('../base/ops.js');
const { checkFunction } = require('../options/arguments.js');
const { UNREADABLE } = require('../value/codec.js');
const { isDue } = require('../bridge/turn.js');
const { Caller, staleOf } = require('./caller.js');
const { Flight } = require('./flights.js');
const { askingOf, storingOf, termsOf, ttlFor, usualTerms } = require('./terms.js');

/** @typedef {import('./terms').Terms} Terms */

// Tokens are numbers of 32 bits, one for each flight of an engine.
const TOKENS = 2 ** 32;

/** The functions whose synchronous part is running right now, innermost last. */
const running = /** @type {{ computer: Computer, keys: Set<string> }[]} */ ([]);

class Computer {
  /**
   * @param {import('../bridge/channel').Channel} channel
   * @param {import('../value/codec').Codec} codec
   * @param {number} ttl the default, in milliseconds
   * @param {string} namespace
   * @param {import('./flights').Flights} flights what all caches of this environment compute
   */
  constructor(channel, codec, ttl, namespace, flights) {
    this.channel = channel;
    this.codec = codec;
    this.usual = usualTerms(ttl);
    const { engine } = channel.handle;
    this.firstId = engine * TOKENS;
    /** What it shares its keys with: the caches of one Redis and namespace. */
    this.scope = `${engine}:${namespace}:`;
    this.flights = flights;
    /** Callers that wait. */
    this.waiting = 0;
    /** Questions whose answer may be to lead although their callers gave up. */
    this.asking = 0;
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

  /** @param {number} token */
  idOf(token) {
    return this.firstId + token;
  }

  /** @param {number} token of an answer to follow, or to lead */
  flight(token) {
    return this.flights.get(this.idOf(token));
  }

  /**
   * Takes the lead that an answer gives: others may follow. Its function comes with `fly`.
   * @param {string} key
   * @param {any[]} answer
   * @returns {Flight}
   */
  reserve(key, answer) {
    const flight = new Flight(this, key, answer[1], staleOf(this.codec, answer));
    this.flights.add(flight);
    return flight;
  }

  /**
   * Runs the function of a flight, and stores what it returns.
   * @param {Flight} flight
   * @param {() => unknown} fn
   * @param {Terms} terms
   */
  async fly(flight, fn, terms) {
    const { key, token } = flight;
    try {
      const began = terms.beta > 0 ? now() : 0;
      const value = await this.start([key], fn);
      if (value === undefined) {
        if (!flight.lost) await this.channel.call(Op.ABANDON, key, '', Why.NOTHING, token);
        flight.end({ value, text: null });
      } else {
        const extras = storingOf(terms, began > 0 ? now() - began : 0);
        const text = this.codec.encode(value);
        if (!flight.lost) await this.channel.call(Op.END, key, text, ttlFor(terms), token, false, extras);
        flight.end({ value: this.codec.made(value, text), text });
      }
    } catch (error) {
      flight.end({ error });
      if (!flight.lost) await this.send(Op.ABANDON, key, Why.FAILED, token);
    } finally {
      // Only now: answers that send followers here were on their way until Rust had said that the flight is over.
      this.flights.remove(flight);
    }
  }

  /**
   * The callers of a flight gave up: the next one leads anew.
   * @param {Flight} flight
   */
  overdue(flight) {
    if (flight.overdue || flight.lost || flight.ended !== null) return;
    this.send(Op.OVERDUE, flight.key, 0, flight.token);
    const lost = this.flights.overdue(flight);
    lost?.computer.abandon(lost);
  }

  /**
   * A flight loses its right to store: what it returns goes to those who follow it, and nobody else.
   * @param {Flight} flight
   */
  abandon(flight) {
    flight.lost = true;
    this.flights.remove(flight);
    this.send(Op.ABANDON, flight.key, Why.LEFT, flight.token);
  }

  /**
   * An answer for a caller that has given up: somebody else shall lead.
   * @param {string} key
   * @param {any[]} answer
   */
  decline(key, answer) {
    if (answer[0] === Answer.LEAD) this.send(Op.ABANDON, key, Why.LEFT, answer[1]);
    else if (answer[0] === Answer.WAIT) this.withdraw(key, answer[2]);
  }

  /**
   * Nobody waits for an answer any more: nothing is kept for it, neither here nor in Rust, nor is the process.
   * @param {string} key
   * @param {number} waiter
   */
  withdraw(key, waiter) {
    this.channel.bridge.forget(waiter);
    this.send(Op.WITHDRAW, key, 0, waiter);
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
      if (outer.computer.scope !== this.scope || !outer.keys.has(key)) continue;
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
    this.waiting--;
    this.wakeIdle();
  }

  /** A question is answered, and what follows from the answer is done. */
  asked() {
    this.asking--;
    this.wakeIdle();
  }

  get idle() {
    return this.waiting === 0 && this.asking === 0;
  }

  wakeIdle() {
    if (this.whenIdle.length > 0 && this.idle) for (const resolve of this.whenIdle.splice(0)) resolve();
  }

  /** Resolves once no caller waits. What still runs then (its callers did not wait for it) has lost its right to store. */
  async drained() {
    while (!this.idle) await new Promise((resolve) => this.whenIdle.push(() => resolve(undefined)));
    for (const flight of this.flights.of(this)) this.abandon(flight);
  }
}

function ignore() {}

module.exports = { Computer };
