// The clients side by side, each set up as its own documentation recommends and asked for the same two commands.
// Both peers speak RESP3 by default since their version 6; with RESP2 node-redis was slower, and ioredis within the noise.
'use strict';

/** What holdfast's `set` applies by default; the peers send the same expiry so that the server does the same work. */
const TTL_MS = 300_000;
const asIs = (value) => value;

/**
 * Every adapter connects to `url` and resolves to `{ get, set, encode, decode }`. All load their package when
 * asked, so that a process holds one client and nothing of the others.
 */
const adapters = {
  async holdfast(url) {
    const { createCache } = require('holdfast');
    // Without the near cache: what is compared here is the way to Redis and back.
    const cache = createCache({ url, namespace: '', nearCache: false });
    if (cache.getMode() !== 'redis') await new Promise((resolve) => cache.once('ready', resolve));
    return { get: cache.get, set: cache.set, encode: asIs, decode: asIs };
  },

  ioredis: (url) => connectIoredis(url, {}),

  'ioredis autopipelining': (url) => connectIoredis(url, { enableAutoPipelining: true }),

  /** Pipelines the commands of one tick by itself. */
  async 'node-redis'(url) {
    const { createClient } = require('redis');
    const client = createClient({ url });
    client.on('error', (error) => {
      throw error;
    });
    await client.connect();
    const expiry = { expiration: { type: 'PX', value: TTL_MS } };
    return {
      get: (key) => client.get(key),
      set: (key, text) => client.set(key, text, expiry),
      encode: JSON.stringify,
      decode: JSON.parse,
    };
  },
};

async function connectIoredis(url, options) {
  const { Redis } = require('ioredis');
  const redis = new Redis(url, options);
  await new Promise((resolve, reject) => redis.once('ready', resolve).once('error', reject));
  return {
    get: (key) => redis.get(key),
    set: (key, text) => redis.set(key, text, 'PX', TTL_MS),
    encode: JSON.stringify,
    decode: JSON.parse,
  };
}

module.exports = { adapters };
