// The certificates that TLS trusts besides the system's, of tls.ca, HOLDFAST_TLS_CA and NODE_EXTRA_CA_CERTS; and the
// one that says who we are.
'use strict';

const fs = require('node:fs');
const { types } = require('node:util');
const { variable } = require('../base/environment.js');
const { misconfigured } = require('../base/errors.js');

/**
 * The file of NODE_EXTRA_CA_CERTS, read once, as Node does.
 * @type {{ pem: Buffer | null, problem: string | null } | null}
 */
let extra = null;

/**
 * @param {unknown} ca the option `tls.ca`
 * @returns {Buffer[]}
 */
function caOption(ca) {
  if (ca === undefined) {
    const pem = ofEnvironment('HOLDFAST_TLS_CA');
    return pem === undefined ? [] : [pem];
  }
  return (Array.isArray(ca) ? Array.from(ca) : [ca]).map((pem) => {
    const bytes = bytesOf(pem);
    if (bytes === undefined) throw misconfigured('tls.ca must be PEM text, or an array of such');
    return bytes;
  });
}

/**
 * One PEM text that says who we are.
 * @param {unknown} pem
 * @param {string} name of the option
 * @param {'HOLDFAST_TLS_CERT' | 'HOLDFAST_TLS_KEY'} otherwise the variable
 */
function pemOption(pem, name, otherwise) {
  if (pem === undefined) return ofEnvironment(otherwise);
  const bytes = bytesOf(pem);
  if (bytes === undefined) throw misconfigured(`${name} must be PEM text`);
  return bytes;
}

/** @param {unknown} pem */
function bytesOf(pem) {
  if (typeof pem === 'string') return Buffer.from(unescaped(pem));
  // A Uint8Array of any realm: Jest has classes of its own.
  return types.isUint8Array(pem) ? Buffer.from(pem) : undefined;
}

/**
 * What a variable gives: a path, or the PEM text itself.
 * @param {'HOLDFAST_TLS_CA' | 'HOLDFAST_TLS_CERT' | 'HOLDFAST_TLS_KEY'} name
 */
function ofEnvironment(name) {
  const pem = variable(name);
  if (pem === undefined || pem === '') return undefined;
  if (pem.includes('-----BEGIN')) return Buffer.from(unescaped(pem));
  try {
    return fs.readFileSync(pem);
  } catch {
    throw misconfigured(`${name} names no file that can be read`);
  }
}

/**
 * Turns each written `\n` of a PEM text into a line break: variables of one line have them so. PEM itself has no
 * backslash.
 * @param {string} pem
 */
function unescaped(pem) {
  return pem.includes('\\') ? pem.replace(/\\+r/g, '').replace(/\\+n/g, '\n') : pem;
}

/**
 * The certificates that NODE_EXTRA_CA_CERTS names.
 * @returns {Buffer | undefined}
 */
function extraCertificates() {
  extra ??= readExtra(variable('NODE_EXTRA_CA_CERTS'));
  return extra.pem ?? undefined;
}

/** The problem of that file, given once. It is worth a warning and no more, as in Node. */
function extraProblem() {
  const problem = extra?.problem ?? null;
  if (extra !== null) extra.problem = null;
  return problem;
}

/**
 * @param {string | undefined} file
 * @returns {{ pem: Buffer | null, problem: string | null }}
 */
function readExtra(file) {
  if (file === undefined || file === '') return { pem: null, problem: null };
  try {
    const pem = fs.readFileSync(file);
    if (/-----BEGIN CERTIFICATE-----/.test(pem.toString('latin1'))) return { pem, problem: null };
    return { pem: null, problem: 'the file of NODE_EXTRA_CA_CERTS holds no certificate in PEM form; it is ignored' };
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    return { pem: null, problem: `the file of NODE_EXTRA_CA_CERTS cannot be read (${code}); it is ignored` };
  }
}

module.exports = { caOption, extraCertificates, extraProblem, pemOption };
