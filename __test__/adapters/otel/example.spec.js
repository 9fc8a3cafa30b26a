// The example of OpenTelemetry answers every request, also while Redis is away, and exports what its cache does.
'use strict';

const { until } = require('../../support/until');
const { servesThroughOutage } = require('../support/example');

test('examples/otel serves through an outage, and exports its metrics and spans', async () => {
  const told = new Set();
  const check = async (_answers, mode, redis, output) => {
    const before = output().length;
    const exported = () => output().slice(before);
    // An export that began before has what was asked for before.
    for (const name of ['holdfast.cache.requests', 'db.client.operation.duration', 'holdfast.outage.duration']) {
      await until(() => exported().includes(`'${name}'`), `${name} is exported`);
    }
    for (const name of ['compute', 'PIPELINE']) {
      await until(() => output().includes(`name: '${name}'`), `a span ${name} is exported`);
    }
    expect(output()).not.toContain(`:${redis.port}`);
    told.add(mode);
  };
  await servesThroughOutage('otel', ['/products/7', '/products/8'], { check });
  expect([...told]).toEqual(['redis', 'unknown', 'memory']);
});
