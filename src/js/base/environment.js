// Environment variables: read as texts, flags and numbers; and noticed where they are set after the default cache has
// read them.
'use strict';

const { misconfigured } = require('./errors.js');
const { hasOwn } = require('./host.js');

// The variables that configure the default cache.
const NAMES = /** @type {const} */ ([
  'REDIS_URL',
  'HOLDFAST_NAMESPACE',
  'HOLDFAST_TTL',
  'HOLDFAST_MAX_MEMORY',
  'HOLDFAST_TIMEOUT_MS',
  'HOLDFAST_NEAR_CACHE',
  'HOLDFAST_VALUES',
  'HOLDFAST_TLS_CA',
  'HOLDFAST_TLS_CERT',
  'HOLDFAST_TLS_KEY',
  'HOLDFAST_TLS_INSECURE',
  'HOLDFAST_LOG',
  'HOLDFAST_IO',
  'HOLDFAST_SPIN',
  'HOLDFAST_HEARTBEAT',
  'HOLDFAST_MARKS',
  'HOLDFAST_LAZY',
  'HOLDFAST_READ_FROM',
]);
// The first calls after the opening that each look for late variables. Of later calls those look whose number is a
// power of two, so that looking costs next to nothing.
const LOOKS_IN_A_ROW = 64;

/**
 * The value of a variable; undefined where it is unset, also where Object.prototype has a property of that name.
 * @param {typeof NAMES[number] | 'NODE_ENV' | 'NODE_EXTRA_CA_CERTS'} name
 */
function variable(name) {
  const { env } = process;
  return hasOwn(env, name) ? env[name] : undefined;
}

/**
 * @param {typeof NAMES[number]} name
 * @param {boolean} [byDefault] the value where it is unset or empty
 */
function flag(name, byDefault = false) {
  const text = variable(name);
  if (text === undefined || text === '') return byDefault;
  if (text === '0' || text === 'false') return false;
  if (text === '1' || text === 'true') return true;
  throw misconfigured(`${name} must be 1 or 0`);
}

/**
 * @param {typeof NAMES[number]} name
 * @returns {number | undefined}
 */
function number(name) {
  const text = variable(name);
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (Number.isNaN(value)) throw misconfigured(`${name} must be a number`);
  return value;
}

/** Finds variables that were set or changed after it was made: those of a `.env` file that is loaded too late. */
class LateVariables {
  constructor() {
    this.read = NAMES.map(variable);
    this.calls = 0;
  }

  /** Counts a call, and says whether it looks. */
  due() {
    const n = ++this.calls;
    return n <= LOOKS_IN_A_ROW || (n & (n - 1)) === 0;
  }

  /** @returns {string[]} the names of the late variables */
  look() {
    return NAMES.filter((name, i) => {
      const now = variable(name);
      return now !== undefined && now !== '' && now !== this.read[i];
    });
  }
}

module.exports = { LateVariables, flag, number, variable };
