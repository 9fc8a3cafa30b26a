// The environment: its variables as texts, flags and numbers, and those that are set after the default cache has read
// them.
'use strict';

const { misconfigured } = require('./errors.js');
const { hasOwn } = require('./host.js');

// What configures the default cache.
const NAMES = /** @type {const} */ ([
  'REDIS_URL',
  'HOLDFAST_NAMESPACE',
  'HOLDFAST_TTL',
  'HOLDFAST_MAX_MEMORY',
  'HOLDFAST_TIMEOUT_MS',
  'HOLDFAST_NEAR_CACHE',
  'HOLDFAST_VALUES',
  'HOLDFAST_TLS_CA',
  'HOLDFAST_TLS_INSECURE',
  'HOLDFAST_LOG',
]);
// Calls after the opening that each look for late variables; later ones look at each power of two, so that looking
// costs a call nothing.
const LOOKS_IN_A_ROW = 64;

/**
 * A variable; undefined where it is unset, whatever Object.prototype has under that name.
 * @param {typeof NAMES[number] | 'NODE_ENV' | 'NODE_EXTRA_CA_CERTS'} name
 */
function variable(name) {
  const { env } = process;
  return hasOwn(env, name) ? env[name] : undefined;
}

/**
 * @param {typeof NAMES[number]} name
 * @param {boolean} [byDefault] where it is unset or empty
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

/** Looks for variables that are set, or set anew, after it was made: those of a `.env` file that is loaded too late. */
class LateVariables {
  constructor() {
    this.read = NAMES.map(variable);
    this.calls = 0;
  }

  /** Whether the call that asks is one that looks. */
  due() {
    const n = ++this.calls;
    return n <= LOOKS_IN_A_ROW || (n & (n - 1)) === 0;
  }

  /** @returns {string[]} the names of those that it finds */
  look() {
    return NAMES.filter((name, i) => {
      const now = variable(name);
      return now !== undefined && now !== '' && now !== this.read[i];
    });
  }
}

module.exports = { LateVariables, flag, number, variable };
