// The example of response caching answers every request, also while Redis is away.
'use strict';

const { servesThroughOutage } = require('../support/example');

test('examples/http serves through an outage', async () => {
  await servesThroughOutage('http', ['/products', '/products/7', '/products/8']);
});
