// What a command prints: lines or one JSON document, in colours where that is wanted. A reader that goes away
// (`npx holdfast doctor | head`) is no error: the rest is dropped, and a command that runs on is told to end.
'use strict';

const { painter, wantsColours } = require('./colours.js');

/** Columns where no terminal says how many. */
const COLUMNS = 100;
/** Longer lines are hard to read, however wide the terminal is. */
const MOST_COLUMNS = 120;

class Output {
  #stream;
  #gone = new AbortController();

  /**
   * @param {NodeJS.WritableStream & { isTTY?: boolean, columns?: number }} stream
   * @param {NodeJS.ProcessEnv} env
   */
  constructor(stream, env) {
    this.#stream = stream;
    /** Aborted once nobody reads any more. */
    this.gone = this.#gone.signal;
    this.paint = painter(wantsColours(stream, env));
    this.columns = Math.min(stream.columns || COLUMNS, MOST_COLUMNS);
    stream.on('error', (error) => this.#fail(/** @type {NodeJS.ErrnoException} */ (error)));
  }

  /** @param {string} text */
  write(text) {
    if (!this.gone.aborted) this.#stream.write(text);
  }

  /** @param {string} text */
  line(text = '') {
    this.write(`${text}\n`);
  }

  /** @param {unknown} value */
  json(value) {
    this.line(JSON.stringify(value, null, 2));
  }

  /** Resolves once all that was written has left this process, or nobody reads it. */
  flush() {
    return new Promise((resolve) => {
      if (this.gone.aborted) return resolve(undefined);
      this.gone.addEventListener('abort', () => resolve(undefined), { once: true });
      this.#stream.write('', () => resolve(undefined));
    });
  }

  /** @param {NodeJS.ErrnoException} error */
  #fail(error) {
    if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw error;
    this.#gone.abort();
  }
}

module.exports = { Output };
