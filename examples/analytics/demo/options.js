// Owns what the command line and the environment may ask of the demo.
'use strict';

const { parseArgs } = require('node:util');

const USAGE = `npm run demo -- [options]
  --rows N      trades in the data set (HOLDFAST_DEMO_ROWS, else 20000000), generated once for each N
  --cluster     over a cluster of its own, three primaries and three replicas; one primary is killed under load
  --sentinel    over a primary, a replica and three sentinels of its own; the primary is killed under load
  --serve       leave the instances running until Ctrl-C, instead of measuring them
  --json FILE   write the figures to FILE as well

  REDIS_URL     use this server; without it the demo starts a redis-server of its own. Not beside --cluster, --sentinel`;

/** What can stand in the place of one server. */
const FLEETS = ['cluster', 'sentinel'];

class UsageError extends Error {}

function readOptions(argv, env) {
  const values = parse(argv);
  const rows = Number(values.rows ?? (env.HOLDFAST_DEMO_ROWS || 20_000_000));
  if (!Number.isSafeInteger(rows) || rows < 1000) throw new UsageError('rows: must be a whole number of at least 1000');
  const [fleet = null, another] = FLEETS.filter((name) => values[name]);
  if (another) throw new UsageError(`${fleet}, ${another}: one of them at a time`);
  if (fleet && env.REDIS_URL) throw new UsageError(`${fleet}: starts servers of its own, so REDIS_URL must not be set`);
  return { rows, fleet, serve: values.serve, json: values.json, help: values.help };
}

function parse(argv) {
  try {
    return parseArgs({
      args: argv,
      options: {
        rows: { type: 'string' },
        ...Object.fromEntries(FLEETS.map((name) => [name, { type: 'boolean', default: false }])),
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
