// Colours of a terminal, or none: where the output is no terminal, or NO_COLOR or FORCE_COLOR say so.
'use strict';

/** Beginning and end of each, as SGR codes. */
const CODES = /** @type {const} */ ({
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
});

/** @typedef {keyof typeof CODES} Colour */

/**
 * As Node has it: FORCE_COLOR decides where it is set (`0` and `false` are none), then NO_COLOR, then the terminal.
 * @param {{ isTTY?: boolean }} stream
 * @param {NodeJS.ProcessEnv} env
 */
function wantsColours(stream, env) {
  const { FORCE_COLOR: forced, NO_COLOR: none, TERM: terminal } = env;
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  if (none !== undefined && none !== '') return false;
  return stream.isTTY === true && terminal !== 'dumb';
}

/**
 * @param {boolean} wanted
 * @returns {(colour: Colour, text: string) => string}
 */
function painter(wanted) {
  if (!wanted) return (_colour, text) => text;
  return (colour, text) => {
    const [begin, end] = CODES[colour];
    return `\x1b[${begin}m${text}\x1b[${end}m`;
  };
}

/**
 * A text as lines of at most so many columns; words that are longer stay whole.
 * @param {string} text
 * @param {number} columns
 */
function wrapped(text, columns) {
  /** @type {string[]} */
  const lines = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines;
}

module.exports = { painter, wantsColours, wrapped };
