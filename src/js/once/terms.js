// The options of getOrCompute and getOrComputeMany, checked and in milliseconds, and the part of them that Rust needs.
'use strict';

const { checkOptions, checkTags, describe, invalid, listOf, toMs } = require('../options/arguments.js');
const { leftUntil, lifeOf, momentOf, windowOf } = require('../options/expiry.js');
const { validateOf } = require('./validation.js');

const OPTIONS = [
  'ttl',
  'expiresAt',
  'swr',
  'grace',
  'timeout',
  'hardTimeout',
  'jitter',
  'earlyRefresh',
  'tags',
  'lock',
  'forceFresh',
  'validate',
  'signal',
];
const DEFAULT_HARD_TIMEOUT_MS = 30_000;

/**
 * `ttlOf`: makes the TTL of a value, in seconds. `until`: the moment that was given in place of a TTL, in milliseconds
 * since 1970. `extra`: milliseconds for which an entry is of use after its TTL. `beta`: earlyRefresh. `fresh`:
 * forceFresh. `special`: the call has more to heed than a value and its function. `asking`: the extras of BEGIN; null
 * until they are needed.
 * @typedef {{ ttl: number, ttlOf: ((value: any) => unknown) | null, until: number | undefined, swr: number,
 *   grace: number, extra: number, timeout: number, hardTimeout: number, jitter: number, beta: number,
 *   tags: string[] | undefined, lock: boolean, fresh: boolean,
 *   validate: import('./validation').Validate | null, signal: AbortSignal | undefined, special: boolean,
 *   asking: string | null }} Terms
 */

/**
 * The terms of a call without options.
 * @param {number} ttl milliseconds
 * @returns {Terms}
 */
function usualTerms(ttl) {
  return {
    ttl,
    ttlOf: null,
    until: undefined,
    swr: 0,
    grace: 0,
    extra: 0,
    timeout: Infinity,
    hardTimeout: DEFAULT_HARD_TIMEOUT_MS,
    jitter: 0,
    beta: 0,
    tags: undefined,
    lock: true,
    fresh: false,
    validate: null,
    signal: undefined,
    special: false,
    asking: '',
  };
}

/**
 * @param {unknown} given a TTL or options
 * @param {Terms} usual
 * @returns {Terms}
 */
function termsOf(given, usual) {
  if (given === undefined) return usual;
  if (typeof given === 'number') return usualTerms(toMs(given));
  if (given instanceof Memo) return given.terms;
  const options = checkOptions(given, OPTIONS, true);
  const { timeout, hardTimeout } = options;
  // An option only: a bare function is no TTL.
  const isMade = typeof given === 'object' && typeof options.ttl === 'function';
  const ttlOf = isMade ? /** @type {Terms['ttlOf']} */ (options.ttl) : null;
  const { expiresAt } = options;
  const times = ttlOf === null ? options : { expiresAt };
  const lock = switchOf(options.lock, 'lock', true);
  const fresh = switchOf(options.forceFresh, 'forceFresh', false);
  const validate = validateOf(options.validate);
  const signal = signalOf(options.signal);
  const swr = windowOf(options.swr, 'swr');
  const grace = windowOf(options.grace, 'grace');
  const beta = numberOf(options.earlyRefresh, 'earlyRefresh', Number.MAX_VALUE);
  const tags = checkTags(options.tags);
  return {
    ttl: lifeOf(times) ?? usual.ttl,
    ttlOf,
    until: momentOf(options),
    swr,
    grace,
    extra: Math.max(swr, grace),
    timeout: timeout === undefined ? Infinity : toMs(timeout, 'timeout'),
    hardTimeout: hardTimeout === undefined ? DEFAULT_HARD_TIMEOUT_MS : toMs(hardTimeout, 'hardTimeout'),
    jitter: numberOf(options.jitter, 'jitter', 1),
    beta,
    tags,
    lock,
    fresh,
    validate,
    signal,
    special: fresh || validate !== null || signal !== undefined,
    // Calls without these options have no extras to write.
    asking: tags === undefined && swr === 0 && grace === 0 && beta === 0 ? '' : null,
  };
}

/** Terms in the place of options, for calls whose options were checked before. */
class Memo {
  /** @param {Terms} terms */
  constructor(terms) {
    this.terms = terms;
  }
}

/**
 * @param {unknown} value
 * @param {string} name
 * @param {boolean} byDefault
 */
function switchOf(value, name, byDefault) {
  if (value === undefined) return byDefault;
  if (typeof value !== 'boolean') throw invalid(`${name} must be true or false, not ${describe(value)}`);
  return value;
}

/**
 * An AbortSignal of whichever realm.
 * @param {any} signal
 * @returns {AbortSignal | undefined}
 */
function signalOf(signal) {
  if (signal === undefined) return undefined;
  try {
    const { aborted, addEventListener, removeEventListener } = signal;
    if (typeof aborted === 'boolean' && [addEventListener, removeEventListener].every((f) => typeof f === 'function'))
      return signal;
  } catch (cause) {
    throw invalid('signal must be an AbortSignal, and this one could not be read', cause);
  }
  throw invalid(`signal must be an AbortSignal, not ${describe(signal)}`);
}

/**
 * @param {unknown} value
 * @param {string} name
 * @param {number} most
 */
function numberOf(value, name, most) {
  if (value === undefined) return 0;
  if (typeof value === 'number' && value >= 0 && value <= most) return value;
  const range = most === 1 ? 'number from 0 to 1' : 'finite number, 0 or more';
  throw invalid(`${name} must be a ${range}, not ${describe(value)}`);
}

/**
 * The extras of BEGIN.
 * @param {Terms} terms
 */
function askingOf(terms) {
  const { tags, extra, beta } = terms;
  terms.asking ??= extrasFor(tags ?? [], [
    ['window', extra],
    ['beta', beta],
  ]);
  return terms.asking;
}

/**
 * The extras of END.
 * @param {number} ttl milliseconds
 * @param {Terms} terms
 * @param {{ took: number, named: string[] }} run of the function
 * @param {number} since when it began, by the engine's clock, where it named tags
 */
function storingOf(ttl, { tags = [], extra, beta }, { took, named }, since) {
  const members = /** @type {[string, number][]} */ ([
    ['extra', ttl === Infinity ? 0 : extra],
    ['delta', beta > 0 ? Math.max(1, Math.round(took)) : 0],
    ['since', since],
  ]);
  return extrasFor([...tags, ...named], members, named);
}

/**
 * @param {string[]} tags
 * @param {[string, number][]} members written where they are not 0
 * @param {string[]} [named] those of the tags that the function named
 */
function extrasFor(tags, members, named = []) {
  let text = tags.length === 0 ? '' : `,"tags":${listOf(tags)}`;
  if (named.length > 0) text += `,"named":${listOf(named)}`;
  for (const [name, value] of members) if (value !== 0) text += `,"${name}":${value}`;
  return text === '' ? '' : `{${text.slice(1)}}`;
}

/**
 * The TTL of one entry: shortened at random, by the fraction `jitter` at most; 0 where its time is over. A moment stays
 * where it is however long the function ran, so what is left of it is taken now.
 * @param {number | null} made milliseconds, where the function or `ttl` made one for this value
 * @param {Terms} terms
 */
function ttlFor(made, { ttl, until, jitter }) {
  const life = made ?? (until === undefined ? ttl : leftUntil(until));
  if (jitter === 0 || life === 0 || life === Infinity) return life;
  return Math.max(1, Math.round(life * (1 - jitter * Math.random())));
}

module.exports = { Memo, OPTIONS, askingOf, storingOf, termsOf, ttlFor, usualTerms };
