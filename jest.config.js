// How Jest runs the JavaScript tests: plain Node, every `*.spec.js` under `__test__/`.
'use strict';

module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/__test__'],
  testMatch: ['**/*.spec.js'],
  // A bound against hangs, not an expectation: no test measures time.
  testTimeout: 120_000,
};
