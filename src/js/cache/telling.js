// Tells the channel `holdfast:operation` of the calls that an application makes, while somebody subscribes. What a call
// gives is never told, only of how many keys there was a value.
'use strict';

const { isWatched, note, operations, traced } = require('../base/channels.js');
const { isArray } = require('../options/arguments.js');

/** The functions whose first argument is a key, or many keys, or entries. */
const KEYED = new Set([
  'get',
  'set',
  'del',
  'delMany',
  'take',
  'setIfAbsent',
  'getOrCompute',
  'getOrComputeMany',
  'increment',
  'incrementWithTtl',
  'exists',
  'existsMany',
  'ttl',
  'inspect',
  'expire',
  'getMany',
  'setMany',
]);
/** Others that give a promise. */
const UNKEYED = new Set(['delPattern', 'runExclusive', 'invalidateTags', 'tagTimes', 'clear', 'getStats']);
/** Those that read, and nothing else: of how many keys they found a value. */
const HITS = new Map(
  /** @type {[string, (value: any) => number][]} */ ([
    ['get', countOne],
    ['take', countOne],
    ['getMany', countAll],
  ]),
);

/**
 * A function of a cache, bound to it.
 * @param {import('./cache').Cache} cache
 * @param {string} name
 * @returns {(...args: any[]) => any}
 */
function told(cache, name) {
  const act = /** @type {any} */ (cache)[name];
  const keyed = KEYED.has(name);
  if (!keyed && !UNKEYED.has(name)) return act.bind(cache);
  const hits = HITS.get(name);
  // None of them takes more arguments.
  return (/** @type {any} */ a, /** @type {any} */ b, /** @type {any} */ c) => {
    if (!isWatched(operations)) return act.call(cache, a, b, c);
    const message = { operation: name, cache: cache.namespace, ...(keyed ? keysOf(a) : null) };
    const look = hits && ((/** @type {any} */ value) => note(message, 'hits', hits(value)));
    return traced(operations, message, () => act.call(cache, a, b, c), look);
  };
}

/** @param {any} given a key, keys or entries, not checked yet: it may be anything */
function keysOf(given) {
  if (typeof given === 'string') return { key: given };
  try {
    return isArray(given) ? { keys: given.length } : null;
  } catch {
    // A proxy that refuses. The call itself says so.
    return null;
  }
}

/** @param {any} value */
function countOne(value) {
  return value === null ? 0 : 1;
}

/** @param {any[]} values */
function countAll(values) {
  let count = 0;
  for (let i = 0; i < values.length; i++) if (values[i] !== null) count++;
  return count;
}

module.exports = { told };
