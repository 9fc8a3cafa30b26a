// How Jest runs the tests of the adapters: as those of the package, with the frameworks of this folder's own package.
'use strict';

const { testEnvironment, testMatch, testTimeout } = require('../../jest.config');

// The package is a link to its sources here. An adapter that requires its framework finds it as where it is installed.
const modulePaths = ['<rootDir>/node_modules'];

module.exports = { testEnvironment, testMatch, testTimeout, roots: ['<rootDir>'], modulePaths };
