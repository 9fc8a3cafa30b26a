// The codecs: how a value becomes what crosses to Rust, and a reply becomes a value.
//
// The bridge carries JSON: with `json` the text is the value's own, and a reply is the value itself; a `text` crosses
// as a JSON string, bytes as one of base64, and Rust stores the bytes. Of long values that costs more than all the
// rest, so these cross whole: as a string, or as a Buffer. The exception is a value that `increment` made: it stays an
// integer that Redis can count with, and comes as a number.
'use strict';

const { HoldfastError } = require('../base/errors.js');
const { parse, stringify: textOf } = require('../base/host.js');
const { copyTree, frozenCopy } = require('./copy.js');
const { Whole } = require('./whole.js');

// In place of a value, for a reply that does not decode.
const UNREADABLE = Symbol('unreadable');
// Bytes, or code units of a text; longer values cross whole. `MOST_WITHIN` of src/engine/base/text.rs.
const MOST_WITHIN = 4 * 1024;

/**
 * The codec of one cache.
 * `encode`: a value as it crosses: what it is at this moment. `keeps`: it is used behind that too.
 * `take`: a value as its leaves, until the next one is taken; null where it must be encoded.
 * `decode`: the value of a reply (null stays null), or UNREADABLE; null where the reply is the value.
 * `read`: as `decode`, for `get`: an unreadable reply is counted, and null.
 * `parse`: the value of what `encode` made, for a further owner.
 * `copy`: a value for a further owner.
 * `made`: the value that a caller gets from its own function.
 * `unreadable`: how many replies did not decode.
 * @typedef {{
 *   encode: (value: unknown, keeps?: boolean) => string | Whole,
 *   take: (value: unknown) => import('./leaves').Leaves | null,
 *   decode: ((reply: any) => any) | null,
 *   read: ((reply: any) => any) | null,
 *   parse: (crossing: any) => any,
 *   copy: (value: any) => any,
 *   made: (value: any, crossing: any) => any,
 *   unreadable: number,
 * }} Codec
 */

/**
 * @param {import('../../../index').Codec} name
 * @param {number} maxBytes of a value as it is stored, without compression
 * @param {boolean} frozen
 * @param {import('./leaves').Leaves} leaves
 * @returns {Codec}
 */
function codecOf(name, maxBytes, frozen, leaves) {
  switch (name) {
    case 'json':
      return json(maxBytes, frozen, leaves);
    case 'structured':
      return structured(maxBytes);
    case 'raw':
      return raw(maxBytes);
    case 'text':
      return plainText(maxBytes);
  }
}

/**
 * @param {number} maxBytes
 * @param {boolean} frozen
 * @param {import('./leaves').Leaves} leaves
 * @returns {Codec}
 */
function json(maxBytes, frozen, leaves) {
  return {
    encode(value) {
      const text = stringify(value, maxBytes);
      // A code unit has three bytes at most, so most texts need not be measured.
      if (text.length * 3 > maxBytes) checkSize(Buffer.byteLength(text), maxBytes);
      return text;
    },
    take: (value) => (leaves.take(value, maxBytes) ? leaves : null),
    decode: frozen ? frozenCopy : null,
    read: frozen ? frozenCopy : null,
    parse,
    copy: frozen ? (value) => frozenCopy(copyOf(value)) : copyOf,
    made: itself,
    unreadable: 0,
  };
}

/**
 * @param {number} maxBytes
 * @returns {Codec}
 */
function structured(maxBytes) {
  // Required here, as most processes never need it, and it would be a tenth of the time of requiring the package.
  const v8 = require('node:v8');
  /** @param {any} reply */
  const decode = (reply) => {
    if (typeof reply !== 'string' && !Buffer.isBuffer(reply)) return reply;
    try {
      return v8.deserialize(typeof reply === 'string' ? ownBytes(reply) : reply);
    } catch {
      // Written by a later version of V8, or by another program.
      return UNREADABLE;
    }
  };
  /** @type {Codec} */
  const codec = {
    encode(value) {
      let bytes;
      try {
        bytes = v8.serialize(value);
      } catch (cause) {
        throw unserializable('the value has no structured clone (a function, a symbol, a getter that throws)', cause);
      }
      return crossing(bytes, maxBytes);
    },
    take: nothing,
    decode,
    read(reply) {
      const value = decode(reply);
      if (value !== UNREADABLE) return value;
      codec.unreadable++;
      return null;
    },
    parse: (crossing) => decode(replyOf(crossing)),
    copy: (value) => v8.deserialize(v8.serialize(value)),
    made: itself,
    unreadable: 0,
  };
  return codec;
}

/**
 * @param {number} maxBytes
 * @returns {Codec}
 */
