// Owns `holdfast/rate-limit`: the store of express-rate-limit and hono-rate-limiter, whose interfaces are the same, and
// the one of @fastify/rate-limit.
//
// A window begins with the first request of a client and ends by itself: one increment answers with the count and the
// time that is left. While Redis is away each process counts for itself, for as long as the window lasts.
'use strict';

const { createHash } = require('node:crypto');
const { openCache } = require('../shared/cache.js');

/** Both stores begin their keys with it; `rate-limit-redis` does, too. */
const NAMESPACE = 'rl';
/** What a process counts by itself is kept for its window, however long the outage is. */
const OUTAGE_TTL_S = 86_400;
const DEFAULT_WINDOW_MS = 60_000;
/** Clients name their keys, in part: a longer one lies at its digest, so that none is refused, nor fills the memory. */
const MAX_KEY_LENGTH = 512;
/** The longest penalty of exponential backoff. */
const MAX_BACKOFF_MS = 365 * 86_400_000;

/** A window of no time at all is one of a millisecond, as with Redis' own. */
const secondsOf = (ms) => Math.max(ms, 1) / 1000;

/** Counters of windows, for both stores. */
class Windows {
  constructor(options) {
    this.cache = openCache(options, { namespace: NAMESPACE, outageTtl: OUTAGE_TTL_S }, 'json');
  }

  /** Counts one more in the window of a key; resolves to the count, and the milliseconds that are left. */
  async count(key, windowMs) {
    const name = nameOf(key);
    const { value, ttl } = await this.cache.incrementWithTtl(name, 1, { ttl: secondsOf(windowMs) });
    // Another client made this counter: without an end it would lock its owner out for good.
    if (ttl === Infinity) await this.cache.expire(name, secondsOf(windowMs));
    return { value, leftMs: ttl === Infinity || ttl === null ? windowMs : Math.ceil(ttl * 1000) };
  }

  /** The count of a key and what is left of its window; null where none is open. */
  async look(key) {
    const name = nameOf(key);
    const [value, ttl] = await Promise.all([this.cache.get(name), this.cache.ttl(name)]);
    if (typeof value !== 'number' || ttl === null) return null;
    return { value, leftMs: ttl === Infinity ? 0 : Math.ceil(ttl * 1000) };
  }

  /** Takes one request back. A window that has ended meanwhile is left alone: it would begin below zero. */
  async discount(key, windowMs) {
    const name = nameOf(key);
    if (await this.cache.exists(name)) await this.cache.increment(name, -1, { ttl: secondsOf(windowMs) });
  }

  /** Lets the window of a key end so much later from now. */
  async prolong(key, ms) {
    await this.cache.expire(nameOf(key), secondsOf(ms));
  }

  async reset(key) {
    await this.cache.del(nameOf(key));
  }
}

function nameOf(key) {
  const text = String(key);
  if (text !== '' && text.length <= MAX_KEY_LENGTH && text.isWellFormed()) return text;
  return `sha256-${createHash('sha256').update(text).digest('hex')}`;
}

/** For express-rate-limit and hono-rate-limiter. */
class RateLimitStore {
  /** The counts are those of all processes: what express-rate-limit warns of with several of them does not apply. */
  localKeys = false;
  #windows;
  #windowMs = DEFAULT_WINDOW_MS;

  constructor(options = {}) {
    this.#windows = new Windows(options);
    this.cache = this.#windows.cache;
    /** By this express-rate-limit tells whether two limiters count the same thing. */
    this.prefix = `${options.namespace ?? NAMESPACE}:`;
  }

  init({ windowMs }) {
    this.#windowMs = windowMs;
  }

  async get(key) {
    const found = await this.#windows.look(key);
    return found === null ? undefined : infoOf(found);
  }

  async increment(key) {
    return infoOf(await this.#windows.count(key, this.#windowMs));
  }

  async decrement(key) {
    await this.#windows.discount(key, this.#windowMs);
  }

  async resetKey(key) {
    await this.#windows.reset(key);
  }

  async resetAll() {
    await this.cache.clear();
  }

  async shutdown() {
    await this.cache.close();
  }
}

const infoOf = ({ value, leftMs }) => ({ totalHits: value, resetTime: new Date(Date.now() + leftMs) });

/** For @fastify/rate-limit, which makes stores itself: a class over one cache, which is its static property. */
function fastifyStore(options) {
  const windows = new Windows(options);

  return class FastifyStore {
    static cache = windows.cache;
    #settings;
    #prefix;

    constructor(settings, prefix = '') {
      this.#settings = settings;
      this.#prefix = prefix;
    }

    incr(key, callback, windowMs, max) {
      this.#count(this.#prefix + key, windowMs, max).then((counted) => callback(null, counted), callback);
    }

    async #count(key, windowMs, max) {
      const { value, leftMs } = await windows.count(key, windowMs);
      const over = value - max;
      if (over <= 0) return { current: value, ttl: leftMs };
      const { continueExceeding, exponentialBackoff } = this.#settings;
      if (!continueExceeding && !exponentialBackoff) return { current: value, ttl: leftMs };
      const ttl = continueExceeding ? windowMs : Math.min(windowMs * 2 ** (over - 1), MAX_BACKOFF_MS);
      await windows.prolong(key, ttl);
      return { current: value, ttl };
    }

    read(key, callback) {
      const clean = { current: 0, ttl: 0 };
      windows
        .look(this.#prefix + key)
        .then((found) => callback(null, found ? { current: found.value, ttl: found.leftMs } : clean), callback);
    }

    /** A route with limits of its own counts for itself. */
    child(settings) {
      const { method = '', url = '' } = settings.routeInfo ?? {};
      return new FastifyStore(settings, `${this.#prefix}${method}${url}-`);
    }
  };
}

module.exports = { RateLimitStore, fastifyStore };
