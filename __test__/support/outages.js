// A Redis that a test takes away and gives back: a server behind a proxy, anew for each test.
'use strict';

const { closeCaches, openWatched } = require('./holdfast');
const { startProxy } = require('./network/fault-proxy');
const { startRedis } = require('./redis-server');
const { until, untilMode } = require('./until');

/** For the tests of a file. `at`: the server and the proxy of the test that runs. */
function outages() {
  const at = { server: null, proxy: null };
  beforeEach(async () => {
    at.server = await startRedis();
    at.proxy = await startProxy(at.server);
  });
  afterEach(async () => {
    await closeCaches();
    await at.proxy.stop();
    await at.server.stop();
  });

  /** A cache that reaches Redis through the proxy, and what it told. */
  const connected = (options) => openWatched({ url: at.proxy.url(), namespace: 'n', timeoutMs: 250, ...options });

  /** Takes Redis away; waits until a cache has noticed. */
  async function away(cache) {
    at.proxy.refuse();
    at.proxy.reset();
    await untilMode(cache, 'memory');
  }

  /** Gives Redis back; waits until one that was connected has it. */
  async function back({ told }) {
    await at.proxy.accept();
    await until(() => told.count('recovered') === 1, 'recovered');
  }

  return { at, connected, away, back };
}

module.exports = { outages };
