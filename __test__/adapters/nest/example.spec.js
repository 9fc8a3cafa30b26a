// The example of Nest answers every request, also while Redis is away.
'use strict';

const { servesThroughOutage } = require('../support/example');

test('examples/nest serves through an outage', async () => {
  const check = (answers) => {
    for (const [, , text] of answers) expect(JSON.parse(text)).toHaveProperty('made');
  };
  await servesThroughOutage('nest', ['/products/7', '/products/8', '/report', '/sales'], { check });
});
