// Values as the JSON texts that are stored, and the checks of what callers pass.
'use strict';

const { HoldfastError } = require('./errors');

/**
 * The JSON text of a value.
 * @param {unknown} value
 * @returns {string}
 */
function encode(value) {
  let text;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw unserializable('the value has no JSON form (a cycle, a BigInt, or a toJSON or getter that throws)', cause);
  }
  if (text === undefined) throw unserializable(`a ${typeof value} has no JSON form; store null, or delete the key`);
  return text;
}

/**
 * @param {string} message
 * @param {unknown} [cause] what the caller's own code threw
 */
function unserializable(message, cause) {
  return new HoldfastError('ERR_UNSERIALIZABLE', message, cause === undefined ? undefined : { cause });
}

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
  if (Buffer.byteLength(text) > 65_535)
    throw new HoldfastError('ERR_INVALID_KEY', 'a key may have 65,535 bytes at most');
  // Node 20 has it; the types of its standard library are older.
  if (!(/** @type {any} */ (text).isWellFormed()))
    throw new HoldfastError('ERR_INVALID_KEY', 'a key must be well-formed text');
  return text;
}

/**
 * @param {unknown} keys
 * @returns {string[]} a copy: the caller's array may change before the turn is over
 */
function checkKeys(keys) {
  if (!Array.isArray(keys)) throw invalid(`expected an array of keys, not ${describe(keys)}`);
  return Array.from(keys, checkKey);
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
    `${name} must be a positive number of seconds, at most 9,007,199,254,740, or Infinity for no expiry; got ${describe(seconds)}`,
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
    if (!known.includes(name)) throw invalid(`unknown option ${JSON.stringify(name)}; known here: ${known.join(', ')}`);
  }
  return /** @type {Record<string, unknown>} */ (given);
}

/**
 * @param {unknown} given a TTL, or options that have one
 * @param {number} byDefault milliseconds
 */
function ttlOf(given, byDefault) {
  if (given === undefined) return byDefault;
  if (typeof given === 'number') return toMs(given);
  const { ttl } = checkOptions(given, ['ttl'], true);
  return ttl === undefined ? byDefault : toMs(ttl);
}

/** @param {unknown} value names a wrong argument without showing it, unless it is a number */
function describe(value) {
  if (value === null) return 'null';
  if (typeof value === 'number') return String(value);
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

module.exports = { encode, checkKey, checkKeys, checkStorable, checkOptions, describe, invalid, pairsOf, toMs, ttlOf };
