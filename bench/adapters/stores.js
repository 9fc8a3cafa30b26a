// Owns the stores of Keyv and unstorage side by side: with the adapter that their users mostly have, and with
// Holdfast's, each set up as its own documentation shows.
'use strict';

/** Longer than any run: what is measured is not what an expiry costs. */
const TTL_MS = 3_600_000;

/**
 * `family`: those that are compared with each other. `open(url, options)` resolves to `{ get, set }`, with `wrap` where
 * the framework has a function that computes what is missing, and `errors`, how many it told of, where it keeps them
 * from its callers. `options`: of `createCache`, for ours. `alone`: no Redis. All load their packages when asked.
 */
const stores = {
  '@keyv/redis': {
    family: 'Keyv 5',
    async open(url) {
      const { default: KeyvRedis } = require('@keyv/redis');
      return overKeyv(new KeyvRedis(url), 'keyv-theirs');
    },
  },

  /** What Keyv has without any adapter: a Map, of the texts that it makes. */
  "Keyv's memory": { family: 'Keyv 5', alone: true, open: async () => overKeyv(new Map(), 'bench') },

  'holdfast/keyv': { family: 'Keyv 5', open: (url, options) => openKeyv(url, options, 'keyv-near') },

  'holdfast/keyv, near cache off': {
    family: 'Keyv 5',
    open: (url, options) => openKeyv(url, { ...options, nearCache: false }, 'keyv-far'),
  },

  "unstorage's redis": {
    family: 'unstorage',
    async open(url) {
      const { default: redisDriver } = await import('unstorage/drivers/redis');
      return overUnstorage(redisDriver({ url, base: 'storage-theirs' }));
    },
  },

  'holdfast/unstorage': { family: 'unstorage', open: (url, options) => openUnstorage(url, options, 'storage-near') },

  'holdfast/unstorage, near cache off': {
    family: 'unstorage',
    open: (url, options) => openUnstorage(url, { ...options, nearCache: false }, 'storage-far'),
  },
};

/** Each has keys of its own: what another one writes would be news to a near cache. */
async function openKeyv(url, options, namespace) {
  const { KeyvHoldfast } = require('holdfast/keyv');
  const store = new KeyvHoldfast({ url, ...options });
  await connected(store.cache);
  return overKeyv(store, namespace);
}

/** Its functions tell of an error by an event, and resolve. cache-manager stands on the same Keyv. */
function overKeyv(store, namespace) {
  const { createCache } = require('cache-manager');
  const { Keyv } = require('keyv');
  const keyv = new Keyv({ store, namespace, ttl: TTL_MS });
  const manager = createCache({ stores: [keyv], ttl: TTL_MS });
  let errors = 0;
  keyv.on('error', () => {
    errors += 1;
  });
  return {
    get: (key) => keyv.get(key),
    set: (key, value) => keyv.set(key, value),
    wrap: (key, fn) => manager.wrap(key, fn),
    errors: () => errors,
  };
}

async function openUnstorage(url, options, base) {
  const { holdfastDriver } = require('holdfast/unstorage');
  const driver = holdfastDriver({ url, base, ...options });
  await connected(driver.getInstance());
  return overUnstorage(driver);
}

async function overUnstorage(driver) {
  const { createStorage } = await import('unstorage');
  const storage = createStorage({ driver });
  return { get: (key) => storage.getItem(key), set: (key, value) => storage.setItem(key, value) };
}

/** A cache of ours that began in memory mode would be fast for nothing. */
async function connected(cache) {
  if ((await cache.ready()) !== 'redis') throw new Error('the cache is not connected to Redis');
}

module.exports = { stores, connected, TTL_MS };
