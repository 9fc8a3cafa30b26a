// The package's exports: the functions of the default cache, and createCache with the caches that it makes.
//
// The functions are bound, and are ordinary properties: they may be destructured, and a stub may replace one
// (jest.spyOn, sinon.stub, mock.method) and restore it. Nothing here calls them, so a stub of `get` changes only what
// the application sees, not how the cache works; and the internals of the cache cannot be reached from here.
'use strict';

const { inspect } = require('node:util');
const { HoldfastError } = require('./base/errors.js');
const { setImmediate } = require('./base/host.js');
const config = require('./config.js');
const { Cache } = require('./cache/cache.js');
const { told } = require('./cache/telling.js');

const FUNCTIONS = /** @type {const} */ ([
  'ready',
  'get',
  'set',
  'del',
  'delMany',
  'delPattern',
  'scan',
  'take',
  'setIfAbsent',
  'getOrCompute',
  'getOrComputeMany',
  'memoize',
  'runExclusive',
  'increment',
  'incrementWithTtl',
  'exists',
  'existsMany',
  'ttl',
  'inspect',
  'expire',
  'getMany',
  'setMany',
  'invalidateTags',
  'tagTimes',
  'clear',
  'getStats',
  'getCounters',
  'getMode',
  'health',
  'close',
]);

/** @typedef {import('./cache/listeners').Listeners} Listeners */
/** @typedef {Pick<Cache, typeof FUNCTIONS[number]> & ReturnType<Listeners['functionsOf']>} Functions */

/**
 * @param {Cache} cache
 * @param {object} self the holder, which the functions of an emitter return
 * @returns {Functions}
 */
function functionsOf(cache, self) {
  /** @type {any} */
  const functions = cache.listeners.functionsOf(self);
  for (const name of FUNCTIONS) functions[name] = told(cache, name);
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

const cache = new Cache(config.fromEnvironment, true);

// Connecting begins in the background, after this turn: an application that loads its environment (dotenv) after this
// require is still in time.
const opening = setImmediate(() => {
  if (cache.state === null && cache.closing === null) cache.open();
});
if (opening !== undefined) opening.unref();

/**
 * @param {import('../../index').CacheOptions} options
 * @returns {import('../../index').Cache}
 */
function createCache(options) {
  // Checked now: in a later turn the caller's object or the environment may have changed.
  const settings = config.fromOptions(options);
  const further = new Cache(() => settings, false);
  further.open();
  return /** @type {any} */ (new HoldfastCache(further));
}

const functions = functionsOf(cache, exports);

// One by one: so they are named exports of `import`, too.
exports.ready = functions.ready;
exports.get = functions.get;
exports.set = functions.set;
exports.del = functions.del;
exports.delMany = functions.delMany;
exports.delPattern = functions.delPattern;
exports.scan = functions.scan;
exports.take = functions.take;
exports.setIfAbsent = functions.setIfAbsent;
exports.getOrCompute = functions.getOrCompute;
exports.getOrComputeMany = functions.getOrComputeMany;
exports.memoize = functions.memoize;
exports.runExclusive = functions.runExclusive;
exports.increment = functions.increment;
exports.incrementWithTtl = functions.incrementWithTtl;
exports.exists = functions.exists;
exports.existsMany = functions.existsMany;
exports.ttl = functions.ttl;
exports.inspect = functions.inspect;
exports.expire = functions.expire;
exports.getMany = functions.getMany;
exports.setMany = functions.setMany;
exports.invalidateTags = functions.invalidateTags;
exports.tagTimes = functions.tagTimes;
exports.clear = functions.clear;
exports.getStats = functions.getStats;
exports.getCounters = functions.getCounters;
exports.getMode = functions.getMode;
exports.health = functions.health;
exports.close = functions.close;
exports.on = functions.on;
exports.once = functions.once;
exports.off = functions.off;
exports.addListener = functions.addListener;
exports.removeListener = functions.removeListener;
exports.prependListener = functions.prependListener;
exports.prependOnceListener = functions.prependOnceListener;
exports.removeAllListeners = functions.removeAllListeners;
exports.listenerCount = functions.listenerCount;
exports.listeners = functions.listeners;
exports.rawListeners = functions.rawListeners;
exports.eventNames = functions.eventNames;
exports.setMaxListeners = functions.setMaxListeners;
exports.getMaxListeners = functions.getMaxListeners;
exports.emit = functions.emit;
exports.createCache = createCache;
exports.HoldfastError = HoldfastError;
