// The options of getOrCompute and getOrComputeMany, checked and in milliseconds, and the part of them that Rust needs.
'use strict';

const { checkOptions, checkTags, describe, invalid, listOf, toMs } = require('../options/arguments.js');
const { leftUntil, lifeOf, momentOf } = require('../options/expiry.js');

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
];
const DEFAULT_HARD_TIMEOUT_MS = 30_000;
// Upper bound of swr and grace: 31 years. A value that is kept for ever needs a TTL of Infinity.
const LONGEST_WINDOW_MS = 1e12;

/**
 * `until`: the moment that was given in place of a TTL, in milliseconds since 1970. `extra`: milliseconds for which an
 * entry is of use after its TTL. `beta`: earlyRefresh. `asking`: the extras of BEGIN; null until they are needed.
 * @typedef {{ ttl: number, until: number | undefined, swr: number, grace: number, extra: number, timeout: number,
 *   hardTimeout: number, jitter: number, beta: number, tags: string[] | undefined, lock: boolean,
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
  const options = checkOptions(given, OPTIONS, true);
  const { timeout, hardTimeout, lock } = options;
  if (lock !== undefined && typeof lock !== 'boolean') throw invalid('lock must be true or false');
  const swr = windowOf(options.swr, 'swr');
  const grace = windowOf(options.grace, 'grace');
  const beta = numberOf(options.earlyRefresh, 'earlyRefresh', Number.MAX_VALUE);
  const tags = checkTags(options.tags);
  return {
    ttl: lifeOf(options) ?? usual.ttl,
    until: momentOf(options),
    swr,
    grace,
    extra: Math.max(swr, grace),
    timeout: timeout === undefined ? Infinity : toMs(timeout, 'timeout'),
    hardTimeout: hardTimeout === undefined ? DEFAULT_HARD_TIMEOUT_MS : toMs(hardTimeout, 'hardTimeout'),
    jitter: numberOf(options.jitter, 'jitter', 1),
    beta,
    tags,
    lock: lock !== false,
    // Calls without these options have no extras to write.
    asking: tags === undefined && swr === 0 && grace === 0 && beta === 0 ? '' : null,
  };
}

/**
 * @param {unknown} seconds
 * @param {string} name
 */
function windowOf(seconds, name) {
  return seconds === undefined || seconds === 0 ? 0 : Math.min(toMs(seconds, name), LONGEST_WINDOW_MS);
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
  terms.asking ??= extrasFor(tags, [
    ['window', extra],
    ['beta', beta],
  ]);
  return terms.asking;
}

/**
 * The extras of END.
 * @param {Terms} terms
 * @param {number} ms how long the function ran
 */
function storingOf({ ttl, tags, extra, beta }, ms) {
  return extrasFor(tags, [
    ['extra', ttl === Infinity ? 0 : extra],
    ['delta', beta > 0 ? Math.max(1, Math.round(ms)) : 0],
  ]);
}

/**
 * @param {string[] | undefined} tags
 * @param {[string, number][]} members written where they are not 0
 */
function extrasFor(tags, members) {
  let text = tags === undefined ? '' : `,"tags":${listOf(tags)}`;
  for (const [name, value] of members) if (value !== 0) text += `,"${name}":${value}`;
  return text === '' ? '' : `{${text.slice(1)}}`;
}

/**
 * The TTL of one entry: shortened at random, by the fraction `jitter` at most; 0 where its time is over. A moment stays
 * where it is however long the function ran, so what is left of it is taken now.
 * @param {Terms} terms
 */
function ttlFor({ ttl, until, jitter }) {
  const life = until === undefined ? ttl : leftUntil(until);
  if (jitter === 0 || life === 0 || life === Infinity) return life;
  return Math.max(1, Math.round(life * (1 - jitter * Math.random())));
}

module.exports = { askingOf, storingOf, termsOf, ttlFor, usualTerms };
