// Owns what the command line and the environment may ask of the demo.
'use strict';

const { parseArgs } = require('node:util');

const USAGE = `npm run demo -- [options]
  --rows N      trades in the data set (HOLDFAST_DEMO_ROWS, else 20000000), generated once for each N
  --serve       leave the instances running until Ctrl-C, instead of measuring them
  --json FILE   write the figures to FILE as well

  REDIS_URL     use this server; without it the demo starts a redis-server of its own`;

class UsageError extends Error {}

function readOptions(argv, env) {
  const values = parse(argv);
  const rows = Number(values.rows ?? (env.HOLDFAST_DEMO_ROWS || 20_000_000));
  if (!Number.isSafeInteger(rows) || rows < 1000) throw new UsageError('rows: must be a whole number of at least 1000');
  return { rows, serve: values.serve, json: values.json, help: values.help };
}

function parse(argv) {
  try {
    return parseArgs({
      args: argv,
      options: {
        rows: { type: 'string' },
        serve: { type: 'boolean', default: false },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error.message);
  }
}

module.exports = { readOptions, USAGE, UsageError };
