// getOrComputeMany: one question for all keys, and one call of the function for all keys that this caller must compute.
//
// Each key has a flight and a caller of its own, as in a single call: so single calls of the same key share it, in both
// directions. Only the function of these callers is special: it calls the application's function once, for all of them,
// and takes its own element.
//
// The function is called once its keys are known, and never waits for keys that other calls compute: two calls with the
// same keys in another order would wait for each other.
'use strict';

const { turn } = require('../base/host.js');
const { Answer, Op } = require('../base/ops.js');
const { checkFunction, checkKeys, checkStorable, invalid } = require('../options/arguments.js');
const { UNREADABLE } = require('../value/codec.js');
const { inOrder } = require('../value/copy.js');
const { isDue } = require('../bridge/turn.js');
const { Caller } = require('./caller.js');
const { told } = require('./context.js');
const { Careful } = require('./careful.js');
const { Listening, Patience, checkSignal, tooLate } = require('./patience.js');
const { termsOf } = require('./terms.js');
const { Reader, problemOf } = require('./validation.js');

/** @typedef {import('./compute').Computer} Computer */
/** @typedef {import('./flights').Flight} Flight */
/** @typedef {import('./terms').Terms} Terms */
/** @typedef {(keys: string[]) => unknown} Fn */
/** @typedef {[key: string, answer: any[]]} Ask */

/** One call of the function, for keys that are gathered before the call begins. */
class Joint {
  /**
   * @param {Computer} computer
   * @param {Fn} fn
   */
  constructor(computer, fn) {
    this.computer = computer;
    this.fn = fn;
    /** @type {string[]} */
    this.keys = [];
    /** @type {Promise<any[]> | null} */
    this.values = null;
  }

  /**
   * @param {string} key
   * @returns {() => Promise<any>} the function of that key
   */
  add(key) {
    const at = this.keys.push(key) - 1;
    return async () => {
      this.values ??= this.call();
      return (await this.values)[at];
    };
  }

  async call() {
    const { computer, fn, keys } = this;
    const run = () => fn(keys.slice());
    const values = await computer.start(keys, told(computer, keys, run));
    if (!Array.isArray(values) || values.length !== keys.length)
      throw invalid(
        'the function given to getOrComputeMany must return an array of as many values as it was given keys',
      );
    return values;
  }
}

/**
 * @param {Computer} computer
 * @param {unknown} keys
 * @param {Fn} fn
 * @param {unknown} given a TTL or options
 * @returns {Promise<any[]>}
 */
async function getOrComputeMany(computer, keys, fn, given) {
  const wanted = checkKeys(keys, checkStorable);
  checkFunction(fn, 'getOrComputeMany');
  const terms = termsOf(given, computer.usual);
  for (const key of wanted) computer.refuseOwn(key);
  checkSignal(terms.signal);
  /** @type {Map<string, any>} */
  const values = new Map();
  const cold = [];
  for (const key of new Set(wanted)) {
    // What may be refused, or is to be replaced, is asked for with the others.
    const hot = terms.fresh || terms.validate !== null ? undefined : computer.hot(key, terms);
    if (hot === undefined) cold.push(key);
    else values.set(key, hot);
  }
  if (cold.length === 0) {
    if (isDue()) await turn();
    return inOrder(wanted, values, computer.codec);
  }
  // Counts this call also between the last answer and the first caller.
  computer.waiting++;
  const asked = new Asked(computer, terms, fn, values);
  try {
    if (terms.special) await asked.heed(asked.find(cold));
    else {
      // With no promise between that need not be: each is a step in which others call.
      const answers = await Promise.all(cold.map((key) => asked.ask(key)));
      if (asked.late) throw tooLate(terms);
      const callers = callersOf(asked, /** @type {Ask[]} */ (cold.map((key, i) => [key, answers[i]])), false);
      for (const [key, value] of await asked.waitForAll(callers)) values.set(key, value);
    }
  } finally {
    // Where one key's error ended the call, the other callers' results are no longer wanted.
    try {
      for (const [caller] of asked.callers) caller.leave();
      asked.end();
    } finally {
      computer.left();
    }
  }
  return inOrder(wanted, values, computer.codec);
}

