// The help of the command line, and of each command: what it is for, its options, examples to paste, exit codes.
'use strict';

const { COMMON } = require('./arguments.js');
const { wrapped } = require('./colours.js');

/** Columns between a name and what is said of it. */
const GAP = 2;

/**
 * @param {import('./arguments.js').Entry[]} entries
 * @param {import('./output.js').Output} out
 */
function overview(entries, out) {
  const { paint } = out;
  out.line(`${paint('bold', 'holdfast')}: the command line of the cache`);
  out.line();
  out.line(`${paint('bold', 'usage')}  npx holdfast COMMAND [arguments] [options]`);
  section(
    'commands',
    entries.map(({ name, about }) => [name, about]),
    out,
  );
  section(
    'everywhere',
    [
      ['--help', 'what a command does, with examples: npx holdfast doctor --help'],
      ['--version', 'the version of the package'],
      ['REDIS_URL', 'the server, where no URL is given; HOLDFAST_NAMESPACE and HOLDFAST_TLS_* as for the cache itself'],
      ['NO_COLOR, FORCE_COLOR', 'colours are for terminals; these say otherwise'],
    ],
    out,
  );
}

/**
 * @param {string} name
 * @param {import('./arguments.js').Command} command
 * @param {import('./output.js').Output} out
 */
function ofCommand(name, command, out) {
  const { paint } = out;
  out.line(`${paint('bold', 'usage')}  npx holdfast ${name} ${command.synopsis}`);
  for (const paragraph of command.about) {
    out.line();
    for (const line of wrapped(paragraph, out.columns)) out.line(line);
  }
  const options = Object.entries({ ...command.options, ...COMMON }).map(([option, { short, value, about }]) => {
    const long = value === undefined ? `--${option}` : `--${option} ${value}`;
    return /** @type {[string, string]} */ ([short === undefined ? long : `-${short}, ${long}`, about]);
  });
  section('options', options, out);
  section('examples', command.examples, out);
  section(
    'exit codes',
    command.codes.map(([code, what]) => [String(code), what]),
    out,
  );
}

/**
 * @param {string} title
 * @param {[string, string][]} rows
 * @param {import('./output.js').Output} out
 */
function section(title, rows, out) {
  out.line();
  out.line(out.paint('bold', title));
  const width = Math.max(...rows.map(([name]) => name.length));
  // A long line of an example stands alone, with what it is for beneath it.
  const beneath = width > out.columns / 2;
  for (const [name, about] of rows) {
    const indent = ' '.repeat(beneath ? 6 : 2 + width + GAP);
    const lines = wrapped(about, out.columns - indent.length);
    if (beneath) out.line(`  ${name}`);
    else out.line(`  ${name.padEnd(width + GAP)}${lines.shift()}`);
    for (const line of lines) out.line(`${indent}${line}`);
  }
}

module.exports = { ofCommand, overview };
