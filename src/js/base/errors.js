// The error class that callers see, with its stable codes, and the errors that several files throw.
'use strict';

class HoldfastError extends Error {
  /**
   * @param {import('../../../index').HoldfastErrorCode} code
   * @param {string} message what happened and what to do; never a value, a URL or a password
   * @param {{ cause?: unknown }} [options]
   */
  constructor(code, message, options) {
    super(message, options);
    this.code = code;
  }
}

// On the prototype, as with the built-in errors: `name` is no own property that a log would print. The descriptor has
// no prototype, as all descriptors and options objects here that others read: see options/arguments.js.
Object.defineProperty(
  HoldfastError.prototype,
  'name',
  /** @type {PropertyDescriptor} */ ({ __proto__: null, value: 'HoldfastError', configurable: true, writable: true }),
);

/** The rejection of every call of a closed cache. */
function closed() {
  return new HoldfastError('ERR_CLOSED', 'the cache was closed; close it when nothing needs it any more');
}

/**
 * A configuration that does not parse.
 * @param {string} message
 * @param {unknown} [cause]
 */
function misconfigured(message, cause) {
  return new HoldfastError('ERR_CONFIG', message, cause === undefined ? undefined : { cause });
}

/**
 * A reply that came and cannot be told.
 * @param {unknown} cause
 */
function replyLost(cause) {
  return new HoldfastError(
    'ERR_REPLY_LOST',
    'the reply could not be read (there may be no memory for so long a text); the call itself may have been carried out',
    { cause },
  );
}

module.exports = { HoldfastError, closed, misconfigured, replyLost };
