// Frames: what a text of replies says, and the values that it does not hold.
//
// One JSON.parse turns a text into all of its values. A value that is only passed on was not checked to be JSON, only
// to be balanced, so that it takes no other's place (src/engine/base/balance.rs). Where one is no JSON the parse of all
// of them fails: Rust then looks at each, and puts null in its place. Long values come beside the text of the frames:
// as texts of their own, which are parsed alone, or as what they are, bytes or a text that is no JSON.
'use strict';

const { replyLost } = require('../base/errors.js');
const { parse } = require('../base/host.js');
const native = require('../addon/native.js');

/** @type {never[]} */
const NONE = [];

/**
 * What is said of one reply: that it failed; that its value comes beside the frames, with a 1 as what it is; or, with a
 * 0, that it is no JSON.
 * @typedef {[number, string, string] | [number] | [number, number]} Aside
 * @typedef {[number, string, string]} Failure
 */

/**
 * Four elements for each frame: see splice.rs.
 * @param {string} text
 * @returns {any[]}
 */
function framesOf(text) {
  try {
    return parse(text);
  } catch (cause) {
    const mended = native.Bridge.mend(text);
    if (mended === null || mended === undefined) throw cause;
    return parse(mended);
  }
}

/** @param {Aside} aside */
function isBeside(aside) {
  return aside.length === 1 || (aside.length === 2 && aside[1] === 1);
}

/** What comes beside some frames, in the order of these. */
class Beside {
  /** @param {(string | Buffer)[]} list behind the text of the frames */
  constructor(list) {
    this.list = list;
    this.next = 1;
  }

  /**
   * Those of the next frame: they are counted before anything is done with them, so that no error gives a later frame
   * the value of an earlier one.
   * @param {0 | Aside[]} asides
   * @returns {(string | Buffer)[]}
   */
  take(asides) {
    if (asides === 0) return NONE;
    const first = this.next;
    for (let i = 0; i < asides.length; i++) if (isBeside(asides[i])) this.next++;
    return this.list.slice(first, this.next);
  }
}

/**
 * Puts the values that came beside a frame in their places among its replies.
 * @param {any[]} replies
 * @param {number} from the place of the first of them among those of the batch
 * @param {Aside[]} asides
 * @param {(string | Buffer)[]} beside
 * @returns {{ errors: 0 | Failure[], misread: number }} the replies that failed, and how many values are no JSON: those
 *   are null, as is what is not there
 */
function place(replies, from, asides, beside) {
  /** @type {Failure[]} */
  const errors = [];
  let misread = 0;
  let next = 0;
  for (const aside of asides) {
    const at = aside[0] - from;
    if (aside.length === 3) errors.push(aside);
    else if (!isBeside(aside)) misread++;
    else {
      const given = beside[next++];
      // V8 had no room for it where it is an empty text.
      const value = aside.length === 2 && given !== '' ? given : parsed(/** @type {string} */ (given));
      const reply = replies[at];
      const inList = Array.isArray(reply);
      if (inList) reply[reply.length - 1] = value;
      else replies[at] = value ?? null;
      if (value !== undefined) continue;
      // Or it was checked, and is no JSON to V8 alone.
      if (given === '' || inList) errors.push([aside[0], 'ERR_REPLY_LOST', replyLost(undefined).message]);
      else misread++;
    }
  }
  return { errors: errors.length === 0 ? 0 : errors, misread };
}

/**
 * The value of a JSON text, which is never undefined.
 * @param {string} text
 */
function parsed(text) {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

module.exports = { Beside, framesOf, place };
