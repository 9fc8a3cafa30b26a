// One connection of the command line's own: it asks, and tells what came back, as it came.
//
// The cache's own connections will not do. The doctor measures each step of a connection by itself, speaks to servers
// that the engine refuses, and wants to see a refusal rather than to recover from it. The commands that show keys ask
// for what no cache asks for.
'use strict';

const { ProtocolError, Reader, ReplyError, frame } = require('./resp.js');

/** @typedef {import('./resp.js').Reply} Reply */

/** Nothing came in time. */
class Late extends Error {}

/** The connection ended: `code` says by which error, empty where the server hung up. `heard`: it had said something. */
class Lost extends Error {
  /**
   * @param {string} code
   * @param {boolean} heard
   */
  constructor(code, heard) {
    super(code === '' ? 'the server hung up' : `the connection broke (${code})`);
    this.code = code;
    this.heard = heard;
  }
}

class Connection {
  #socket;
  #reader = new Reader();
  /** @type {{ resolve: (reply: Reply) => void, reject: (error: Error) => void }[]} */
  #waiting = [];
  /** @type {Error | null} */
  #end = null;
  /** @type {((push: Reply) => void)[]} */
  #listeners = [];

  /** @param {import('node:net').Socket} socket connected */
  constructor(socket) {
    this.#socket = socket;
    this.heard = false;
    socket.setNoDelay?.(true);
    socket.on('data', (bytes) => this.#read(/** @type {Buffer} */ (bytes)));
    socket.on('error', (error) => this.#lose(/** @type {NodeJS.ErrnoException} */ (error).code ?? 'unknown'));
    socket.on('close', () => this.#lose(''));
    if (socket.destroyed) this.#lose('');
  }

  /**
   * Resolves to the reply of a command, also where it is a ReplyError; rejects with Lost or a ProtocolError.
   * @param {(string | number | Buffer)[]} args
   * @returns {Promise<Reply>}
   */
  ask(...args) {
    return new Promise((resolve, reject) => {
      if (this.#end !== null) return reject(this.#end);
      this.#waiting.push({ resolve, reject });
      this.#socket.write(frame(args));
    });
  }

  /**
   * The replies of commands that are sent together.
   * @param {(string | number | Buffer)[][]} commands
   */
  askAll(commands) {
    return Promise.all(commands.map((args) => this.ask(...args)));
  }

  /** @param {(push: Reply) => void} heard is told what the server says though nobody asked */
  onPush(heard) {
    this.#listeners.push(heard);
  }

  close() {
    this.#lose('closed');
    this.#socket.destroy();
  }

  /** @param {Buffer} bytes */
  #read(bytes) {
    this.heard = true;
    try {
      for (const { push, value } of this.#reader.read(bytes)) {
        if (!push) this.#waiting.shift()?.resolve(value);
        else for (const heard of this.#listeners) heard(value);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#fail(error);
      this.#socket.destroy();
    }
  }

  /** @param {string} code */
  #lose(code) {
    this.#fail(new Lost(code, this.heard));
  }

  /** @param {Error} error */
  #fail(error) {
    this.#end ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#end);
  }
}

module.exports = { Connection, Late, Lost, ProtocolError, ReplyError };
