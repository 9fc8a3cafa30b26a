// BentoCache's own suite for drivers, as it comes. `HOLDFAST_SUITE_URL` names the Redis; empty for memory mode.

import { test } from '@japa/runner';
import { registerCacheDriverTestSuite } from 'bentocache/test_suite';
import { holdfastDriver } from 'holdfast/bentocache';

const url = process.env.HOLDFAST_SUITE_URL;

test.group('holdfast/bentocache', (group) => {
  registerCacheDriverTestSuite({
    test,
    group,
    supportsMilliseconds: true,
    createDriver: (config) => holdfastDriver({ url, timeoutMs: 5_000 }).factory({ prefix: 'japa', ...config }),
  });
});
