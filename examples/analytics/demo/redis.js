// Owns the Redis of the demo: that of REDIS_URL, one of its own, a cluster or a primary with sentinels of its own, or
// none.
'use strict';

const { spawnSync } = require('node:child_process');
const { startCluster } = require('../../../__test__/support/fleet/cluster');
const { startSentinels } = require('../../../__test__/support/fleet/sentinels');
const { startRedis } = require('../../../__test__/support/redis-server');
const { UsageError } = require('./options');

const SERVER_CONFIG = ['maxmemory 64mb', 'maxmemory-policy allkeys-lru'];
/** What nobody started need not be stopped. */
const NOTHING = async () => {};

/**
 * What the instances share. `wanted`: `cluster`, `sentinel`, or null for one server. Resolves to `origin`, its name in
 * the figures; `description`; `env` of the instances; `server`, which may be stopped; `fleet`, a primary of which may
 * be killed; and `stop()`.
 */
async function findRedis(wanted) {
  const { REDIS_URL } = process.env;
  if (REDIS_URL) {
    const description = 'Redis: the one of REDIS_URL';
    return { origin: 'REDIS_URL', description, env: { REDIS_URL }, server: null, fleet: null, stop: NOTHING };
  }
  const { stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' });
  if (!stdout) {
    if (wanted) throw new UsageError(`--${wanted} needs a redis-server, and there is none here`);
    const description = 'Redis: none, since there is no redis-server here and REDIS_URL is not set. Memory mode.';
    return { origin: null, description, env: { REDIS_URL: '' }, server: null, fleet: null, stop: NOTHING };
  }
  const version = /v=([\d.]+)/.exec(stdout)?.[1] ?? 'of unknown version';
  const start = { cluster: ownCluster, sentinel: ownSentinels }[wanted] ?? ownServer;
  return start(`Redis: ${version}, our own`);
}

async function ownServer(own) {
  const server = await startRedis({ config: SERVER_CONFIG });
  const description = `${own}, on port ${server.port}`;
  const env = { REDIS_URL: server.url() };
  return { origin: 'own', description, env, server, fleet: null, stop: () => server.stop() };
}

/** The primary that is killed is the one whose address the instances have been given. */
async function ownCluster(own) {
  const cluster = await startCluster({ config: SERVER_CONFIG });
  const servers = cluster.nodes.map((node, i) => described(node, i < 3 ? 'primary' : 'replica'));
  return {
    origin: 'cluster',
    description: `${own}, a cluster of three primaries (ports ${portsOf(servers, 'primary')}) and three replicas (${portsOf(servers, 'replica')})`,
    env: { REDIS_URL: cluster.url() },
    server: null,
    fleet: { servers, killPrimary: () => kill(cluster, cluster.nodes[0]) },
    stop: () => cluster.stop(),
  };
}

async function ownSentinels(own) {
  const fleet = await startSentinels({ config: SERVER_CONFIG });
  const servers = [
    ...fleet.servers.map((server, i) => described(server, i === 0 ? 'primary' : 'replica')),
    ...fleet.sentinels.map((sentinel) => described(sentinel, 'sentinel')),
  ];
  const addresses = fleet.sentinels.map(({ host, port }) => `${host}:${port}`);
  return {
    origin: 'sentinel',
    description: `${own}, a primary (port ${portsOf(servers, 'primary')}), a replica (${portsOf(servers, 'replica')}) and three sentinels (${portsOf(servers, 'sentinel')})`,
    env: { REDIS_URL: `redis+sentinel://${addresses.join(',')}/${fleet.name}` },
    server: null,
    fleet: { servers, killPrimary: () => kill(fleet, fleet.servers[0]) },
    stop: () => fleet.stop(),
  };
}

/** Kills a primary. Resolves, once it is gone, to its `port` and `promoted`, a promise of its heir's port and when. */
async function kill(fleet, primary) {
  await primary.kill('SIGKILL');
  const promoted = fleet.primaryAfter(primary).then(({ port }) => ({ port, at: Date.now() }));
  return { port: primary.port, promoted };
}

function described({ port, pid }, role) {
  return { role, port, pid };
}

function portsOf(servers, role) {
  return servers
    .filter((server) => server.role === role)
    .map(({ port }) => port)
    .join(', ');
}

module.exports = { findRedis };
