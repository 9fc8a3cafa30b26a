// The addresses of a name, asked in a process of their own.
//
// A look-up runs on a thread that nobody can stop, and a process does not end before its threads have: a resolver that
// is silent would hold the command for ten seconds behind its own deadline. A child can be killed.
'use strict';

const { execFile } = require('node:child_process');
const { isIP } = require('node:net');
const { Late } = require('./connection.js');

/** Prints what it found, or the code of the error, and the milliseconds that it took. */
const SCRIPT = `
const { lookup } = require('node:dns');
const began = performance.now();
lookup(process.argv[1], { all: true, verbatim: true }, (error, addresses = []) => {
  console.log(JSON.stringify({ code: error ? error.code : '', addresses, ms: performance.now() - began }));
});
`;

/**
 * `code`: why there is none, as the resolver says it.
 * @typedef {{ addresses: { address: string, family: number }[], ms: number, code: string }} Found
 */

/**
 * @param {string} host a name, or an address, which is its own
 * @param {number} ms it may take so long; rejects with Late behind that
 * @returns {Promise<Found>}
 */
function resolve(host, ms) {
  const family = isIP(host);
  if (family !== 0) return Promise.resolve({ addresses: [{ address: host, family }], ms: 0, code: '' });
  return new Promise((done, failed) => {
    // What NODE_OPTIONS loads into each process of the application takes its time, and is of no use here.
    const env = { ...process.env, NODE_OPTIONS: '' };
    const options = { env, timeout: Math.max(1, Math.floor(ms)), killSignal: /** @type {const} */ ('SIGKILL') };
    execFile(process.execPath, ['-e', SCRIPT, '--', host], options, (error, stdout) => {
      if (error?.killed) return failed(new Late());
      try {
        done(JSON.parse(stdout));
      } catch {
        done({ addresses: [], ms: 0, code: 'EAI_FAIL' });
      }
    });
  });
}

module.exports = { resolve };
