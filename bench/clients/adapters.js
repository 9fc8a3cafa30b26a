// Owns the clients side by side, each set up as its own documentation recommends and asked for the same three commands.
// Both ioredis and node-redis speak RESP3 by default since their version 6; with RESP2 node-redis was slower, and
// ioredis within the noise.
'use strict';

/** What holdfast's `set` applies by default; the peers send the same expiry so that the server does the same work. */
const TTL_MS = 300_000;
/** A busy machine is no outage: nobody may be fast by giving up. */
const TIMEOUT_MS = 5000;
/** Without bounds: no peer's cache is to be too small. */
const CLIENT_SIDE_CACHE = { ttl: 0, maxEntries: 0, evictPolicy: 'LRU' };
const asIs = (value) => value;
/**
 * The `io` of each of our arms that read by way of Redis: undefined is what the package does by itself, or
 * `HOLDFAST_IO` says.
 */
const DRIVERS = { holdfast: undefined, 'holdfast, loop': 'loop', 'holdfast, thread': 'thread' };

/**
 * Every adapter connects to `url` and resolves to `{ get, set, getMany, encode, decode }`. All load their package when
 * asked, so that a process holds one client and nothing of the others.
 */
const adapters = {
  // Without the near cache: what is compared here is the way to Redis and back.
  ...Object.fromEntries(
    Object.entries(DRIVERS).map(([name, io]) => [name, (url) => connectHoldfast(url, { nearCache: false, io })]),
  ),

  ioredis: (url) => connectIoredis(require('ioredis').Redis, url, {}),

  'ioredis autopipelining': (url) => connectIoredis(require('ioredis').Redis, url, { enableAutoPipelining: true }),

  iovalkey: (url) => connectIoredis(require('iovalkey').Redis, url, {}),

  'iovalkey autopipelining': (url) => connectIoredis(require('iovalkey').Redis, url, { enableAutoPipelining: true }),

  /** Pipelines the commands of one tick by itself. */
  'node-redis': (url) => connectNodeRedis(url, {}),

  'valkey-glide': (url) => connectGlide(require('@valkey/valkey-glide').GlideClient, url),

  'holdfast, near cache': (url) => connectHoldfast(url, {}),

  'node-redis, client-side cache': (url) => connectNodeRedis(url, { RESP: 3, clientSideCache: CLIENT_SIDE_CACHE }),
};

/** Those that answer hot reads from the process, coherent by client tracking. */
const KEEPING = ['holdfast, near cache', 'node-redis, client-side cache'];
/** Those that ask Redis at each call. */
const ASKING = Object.keys(adapters).filter((name) => !KEEPING.includes(name));
/** The same with one of our arms: what to measure where the driver matters little. */
const ASKING_ONCE = ASKING.filter((name) => name === 'holdfast' || !Object.hasOwn(DRIVERS, name));
/** The packages of them all. */
const PACKAGES = ['holdfast', 'ioredis', 'redis', 'iovalkey', '@valkey/valkey-glide'];

/** A cache of ours that is connected; its keys are raw, where the options name no namespace. */
async function openHoldfast(url, options) {
  const { createCache } = require('holdfast');
  const cache = createCache({ url, namespace: '', timeoutMs: TIMEOUT_MS, ...options });
  if (cache.getMode() !== 'redis') await new Promise((resolve) => cache.once('ready', resolve));
  return cache;
}

async function connectHoldfast(url, options) {
  const cache = await openHoldfast(url, options);
  return { get: cache.get, set: cache.set, getMany: cache.getMany, encode: asIs, decode: asIs };
}

function connectIoredis(Redis, url, options) {
  return overIoredis(new Redis(url, options));
}

/** The commands of a client of ioredis, once it is connected: of its Redis and of its Cluster alike. */
async function overIoredis(redis) {
  await new Promise((resolve, reject) => redis.once('ready', resolve).once('error', reject));
  return {
    get: (key) => redis.get(key),
    set: (key, text) => redis.set(key, text, 'PX', TTL_MS),
    getMany: (keys) => redis.mget(keys),
    encode: JSON.stringify,
    decode: JSON.parse,
  };
}

function connectNodeRedis(url, options) {
  const { createClient } = require('redis');
  return overNodeRedis(createClient({ url, ...options }));
}

/** The same of node-redis. */
async function overNodeRedis(client) {
  client.on('error', (error) => {
    throw error;
  });
  await client.connect();
  const expiry = { expiration: { type: 'PX', value: TTL_MS } };
  return {
    get: (key) => client.get(key),
    set: (key, text) => client.set(key, text, expiry),
    getMany: (keys) => client.mGet(keys),
    encode: JSON.stringify,
    decode: JSON.parse,
  };
}

/** `Client`: of valkey-glide, that for one server or that for a cluster. */
async function connectGlide(Client, url) {
  const { TimeUnit } = require('@valkey/valkey-glide');
  const { hostname, port } = new URL(url);
  const client = await Client.createClient({
    addresses: [{ host: hostname, port: Number(port) }],
    requestTimeout: TIMEOUT_MS,
  });
  const expiry = { expiry: { type: TimeUnit.Milliseconds, count: TTL_MS } };
  return {
    get: (key) => client.get(key),
    set: (key, text) => client.set(key, text, expiry),
    getMany: (keys) => client.mget(keys),
    encode: JSON.stringify,
    decode: JSON.parse,
  };
}

module.exports = {
  adapters,
  openHoldfast,
  connectHoldfast,
  overIoredis,
  overNodeRedis,
  connectGlide,
  CLIENT_SIDE_CACHE,
  DRIVERS,
  KEEPING,
  ASKING,
  ASKING_ONCE,
  PACKAGES,
};
