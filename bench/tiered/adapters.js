// Owns the tiered caches side by side: memory over Redis where they have both, each set up as its own documentation
// shows, and asked for hits and computations.
'use strict';

const { openHoldfast } = require('../clients/adapters');
const { readInTurns } = require('../lab/workload');

/** Longer than any run: what is measured is a hit, not what an expiry costs. */
const TTL_SECONDS = 3600;
/**
 * The most hot values that src/js/hot/hot.js holds. After reads of this many other keys, the measured keys are not hot.
 */
const HOT_VALUES = 131_072;
const MOST = 1_000_000;

/**
 * Every adapter connects to `url` and resolves to `{ get, set }` for hits, `{ getOrCompute }` for computations
 * (COMPUTING), or both. Holdfast's also have `nearHits`, its own count of them, and the one that measures hits in Rust
 * has `crowd`, the number of keys that `crowdOut` reads to keep all others out of the hot values. All load their
 * package when asked.
 */
const adapters = {
  holdfast: (url) => holdfast(url, 'copied'),

  'holdfast frozen': (url) => holdfast(url, 'frozen'),

  /**
   * Hot values belong to a cache, what is kept in Rust to all caches of one URL: each new cache begins with no hot
   * value, but with every near hit.
   */
  async 'holdfast near hit'(url) {
    let cache = await openTiered(url, { maxMemory: '1gb' });
    const crowdOut = async (keys) => {
      const old = cache;
      cache = await openTiered(url, { maxMemory: '1gb' });
      await old.close();
      await readInTurns(cache.get, keys);
    };
    return {
      get: (key) => cache.get(key),
      set: (key, value) => cache.set(key, value),
      nearHits: async () => (await cache.getStats()).hits.near,
      crowd: HOT_VALUES,
      crowdOut,
    };
  },

  bentocache: (url) => bentocache(url, true),

  /** Its memory tier holds the objects themselves, and every hit is the same one. */
  'bentocache, serialize: false': (url) => bentocache(url, false),

  async cacheable(url) {
    const { Cacheable } = require('cacheable');
    const { default: KeyvRedis } = require('@keyv/redis');
    const cache = new Cacheable({ secondary: new KeyvRedis(url), ttl: TTL_SECONDS * 1000 });
    cache.on('error', fail);
    return {
      get: (key) => cache.get(key),
      set: (key, value) => cache.set(key, value),
      getOrCompute: (key, fn) => cache.getOrSet(key, fn),
    };
  },

  async 'cache-manager'(url) {
    const { createCache } = require('cache-manager');
    const { CacheableMemory } = require('cacheable');
    const { Keyv } = require('keyv');
    const { default: KeyvRedis } = require('@keyv/redis');
    const ttl = TTL_SECONDS * 1000;
    const memory = new Keyv({ store: new CacheableMemory({ ttl }) });
    const redis = new Keyv({ store: new KeyvRedis(url) });
    redis.on('error', fail);
    const cache = createCache({ stores: [memory, redis], ttl });
    return {
      get: (key) => cache.get(key),
      set: (key, value) => cache.set(key, value),
      getOrCompute: (key, fn) => cache.wrap(key, fn),
    };
  },

  /** It has either a memory or a Redis. What it has in memory it is measured by as to hits … */
  async 'async-cache-dedupe, memory'() {
    const cache = require('async-cache-dedupe').createCache({
      ttl: TTL_SECONDS,
      storage: { type: 'memory', options: { size: MOST } },
    });
    const { get, set } = dedupe(cache);
    return { get, set };
  },

  /** … and what it has in Redis as to computations. */
  async 'async-cache-dedupe, redis'(url) {
    const { Redis } = require('ioredis');
    const client = new Redis(url);
    const cache = require('async-cache-dedupe').createCache({
      ttl: TTL_SECONDS,
      storage: { type: 'redis', options: { client } },
    });
    const { getOrCompute } = dedupe(cache);
    return { getOrCompute };
  },

  /** No Redis, but copies. It computes nothing itself: what applications write around it. */
  async 'node-cache'() {
    const NodeCache = require('node-cache');
    const cache = new NodeCache({ stdTTL: TTL_SECONDS });
    const getOrCompute = async (key, fn) => {
      const known = cache.get(key);
      if (known !== undefined) return known;
      const value = await fn();
      cache.set(key, value);
      return value;
    };
    return { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value), getOrCompute };
  },

  /** No Redis, no copies, nothing that learns of a change: the least that a cache in JavaScript can do. */
  async 'lru-cache'() {
    const { LRUCache } = require('lru-cache');
    const fetchMethod = (_key, _stale, { context }) => context();
    const cache = new LRUCache({ max: MOST, ttl: TTL_SECONDS * 1000, fetchMethod });
    return {
      get: (key) => cache.get(key),
      set: (key, value) => cache.set(key, value),
      getOrCompute: (key, fn) => cache.fetch(key, { context: fn }),
    };
  },
};

/** Those that have `getOrCompute`. */
const COMPUTING = [
  'holdfast',
  'bentocache',
  'cacheable',
  'cache-manager',
  'async-cache-dedupe, redis',
  'node-cache',
  'lru-cache',
];
/** What is in one process only, and so is no peer of a tiered cache. */
const IN_PROCESS = ['lru-cache', 'node-cache', 'async-cache-dedupe, memory'];
/** Whose hits are all one object, as frozen values are. */
const SHARING = ['bentocache, serialize: false', 'lru-cache', 'async-cache-dedupe, memory'];

async function holdfast(url, values) {
  const cache = await openTiered(url, { maxMemory: '512mb', nearCache: { values, maxAge: TTL_SECONDS } });
  const nearHits = async () => (await cache.getStats()).hits.near;
  return { get: cache.get, set: cache.set, getOrCompute: cache.getOrCompute, nearHits };
}

function openTiered(url, options) {
  return openHoldfast(url, { ttl: TTL_SECONDS, nearCache: { maxAge: TTL_SECONDS }, ...options });
}

async function bentocache(url, serialize) {
  const { BentoCache, bentostore } = await import('bentocache');
  const { memoryDriver } = await import('bentocache/drivers/memory');
  const { redisDriver } = await import('bentocache/drivers/redis');
  const { hostname, port } = new URL(url);
  const store = bentostore()
    .useL1Layer(memoryDriver({ maxItems: MOST, serialize }))
    .useL2Layer(redisDriver({ connection: { host: hostname, port: Number(port) } }));
  const bento = new BentoCache({ default: 'tiered', ttl: `${TTL_SECONDS}s`, stores: { tiered: store } });
  return {
    get: (key) => bento.get({ key }),
    set: (key, value) => bento.set({ key, value }),
    getOrCompute: (key, factory) => bento.getOrSet({ key, factory }),
  };
}

/** Its reads go through a function defined once, so the caller's own travels beside the key. */
function dedupe(cache) {
  cache.define('read', { serialize: ({ key }) => key }, ({ fn }) => fn?.());
  return {
    get: (key) => cache.read({ key }),
    set: (key, value) => cache.read({ key, fn: () => value }),
    getOrCompute: (key, fn) => cache.read({ key, fn }),
  };
}

function fail(error) {
  throw error;
}

module.exports = { adapters, COMPUTING, IN_PROCESS, SHARING };