/** The questions of one call, and how long it waits for their answers. */
class Asked {
  /**
   * @param {Computer} computer
   * @param {Terms} terms
   * @param {Fn} fn
   * @param {Map<string, any>} values found, by key
   */
  constructor(computer, terms, fn, values) {
    this.computer = computer;
    this.terms = terms;
    this.fn = fn;
    this.values = values;
    this.late = false;
    this.ended = false;
    /** @type {Patience | null} begins with the first answer or flight that is waited for */
    this.patience = null;
    /** @type {Map<number, [key: string, answer: (late: any[]) => void]>} answers still to come, by their ids */
    this.waiters = new Map();
    /** @type {Set<Flight>} flights that this call leads, and whose functions have not begun */
    this.reserved = new Set();
    /** @type {[Caller, any[]][]} */
    this.callers = [];
    /** @type {((error: unknown) => void) | null} ends a call that heeds more than answers */
    this.stop = null;
    /** @type {Listening | null} */
    this.listening = null;
    /** @type {Map<string, Reader>} of a call with `validate`, by key */
    this.readers = new Map();
  }

  /** @param {string[]} keys whose values it finds or computes, where more than their answers is to be heeded */
  async find(keys) {
    const { computer, terms } = this;
    if (terms.fresh) for (const key of keys) computer.send(Op.DEL, key, 0, 0);
    if (terms.validate !== null) for (const key of keys) this.readers.set(key, new Reader(computer, key));
    const asks = await this.askAll(keys);
    if (this.late) throw tooLate(terms);
    if (this.ended) return;
    if (terms.validate === null) return this.compute(asks, false);
    const hits = asks.filter(([, [kind]]) => kind === Answer.HIT);
    const others = asks.filter(([, [kind]]) => kind !== Answer.HIT);
    // The function does not wait for `validate`: others may wait for these keys.
    await Promise.all([this.compute(others, false), this.check(hits)]);
  }

  /** @param {Ask[]} hits taken where they pass `validate`; else removed, asked for again together, and computed */
  async check(hits) {
    const { computer, terms, values } = this;
    /** @type {string[]} */
    const refused = [];
    const look = async (/** @type {Ask} */ [key, [, reply]]) => {
      const value = computer.read(reply);
      if (value === UNREADABLE) computer.codec.unreadable++;
      else if (terms.validate === null || (await problemOf(terms.validate, value)) === null)
        return values.set(key, value);
      return refused.push(key);
    };
    await Promise.all(hits.map(look));
    if (this.ended) return;
    for (const key of refused) this.readers.get(key)?.remove();
    const asks = await this.askAll(refused);
    if (!this.ended) await this.compute(asks, true);
  }

  /**
   * @param {Ask[]} asks
   * @param {boolean} dropped whether their values were removed already
   */
  async compute(asks, dropped) {
    const callers = callersOf(this, asks, dropped);
    for (const [key, value] of await this.waitForAll(callers)) this.values.set(key, value);
  }

  /**
   * The same result, unless the signal or the patience of the call ends it before: `validate` may never answer.
   * @param {Promise<void>} all
   */
  heed(all) {
    const { signal } = this.terms;
    return new Promise((/** @type {(nothing: void) => void} */ resolve, reject) => {
      all.then(resolve, reject);
      this.stop = reject;
      this.begin();
      if (signal !== undefined) this.listening = new Listening(signal, (reason) => this.quit(reason));
    });
  }

  /**
   * @param {string[]} keys
   * @returns {Promise<Ask[]>}
   */
  askAll(keys) {
    return Promise.all(keys.map(async (key) => /** @type {Ask} */ ([key, await this.ask(key)])));
  }

  /**
   * Resolves to an answer other than to wait. A lead is taken at once, as other callers of this environment may be told
   * to follow before the function begins.
   * @param {string} key
   * @returns {Promise<any[]>}
   */
  async ask(key) {
    const { computer } = this;
    computer.asking++;
    try {
      let answer = await computer.begin(key, this.terms, true);
      if (answer[0] === Answer.WAIT && !this.ended) answer = await this.until(key, answer);
      if (this.ended) computer.decline(key, answer);
      else if (answer[0] === Answer.LEAD) this.reserved.add(computer.reserve(key, answer));
      // The flight may end before the other keys' answers are here: its result is for this call as well.
      else if (answer[0] === Answer.FOLLOW) answer.push(computer.flight(answer[1]));
      return answer;
    } finally {
      computer.asked();
    }
  }

