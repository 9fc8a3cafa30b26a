// A cache in the form of cache-manager 7, for `CacheInterceptor` and for code that is written for `CACHE_MANAGER`.
//
// Not a store beneath Keyv: that layer would wrap and parse each value again, and its `wrap` shares a computation
// within one process only. Times are milliseconds here, as in cache-manager; 0 is no expiry.
'use strict';

const { HoldfastError } = require('../../src/js/index.js');

const invalid = (message) => new HoldfastError('ERR_INVALID_ARGUMENT', message);

/** Seconds for milliseconds; undefined is the default of the cache, which refuses what is no number. */
function secondsOf(ms) {
  if (ms === undefined || ms === null) return undefined;
  if (ms === 0) return Infinity;
  return typeof ms === 'number' ? ms / 1000 : ms;
}

/** A miss is undefined in cache-manager, and null here. */
const orUndefined = (value) => value ?? undefined;

class CacheManager {
  #cache;

  /** @param {any} cache */
  constructor(cache) {
    this.#cache = cache;
  }

  async get(key) {
    return orUndefined(await this.#cache.get(key));
  }

  async mget(keys) {
    return (await this.#cache.getMany(keys)).map(orUndefined);
  }

  async set(key, value, ttl) {
    // What a handler without a result returns: there is nothing to store.
    if (value !== undefined) await this.#cache.set(key, value, { ttl: secondsOf(ttl) });
    return value;
  }

  async mset(entries) {
    await Promise.all(entries.map(({ key, value, ttl }) => this.set(key, value, ttl)));
    return entries;
  }

  async del(key) {
    return (await this.#cache.del(key)) > 0;
  }

  async mdel(keys) {
    await this.#cache.del(keys);
    return true;
  }

  async clear() {
    await this.#cache.clear();
    return true;
  }

  /** When the entry expires, in milliseconds since 1970. */
  async ttl(key) {
    const left = await this.#cache.ttl(key);
    return left === null || left === Infinity ? undefined : Date.now() + Math.round(left * 1000);
  }

  /**
   * One run of `fn` for all callers, in all instances.
   * @param {string} key
   * @param {() => unknown} fn
   * @param {any} [ttl] milliseconds, a function of the value that returns them, or options
   * @param {any} [threshold] milliseconds
   */
  async wrap(key, fn, ttl, threshold) {
    const { refreshThreshold, ...options } =
      ttl !== null && typeof ttl === 'object' ? ttl : { ttl, refreshThreshold: threshold };
    return this.#cache.getOrCompute(key, () => fn(), termsOf(options, refreshThreshold));
  }

  /** As the emitter of cache-manager, whose events are others. */
  on(event, listener) {
    this.#cache.on(event, listener);
    return this;
  }

  off(event, listener) {
    this.#cache.off(event, listener);
    return this;
  }

  /** The module closes the cache. */
  async disconnect() {}
}

/**
 * An entry that has less left than `threshold` is served, and made anew behind that: it is one whose time ends so much
 * earlier and that is stale for so long.
 */
function termsOf({ ttl, swr = 0, grace = 0, tags, ...others }, threshold = 0) {
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw invalid('wrap takes ttl, refreshThreshold, swr, grace (milliseconds) and tags');
  const lifeOf = (ms) => secondsOf(threshold > 0 && ms > threshold ? ms - threshold : ms);
  if (threshold > 0 && (ttl === undefined || ttl === null)) throw invalid('refreshThreshold needs a ttl');
  return {
    ttl: typeof ttl === 'function' ? (value) => lifeOf(ttl(value)) : lifeOf(ttl),
    swr: (swr + threshold) / 1000,
    grace: (grace > 0 ? grace + threshold : 0) / 1000,
    tags,
  };
}

module.exports = { CacheManager };
