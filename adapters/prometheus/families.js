// The metrics: what each is called, what it says, and how it is read from the counters of a cache.
//
// prom-client has no way to set a counter or a histogram to what was counted elsewhere. So each family here is what a
// registry asks of a metric (a name, and `get()`), and gives the numbers of a cache as they are when it is asked.
'use strict';

const { version } = require('../../package.json');
const { modesOf, requestsOf } = require('../shared/telemetry/watched.js');

/** @typedef {import('../../index').Histogram} Histogram */
/**
 * `of` gives a number, a list of [labels, number], or a histogram of the contract.
 * @typedef {object} Kind
 * @property {string} name behind the prefix
 * @property {string} help
 * @property {'counter' | 'gauge' | 'histogram'} type
 * @property {'caches' | 'connections'} scope whose numbers these are
 * @property {(counters: any, health: any) => number | Array<[object, number]> | Histogram} of
 */

/** @type {(scope: Kind['scope']) => (name: string, help: string, of: Kind['of'], type?: Kind['type']) => Kind} */
const kindsOf =
  (scope) =>
  (name, help, of, type = 'counter') => ({ name, help, type, scope, of });
const cache = kindsOf('caches');
const connection = kindsOf('connections');

/** @type {Kind[]} */
const KINDS = [
  cache('requests_total', 'Reads, by the tier that answered, and whether it had a value', (counters) =>
    requestsOf(counters).map(([tier, result, count]) => [{ tier, result }, count]),
  ),
  cache('sets_total', 'Values stored', ({ sets }) => sets),
  cache('deletes_total', 'Keys removed, or named to be', ({ deletes }) => deletes),
  cache('computes_total', 'Functions run by getOrCompute, once a key', ({ computes }) => computes),
  cache('coalesced_total', 'Callers that shared a computation of this process', ({ coalesced }) => coalesced),
  cache('stale_served_total', 'Values served after their TTL, by swr or grace', ({ staleServed }) => staleServed),
  cache('compute_timeouts_total', 'Callers whose hardTimeout passed', ({ computeTimeouts }) => computeTimeouts),
  cache('lease_waits_total', 'Keys that another process computed meanwhile', ({ leaseWaits }) => leaseWaits),
  cache('lease_takeovers_total', 'Those of lease waits that brought no value', ({ leaseTakeovers }) => leaseTakeovers),
  cache(
    'decode_errors_total',
    "Reads of bytes that are no value of the cache's codec",
    (counters) => counters.decodeErrors,
  ),
  cache(
    'compute_duration_seconds',
    'How long functions of getOrCompute ran',
    ({ computeSeconds }) => computeSeconds,
    'histogram',
  ),
  cache(
    'mode',
    'Who answers calls: 1 for the mode that is',
    (_, health) => modesOf(health).map(([mode, is]) => [{ mode }, is]),
    'gauge',
  ),
  cache('degraded', '1 while health() says degraded', (_, { status }) => Number(status === 'degraded'), 'gauge'),

  connection('errors_total', 'Failures of Redis, by kind', ({ errors }) =>
    Object.entries(errors).map(([kind, count]) => [{ kind }, count]),
  ),
  connection('outages_total', 'Outages, each server its own', ({ outages }) => outages),
  connection(
    'outage_seconds_total',
    'Seconds of outages, one that goes on until now',
    (counters) => counters.outageSeconds,
  ),
  connection('reconnects_total', 'Connections made after the first', ({ reconnects }) => reconnects),
  connection(
    'batch_duration_seconds',
    'How long Redis took to answer the calls of a turn',
    (counters) => counters.batchSeconds,
    'histogram',
  ),
  connection('sent_bytes_total', 'Bytes to Redis, before TLS', ({ bytesSent }) => bytesSent),
  connection('received_bytes_total', 'Bytes from Redis, before TLS', ({ bytesReceived }) => bytesReceived),
  connection('in_flight_calls', 'Calls that were not answered yet', (_, { inFlight }) => inFlight, 'gauge'),
  connection('memory_entries', 'Entries held in the process', (_, { memory }) => memory.entries, 'gauge'),
  connection('memory_bytes', 'Bytes held in the process', (_, { memory }) => memory.bytes, 'gauge'),
  connection('memory_max_bytes', 'The bound of these bytes', (_, { memory }) => memory.maxBytes, 'gauge'),
  connection('evictions_total', 'Entries pushed out of the process by its memory bound', ({ evictions }) => evictions),
  connection('expired_total', 'Entries in the process dropped after their TTL', ({ expired }) => expired),
  connection('invalidated_keys_total', 'Keys that Redis told had changed', ({ invalidations }) => invalidations.keys),
  connection(
    'invalidation_pushes_total',
    'Messages of Redis that named keys',
    ({ invalidations }) => invalidations.pushes,
  ),
  connection(
    'invalidation_flushes_total',
    'Messages of Redis that meant all keys',
    (counters) => counters.invalidations.flushes,
  ),
  connection('journal_entries', 'Keys and patterns still to be removed in Redis', (_, { journal }) => journal, 'gauge'),
  connection('journal_overflows_total', 'How often the journal was full', ({ journalOverflows }) => journalOverflows),
];

/**
 * A histogram of the contract is one of Prometheus, whose buckets hold those before them as well.
 * @param {string} name
 * @param {object} labels
 * @param {Histogram} histogram
 */
function seriesOf(name, labels, { bounds, buckets, count, sum }) {
  const bucket = (le, value) => ({ metricName: `${name}_bucket`, labels: { le, ...labels }, value });
  return [
    ...bounds.map((bound, at) => bucket(bound, buckets[at])),
    bucket('+Inf', count),
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}

/**
 * The values of a family for one cache or connection.
 * @param {string} name
 * @param {object} labels
 * @param {ReturnType<Kind['of']>} read
 */
function valuesOf(name, labels, read) {
  if (typeof read === 'number') return [{ labels, value: read }];
  if (Array.isArray(read)) return read.map(([own, value]) => ({ labels: { ...labels, ...own }, value }));
  return seriesOf(name, labels, read);
}

/** A metric, as a registry of prom-client knows it. */
class Family {
  #values;

  /**
   * @param {{ name: string, help: string, type: Kind['type'] }} about
   * @param {(name: string) => object[]} values
   * @param {string} [aggregator] how a cluster's primary makes one value of those of its workers
   */
  constructor({ name, help, type }, values, aggregator = 'sum') {
    // For OpenMetrics the registry takes the ending `_total` off the name, here, and puts it behind the values.
    this.name = name;
    this.help = help;
    this.type = type;
    this.aggregator = aggregator;
    this.#values = values;
  }

  get() {
    const { name, help, type, aggregator } = this;
    return { name, help, type, aggregator, values: this.#values(name) };
  }

  /** `resetMetrics()` of the registry: what a cache counts never goes down. */
  reset() {}
}

/**
 * All metrics of one exporter.
 * @param {string} prefix
 * @param {import('../shared/telemetry/watched').Watched} watched
 */
function familiesOf(prefix, watched) {
  const label = { caches: 'cache', connections: 'connection' };
  const families = KINDS.map(
    ({ name, help, type, scope, of }) =>
      new Family({ name: prefix + name, help, type }, (full) =>
        watched
          .look()
          [scope].flatMap((seen) => valuesOf(full, { [label[scope]]: seen.name }, of(seen.counters, seen.health))),
      ),
  );
  const info = { name: `${prefix}info`, help: 'The version of the package', type: 'gauge' };
  families.push(new Family(info, () => [{ labels: { version }, value: 1 }], 'first'));
  return families;
}

module.exports = { familiesOf };
