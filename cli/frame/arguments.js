// What a command is, and how its arguments are read.
'use strict';

const { parseArgs } = require('node:util');

/**
 * `value`: how help names what the option takes; without it the option is a switch.
 * @typedef {{ value?: string, short?: string, about: string }} Option
 */
/** @typedef {Record<string, string | boolean | undefined>} Values */
/**
 * `values`: by the names of the options. `given`: the arguments that are no options.
 * @typedef {{ values: Values, given: string[], out: import('./output.js').Output, env: NodeJS.ProcessEnv }} Call
 */
/**
 * `synopsis`: the line behind the command's name. `about`: what it does and why, a paragraph each. `most`: arguments
 * beside the options. `usageCode`: the exit code of wrong usage, where 2 means something else. `run` resolves to the
 * exit code.
 * @typedef {{ synopsis: string, about: string[], options: Record<string, Option>, most: number,
 *   examples: [line: string, what: string][], codes: [code: number, what: string][], usageCode?: number,
 *   run: (call: Call) => Promise<number> }} Command
 */
/** @typedef {{ name: string, about: string, load: () => Command }} Entry */

/** The exit code of a command line that is not understood. */
const USAGE_CODE = 2;

/** @type {Record<string, Option>} what every command understands */
const COMMON = {
  json: { about: 'print one JSON document instead of text' },
  help: { short: 'h', about: 'print this' },
};

/** A command line that is not understood; the message says why, and quotes no value. */
class UsageError extends Error {}

/**
 * @param {Command} command
 * @param {string[]} argv
 * @returns {{ values: Values, given: string[] }}
 */
function read(command, argv) {
  const described = { ...command.options, ...COMMON };
  const options = Object.entries(described).map(([name, { value, short }]) => {
    const type = /** @type {'string' | 'boolean'} */ (value === undefined ? 'boolean' : 'string');
    return [name, short === undefined ? { type } : { type, short }];
  });
  const { values, positionals } = parsed(argv, Object.fromEntries(options));
  if (positionals.length > command.most && !values.help) {
    throw new UsageError(
      command.most === 0 ? 'it takes options alone' : `it takes ${command.most} argument(s), not ${positionals.length}`,
    );
  }
  return { values, given: positionals };
}

/**
 * @param {string[]} args
 * @param {import('node:util').ParseArgsConfig['options']} options
 * @returns {{ values: any, positionals: string[] }}
 */
function parsed(args, options) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
    if (!code?.startsWith('ERR_PARSE_ARGS')) throw error;
    // The first sentence: the others are about arguments that begin with a dash.
    throw new UsageError(message.split(/\. |\n/, 1)[0]);
  }
}

module.exports = { COMMON, USAGE_CODE, UsageError, read };
