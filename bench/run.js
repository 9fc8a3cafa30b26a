// Owns `npm run bench`: reads the options, sees to the set-up, and runs one of the benchmarks.
'use strict';

const { parseArgs } = require('node:util');

const USAGE = `npm run bench [-- [part] [options]]

  clients            holdfast beside the Redis clients (the default)
  tiered             hot keys, cold keys, stampedes: beside the caches that keep values in process and in Redis
  http               three cache reads in a route of Express and Fastify
  memory             a million entries in process: heap, resident memory, stalls of the event loop
  startup            require, the addon's size, a connected process that does nothing
  scaling            how the cost of a read grows with callers, sizes, keys and worker threads
  coherence          how soon near caches see a write
  flush              when to flush a batch: the adaptive way and three fixed ones
  all                these, one after the other, each with its own rounds: half an hour

  --rounds <n>       interleaved rounds, of which the median counts
  --seconds <s>      length of a measured window
  --only <names>     some of the clients, caches or ways, separated by semicolons
  --matrix           of clients: 8 callers, 20 B to 50 KB, mixed calls, getMany; without what keeps values in process
  --quick            one round of short windows, for a smoke test
`;

/** Each part and where its page is made; `all` runs them in this order. */
const PARTS = {
  clients: './clients/clients',
  tiered: './tiered/tiered',
  http: './http/http',
  memory: './process/memory',
  startup: './process/startup',
  scaling: './clients/scaling',
  coherence: './tiered/coherence',
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
      matrix: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const [name = 'clients', ...rest] = positionals;
  const names = name === 'all' ? Object.keys(PARTS) : [name];
  const named = names.every((part) => Object.hasOwn(PARTS, part)) && rest.length === 0;
  if (values.help || !named || (values.matrix && name !== 'clients') || (values.only && name === 'all'))
    return usage(values.help);

  await setUp();
  for (const part of names) if (!(await measure(part, values))) return usage(false);
}

/** Runs a part; false where the options are none. */
async function measure(name, values) {
  const { run, defaults, matrixDefaults } = require(PARTS[name]);
  const usual = values.matrix ? matrixDefaults : defaults;
  const short = { ...QUICK, seconds: defaults.quickSeconds ?? QUICK.seconds };
  const { rounds, seconds } = values.quick ? short : usual;
  const options = {
    rounds: Number(values.rounds ?? rounds),
    seconds: Number(values.seconds ?? seconds),
    only: values.only?.split(';'),
    matrix: values.matrix,
    quick: values.quick,
  };
  if (!(options.rounds >= 1 && options.seconds > 0)) return false;
  await run(options);
  return true;
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
