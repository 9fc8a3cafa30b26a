// Registries of prom-client take the metrics.

import { createCache } from 'holdfast';
import { type PrometheusRegistration, register } from 'holdfast/prometheus';
import { type OpenMetricsContentType, Registry } from 'prom-client';

interface Schema {
  [user: `user:${number}`]: { name: string };
}

register();
const registration: PrometheusRegistration = register({
  cache: createCache<Schema>({ namespace: 'users' }),
  name: 'users',
  connection: 'main',
  prefix: 'app_',
  registry: new Registry(),
});
registration.unregister();
register({ registry: new Registry<OpenMetricsContentType>() });
// @ts-expect-error no such option
register({ labels: {} });
// @ts-expect-error no option: memory is always told
register({ memory: true });
// @ts-expect-error no registry
register({ registry: {} });
