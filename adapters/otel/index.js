// holdfast/otel: the counters of caches as metrics of OpenTelemetry, and what they do as spans. The documentation is in
// index.d.ts.
'use strict';

const { Watched, invalid, memberOf } = require('../shared/telemetry/watched.js');
const { metricsOf } = require('./histograms.js');
const { SCOPE, instrumentsOf } = require('./instruments.js');
const { trace } = require('./spans.js');

/** @type {Map<object, { watched: Watched, end: () => void }>} by meter provider, as long as it has caches */
const exporters = new Map();

/** @param {any} provider */
function exporterOf(provider) {
  const known = exporters.get(provider);
  if (known !== undefined) return known;
  const watched = new Watched();
  const end = instrumentsOf(provider.getMeter(SCOPE.name, SCOPE.version), watched);
  const exporter = { watched, end };
  exporters.set(provider, exporter);
  return exporter;
}

/** @param {Record<string, any>} [options] */
function register(options = {}) {
  const member = memberOf(options, ['meterProvider']);
  // Only now: whoever names a provider need not have the API where this package finds it.
  const provider = options.meterProvider ?? require('@opentelemetry/api').metrics.getMeterProvider();
  if (typeof provider?.getMeter !== 'function') throw invalid('meterProvider must be a MeterProvider of OpenTelemetry');
  const { watched, end } = exporterOf(provider);
  watched.add(member);
  return {
    unregister() {
      watched.remove(member);
      if (!watched.isEmpty || exporters.get(provider)?.watched !== watched) return;
      exporters.delete(provider);
      end();
    },
  };
}

/**
 * For `metricProducers` of a reader. A reader is made before its provider, and caches are registered behind that, so
 * this one tells of all that are registered.
 */
const metricProducer = {
  async collect() {
    const looks = [...exporters.values()].map(({ watched }) => watched.look());
    const metrics = metricsOf(looks);
    // The SDK puts its own resource in the place of this one.
    const resource = { attributes: {}, merge: () => resource };
    const scopeMetrics = metrics.length === 0 ? [] : [{ scope: SCOPE, metrics }];
    return { resourceMetrics: { resource, scopeMetrics }, errors: [] };
  },
};

module.exports = { metricProducer, register, trace };
