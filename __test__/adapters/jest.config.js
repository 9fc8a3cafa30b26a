// How Jest runs the tests of the adapters: as those of the package, with the frameworks of this folder's own package.
'use strict';

const { testEnvironment, testMatch, testTimeout } = require('../../jest.config');

module.exports = { testEnvironment, testMatch, testTimeout, roots: ['<rootDir>'] };
