// The histograms, which no instrument of OpenTelemetry can be given: one observes values, and these are counts of many.
//
// What was counted elsewhere goes to a reader of the SDK by a MetricProducer, which its specification has for that. It
// costs the calls of a cache nothing. Rejected: an event for each batch, to feed an instrument, which would cost every
// batch, in every process, whether or not somebody looks.
'use strict';

const { ATTRIBUTE } = require('./instruments.js');

/** As the SDK names these: DataPointType.HISTOGRAM, AggregationTemporality.CUMULATIVE, ValueType.DOUBLE. */
const HISTOGRAM = 0;
const CUMULATIVE = 1;
const DOUBLE = 1;

/**
 * @typedef {object} Kind
 * @property {string} name
 * @property {string} description
 * @property {'caches' | 'connections'} scope
 * @property {object} attributes beside the name of the cache or connection
 * @property {(counters: any) => import('../../index').Histogram} of
 */

/** @type {Kind[]} */
const KINDS = [
  {
    name: 'holdfast.cache.compute.duration',
    description: 'How long functions of getOrCompute ran',
    scope: 'caches',
    attributes: {},
    of: ({ computeSeconds }) => computeSeconds,
  },
  {
    // Of the semantic conventions for clients of databases, by which a batch is one operation.
    name: 'db.client.operation.duration',
    description: 'How long Redis took to answer the calls of a turn, which are one pipeline',
    scope: 'connections',
    attributes: { 'db.system.name': 'redis', 'db.operation.name': 'PIPELINE' },
    of: ({ batchSeconds }) => batchSeconds,
  },
];

/** Milliseconds since 1970 as OpenTelemetry has them: seconds and nanoseconds. */
function timeOf(ms) {
  const seconds = Math.trunc(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}

/** OpenTelemetry wants each bucket without those before it, and one more for what lies beyond all bounds. */
function pointOf({ bounds, buckets, count, sum }) {
  const counts = [...buckets, count].map((upTo, at) => upTo - (at === 0 ? 0 : buckets[at - 1]));
  return { buckets: { boundaries: bounds, counts }, count, sum };
}

/**
 * One metric for each kind of histogram.
 * @param {Array<{ caches: any[], connections: any[] }>} looks
 */
function metricsOf(looks) {
  // The counts begin with the caches, which are no older than the process.
  const [startTime, endTime] = [performance.timeOrigin, Date.now()].map(timeOf);
  return KINDS.map(({ name, description, scope, attributes, of }) => ({
    descriptor: { name, description, unit: 's', type: 'HISTOGRAM', valueType: DOUBLE, advice: {} },
    aggregationTemporality: CUMULATIVE,
    dataPointType: HISTOGRAM,
    dataPoints: looks.flatMap((look) =>
      look[scope].map((seen) => ({
        startTime,
        endTime,
        attributes: { ...attributes, [ATTRIBUTE[scope]]: seen.name },
        value: pointOf(of(seen.counters)),
      })),
    ),
  })).filter(({ dataPoints }) => dataPoints.length > 0);
}

module.exports = { metricsOf };
