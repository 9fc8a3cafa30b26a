// The checks of what callers pass: keys, times, tags, options.
'use strict';

const { HoldfastError } = require('./errors');
const { stringify } = require('./host');

const MAX_KEY_BYTES = 65_535;
const MAX_TAGS = 64;
const MAX_TAG_BYTES = 512;

/** @param {string} message */
function invalid(message) {
  return new HoldfastError('ERR_INVALID_ARGUMENT', message);
}

/**
 * @param {unknown} key
 * @returns {string}
 */
function checkKey(key) {
  if (typeof key !== 'string')
    throw new HoldfastError('ERR_INVALID_KEY', `a key must be a string, not ${describe(key)}`);
  // The rest is the engine's check. A key longer than a turn's text may be would take its neighbours with it.
  if (key.length > MAX_KEY_BYTES) throw new HoldfastError('ERR_INVALID_KEY', 'a key may have 65,535 bytes at most');
  return key;
}

/**
 * The whole of the engine's check, for what must be known before anything is sent.
 * @param {unknown} key
 * @returns {string}
 */
function checkStorable(key) {
  const text = checkKey(key);
  if (text === '') throw new HoldfastError('ERR_INVALID_KEY', 'a key must not be empty');
  if (Buffer.byteLength(text) > MAX_KEY_BYTES)
    throw new HoldfastError('ERR_INVALID_KEY', 'a key may have 65,535 bytes at most');
  // Node 20 has it; the types of its standard library are older.
  if (!(/** @type {any} */ (text).isWellFormed()))
    throw new HoldfastError('ERR_INVALID_KEY', 'a key must be well-formed text');
  return text;
}

/**
 * @param {unknown} keys
 * @param {(key: unknown) => string} [check]
 * @returns {string[]} a copy: the caller's array may change before the turn is over
 */
function checkKeys(keys, check = checkKey) {
  if (!Array.isArray(keys)) throw invalid(`expected an array of keys, not ${describe(keys)}`);
  return Array.from(keys, (key) => check(key));
}

/**
 * @param {unknown} tag
 * @returns {string}
 */
function checkTag(tag) {
  // Node 20 has isWellFormed; the types of its standard library are older.
  const text = /** @type {any} */ (tag);
  if (typeof tag !== 'string' || tag === '' || Buffer.byteLength(tag) > MAX_TAG_BYTES || !text.isWellFormed())
    throw invalid(`a tag must be a well-formed text of 1 to ${MAX_TAG_BYTES} bytes`);
  return tag;
}

/**
 * The tags of an entry, without duplicates.
 * @param {unknown} tags
 * @returns {string[] | undefined}
 */
function checkTags(tags) {
  if (tags === undefined) return undefined;
  if (!Array.isArray(tags)) throw invalid(`tags must be an array of texts, not ${describe(tags)}`);
  const distinct = new Set(Array.from(tags, checkTag));
  if (distinct.size === 0 || distinct.size > MAX_TAGS)
    throw invalid(`tags must be 1 to ${MAX_TAGS} texts, not ${distinct.size}`);
  return Array.from(distinct);
}

/**
 * The function that computes.
 * @param {unknown} fn
 * @param {string} name of whom it was given to
 */
function checkFunction(fn, name) {
  if (typeof fn !== 'function') throw invalid(`${name} needs a function that computes, not ${describe(fn)}`);
}

/**
 * Entries as pairs: of a Map or another iterable of pairs, or of a plain object.
 * @param {any} entries
 * @returns {[string, unknown][]}
 */
function pairsOf(entries) {
  if (entries === null || typeof entries !== 'object') throw invalid(`expected entries, not ${describe(entries)}`);
  if (typeof entries[Symbol.iterator] !== 'function') return Object.entries(entries);
  return Array.from(entries, (pair) => {
    if (!Array.isArray(pair) || pair.length !== 2) throw invalid('each entry must be a pair [key, value]');
    return /** @type {[string, unknown]} */ (pair);
  });
}

/**
 * Seconds as the milliseconds of a TTL, whole and at least 1; `Infinity` stays.
 * @param {unknown} seconds
 * @param {string} [name]
 * @returns {number}
 */
function toMs(seconds, name = 'a ttl') {
  if (typeof seconds === 'number' && seconds > 0) {
    if (seconds === Infinity) return seconds;
    const ms = Math.max(1, Math.round(seconds * 1000));
    if (ms <= Number.MAX_SAFE_INTEGER) return ms;
  }
  throw new HoldfastError(
    'ERR_INVALID_TTL',
    `${name} must be a positive number of seconds, at most 9,007,199,254,740, or Infinity; got ${describe(seconds)}`,
  );
}

/**
 * The options of a call: none, an object with the names that the call knows, or a bare TTL where it takes one.
 * @param {unknown} given
 * @param {readonly string[]} known
 * @param {boolean} [bareTtl]
 * @returns {Record<string, unknown>}
 */
function checkOptions(given, known, bareTtl = false) {
  if (given === undefined) return {};
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    if (bareTtl) return { ttl: given };
    throw invalid(`expected an object with ${known.join(', ')}, not ${describe(given)}`);
  }
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) throw invalid(`unknown option ${stringify(name)}; known here: ${known.join(', ')}`);
  }
  return /** @type {Record<string, unknown>} */ (given);
}

/**
 * The TTL of an entry that is stored.
 * @param {unknown} given a TTL, or options that may have one
 * @param {number} byDefault milliseconds
 */
function ttlOf(given, byDefault) {
  if (given === undefined) return byDefault;
  if (typeof given === 'number') return toMs(given);
  const { ttl } = checkOptions(given, ['ttl', 'tags'], true);
  return ttl === undefined ? byDefault : toMs(ttl);
}

/**
 * What else crosses with an entry that is stored.
 * @param {any} given as `ttlOf` has checked it
 */
function extrasOf(given) {
  if (given === undefined || typeof given === 'number') return '';
  const tags = checkTags(given.tags);
  return tags === undefined ? '' : stringify({ tags });
}

/** @param {unknown} value names a wrong argument without showing it, unless it is a number */
function describe(value) {
  if (value === null) return 'null';
  if (typeof value === 'number') return String(value);
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

module.exports = {
  checkFunction,
  checkKey,
  checkKeys,
  checkOptions,
  checkStorable,
  checkTag,
  checkTags,
  describe,
  extrasOf,
  invalid,
  pairsOf,
  toMs,
  ttlOf,
};
