// The instruments: what each is called, in which unit, and how it is read from the counters of a cache.
//
// All are observed, so nothing is added to the calls of a cache. Names follow the conventions of OpenTelemetry: dots,
// the unit apart from the name, no plurals for what goes up and down.
'use strict';

const { version } = require('../../package.json');
const { modesOf, requestsOf } = require('../shared/telemetry/watched.js');

/**
 * `of` gives a number, or a list of [attributes, number].
 * @typedef {object} Kind
 * @property {string} name
 * @property {string} unit
 * @property {string} description
 * @property {'createObservableCounter' | 'createObservableUpDownCounter'} make
 * @property {'caches' | 'connections'} scope whose numbers these are
 * @property {(counters: any, health: any) => number | Array<[object, number]>} of
 */

/**
 * @type {(scope: Kind['scope'], make: Kind['make']) => (name: string, unit: string, description: string, of:
 * Kind['of']) => Kind}
 */
const kindsOf = (scope, make) => (name, unit, description, of) => ({
  name: `holdfast.${name}`,
  unit,
  description,
  make,
  scope,
  of,
});
const cache = kindsOf('caches', 'createObservableCounter');
const cacheNow = kindsOf('caches', 'createObservableUpDownCounter');
const connection = kindsOf('connections', 'createObservableCounter');
const connectionNow = kindsOf('connections', 'createObservableUpDownCounter');

/** @type {Kind[]} */
const KINDS = [
  cache('cache.requests', '{request}', 'Reads, by the tier that answered, and whether it had a value', (counters) =>
    requestsOf(counters).map(([tier, result, count]) => [{ 'cache.tier': tier, 'cache.result': result }, count]),
  ),
  cache('cache.sets', '{entry}', 'Values stored', ({ sets }) => sets),
  cache('cache.deletes', '{key}', 'Keys removed, or named to be', ({ deletes }) => deletes),
  cache('cache.computes', '{computation}', 'Functions run by getOrCompute, once a key', ({ computes }) => computes),
  cache('cache.compute.time', 's', 'How long these ran, all together', ({ computeSeconds }) => computeSeconds.sum),
  cache(
    'cache.compute.timeouts',
    '{request}',
    'Callers whose hardTimeout passed',
    (counters) => counters.computeTimeouts,
  ),
  cache(
    'cache.coalesced',
    '{request}',
    'Callers that shared a computation of this process',
    ({ coalesced }) => coalesced,
  ),
  cache('cache.stale', '{request}', 'Values served after their TTL, by swr or grace', ({ staleServed }) => staleServed),
  cache('cache.lease.waits', '{key}', 'Keys that another process computed meanwhile', ({ leaseWaits }) => leaseWaits),
  cache(
    'cache.lease.takeovers',
    '{key}',
    'Those of lease waits that brought no value',
    (counters) => counters.leaseTakeovers,
  ),
  cache(
    'cache.decode_errors',
    '{error}',
    "Reads of bytes that are no value of the cache's codec",
    (counters) => counters.decodeErrors,
  ),
  cacheNow('cache.mode', '{cache}', 'Who answers calls: 1 for the mode that is', (_, health) =>
    modesOf(health).map(([mode, is]) => [{ 'cache.mode': mode }, is]),
  ),
  cacheNow('cache.degraded', '{cache}', '1 while health() says degraded', (_, { status }) =>
    Number(status === 'degraded'),
  ),

  connection('errors', '{error}', 'Failures of Redis', ({ errors }) =>
    Object.entries(errors).map(([kind, count]) => [{ 'error.type': kind }, count]),
  ),
  connection('outages', '{outage}', 'Outages, each server its own', ({ outages }) => outages),
  connection(
    'outage.duration',
    's',
    'Seconds of outages, one that goes on until now',
    ({ outageSeconds }) => outageSeconds,
  ),
  connection('reconnects', '{connection}', 'Connections made after the first', ({ reconnects }) => reconnects),
  connection(
    'batches',
    '{batch}',
    'Batches that Redis answered: the calls of a turn',
    ({ batchSeconds }) => batchSeconds.count,
  ),
  connection('batch.time', 's', 'How long Redis took for these, all together', ({ batchSeconds }) => batchSeconds.sum),
  connection('network.io', 'By', 'Bytes to and from Redis, before TLS', ({ bytesSent, bytesReceived }) => [
    [{ 'network.io.direction': 'transmit' }, bytesSent],
    [{ 'network.io.direction': 'receive' }, bytesReceived],
  ]),
  connectionNow('in_flight', '{call}', 'Calls that were not answered yet', (_, { inFlight }) => inFlight),
  connectionNow('cache.entry.count', '{entry}', 'Entries held in the process', (_, { memory }) => memory.entries),
  connectionNow('cache.size', 'By', 'Bytes held in the process', (_, { memory }) => memory.bytes),
  connectionNow('cache.limit', 'By', 'The bound of these bytes', (_, { memory }) => memory.maxBytes),
  connection(
    'cache.evictions',
    '{entry}',
    'Entries pushed out of the process by its memory bound',
    ({ evictions }) => evictions,
  ),
  connection(
    'cache.expirations',
    '{entry}',
    'Entries in the process dropped after their TTL',
    ({ expired }) => expired,
  ),
  connection(
    'cache.invalidations',
    '{key}',
    'Keys that Redis told had changed',
    ({ invalidations }) => invalidations.keys,
  ),
  connection(
    'cache.invalidation.pushes',
    '{message}',
    'Messages of Redis that named keys',
    ({ invalidations }) => invalidations.pushes,
  ),
  connection(
    'cache.invalidation.flushes',
    '{message}',
    'Messages of Redis that meant all keys',
    ({ invalidations }) => invalidations.flushes,
  ),
  connectionNow('journal.size', '{key}', 'Keys and patterns still to be removed in Redis', (_, { journal }) => journal),
  connection(
    'journal.overflows',
    '{overflow}',
    'How often the journal was full',
    ({ journalOverflows }) => journalOverflows,
  ),
];

/** The scope of all that comes from here. */
const SCOPE = { name: 'holdfast', version };

/** The attribute that tells caches apart, and the one that tells connections apart. */
const ATTRIBUTE = { caches: 'cache.name', connections: 'holdfast.connection' };

/**
 * Makes the instruments of a meter; gives what observes them all in one go.
 * @param {any} meter
 * @param {import('../shared/telemetry/watched').Watched} watched
 */
function instrumentsOf(meter, watched) {
  const made = KINDS.map((kind) => {
    const { name, unit, description, make } = kind;
    return { kind, instrument: meter[make](name, { unit, description }) };
  });
  const observe = (result) => {
    const look = watched.look();
    for (const { kind, instrument } of made) {
      for (const { name, counters, health } of look[kind.scope]) {
        const own = { [ATTRIBUTE[kind.scope]]: name };
        const read = kind.of(counters, health);
        const points = typeof read === 'number' ? [[{}, read]] : read;
        for (const [attributes, value] of points) result.observe(instrument, value, { ...own, ...attributes });
      }
    }
  };
  const instruments = made.map(({ instrument }) => instrument);
  meter.addBatchObservableCallback(observe, instruments);
  return () => meter.removeBatchObservableCallback(observe, instruments);
}

module.exports = { ATTRIBUTE, SCOPE, instrumentsOf };
