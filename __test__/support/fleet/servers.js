// What sentinels and clusters have in common: servers that replicate each other, started, asked and stopped together.
'use strict';

const { RedisServer, keptPort } = require('../redis-server');
const { until } = require('../until');
const { ask } = require('./client');

/** Between two looks at a whole fleet: each costs a connection to every server. */
const LOOK_MS = 50;
/** A fleet on a busy machine needs seconds; this bounds a hang. */
const HANG_MS = 60_000;

/** Lines for a server that may become a replica, or a primary, at any time. */
function replicating({ password, tls }) {
  return [
    // Else a replica is kept waiting for 5 s, in case others come.
    'repl-diskless-sync-delay 0',
    'repl-ping-replica-period 1',
    ...(password === null ? [] : [`masterauth ${password}`]),
    ...(tls ? ['tls-replication yes'] : []),
  ];
}

/** A server of a fleet; `options` as for `startRedis`. Its port waits for it while it is away. */
function member(Class, options) {
  return new Class({ pickPort: keptPort, ...options });
}

/** Starts them all; where one does not start, none is left. */
async function startAll(servers) {
  const starts = await Promise.allSettled(servers.map((server) => server.start()));
  const failed = starts.find(({ status }) => status === 'rejected');
  if (failed === undefined) return;
  await stopAll(servers.filter((_, at) => starts[at].status === 'fulfilled'));
  throw failed.reason;
}

async function stopAll(servers) {
  await Promise.all(servers.map((server) => server.stop()));
}

/** Waits for what a fleet comes to by itself. */
function untilFleet(condition, what) {
  return until(condition, what, HANG_MS, LOOK_MS);
}

/** The replies of those servers that give one, as `[server, reply]`. */
async function answersOf(servers, ...args) {
  const asked = servers.map((server) => ask(server, ...args).then((reply) => [server, reply]));
  const answers = await Promise.allSettled(asked);
  return answers.flatMap(({ status, value }) => (status === 'fulfilled' ? [value] : []));
}

/** Whether this server says that it is linked to that primary and has its data. */
async function isLinked(replica, primary) {
  const [role, , port, state] = await ask(replica, 'ROLE').catch(() => []);
  return role === 'slave' && port === primary.port && state === 'connected';
}

module.exports = { RedisServer, replicating, member, startAll, stopAll, untilFleet, answersOf, isLinked };
