// memoize: a function whose results are computed once, and the keys that it makes of arguments.
//
// A key of a text prefix holds the arguments as JSON, with the properties of objects in order, so equal arguments have
// equal keys. Whatever JSON.stringify would write like something else (undefined, NaN, a Date, a Map, a class) is
// refused: a key that two calls share by mistake gives one the result of the other. Only -0 is 0, as in a Map.
'use strict';

const { HoldfastError } = require('../base/errors.js');
const { stringify } = require('../base/host.js');
const { Op } = require('../base/ops.js');
const { checkKey, describe, invalid, isArray, isPlain, ownOf } = require('../options/arguments.js');
const { Memo, OPTIONS, termsOf, usualTerms } = require('../once/terms.js');

/** @typedef {import('../once/compute').Computer} Computer */
/** @typedef {(this: unknown, ...args: unknown[]) => string} KeyOf */

// Those that are the same for all calls, and the key.
const KNOWN = ['key', ...OPTIONS.filter((name) => name !== 'forceFresh' && name !== 'signal')];
// Levels of an argument.
const DEEPEST = 64;

/**
 * @param {() => { computer: Computer, channel: import('../bridge/channel').Channel }} use opens the cache
 * @param {(this: unknown, ...args: any[]) => unknown} fn
 * @param {unknown} given the options
 */
function memoize(use, fn, given) {
  if (typeof fn !== 'function') throw invalid(`memoize needs a function, not ${describe(fn)}`);
  if (!isPlain(given)) throw invalid(`memoize needs options with a key, not ${describe(given)}`);
  const { key, ...options } = ownOf(given, KNOWN, invalid);
  const keyOf = keyFrom(key);
  // Refused now, where they are wrong. The TTL that the cache has is known once it is used.
  termsOf(options, usualTerms(1));
  /** @type {{ usual: Memo, fresh: Memo } | null} */
  let memos = null;

  /**
   * @param {unknown} self
   * @param {unknown[]} args
   * @param {boolean} fresh
   */
  const call = (self, args, fresh) => {
    try {
      const { computer } = use();
      const name = checkKey(keyOf.apply(self, args));
      if (memos === null) {
        const terms = termsOf(options, computer.usual);
        memos = { usual: new Memo(terms), fresh: new Memo({ ...terms, fresh: true, special: true }) };
      }
      return computer.getOrCompute(name, () => fn.apply(self, args), fresh ? memos.fresh : memos.usual);
    } catch (error) {
      return Promise.reject(error);
    }
  };
  /**
   * @this {unknown}
   * @param {unknown[]} args
   */
  function memoized(...args) {
    return call(this, args, false);
  }
  // As properties of the function they are called on it, which is no `this` for the application's own.
  const selfOf = (/** @type {unknown} */ self) => (self === memoized ? undefined : self);
  const functions = {
    /**
     * @this {unknown}
     * @param {unknown[]} args
     */
    key(...args) {
      return checkKey(keyOf.apply(selfOf(this), args));
    },
    /**
     * @this {unknown}
     * @param {unknown[]} args
     */
    async del(...args) {
      return use().channel.call(Op.DEL, checkKey(keyOf.apply(selfOf(this), args)), '', 0, 0);
    },
    /**
     * @this {unknown}
     * @param {unknown[]} args
     */
    refresh(...args) {
      return call(selfOf(this), args, true);
    },
  };
  return Object.assign(memoized, functions);
}

/**
 * @param {unknown} key the option
 * @returns {KeyOf}
 */
function keyFrom(key) {
  if (typeof key === 'function') return /** @type {KeyOf} */ (key);
  if (typeof key !== 'string' || key === '')
    throw invalid(`key must be a function of the arguments or a text, not ${key === '' ? 'empty' : describe(key)}`);
  return (...args) => `${key}:${textOf(args, [])}`;
}

/**
 * The JSON text of an argument, with the properties of objects in order.
 * @param {unknown} value
 * @param {unknown[]} within the objects around it
 * @returns {string}
 */
function textOf(value, within) {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number' && Number.isFinite(value)) return stringify(value);
  if (typeof value === 'string') return stringify(value);
  if (typeof value !== 'object' || within.length > DEEPEST || within.includes(value)) throw unlike(value);
  const inner = [...within, value];
  try {
    if (isArray(value)) {
      // Its elements and `length`: neither holes nor names.
      if (Reflect.ownKeys(value).length === value.length + 1)
        return `[${Array.from(value, (part) => textOf(part, inner)).join()}]`;
    } else if (isPlain(value)) {
      const names = Object.keys(value);
      if (Reflect.ownKeys(value).length === names.length) {
        const part = (/** @type {string} */ name) =>
          `${stringify(name)}:${textOf(/** @type {any} */ (value)[name], inner)}`;
        return `{${names.sort().map(part).join()}}`;
      }
    }
  } catch (error) {
    throw error instanceof HoldfastError ? error : unlike(value, error);
  }
  throw unlike(value);
}

/**
 * @param {unknown} value
 * @param {unknown} [cause]
 */
function unlike(value, cause) {
  const what = typeof value === 'object' ? 'an object that is not plain, or goes too deep' : describe(value);
  return invalid(
    `an argument that is to make a key must be plain JSON, not ${what}; give memoize a key function`,
    cause,
  );
}

module.exports = { memoize };
