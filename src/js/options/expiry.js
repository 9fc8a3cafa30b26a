// When an entry ends: after a `ttl`, or at `expiresAt`, a moment by the clock of this machine.
//
// Such a moment becomes the time that is left, as only that crosses to Redis: its server's clock may differ from ours.
// The clock is the host's own, which no fake timer of a test moves.
'use strict';

const { isDate } = require('node:util').types;
const { HoldfastError } = require('../base/errors.js');
const { dateNow } = require('../base/host.js');
const { checkOptions, describe, invalid, toMs } = require('./arguments.js');

const { getTime } = Date.prototype;
// Upper bound of swr, grace and stale: 31 years. A value that is kept for ever needs a TTL of Infinity.
const LONGEST_WINDOW_MS = 1e12;

/**
 * The moment at which an entry is to end, in milliseconds since 1970; undefined where the options name none.
 * @param {Record<string, unknown>} options
 * @returns {number | undefined}
 */
function momentOf({ ttl, expiresAt }) {
  if (expiresAt === undefined) return undefined;
  if (ttl !== undefined) throw invalid('ttl and expiresAt exclude each other: give one of them');
  const moment = isDate(expiresAt) ? getTime.call(expiresAt) : expiresAt;
  if (moment === Infinity || (typeof moment === 'number' && Math.abs(moment) <= Number.MAX_SAFE_INTEGER)) return moment;
  throw new HoldfastError(
    'ERR_INVALID_TTL',
    `expiresAt must be a valid Date, milliseconds since 1970, or Infinity; got ${describe(moment)}`,
  );
}

/**
 * Whole milliseconds until a moment; 0 where it has come, `Infinity` where it never comes.
 * @param {number} moment
 */
function leftUntil(moment) {
  return Math.max(0, Math.round(moment - dateNow()));
}

/**
 * The time that options give an entry, in milliseconds: 0 where it is over already; undefined where they say nothing.
 * @param {Record<string, unknown>} options
 * @returns {number | undefined}
 */
function lifeOf(options) {
  const moment = momentOf(options);
  if (moment !== undefined) return leftUntil(moment);
  return options.ttl === undefined ? undefined : toMs(options.ttl);
}

/**
 * The time of an entry that is stored, in milliseconds; 0 where it is over already.
 * @param {ReturnType<typeof import('./arguments').setOptions>} options
 * @param {number} byDefault milliseconds
 */
function ttlOf(options, byDefault) {
  if (options === undefined) return byDefault;
  return typeof options === 'number' ? toMs(options) : (lifeOf(options) ?? byDefault);
}

/**
 * The time that `expire` is given, in milliseconds; 0 where it is over already.
 * @param {unknown} given a TTL, or options with one of the two
 */
function newLifeOf(given) {
  if (typeof given === 'number') return toMs(given);
  const options = checkOptions(given, ['ttl', 'expiresAt'], true);
  // Neither is no TTL: refused as such.
  return lifeOf(options) ?? toMs(options.ttl);
}

/**
 * @param {unknown} seconds
 * @param {string} name
 */
function windowOf(seconds, name) {
  return seconds === undefined || seconds === 0 ? 0 : Math.min(toMs(seconds, name), LONGEST_WINDOW_MS);
}

/**
 * For how long what is deleted is of use to who takes stale values, in milliseconds. What is no object says nothing:
 * `keys.map(del)` hands over an index.
 * @param {unknown} options of `del`
 */
function staleOf(options) {
  if (options === null || typeof options !== 'object') return 0;
  return windowOf(checkOptions(options, ['stale']).stale, 'stale');
}

module.exports = { leftUntil, lifeOf, momentOf, newLifeOf, staleOf, ttlOf, windowOf };
