// Checks the arguments of calls: keys, times, tags, options. Options are own properties of plain objects: a property
// that another dependency put on Object.prototype is not one.
'use strict';

const { HoldfastError } = require('../base/errors.js');
const { hasOwn, stringify } = require('../base/host.js');
const { LEASE, REFRESH, TAG } = require('../base/ops.js');

const SET_OPTIONS = ['ttl', 'expiresAt', 'tags'];
const MAX_KEY_BYTES = 65_535;
const MAX_TAGS = 128;
const MAX_TAG_BYTES = 1024;

/**
 * @param {string} message
 * @param {unknown} [cause] what the caller's own code threw
 */
function invalid(message, cause) {
  return new HoldfastError('ERR_INVALID_ARGUMENT', message, cause === undefined ? undefined : { cause });
}

/**
 * @param {unknown} key
 * @returns {string}
 */
function checkKey(key) {
  if (typeof key !== 'string')
    throw new HoldfastError('ERR_INVALID_KEY', `a key must be a string, not ${describe(key)}`);
  // One comparison suffices for a key that does not begin with a NUL.
  if (key.charCodeAt(0) === 0 && (key.startsWith(TAG) || key.startsWith(REFRESH) || key.startsWith(LEASE)))
    throw new HoldfastError('ERR_INVALID_KEY', 'a key must not begin as those of tags, refreshes and leases do');
  // The engine checks the rest. A key that exceeds the longest text of a turn would make the calls around it fail.
  if (key.length > MAX_KEY_BYTES) throw new HoldfastError('ERR_INVALID_KEY', 'a key may have 65,535 bytes at most');
  return key;
}

/**
 * All that the engine checks of a key, for calls that must know before anything is sent.
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
  if (!isArray(keys)) throw invalid(`expected an array of keys, not ${describe(keys)}`);
  return Array.from(keys, (key) => check(key));
}

/**
 * @param {unknown} tag
 * @returns {string}
 */
function checkTag(tag) {
  if (!isTag(tag)) throw invalid(`a tag must be a well-formed text of 1 to ${MAX_TAG_BYTES} bytes`);
  return tag;
}

/**
 * @param {unknown} tag
 * @returns {tag is string}
 */
function isTag(tag) {
  // Node 20 has isWellFormed; the types of its standard library are older.
  const text = /** @type {any} */ (tag);
  return typeof tag === 'string' && tag !== '' && Buffer.byteLength(tag) <= MAX_TAG_BYTES && text.isWellFormed();
}

/**
 * A name of runExclusive, which may be what a tag may be.
 * @param {unknown} name
 * @returns {string}
 */
function checkName(name) {
  if (!isTag(name))
    throw new HoldfastError('ERR_INVALID_KEY', `a name must be a well-formed text of 1 to ${MAX_TAG_BYTES} bytes`);
  return name;
}

/**
 * The tags of an entry, without duplicates.
 * @param {unknown} tags
 * @returns {string[] | undefined} undefined for none
 */
function checkTags(tags) {
  if (tags === undefined) return undefined;
  if (!isArray(tags)) throw invalid(`tags must be an array of texts, not ${describe(tags)}`);
  const distinct = new Set(Array.from(tags, checkTag));
  if (distinct.size > MAX_TAGS) throw invalid(`tags must be ${MAX_TAGS} texts at most, not ${distinct.size}`);
  return distinct.size === 0 ? undefined : Array.from(distinct);
}

/**
 * @param {unknown} pattern
 * @returns {string}
 */
function checkPattern(pattern) {
  if (typeof pattern !== 'string') throw invalid(`a pattern must be a string, not ${describe(pattern)}`);
  return pattern;
}

/**
 * What a call says of outages, for Rust.
 * @param {Record<string, unknown>} given its options
 */
function outageExtras({ onOutage = 'local' }) {
  if (onOutage !== 'local' && onOutage !== 'reject') throw invalid("onOutage must be 'local' or 'reject'");
  return onOutage === 'reject' ? '{"reject":true}' : '';
}

/**
 * The function that computes.
 * @param {unknown} fn
 * @param {string} name of the function that it was given to
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
  if (!isIterable(entries)) {
    // A Date or a WeakMap has no entries: the call would store nothing, without an error.
    if (!isPlain(entries)) throw invalid('entries must be a Map, an iterable of pairs, or a plain object');
    return Object.entries(entries);
  }
  return Array.from(entries, (pair) => {
    if (!isArray(pair) || pair.length !== 2) throw invalid('each entry must be a pair [key, value]');
    return /** @type {[string, unknown]} */ (pair);
  });
}

