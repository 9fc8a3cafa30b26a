// getOrComputeMany: one question for all keys, and one call of the function for all that this caller is to compute.
//
// Each key has a flight and a caller of its own, as if it had been asked for alone: so it is shared with single calls of the same key, in both directions. What
// is special is the function of these callers: it calls the caller's function once, for all of them, and takes its own element.
//
// The call begins once it is known what it computes, and never waits for what others compute: two that asked for the same keys in another order would wait
// for each other.
'use strict';

const { checkFunction, checkKeys, checkStorable, invalid } = require('./arguments');
const { Caller, after } = require('./caller');
const { UNREADABLE } = require('./codec');
const { clearTimeout, turn } = require('./host');
const { Answer } = require('./ops');
const { termsOf } = require('./terms');
const { isDue } = require('./turn');

/** @typedef {import('./compute').Computer} Computer */
/** @typedef {import('./terms').Terms} Terms */
/** @typedef {(keys: string[]) => unknown} Fn */

/** One call of the function, for keys that are gathered before it begins. */
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
    const values = await computer.start(keys, () => fn(keys.slice()));
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
  /** @type {Map<string, any>} */
  const values = new Map();
  const cold = [];
  for (const key of new Set(wanted)) {
    const hot = computer.hot(key, terms);
    if (hot === undefined) cold.push(key);
    else values.set(key, hot);
  }
  if (cold.length === 0 && isDue()) await turn();
  // Between the last answer and the first caller, too.
  computer.waiting++;
  try {
    const answers = await Promise.all(cold.map((key) => ask(computer, key, terms)));
    const callers = callersOf(computer, cold, answers, fn, terms, values);
    for (const [key, value] of await waitForAll(callers, terms)) values.set(key, value);
  } finally {
    computer.left();
  }
  return inOrder(wanted, values, computer.codec);
}

/**
 * Resolves to an answer that is none to wait. A lead is taken at once, as others of this environment may be told to follow before the function begins.
 * @param {Computer} computer
 * @param {string} key
 * @param {Terms} terms
 */
async function ask(computer, key, terms) {
  let answer = await computer.begin(key, terms, true);
  if (answer[0] === Answer.WAIT) answer = await answer[1];
  if (answer[0] === Answer.LEAD) computer.reserve(key, answer);
  return answer;
}

/**
 * @param {[Caller, any[]][]} callers and their answers
 * @param {Terms} terms
 * @returns {Promise<[string, any][]>} the values, by key
 */
async function waitForAll(callers, terms) {
  // They give up as one: had only the first told Rust so, the next call would follow the others' flights.
  const timer = after(terms.hardTimeout, () => {
    for (const [caller] of callers) caller.giveUp();
  });
  const values = callers.map(([caller, answer]) => caller.wait(answer, false));
  try {
    return (await Promise.all(values)).map((value, i) => [callers[i][0].key, value]);
  } finally {
    // The function may go on without its caller.
    timer?.unref();
    Promise.allSettled(values)
      .then(() => Promise.all(callers.map(([{ leads }]) => leads?.ended)))
      .then(() => clearTimeout(timer));
  }
}

/**
 * Takes what was found, and gives each other key its caller; those who wait for the function come first.
 * @param {Computer} computer
 * @param {string[]} keys
 * @param {any[][]} answers
 * @param {Fn} fn
 * @param {Terms} terms
 * @param {Map<string, any>} values
 */
function callersOf(computer, keys, answers, fn, terms, values) {
  const { flights } = computer;
  const missing = new Joint(computer, fn);
  const refreshed = new Joint(computer, fn);
  const needed = /** @type {[Caller, any[]][]} */ ([]);
  const others = /** @type {[Caller, any[]][]} */ ([]);
  let spares = 0;
  for (const [i, key] of keys.entries()) {
    const [kind, what] = answers[i];
    const value = kind === Answer.HIT ? computer.read(what) : UNREADABLE;
    if (value !== UNREADABLE) {
      values.set(key, value);
      continue;
    }
    const stale = kind === Answer.LEAD ? flights.get(what)?.stale : null;
    const needs = kind === Answer.LEAD && !stale?.servesAtOnce(terms);
    const joint = needs ? missing : stale ? refreshed : new Joint(computer, fn);
    (needs ? needed : others).push([new Caller(computer, key, joint.add(key), terms), answers[i]]);
    if (needs && stale?.servesInNeed(terms)) spares++;
  }
  // Where one key waits for the function anyhow, the others need not fall back on what they have before it has failed.
  const patient = { ...terms, timeout: Infinity };
  if (spares < needed.length) for (const [caller] of needed) caller.terms = patient;
  return [...needed, ...others];
}

/**
 * @param {string[]} keys
 * @param {Map<string, any>} values
 * @param {import('./codec').Codec} codec
 */
function inOrder(keys, values, codec) {
  const given = new Set();
  return keys.map((key) => {
    const value = values.get(key);
    if (given.has(key)) return codec.copy(value);
    given.add(key);
    return value;
  });
}

module.exports = { getOrComputeMany };
