// Providers and readers of OpenTelemetry take the metrics, and providers of tracers the spans.

import { metrics, trace as tracers } from '@opentelemetry/api';
import { ConsoleMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { createCache } from 'holdfast';
import { metricProducer, type OtelRegistration, register, type Tracing, trace } from 'holdfast/otel';

const reader = new PeriodicExportingMetricReader({
  exporter: new ConsoleMetricExporter(),
  metricProducers: [metricProducer],
});
const meterProvider = new MeterProvider({ readers: [reader] });

register();
register({ meterProvider: metrics.getMeterProvider() });
const registration: OtelRegistration = register({
  cache: createCache({ namespace: 'users' }),
  name: 'users',
  connection: 'main',
  meterProvider,
});
registration.unregister();
// @ts-expect-error no such option
register({ prefix: 'app' });
// @ts-expect-error no provider
register({ meterProvider: {} });

const tracing: Tracing = trace({ tracerProvider: new BasicTracerProvider(), operations: true, keys: false });
tracing.stop();
trace();
trace({ tracerProvider: tracers.getTracerProvider() });
// @ts-expect-error no such option
trace({ batches: true });
// @ts-expect-error no provider of tracers
trace({ tracerProvider: meterProvider });
