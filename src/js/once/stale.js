// A value that a flight replaces: one whose TTL has ended, or that is refreshed before it ends. Which callers it is of
// use to, and copies of it for them.
'use strict';

const { now } = require('../base/host.js');
const { UNREADABLE } = require('../value/codec.js');

/** @typedef {import('../value/codec').Codec} Codec */
/** @typedef {import('./terms').Terms} Terms */

/** A value whose TTL has ended, or that is refreshed before it ends. */
class Stale {
  /**
   * @param {any} reply
   * @param {number} age milliseconds since its TTL ended; negative where it has not ended yet
   */
  constructor(reply, age) {
    this.reply = reply;
    this.endedAt = now() - age;
  }

  /** @param {Terms} terms of a caller; whether this value satisfies it */
  servesAtOnce({ swr }) {
    const { age } = this;
    return age < 0 || age < swr;
  }

  /** @param {Terms} terms of a caller; whether it may fall back on this value */
  servesInNeed({ grace }) {
    return this.age < grace;
  }

  get age() {
    return now() - this.endedAt;
  }

  /**
   * The value, for one more owner.
   * @param {Codec} codec of the owner's cache
   */
  take(codec) {
    const { reply } = this;
    if (codec.decode === null) return codec.copy(reply);
    // Bytes become their reader's own.
    return codec.decode(Buffer.isBuffer(reply) ? Buffer.from(reply) : reply);
  }
}

/**
 * The stale value that came with an answer to lead.
 * @param {Codec} codec
 * @param {any[]} answer
 */
function staleOf(codec, [, , age, reply]) {
  if (age === undefined) return null;
  if (codec.decode === null || codec.decode(reply) !== UNREADABLE) return new Stale(reply, age);
  codec.unreadable++;
  return null;
}

module.exports = { Stale, staleOf };
