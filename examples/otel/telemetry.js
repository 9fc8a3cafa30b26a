// Starts the metrics of OpenTelemetry, in front of all else. They go to the console here: an exporter of OTLP takes its
// place, as that of `@opentelemetry/exporter-metrics-otlp-http`, or NodeSDK with `metricReaders: [reader]`.
'use strict';

const { metrics } = require('@opentelemetry/api');
const { ConsoleMetricExporter, MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const { metricProducer, register } = require('holdfast/otel');

const reader = new PeriodicExportingMetricReader({
  exporter: new ConsoleMetricExporter(),
  exportIntervalMillis: 5_000,
  exportTimeoutMillis: 5_000,
  metricProducers: [metricProducer], // the histograms
});
metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
register({ name: 'shop' });
