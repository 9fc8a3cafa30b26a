// Starts the metrics and the spans of OpenTelemetry, in front of all else. They go to the console here: exporters of
// OTLP take its place, as that of `@opentelemetry/exporter-metrics-otlp-http`; or NodeSDK, which starts all of it, with
// `metricReaders: [reader]`.
'use strict';

const { context, metrics, trace: tracers } = require('@opentelemetry/api');
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks');
const { ConsoleMetricExporter, MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const { BasicTracerProvider, BatchSpanProcessor, ConsoleSpanExporter } = require('@opentelemetry/sdk-trace-base');
const { metricProducer, register, trace } = require('holdfast/otel');

const reader = new PeriodicExportingMetricReader({
  exporter: new ConsoleMetricExporter(),
  exportIntervalMillis: 5_000,
  exportTimeoutMillis: 5_000,
  metricProducers: [metricProducer], // the histograms
});
metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
register({ name: 'shop' });

context.setGlobalContextManager(new AsyncLocalStorageContextManager());
const processor = new BatchSpanProcessor(new ConsoleSpanExporter());
tracers.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [processor] }));
trace();
