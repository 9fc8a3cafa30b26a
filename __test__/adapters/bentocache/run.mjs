// Runs suite.mjs by japa, the runner for which BentoCache's suite is made; each test is told as a line of JSON.

import { fileURLToPath } from 'node:url';
import { assert } from '@japa/assert';
import { configure, run } from '@japa/runner';

configure({
  files: [fileURLToPath(new URL('suite.mjs', import.meta.url))],
  plugins: [assert()],
  reporters: { activated: ['ndjson'] },
});
await run();