  /**
   * @param {string} key
   * @param {any[]} answer to wait
   * @returns {Promise<any[]>} the answer that comes
   */
  until(key, [, coming, waiter]) {
    this.begin();
    return new Promise((resolve, reject) => {
      this.waiters.set(waiter, [key, resolve]);
      coming.finally(() => this.waiters.delete(waiter)).then(resolve, reject);
    });
  }

  /**
   * @param {[Caller, any[]][]} callers and their answers
   * @returns {Promise<[string, any][]>} the values, by key
   */
  async waitForAll(callers) {
    if (callers.length === 0) return [];
    const patience = this.begin();
    this.callers.push(...callers);
    const waits = callers.map(([caller, answer]) => caller.wait(answer, patience));
    // From here on each caller ends the flight that it leads.
    this.reserved.clear();
    const values = await Promise.all(waits);
    return values.map((value, i) => [callers[i][0].key, value]);
  }

  begin() {
    this.patience ??= new Patience(this.terms.hardTimeout, () => this.giveUp());
    return this.patience;
  }

  /** All callers give up together: if only the first did, the next call would follow the others' flights. */
  giveUp() {
    for (const [caller] of this.callers) caller.giveUp();
    this.late = true;
    if (!this.ended) this.decline();
    this.stop?.(tooLate(this.terms));
  }

  /** @param {unknown} reason of its signal, which was aborted */
  quit(reason) {
    this.stop?.(reason);
    for (const [caller] of this.callers) caller.depart(caller.reject, reason);
  }

  /** The call is settled. */
  end() {
    this.listening?.stop();
    for (const reader of this.readers.values()) reader.end();
    if (!this.ended) this.decline();
    this.patience?.leave();
  }

  /** No function begins any more: other calls may lead, and no answer is waited for. */
  decline() {
    this.ended = true;
    for (const [waiter, [key, resolve]] of this.waiters) {
      this.computer.withdraw(key, waiter);
      resolve([Answer.AGAIN]);
    }
    this.waiters.clear();
    for (const flight of this.reserved) {
      this.computer.abandon(flight);
      flight.scatter();
    }
    this.reserved.clear();
  }
}

/**
 * Takes the values that were found, and makes a caller for each other key; callers that need the function come first.
 * @param {Asked} asked
 * @param {Ask[]} asks
 * @param {boolean} dropped whether their values were removed already
 */
function callersOf({ computer, terms, fn, values }, asks, dropped) {
  const Kind = terms.special ? Careful : Caller;
  const missing = new Joint(computer, fn);
  const refreshed = new Joint(computer, fn);
  const needed = /** @type {[Caller, any[]][]} */ ([]);
  const others = /** @type {[Caller, any[]][]} */ ([]);
  let spares = 0;
  for (const [key, answer] of asks) {
    const [kind, what] = answer;
    // What came in place of a value that was refused is looked at by its caller, as what others compute is.
    const value = kind === Answer.HIT && !dropped ? computer.read(what) : UNREADABLE;
    if (value !== UNREADABLE) {
      values.set(key, value);
      continue;
    }
    const stale = kind === Answer.LEAD ? computer.flight(what)?.stale : null;
    const needs = kind === Answer.LEAD && !stale?.servesAtOnce(terms);
    const joint = needs ? missing : stale ? refreshed : new Joint(computer, fn);
    const caller = new Kind(computer, key, joint.add(key), terms);
    caller.dropped = dropped;
    (needs ? needed : others).push([caller, answer]);
    if (needs && stale?.servesInNeed(terms)) spares++;
  }
  // Where one key must wait for the function anyway, the others fall back on stale values only when it has failed.
  const patient = { ...terms, timeout: Infinity };
  if (spares < needed.length) for (const [caller] of needed) caller.terms = patient;
  return [...needed, ...others];
}

module.exports = { getOrComputeMany };
