// Plain objects as callers write them, and their own properties: what another dependency put on Object.prototype is no option of a call.
'use strict';

/**
 * Whether a value is an object as a literal, JSON.parse or Object.create(null) makes it, in this realm or another (vm, Jest).
 * @param {unknown} value
 * @returns {value is object}
 */
function isPlain(value) {
  if (value === null || typeof value !== 'object') return false;
  const prototype = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) return true;
  // Only the Object.prototype of a realm ends a chain and has this name.
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf');
}

/**
 * The own properties of a plain object, each read once, on an object that inherits nothing.
 * @param {object} given
 * @param {readonly string[]} known the names that it may have
 * @param {(problem: string, cause?: unknown) => Error} refuse makes the error to throw
 * @returns {Record<string, unknown>}
 */
function ownOf(given, known, refuse) {
  /** @type {Record<string, unknown>} */
  const own = Object.create(null);
  // Not only the enumerable names: an option that is there counts, and `Math` or `arguments` are no options.
  for (const name of Object.getOwnPropertyNames(given)) {
    if (!known.includes(name)) throw refuse(`unknown option ${JSON.stringify(name)}; known here: ${known.join(', ')}`);
    try {
      own[name] = /** @type {any} */ (given)[name];
    } catch (cause) {
      throw refuse(`the option ${name} could not be read: its getter threw`, cause);
    }
  }
  return own;
}

module.exports = { isPlain, ownOf };
