// What a cache says of itself: its statistics and its health.
'use strict';

const { variable } = require('../base/environment.js');
const { parse } = require('../base/host.js');
const { Task } = require('../base/ops.js');

/** @typedef {import('../../../index').Health} Health */
/** @typedef {import('../../../index').Stats} Stats */
/** @typedef {import('../bridge/channel').Channel} Channel */
/** @typedef {import('../value/codec').Codec} Codec */
/** @typedef {import('../once/compute').Computer} Computer */
/** @typedef {import('../hot/hot').Hot} Hot */

/**
 * @param {{ channel: Channel, codec: Codec, computer: Computer, hot: Hot | null }} state of an open cache
 * @returns {Promise<Stats>}
 */
async function statsOf({ channel, codec, computer, hot }) {
  hot?.room.settle();
  const stats = await channel.run(Task.STATS, '');
  // Counts that only JavaScript has.
  stats.staleServed += computer.staleServed;
  stats.decodeErrors += codec.unreadable;
  const { hits } = stats;
  hits.near += hot?.hits ?? 0;
  hits.total += hot?.hits ?? 0;
  if (hits.total > 0) stats.hitRate = hits.total / (hits.total + stats.misses);
  return stats;
}

/**
 * @param {{ handle: any, problem: Health['lastError'] }} state of an open cache
 * @returns {Health}
 */
function healthOf({ handle, problem }) {
  const health = parse(handle.health(variable('NODE_ENV') === 'production'));
  return problem === null ? health : { ...health, status: 'degraded', lastError: problem };
}

/**
 * @param {number} closedAt milliseconds since 1970
 * @returns {Health} of a closed cache
 */
function healthSince(closedAt) {
  return {
    status: 'degraded',
    mode: 'memory',
    since: closedAt,
    lastError: null,
    breaker: 'open',
    journal: 0,
    inFlight: 0,
  };
}

module.exports = { healthOf, healthSince, statsOf };
