// The decorator of methods whose results come from the cache.
'use strict';

const { Inject } = require('@nestjs/common');
const { HoldfastError } = require('../../src/js/index.js');
const { HoldfastCache } = require('./tokens.js');

const invalid = (message) => new HoldfastError('ERR_INVALID_ARGUMENT', message);

/** Where Nest puts the cache into each instance of a class with such a method. */
const CACHE = Symbol('holdfast/nest cache');

/** What other decorators have said of the method, as the routes and guards of Nest, holds for the one in its place. */
function carryMetadata(from, to) {
  if (typeof Reflect.getMetadataKeys !== 'function') return;
  for (const key of Reflect.getMetadataKeys(from)) Reflect.defineMetadata(key, Reflect.getMetadata(key, from), to);
}

/**
 * @param {any} [options] those of getOrCompute, in seconds, and `key` as in memoize; `tags` may be a function of the
 * arguments
 */
function Cached(options = {}) {
  const { tags, key, ...terms } = options;
  return (target, name, descriptor) => {
    const method = descriptor?.value;
    if (typeof method !== 'function') throw invalid('@Cached() must stand in front of a method');
    /** @type {WeakMap<object, any>} what makes the keys, by cache: each application of a process has its own */
    const memos = new WeakMap();
    const memoFor = (cache) => {
      const memo = memos.get(cache) ?? cache.memoize(method, { key: key ?? `${target.constructor.name}.${name}` });
      memos.set(cache, memo);
      return memo;
    };
    async function cached(...args) {
      const cache = this?.[CACHE];
      if (cache === undefined)
        throw invalid('a class with @Cached() must be made by Nest, or its methods have no cache');
      const own = typeof tags === 'function' ? tags.apply(this, args) : tags;
      const compute = () => method.apply(this, args);
      return cache.getOrCompute(memoFor(cache).key.apply(this, args), compute, { ...terms, tags: own });
    }
    Object.defineProperty(cached, 'name', { value: method.name, configurable: true });
    carryMetadata(method, cached);
    descriptor.value = cached;
    Inject(HoldfastCache)(target, CACHE);
    return descriptor;
  };
}

module.exports = { Cached };
