// Owns one instance of a site in a process of its own: `next start`, under the load of the parent, which is told what
// it cost.
'use strict';

const { metered, serve } = require('../../lab/child');
const { until } = require('../../../__test__/support/until');

const NEXT = require.resolve('next/dist/bin/next');

serve(async ([folder, port]) => {
  const url = `http://127.0.0.1:${port}/`;
  // As a shell would start it, but with a channel to the parent.
  process.argv.splice(1, process.argv.length, NEXT, 'start', folder, '--hostname', '127.0.0.1', '--port', port);
  require(NEXT);
  const status = () => fetch(url).then((response) => response.status);
  // Nothing is at the root of the site, and an answer that says so is one.
  await until(async () => (await status().catch(() => 0)) === 404, 'the instance answers');
  return metered(url);
});
