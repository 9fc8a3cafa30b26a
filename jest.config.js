// How Jest runs the JavaScript tests: plain Node, every `*.spec.js` under `__test__/`.
'use strict';

module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/__test__'],
  testMatch: ['**/*.spec.js'],
  // The adapters' tests need frameworks, and have a package and a command of their own: `npm run test:adapters`.
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/__test__/adapters/'],
  modulePathIgnorePatterns: ['<rootDir>/__test__/adapters/', '<rootDir>/__test__/next/'],
  // A bound against hangs, not an expectation: no test measures time.
  testTimeout: 120_000,
};
