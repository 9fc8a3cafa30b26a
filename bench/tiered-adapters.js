// The tiered caches side by side: memory over Redis, each set up as its own documentation shows, and asked for `get` and `set`.
'use strict';

/** Longer than any run: what is measured is a hit, not what an expiry costs. */
const TTL_SECONDS = 3600;
/** How many hot values src/js/hot.js holds at most; with so many others read before, those that are measured are not among them. */
const HOT_VALUES = 131_072;

/**
 * Every adapter connects to `url` and resolves to `{ get, set }`. Holdfast's also have `nearHits`, its own count of them, and the one that
 * measures hits in Rust has `crowd`, the number of keys that `crowdOut` reads to keep all others out of the hot values.
 * All load their package when asked.
 */
const adapters = {
  holdfast: (url) => holdfast(url, 'copied'),

  'holdfast frozen': (url) => holdfast(url, 'frozen'),

  /** Hot values belong to a cache, what is kept in Rust to all caches of one URL: each new cache begins with no hot value, but with every near hit. */
  async 'holdfast not hot'(url) {
    let cache = await openHoldfast(url, { maxMemory: '1gb' });
    const crowdOut = async (keys) => {
      const old = cache;
      cache = await openHoldfast(url, { maxMemory: '1gb' });
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
    return { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value) };
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
    return { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value) };
  },

  /** No Redis, no copies, nothing that learns of a change: the least that a cache in JavaScript can do. */
  async 'lru-cache'() {
    const { LRUCache } = require('lru-cache');
    const cache = new LRUCache({ max: 1_000_000, ttl: TTL_SECONDS * 1000 });
    return { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value) };
  },
};

async function holdfast(url, values) {
  const cache = await openHoldfast(url, { nearCache: { values, maxAge: TTL_SECONDS } });
  return { get: cache.get, set: cache.set, nearHits: async () => (await cache.getStats()).hits.near };
}

async function openHoldfast(url, options) {
  const { createCache } = require('holdfast');
  const cache = createCache({ url, namespace: '', ttl: TTL_SECONDS, nearCache: { maxAge: TTL_SECONDS }, ...options });
  if (cache.getMode() !== 'redis') await new Promise((resolve) => cache.once('ready', resolve));
  return cache;
}

async function bentocache(url, serialize) {
  const { BentoCache, bentostore } = await import('bentocache');
  const { memoryDriver } = await import('bentocache/drivers/memory');
  const { redisDriver } = await import('bentocache/drivers/redis');
  const { hostname, port } = new URL(url);
  const store = bentostore()
    .useL1Layer(memoryDriver({ maxItems: 1_000_000, serialize }))
    .useL2Layer(redisDriver({ connection: { host: hostname, port: Number(port) } }));
  const bento = new BentoCache({ default: 'tiered', ttl: `${TTL_SECONDS}s`, stores: { tiered: store } });
  return { get: (key) => bento.get({ key }), set: (key, value) => bento.set({ key, value }) };
}

/** Reads every key, many at a time. */
async function readInTurns(get, keys) {
  for (let i = 0; i < keys.length; i += 1000) await Promise.all(keys.slice(i, i + 1000).map((key) => get(key)));
}

function fail(error) {
  throw error;
}

module.exports = { adapters, readInTurns };
