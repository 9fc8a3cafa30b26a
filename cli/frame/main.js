// From the arguments of the process to its exit code.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { read, USAGE_CODE, UsageError } = require('./arguments.js');
const { ofCommand, overview } = require('./help.js');
const { Output } = require('./output.js');

/** The exit code of a fault of the command line itself, as BSD's sysexits has it. */
const BROKEN_CODE = 70;

/**
 * @param {import('./arguments.js').Entry[]} entries
 * @param {string[]} argv
 */
async function main(entries, argv) {
  const { env } = process;
  const out = new Output(process.stdout, env);
  const err = new Output(process.stderr, env);
  const code = await codeOf(entries, argv, out, err, env);
  await Promise.all([out.flush(), err.flush()]);
  // Not by itself: a dial or a timer that nobody waits for any more would hold the process.
  process.exit(code);
}

/**
 * @param {import('./arguments.js').Entry[]} entries
 * @param {string[]} argv
 * @param {Output} out
 * @param {Output} err
 * @param {NodeJS.ProcessEnv} env
 */
async function codeOf(entries, argv, out, err, env) {
  const [first = '', ...rest] = argv;
  if (first === '--version' || first === '-v') {
    out.line(version());
    return 0;
  }
  const asksHelp = first === '--help' || first === '-h' || first === 'help';
  const name = asksHelp ? rest[0] : first;
  const entry = entries.find((each) => each.name === name);
  if (entry === undefined) {
    if (asksHelp && name === undefined) {
      overview(entries, out);
      return 0;
    }
    err.line(name ? 'holdfast: there is no such command' : 'holdfast: which command?');
    err.line();
    overview(entries, err);
    return USAGE_CODE;
  }
  return run(entry, asksHelp ? ['--help'] : rest, out, err, env);
}

/**
 * @param {import('./arguments.js').Entry} entry
 * @param {string[]} argv
 * @param {Output} out
 * @param {Output} err
 * @param {NodeJS.ProcessEnv} env
 */
async function run({ name, load }, argv, out, err, env) {
  let usageCode = USAGE_CODE;
  try {
    const command = load();
    usageCode = command.usageCode ?? USAGE_CODE;
    const { values, given } = read(command, argv);
    if (values.help) {
      ofCommand(name, command, out);
      return 0;
    }
    return await command.run({ values, given, out, env });
  } catch (error) {
    if (error instanceof UsageError) {
      err.line(`holdfast ${name}: ${error.message}; npx holdfast ${name} --help says more`);
      return usageCode;
    }
    err.line(`holdfast ${name} failed by a fault of its own: ${/** @type {Error} */ (error)?.stack ?? String(error)}`);
    return BROKEN_CODE;
  }
}

function version() {
  return JSON.parse(fs.readFileSync(path.join(__dirname, '../../package.json'), 'utf8')).version;
}

module.exports = { main, version };
