// What a cache says of itself: its counters, its statistics and its health.
'use strict';

const { histogramOf } = require('../base/durations.js');
const { variable } = require('../base/environment.js');
const { parse } = require('../base/host.js');
const { Task } = require('../base/ops.js');
const { inMemory } = require('../config.js');
const { Listeners } = require('./listeners.js');
const { opened } = require('./opening.js');

/** @typedef {import('../../../index').Counters} Counters */
/** @typedef {import('../../../index').Health} Health */
/** @typedef {import('../../../index').Stats} Stats */
/** @typedef {import('./opening').State} State */
/** @typedef {Pick<State, 'hot' | 'computer' | 'codec'>} Counting what counts in JavaScript */

// Seconds: those by which Rust counts batches (src/engine/fleet/server.rs).
const BATCH_BOUNDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

/**
 * What has a point in its name goes into the group in front of that.
 * @param {Record<string, number>} flat
 */
function grouped(flat) {
  /** @type {any} */
  const counts = {};
  for (const [path, count] of Object.entries(flat)) {
    const [group, name] = path.split('.');
    if (name === undefined) counts[group] = count;
    else {
      counts[group] ??= {};
      counts[group][name] = count;
    }
  }
  return counts;
}

/**
 * Adds what only JavaScript counts.
 * @param {{ hits: Stats['hits'], staleServed: number, decodeErrors: number }} counts
 * @param {Counting} state of an open cache
 */
function addOwn(counts, { hot, computer, codec }) {
  const { hits } = counts;
  hits.hot = hot?.hits ?? 0;
  hits.near += hits.hot;
  hits.total = hits.near + hits.redis + hits.memory;
  counts.staleServed = computer.staleServed;
  counts.decodeErrors += codec.unreadable;
}

/**
 * @param {State} state of an open cache
 * @returns {Counters}
 */
function countersOf(state) {
  const { outageMs, batchMicros, batches, ...flat } = parse(state.handle.counters());
  const counters = grouped(flat);
  addOwn(counters, state);
  const { misses } = counters;
  misses.total = misses.redis + misses.memory;
  counters.computeTimeouts = state.computer.timeouts;
  counters.computeSeconds = histogramOf(state.computer.durations);
  counters.batchSeconds = histogramOf({ bounds: BATCH_BOUNDS, counts: batches, sum: batchMicros / 1e6 });
  counters.outageSeconds = outageMs / 1000;
  return counters;
}

/**
 * @param {State} state of an open cache
 * @returns {Promise<Stats>}
 */
async function statsOf(state) {
  state.hot?.room.settle();
  const stats = await state.channel.run(Task.STATS, '');
  addOwn(stats, state);
  const { hits, misses } = stats;
  if (hits.total > 0) stats.hitRate = hits.total / (hits.total + misses);
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
    memory: { entries: 0, bytes: 0, maxBytes: 0 },
  };
}

/** @returns {Counters} of a cache that was closed before it was opened */
function countersOfNone() {
  const { state } = opened(inMemory, false, new Listeners());
  try {
    return countersOf(state);
  } finally {
    state.unlisten();
    state.handle.close();
  }
}

module.exports = { countersOf, countersOfNone, healthOf, healthSince, statsOf };
