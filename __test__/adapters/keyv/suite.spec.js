// Keyv's own suite for stores of Keyv 5, as it comes, in both modes.
'use strict';

const { Keyv } = require('keyv');
const { default: keyvTestSuite, keyvIteratorTests } = require('@keyv/test-suite');
const { KeyvHoldfast } = require('holdfast/keyv');
const { describeModes } = require('../support/modes');

// The suite wants a test runner whose tests are given `expect`.
const runner = { it: (name, run) => test(name, () => run({ expect })), beforeEach, afterEach };

describeModes("Keyv's suite", ({ options }) => {
  const stores = new Set();
  const makeStore = () => {
    const store = new KeyvHoldfast(options());
    stores.add(store);
    return store;
  };
  afterEach(async () => {
    await Promise.all([...stores].map((store) => store.disconnect()));
    stores.clear();
  });
  keyvTestSuite(runner, Keyv, makeStore);
  keyvIteratorTests(runner, Keyv, makeStore);
});
