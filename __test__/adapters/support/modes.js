// The two ways in which each adapter is tested: in memory, and over a real Redis, each cache in the mode it names.
'use strict';

const { startRedis } = require('../../support/redis-server');
const { until } = require('../../support/until');
const { silent } = require('../../support/holdfast');

/** Describes the tests once in memory mode and once over a Redis; `tests` is given `options()` of createCache. */
function describeModes(name, tests) {
  describe(`${name}, in memory mode`, () => tests({ options: () => ({ url: '', logger: silent() }), isShared: false }));
  describe(`${name}, over Redis`, () => {
    const place = { server: null };
    beforeAll(async () => {
      place.server = await startRedis();
    });
    afterAll(() => place.server.stop());
    // The deadline is a busy machine's; tests of outages give their own.
    const options = () => ({ url: place.server.url(), timeoutMs: 5_000, logger: silent() });
    tests({ options, isShared: true, place });
  });
}

/** Resolves once a cache is connected: what a test says of Redis must not have been answered by memory. */
const connected = (cache) => until(() => cache.getMode() === 'redis', 'the cache is connected');

module.exports = { describeModes, connected };
