// `validate`: which values a caller takes, and how it removes a stored one that it refuses.
//
// The removal is a delete, which ends every computation of the key that is under way: whoever computes from then on
// replaces what was refused. A hundred callers that refuse the same value must not end each other's computations. So
// those of one thread remove it once: a caller that read the key before another one's removal has refused what is gone.
//
// Rejected: to replace the value under a lease of its own and leave it in place meanwhile. An entry without a header
// has no name by which Redis could tell that it is still the same.
'use strict';

const { HoldfastError } = require('../base/errors.js');
const { Op } = require('../base/ops.js');
const { describe, invalid } = require('../options/arguments.js');

/** @typedef {import('./compute').Computer} Computer */
/**
 * What is wrong with a value, null for nothing. It may throw, or reject, which refuses the value too.
 * @typedef {(value: unknown) => unknown} Validate
 */
/** @typedef {{ callers: number, removals: number }} Removals */

/**
 * The option `validate`, checked.
 * @param {unknown} given
 * @returns {Validate | null}
 */
function validateOf(given) {
  if (given === undefined) return null;
  const schema = schemaOf(given);
  if (schema !== null) {
    return async (value) => {
      const { issues } = await schema.validate(value);
      return issues === undefined || issues === null ? null : { cause: issues };
    };
  }
  if (typeof given !== 'function')
    throw invalid(`validate must be a function, or a schema with '~standard', not ${describe(given)}`);
  return async (value) => ((await given(value)) ? null : {});
}

/**
 * The part of a value by which it is a schema of Standard Schema; some of them are functions.
 * @param {unknown} given
 * @returns {any}
 */
function schemaOf(given) {
  if (given === null || (typeof given !== 'object' && typeof given !== 'function')) return null;
  try {
    const schema = /** @type {any} */ (given)['~standard'];
    return typeof schema?.validate === 'function' ? schema : null;
  } catch (cause) {
    throw invalid('validate could not be read: its getter threw', cause);
  }
}

/**
 * Why a value is refused, or null.
 * @param {Validate} validate
 * @param {unknown} value
 * @returns {Promise<any>}
 */
async function problemOf(validate, value) {
  try {
    return await validate(value);
  } catch (cause) {
    return { cause };
  }
}

/**
 * Refuses what a function returned.
 * @param {Validate} validate
 * @param {unknown} value
 */
async function checkMade(validate, value) {
  const problem = await problemOf(validate, value);
  if (problem === null) return;
  throw new HoldfastError(
    'ERR_INVALID_VALUE',
    'what the function returned does not pass validate, and is not stored; the cause says why, where validate did',
    problem,
  );
}

/** A caller that may refuse what it reads at a key. */
class Reader {
  /**
   * @param {Computer} computer
   * @param {string} key
   */
  constructor(computer, key) {
    this.computer = computer;
    this.key = key;
    const { readers } = computer;
    /** @type {Removals} */
    const shared = readers.get(key) ?? { callers: 0, removals: 0 };
    shared.callers++;
    readers.set(key, shared);
    this.shared = shared;
    this.seen = shared.removals;
  }

  /** It reads the key anew. */
  asks() {
    this.seen = this.shared.removals;
  }

  /** Removes what it has read, unless another one has since. */
  remove() {
    if (this.shared.removals !== this.seen) return;
    this.shared.removals++;
    this.computer.send(Op.DEL, this.key, 0, 0);
  }

  end() {
    if (--this.shared.callers === 0) this.computer.readers.delete(this.key);
  }
}

module.exports = { Reader, checkMade, problemOf, validateOf };