/** @param {object} value */
function isIterable(value) {
  try {
    return typeof (/** @type {any} */ (value)[Symbol.iterator]) === 'function';
  } catch {
    return false;
  }
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
 * Array.isArray, but false for a revoked proxy, for which that throws.
 * @param {unknown} value
 * @returns {value is any[]}
 */
function isArray(value) {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/**
 * Whether a value is an object as a literal, JSON.parse or Object.create(null) makes it, in this realm or another (vm,
 * Jest).
 * @param {unknown} value
 * @returns {value is object}
 */
function isPlain(value) {
  if (value === null || typeof value !== 'object') return false;
  try {
    const prototype = Object.getPrototypeOf(value);
    if (prototype === null || prototype === Object.prototype) return true;
    // Only the Object.prototype of a realm ends a chain and has this name.
    return Object.getPrototypeOf(prototype) === null && hasOwn(prototype, 'isPrototypeOf');
  } catch {
    // A proxy that is revoked, or whose trap throws.
    return false;
  }
}

/**
 * An object that inherits nothing, as its prototype has nothing and inherits nothing. One without a prototype is a hash
 * table to V8, in which each option that was not given costs a search.
 * @returns {Record<string, unknown>}
 */
function nothing() {
  return new Empty();
}

/** @type {any} */
const Empty = function Empty() {};
Empty.prototype = Object.freeze(Object.create(null));

/**
 * The own properties of a plain object, each read once, on an object that inherits nothing.
 * @param {object} given
 * @param {readonly string[]} known the names that it may have
 * @param {(problem: string, cause?: unknown) => Error} refuse makes the error to throw
 * @returns {Record<string, unknown>}
 */
function ownOf(given, known, refuse) {
  const own = nothing();
  // All own names, not only the enumerable ones: each counts as an option, so that `Math` and `arguments` are refused.
  let names;
  try {
    names = Object.getOwnPropertyNames(given);
  } catch (cause) {
    throw refuse('the options could not be read: their proxy threw', cause);
  }
  for (const name of names) {
    if (!known.includes(name)) throw refuse(`unknown option ${stringify(name)}; known here: ${known.join(', ')}`);
    try {
      own[name] = /** @type {any} */ (given)[name];
    } catch (cause) {
      throw refuse(`the option ${name} could not be read: its getter threw`, cause);
    }
  }
  return own;
}

/**
 * The options of a call, each read once: none, a plain object with the names that the call knows, or a bare TTL where
 * it takes one.
 * @param {unknown} given
 * @param {readonly string[]} known
 * @param {boolean} [bareTtl]
 * @returns {Record<string, unknown>} on an object that inherits nothing
 */
function checkOptions(given, known, bareTtl = false) {
  if (isPlain(given)) return ownOf(given, known, invalid);
  const none = nothing();
  if (given === undefined) return none;
  if (!bareTtl) throw invalid(`expected a plain object with ${known.join(', ')}, not ${describe(given)}`);
  none.ttl = given;
  return none;
}

/**
 * The options of an entry that is stored: none, a bare TTL, or a plain object.
 * @param {unknown} given
 * @param {string[]} [further] names of options beyond those of every entry
 * @returns {undefined | number | Record<string, unknown>}
 */
function setOptions(given, further = []) {
  if (given === undefined || typeof given === 'number') return given;
  return checkOptions(given, further.length === 0 ? SET_OPTIONS : [...SET_OPTIONS, ...further], true);
}

/**
 * The extras of an entry that is stored: its tags, and what it says of outages, as JSON.
 * @param {ReturnType<typeof setOptions>} options
 */
function extrasOf(options) {
  if (options === undefined || typeof options === 'number') return '';
  const tags = checkTags(options.tags);
  const rejects = outageExtras(options);
  if (tags === undefined) return rejects;
  return `{"tags":${listOf(tags)}${rejects === '' ? '' : `,${rejects.slice(1, -1)}`}}`;
}

/**
 * The JSON text of a list of texts. Not `stringify(texts)`: the list inherits a `toJSON` where Object.prototype was
 * given one.
 * @param {readonly string[]} texts
 */
function listOf(texts) {
  return `[${texts.map((text) => stringify(text)).join()}]`;
}

/** @param {unknown} value a wrong argument; the text names its kind, and shows it only where it is a number */
function describe(value) {
  if (value === null) return 'null';
  if (typeof value === 'number') return String(value);
  return isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

module.exports = {
  checkFunction,
  checkKey,
  checkKeys,
  checkName,
  checkOptions,
  checkPattern,
  checkStorable,
  checkTag,
  checkTags,
  describe,
  extrasOf,
  invalid,
  isArray,
  isPlain,
  listOf,
  outageExtras,
  ownOf,
  pairsOf,
  setOptions,
  toMs,
};
