// Owns the clients of adapters.js over a cluster, each set up as its own documentation recommends; one node is named,
// and each finds the others.
'use strict';

const { CLIENT_SIDE_CACHE, connectGlide, connectHoldfast, overIoredis, overNodeRedis } = require('./adapters');

/** As `adapters` of adapters.js. Nobody reads from replicas. */
const adapters = {
  // Without the near cache, as the peers have none: what is compared is the way to the servers and back.
  holdfast: (url) => connectHoldfast(url, { nearCache: false }),

  ioredis: (url) => connectIoredis(url, {}),

  /** A pipeline for each server and turn. */
  'ioredis autopipelining': (url) => connectIoredis(url, { enableAutoPipelining: true }),

  /** Pipelines the commands of one tick by itself, for each server. */
  'node-redis': (url) => connectNodeRedis(url, {}),

  'valkey-glide': (url) => connectGlide(require('@valkey/valkey-glide').GlideClusterClient, url),

  'holdfast, near cache': (url) => connectHoldfast(url),

  'node-redis, client-side cache': (url) => connectNodeRedis(url, { RESP: 3, clientSideCache: CLIENT_SIDE_CACHE }),
};

/** The packages of them all. */
const PACKAGES = ['holdfast', 'ioredis', 'redis', '@valkey/valkey-glide'];

function connectIoredis(url, options) {
  const { Cluster } = require('ioredis');
  const { hostname: host, port } = new URL(url);
  return overIoredis(new Cluster([{ host, port: Number(port) }], options));
}

function connectNodeRedis(url, options) {
  const { createCluster } = require('redis');
  return overNodeRedis(createCluster({ rootNodes: [{ url }], ...options }));
}

module.exports = { adapters, PACKAGES };
