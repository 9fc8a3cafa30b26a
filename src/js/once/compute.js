// getOrCompute on the event loop: runs the caller's function for the flights that Rust lets this environment lead.
//
// Rust decides which caller computes (src/engine/once/flight.rs). What must live here: the function itself, the error
// that it throws, which reaches every follower of this environment unchanged (flights.js), and the time-outs of the
// callers that wait (caller.js).
'use strict';

const { Durations } = require('../base/durations.js');
const { HoldfastError } = require('../base/errors.js');
const { turn } = require('../base/host.js');
const { Answer, Ask, Early, Op, Why } = require('../base/ops.js');
const { checkFunction, isArray, toMs } = require('../options/arguments.js');
const { UNREADABLE } = require('../value/codec.js');
const { isDue } = require('../bridge/turn.js');
const { Caller } = require('./caller.js');
const { Careful } = require('./careful.js');
const { Context, Run, told } = require('./context.js');
const { Flight } = require('./flights.js');
const { checkSignal } = require('./patience.js');
const { staleOf } = require('./stale.js');
const { askingOf, storingOf, termsOf, ttlFor, usualTerms } = require('./terms.js');
const { checkMade } = require('./validation.js');

/** @typedef {import('./terms').Terms} Terms */
/** @typedef {(context: any) => unknown} Fn */

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
   * @param {import('./flights').Flights} flights those of all caches of this environment
   * @param {() => number} clock milliseconds, as the engine counts them
   */
  constructor(channel, codec, ttl, namespace, flights, clock) {
    this.channel = channel;
    this.codec = codec;
    this.clock = clock;
    this.usual = usualTerms(ttl);
    const { engine } = channel.handle;
    this.firstId = engine * TOKENS;
    /** The same for all caches that share their keys: those of one Redis and namespace. */
    this.scope = `${engine}:${namespace}:`;
    this.flights = flights;
    /** @type {Map<string, import('./validation').Removals>} keys of calls that may refuse what they read */
    this.readers = new Map();
    /** Callers that wait. */
    this.waiting = 0;
    /** Questions not answered yet: the answer may be to lead, although the caller has given up. */
    this.asking = 0;
    this.staleServed = 0;
    /** Callers whose patience was over. */
    this.timeouts = 0;
    /** Of the functions that ran. */
    this.durations = new Durations();
    /** @type {(() => void)[]} */
    this.whenIdle = [];
  }

  /**
   * @param {string} key
   * @param {Fn} fn
   * @param {unknown} given a TTL or options
   */
  async getOrCompute(key, fn, given) {
    checkFunction(fn, 'getOrCompute');
    const terms = termsOf(given, this.usual);
    this.refuseOwn(key);
    if (terms.special) return this.attend(key, told(this, [key], fn), terms);
    // Most calls hit: a Caller is only made for the others.
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
    return new Caller(this, key, told(this, [key], fn), terms).wait(answer);
  }

  /**
   * As `getOrCompute`, for a call with a signal, with `validate` or `forceFresh`.
   * @param {string} key
   * @param {Fn} fn
   * @param {Terms} terms
   */
  async attend(key, fn, terms) {
    checkSignal(terms.signal);
    if (terms.fresh) {
      const caller = new Careful(this, key, fn, terms);
      caller.found = this.replace(key, terms).catch(ignore);
      return caller.wait([Answer.AGAIN]);
    }
    const hot = this.hot(key, terms);
    // As for a plain hit.
    if (hot !== undefined && isDue()) await turn();
    const caller = new Careful(this, key, fn, terms);
    return caller.wait(hot === undefined ? [Answer.AGAIN] : [Answer.HIT, hot]);
  }

  /**
   * Removes what is at a key: what was computed before is not taken for an answer to what is asked behind this.
   * @param {string} key
   * @param {Terms} terms
   * @returns {Promise<any>} the value that was there, within its TTL
   */
  async replace(key, terms) {
    const near = this.hot(key, terms);
    const read = near === undefined ? this.channel.call(Op.GET, key, '', Early.NO, 0) : null;
    this.send(Op.DEL, key, 0, 0);
    const value = read === null ? near : this.read(await read.catch(ignore));
    return value === UNREADABLE || value === null ? undefined : value;
  }

  /**
   * @param {string} key
   * @param {Terms} terms
   */
  hot(key, terms) {
    // Rust decides whether it is time for an early refresh.
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
   * Takes the lead that an answer gives, so that others can follow. `fly` then runs the function.
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
   * Runs the function of a flight, and stores what it returns. The callers have the value at once: the store travels
   * behind it, in front of whatever they call then.
   * @param {Flight} flight
   * @param {Fn} fn
   * @param {Terms} terms
   * @param {any} [old] the value that was there, where the flight has none
   */
  async fly(flight, fn, terms, old) {
    const { key, token } = flight;
    const run = new Run(flight, this.codec, old, this.durations, terms.tags);
    try {
      const value = await this.start([key], fn, new Context(run));
      run.end();
      if (terms.validate !== null && value !== undefined) await checkMade(terms.validate, value);
      if (terms.ttlOf !== null && value !== undefined && run.ttl === null && !run.skipped)
        run.ttl = toMs(terms.ttlOf(value));
      const text = value === undefined ? null : this.codec.encode(value, true);
      const { lost } = flight;
      const told = lost ? null : this.tell(flight, text, terms, run);
      // Should what follows throw, nobody awaits it.
      told?.catch(ignore);
      const ended = { value: text === null ? value : this.codec.made(value, text), text };
      if (told !== null && run.named.length > 0) {
        flight.lead(ended);
        // One of its tags has been ended since it began: who asked behind that is to get something newer.
        if (isArray(await told.catch(ignore))) flight.outlive();
      }
      flight.end(ended);
      if (told !== null) await told;
    } catch (error) {
      run.end();
      flight.end({ error });
      if (!flight.lost) await this.send(Op.ABANDON, key, Why.FAILED, token);
    } finally {
      // Only now: until Rust has confirmed the end of the flight, answers that send followers here may be on their way.
      this.flights.remove(flight);
    }
  }

  /**
   * Tells Rust what the function of a flight returned.
   * @param {Flight} flight
   * @param {string | import('../value/whole').Whole | null} text the value; null: there is nothing to store
   * @param {Terms} terms
   * @param {Run} run
   */
  tell({ key, token }, text, terms, run) {
    if (text === null) return this.channel.call(Op.ABANDON, key, '', Why.NOTHING, token);
    // Only a value that is stored reaches who waits elsewhere: they ask again.
    if (run.skipped) return this.channel.call(Op.ABANDON, key, '', Why.FAILED, token);
    const ttl = ttlFor(run.ttl, terms);
    // A moment that has come: there is nothing to store.
    if (ttl === 0) return this.channel.call(Op.ABANDON, key, '', Why.NOTHING, token);
    const since = run.named.length > 0 ? Math.max(0, this.clock() - run.age) : 0;
    return this.channel.call(Op.END, key, text, ttl, token, false, storingOf(ttl, terms, run, since));
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
   * A flight loses its right to store: its result goes to its followers alone.
   * @param {Flight} flight
   */
  abandon(flight) {
    flight.lost = true;
    this.flights.remove(flight);
    this.send(Op.ABANDON, flight.key, Why.LEFT, flight.token);
  }

  /**
   * Declines an answer whose caller has given up, so that another caller leads.
   * @param {string} key
   * @param {any[]} answer
   */
  decline(key, answer) {
    if (answer[0] === Answer.LEAD) this.send(Op.ABANDON, key, Why.LEFT, answer[1]);
    else if (answer[0] === Answer.WAIT) {
      // Nobody hears of it any more: should it be an error, it ends nothing.
      answer[1].catch(() => {});
      this.withdraw(key, answer[2]);
    }
  }

  /**
   * No caller waits for an answer any more: it is forgotten here and in Rust, and no longer keeps the process alive.
   * @param {string} key
   * @param {number} waiter
   */
  withdraw(key, waiter) {
    this.channel.bridge.forget(waiter);
    this.send(Op.WITHDRAW, key, 0, waiter);
  }

  /**
   * Calls a function, and records the keys that it computes while its synchronous part runs.
   * @param {Iterable<string>} keys
   * @param {Fn} fn
   * @param {Context} [context]
   */
  start(keys, fn, context) {
    running.push({ computer: this, keys: new Set(keys) });
    try {
      return fn(context);
    } finally {
      running.pop();
    }
  }

  /** @param {string} key must not be one that the calling function computes */
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
   * Sends an operation whose reply is ignored.
   * @param {number} kind
   * @param {string} key
   * @param {number} a
   * @param {number} token
   */
  send(kind, key, a, token) {
    return this.channel.call(kind, key, '', a, token).catch(ignore);
  }

  /** A caller no longer waits. */
  left() {
    this.waiting--;
    this.wakeIdle();
  }

  /** A question is answered, and the answer is dealt with. */
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

  /** Resolves once no caller waits. Flights that still run, without callers, then lose their right to store. */
  async drained() {
    while (!this.idle) await new Promise((resolve) => this.whenIdle.push(() => resolve(undefined)));
    for (const flight of this.flights.of(this)) this.abandon(flight);
  }
}

function ignore() {}

module.exports = { Computer };
