// Owns `npm run bench`: reads the options, sees to the set-up, and runs one of the benchmarks.
'use strict';

const { parseArgs } = require('node:util');
const { DOCS } = require('./lab/page');

const USAGE = `npm run bench [-- [part] [options]]

  clients            holdfast beside the Redis clients, from 1 caller to 512 (the default)
  processors         the same with the client on one processor, and with client and server on one (Linux)
  matrix             the clients with values of 20 B to 50 KB, mixed calls, getMany
  cluster            holdfast beside the clients over three primaries; what one, three and six cost
  adapters           the adapters of Keyv, NestJS, Next.js, unstorage, limits and sessions, beside the usual ones
  tiered             hot keys, cold keys, stampedes: beside the caches that keep values in process and in Redis
  http               three cache reads in a route of Express and Fastify, and six in a plain one
  memory             a million entries in process: heap, resident memory, stalls of the event loop
  startup            require, the addon's size, a connected process that does nothing
  scaling            how the cost of a read grows with callers, sizes, keys and worker threads
  coherence          how soon near caches see a write
  outage             the first answers, and the later ones, when Redis stops under load
  flush              when to flush a batch: the adaptive way and three fixed ones
  all                these, one after the other, each with its own rounds, then the targets: about an hour
  targets            the targets beside the figures of docs/benchmarks, put into docs/performance.md

  --rounds <n>       interleaved rounds, of which the median counts
  --seconds <s>      length of a measured window
  --only <names>     some of the clients, caches or ways, separated by semicolons
  --quick            one round of short windows, for a smoke test
`;

/** Each part and where its page is made; `all` runs them in this order. */
const PARTS = {
  clients: './clients/clients',
  processors: './clients/processors',
  matrix: './clients/matrix',
  cluster: './clients/cluster',
  adapters: './adapters/adapters',
  tiered: './tiered/tiered',
  http: './http/http',
  memory: './process/memory',
  startup: './process/startup',
  scaling: './clients/scaling',
  coherence: './tiered/coherence',
  outage: './process/outage',
  flush: './http/flush',
};
const QUICK = { rounds: 1, seconds: 0.1 };

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const [name = 'clients', ...rest] = positionals;
  const all = name === 'all';
  const named = (all || name === 'targets' || Object.hasOwn(PARTS, name)) && rest.length === 0;
  const options = optionsOf(values);
  if (values.help || !named || !options || (values.only && all)) return usage(values.help);

  await setUp();
  if (name === 'targets') return showTargets();
  if (all) return measureAll(options);
  const { SetupError } = await import('../scripts/command.mjs');
  const whyNot = whyNotHere(name);
  if (whyNot) throw new SetupError(whyNot);
  await measure(name, options);
}

/** What the command line says, with null for what it leaves to the part; undefined where a number is none. */
function optionsOf({ rounds, seconds, only, quick }) {
  const number = (text) => (text === undefined ? null : Number(text));
  const options = { rounds: number(rounds), seconds: number(seconds), only: only?.split(';'), quick };
  const fine = (value, least) => value === null || value >= least;
  return fine(options.rounds, 1) && fine(options.seconds, Number.MIN_VALUE) ? options : undefined;
}

/** Why this machine cannot run a part, or undefined. */
function whyNotHere(name) {
  const reason = require(PARTS[name]).whyNot?.();
  return reason && `cannot measure «${name}»: ${reason}`;
}

/**
 * Runs a part and resolves to the folder of its page. A run that is `short` proves less than the part's own. `folders`:
 * those with dependencies that this part alone has.
 */
async function measure(name, { rounds, seconds, only, quick }) {
  const { run, defaults, folders = [] } = require(PARTS[name]);
  const { installDependencies } = await import('../scripts/setup.mjs');
  for (const folder of folders) installDependencies(folder);
  const usual = quick ? { ...QUICK, seconds: defaults.quickSeconds ?? QUICK.seconds } : defaults;
  const options = { rounds: rounds ?? usual.rounds, seconds: seconds ?? usual.seconds, only, quick };
  const short = options.rounds < defaults.rounds || options.seconds < defaults.seconds;
  return run({ ...options, short });
}

/** Runs all parts that this machine can run, and then judges what they measured. */
async function measureAll(options) {
  const began = performance.now();
  const minutes = () => `${Math.round((performance.now() - began) / 60_000)} minutes`;
  const names = Object.keys(PARTS);
  const folders = [];
  for (const [i, name] of names.entries()) {
    console.log(`\n=== ${name}, part ${i + 1} of ${names.length}, after ${minutes()}`);
    const whyNot = whyNotHere(name);
    if (whyNot) console.log(whyNot);
    else folders.push(await measure(name, options));
  }
  console.log(`\n=== all parts in ${minutes()}`);
  showTargets(folders);
}

/**
 * Prints the table of targets with the figures of these folders. Where no figure lies elsewhere than in the
 * documentation, the table goes there as well.
 */
function showTargets(folders = [DOCS]) {
  const { judge, writeTargets } = require('./targets');
  const judged = judge(folders);
  console.log(`\n${judged}\n`);
  if (folders.some((folder) => folder !== DOCS)) return;
  writeTargets(judged);
  console.log('written to docs/performance.md');
}

function usage(asked) {
  console.log(USAGE);
  process.exitCode = asked ? 0 : 1;
}

/** The peers are dependencies of the benchmark alone, so that the package itself installs nothing. */
async function setUp() {
  const { installDependencies, ensurePrograms, buildAddon } = await import('../scripts/setup.mjs');
  installDependencies();
  installDependencies(__dirname);
  ensurePrograms('redis-server');
  buildAddon();
}

import('../scripts/command.mjs').then(({ runCommand }) => runCommand('bench', main));
