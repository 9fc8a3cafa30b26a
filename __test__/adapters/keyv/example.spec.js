// The example of Keyv 5 answers every request, also while Redis is away.
'use strict';

const { servesThroughOutage } = require('../support/example');

test('examples/keyv serves through an outage', async () => {
  await servesThroughOutage('keyv', ['/user/7', '/user/8', '/report']);
});
