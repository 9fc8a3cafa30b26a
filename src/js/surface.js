// What users hold of a cache: its functions, bound, so that they may be taken apart, replaced by a test's own, and restored.
//
// They are properties as any other: a stub takes the place of one (jest.spyOn, sinon.stub, mock.method). Nothing here calls them, so a stub of `get` changes
// what the application sees and nothing of how the cache works; and what the cache works with cannot be reached from here.
'use strict';

const { inspect } = require('node:util');

const FUNCTIONS = /** @type {const} */ ([
  'ready',
  'get',
  'set',
  'del',
  'delPattern',
  'getOrCompute',
  'getOrComputeMany',
  'increment',
  'exists',
  'ttl',
  'expire',
  'getMany',
  'setMany',
  'invalidateTags',
  'clear',
  'getStats',
  'getMode',
  'health',
  'close',
]);

/** @typedef {import('./cache').Cache} Cache */
/** @typedef {Pick<Cache, typeof FUNCTIONS[number]> & ReturnType<import('./listeners').Listeners['functionsOf']>} Functions */

/**
 * @param {Cache} cache
 * @param {object} self what the functions of an emitter return
 * @returns {Functions}
 */
function functionsOf(cache, self) {
  /** @type {any} */
  const functions = cache.listeners.functionsOf(self);
  for (const name of FUNCTIONS) functions[name] = /** @type {any} */ (cache)[name].bind(cache);
  return functions;
}

/** A cache made by createCache. */
class HoldfastCache {
  /** @param {Cache} cache */
  constructor(cache) {
    Object.assign(this, functionsOf(cache, this));
    const print = () => `HoldfastCache { mode: '${cache.closing === null ? cache.getMode() : 'closed'}' }`;
    Object.defineProperty(this, inspect.custom, /** @type {PropertyDescriptor} */ ({ __proto__: null, value: print }));
  }
}

module.exports = { HoldfastCache, functionsOf };
