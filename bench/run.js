// `npm run bench`: reads the options, sees to the set-up, and runs one of the benchmarks.
'use strict';

const { parseArgs } = require('node:util');

const USAGE = `npm run bench [-- [clients | flush | tiered | coherence] [options]]

  clients            holdfast beside ioredis and node-redis (the default)
  flush              three ways to schedule the flush of a batch
  tiered             a hot key: holdfast beside the caches that keep values in process and in Redis
  coherence          how soon near caches see a write

  --rounds <n>       interleaved rounds, of which the median counts (7)
  --seconds <s>      length of a measured window (1)
  --only <names>     some of the clients, ways or caches, separated by commas
  --quick            one round of short windows, for a smoke test
`;

const BENCHMARKS = { clients: './clients', flush: './flush', tiered: './tiered', coherence: './coherence' };

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
  const options = {
    rounds: Number(values.rounds ?? (values.quick ? 1 : 7)),
    seconds: Number(values.seconds ?? (values.quick ? 0.1 : 1)),
    only: values.only?.split(','),
    quick: values.quick,
  };
  const valid = name in BENCHMARKS && rest.length === 0 && options.rounds >= 1 && options.seconds > 0;
  if (values.help || !valid) {
    console.log(USAGE);
    process.exitCode = values.help ? 0 : 1;
    return;
  }
  await setUp();
  await require(BENCHMARKS[name]).run(options);
}

/** The peers are dependencies of the benchmark alone, so that the package itself installs nothing. */
async function setUp() {
  const { installDependencies, ensurePrograms, buildAddon } = await import('../scripts/setup.mjs');
  installDependencies();
  installDependencies(__dirname);
  ensurePrograms('redis-server');
  buildAddon();
}

main().catch((error) => {
  console.error(error.name === 'SetupError' ? error.message : error);
  process.exit(1);
});
