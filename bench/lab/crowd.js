// Owns a stampede: callers in several processes that all ask for one cold key at the same moment. The parent's half,
// which lets them begin together, and the child's, which counts how often the function ran.
'use strict';

const assert = require('node:assert');
const { setTimeout: sleep } = require('node:timers/promises');
const { ask } = require('./lab');
const { now, workloadOf } = require('./workload');

/** Milliseconds that the function of a crowd works. */
const WORKS_MS = 100;
/** Milliseconds until the callers begin, for all processes to hear of it. */
const SOON_MS = 100;

/**
 * So many `callers` in each of the children; resolves to how often the function ran in all of them, and in how many
 * milliseconds all callers had its result. The children answer the kind `stampede` by `stampede`.
 */
async function rush(children, key, callers) {
  const request = { kind: 'stampede', key, callers, at: now() + SOON_MS };
  const results = await Promise.all(children.map((child) => ask(child, request)));
  return {
    runs: results.reduce((sum, { runs }) => sum + runs, 0),
    ms: Math.max(...results.map(({ ms }) => ms)),
  };
}

/**
 * So many callers ask `getOrCompute` for `key` at the moment `at`; resolves to how often the function ran, and in how
 * many milliseconds all had its result.
 */
async function stampede(getOrCompute, { key, callers, at }) {
  const [value] = workloadOf().values;
  let runs = 0;
  const compute = async () => {
    runs += 1;
    await sleep(WORKS_MS);
    return value;
  };
  await sleep(at - now());
  const got = await Promise.all(Array.from({ length: callers }, () => getOrCompute(key, compute)));
  const ms = now() - at;
  for (const each of got) assert.deepStrictEqual(each, value);
  return { runs, ms };
}

module.exports = { WORKS_MS, rush, stampede };
