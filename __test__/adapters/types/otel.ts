// Providers and readers of OpenTelemetry take the metrics.

import { metrics } from '@opentelemetry/api';
import { ConsoleMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { createCache } from 'holdfast';
import { metricProducer, type OtelRegistration, register } from 'holdfast/otel';

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