function raw(maxBytes) {
  /** @param {any} reply */
  const decode = (reply) => {
    if (reply === null || Buffer.isBuffer(reply)) return reply;
    return typeof reply === 'string' ? Buffer.from(reply, 'base64') : Buffer.from(String(reply));
  };
  return {
    encode(value, keeps = false) {
      const bytes = bytesOf(value);
      // The caller may write to them before they cross.
      const copy = keeps ? ownCopy : Whole.of;
      return crossing(bytes, maxBytes, typeof value === 'string' ? null : copy);
    },
    take: nothing,
    decode,
    read: decode,
    parse: (crossing) => decode(replyOf(crossing)),
    // The value may be undefined, which a function may return.
    copy: (value) => value && Buffer.from(bytesOf(value)),
    made: (value, crossing) => (Buffer.isBuffer(value) ? value : decode(replyOf(crossing))),
    unreadable: 0,
  };
}

/**
 * @param {number} maxBytes
 * @returns {Codec}
 */
function plainText(maxBytes) {
  return {
    encode(value) {
      if (!isWellFormed(value)) throw unserializable("codec 'text' stores well-formed strings, and nothing else");
      if (value.length * 3 > maxBytes) checkSize(Buffer.byteLength(value), maxBytes);
      return value.length > MOST_WITHIN ? new Whole(value) : textOf(value);
    },
    take: nothing,
    decode: null,
    read: null,
    parse: (crossing) => (typeof crossing === 'string' ? parse(crossing) : crossing.content),
    copy: itself,
    made: itself,
    unreadable: 0,
  };
}

/** @param {any} value */
function copyOf(value) {
  if (value === null || typeof value !== 'object') return value;
  try {
    return parse(textOf(value));
  } catch (cause) {
    // The text may be so deep that JSON.parse reads it and JSON.stringify overflows the stack.
    const copy = copyTree(value);
    // A function may have made it, with a toJSON that works only once.
    if (copy === undefined)
      throw unserializable('the value has no second JSON form (a toJSON or getter that throws)', cause);
    return copy;
  }
}

function nothing() {
  return null;
}

/** @param {any} value for an owner who may have the same one: it cannot change, or nobody else has it */
function itself(value) {
  return value;
}

/**
 * @param {unknown} value
 * @param {number} maxBytes
 * @returns {string}
 */
function stringify(value, maxBytes) {
  let text;
  try {
    text = textOf(value);
  } catch (cause) {
    if (cause instanceof RangeError && cause.message === 'Invalid string length') throw tooLarge(maxBytes);
    throw unserializable('the value has no JSON form (a cycle, a BigInt, or a toJSON or getter that throws)', cause);
  }
  if (text === undefined) throw unserializable(`a ${typeof value} has no JSON form; store null, or delete the key`);
  return text;
}

/**
 * The bytes of a raw value, in the caller's own memory where it has them.
 * @param {unknown} value
 * @returns {Buffer}
 */
function bytesOf(value) {
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (isWellFormed(value)) return Buffer.from(value);
  throw unserializable("codec 'raw' stores bytes: a Buffer, another view of an ArrayBuffer, or a well-formed string");
}

/**
 * Whether a value is a string that UTF-8 carries: others would come back changed.
 * @param {unknown} value
 * @returns {value is string}
 */
function isWellFormed(value) {
  // Node 20 has it; the types of its standard library are older.
  return typeof value === 'string' && /** @type {any} */ (value).isWellFormed();
}

/**
 * Bytes as they cross: a JSON string of base64, or whole.
 * @param {Buffer} bytes
 * @param {number} maxBytes
 * @param {((bytes: Buffer) => Whole) | null} [copy] where somebody else has them too
 */
function crossing(bytes, maxBytes, copy = null) {
  checkSize(bytes.length, maxBytes);
  if (bytes.length <= MOST_WITHIN) return `"${bytes.toString('base64')}"`;
  return copy === null ? new Whole(bytes) : copy(bytes);
}

/** @param {Buffer} bytes */
function ownCopy(bytes) {
  return new Whole(Buffer.from(bytes));
}

/**
 * Bytes that cross, as those of a reply: the reader's own.
 * @param {string | Whole} crossing
 */
function replyOf(crossing) {
  return typeof crossing === 'string' ? crossing.slice(1, -1) : Buffer.from(crossing.content);
}

/**
 * Bytes of base64, not from Buffer's pool: typed arrays within a value become views of this memory.
 * @param {string} base64
 */
function ownBytes(base64) {
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(base64, 'base64'));
  bytes.write(base64, 'base64');
  return bytes;
}

/**
 * @param {number} bytes
 * @param {number} maxBytes
 */
function checkSize(bytes, maxBytes) {
  if (bytes > maxBytes) throw tooLarge(maxBytes);
}

/** @param {number} maxBytes */
function tooLarge(maxBytes) {
  return new HoldfastError(
    'ERR_VALUE_TOO_LARGE',
    `the value has more than ${maxBytes} bytes; store less, or raise maxValueBytes of createCache`,
  );
}

/**
 * @param {string} message
 * @param {unknown} [cause] what the caller's own code threw
 */
function unserializable(message, cause) {
  return new HoldfastError('ERR_UNSERIALIZABLE', message, cause === undefined ? undefined : { cause });
}

module.exports = { UNREADABLE, codecOf };
