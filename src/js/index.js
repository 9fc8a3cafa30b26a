// The package: the default cache's functions, ready to be called, and createCache.
'use strict';

const { Cache } = require('./cache');
const config = require('./config');
const { HoldfastError } = require('./errors');
const { setImmediate } = require('./host');

const cache = new Cache(config.fromEnvironment, true);

// Connecting begins in the background, after this turn: a start-up that loads its environment (dotenv) behind this require is still in time.
const opening = setImmediate(() => {
  if (cache.state === null && cache.closing === null) cache.open();
});
if (opening !== undefined) opening.unref();

/** @param {import('../../index').CacheOptions} options */
function createCache(options) {
  // Checked now, and not in a later turn in which the caller's object or the environment is another.
  const settings = config.fromOptions(options);
  const further = new Cache(() => settings, false);
  further.open();
  return further;
}

// One by one: this is what makes them named exports of `import`, too.
exports.get = cache.get;
exports.set = cache.set;
exports.del = cache.del;
exports.delPattern = cache.delPattern;
exports.getOrCompute = cache.getOrCompute;
exports.getOrComputeMany = cache.getOrComputeMany;
exports.increment = cache.increment;
exports.exists = cache.exists;
exports.ttl = cache.ttl;
exports.expire = cache.expire;
exports.getMany = cache.getMany;
exports.setMany = cache.setMany;
exports.invalidateTags = cache.invalidateTags;
exports.clear = cache.clear;
exports.getStats = cache.getStats;
exports.getMode = cache.getMode;
exports.health = cache.health;
exports.close = cache.close;
exports.on = cache.on;
exports.once = cache.once;
exports.off = cache.off;
exports.createCache = createCache;
exports.HoldfastError = HoldfastError;
