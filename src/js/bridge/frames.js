// Frames: what a text of replies says, and the values that it does not hold.
//
// One JSON.parse turns a text into all of its values. A value that is only passed on was not checked to be JSON, only
// to be balanced, so that it takes no other's place (src/engine/base/balance.rs). Where one is no JSON the parse of all
// of them fails: Rust then looks at each, and puts null in its place. Long values come as texts of their own, beside
// that of the frames, and are parsed alone.
'use strict';

const { replyLost } = require('../base/errors.js');
const { parse } = require('../base/host.js');
const native = require('../addon/native.js');

/** @type {never[]} */
const NONE = [];

/**
 * What is said of one reply: that it failed; that its value comes beside the frames; or, with a 0, that it is no JSON.
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

/** The texts that come beside some frames, in the order of these. */
class Beside {
  /** @param {string[]} texts behind that of the frames */
  constructor(texts) {
    this.texts = texts;
    this.next = 1;
  }

  /**
   * Those of the next frame: they are counted before anything is done with them, so that no error gives a later frame
   * the text of an earlier one.
   * @param {0 | Aside[]} asides
   * @returns {string[]}
   */
  take(asides) {
    if (asides === 0) return NONE;
    const first = this.next;
    for (let i = 0; i < asides.length; i++) if (asides[i].length === 1) this.next++;
    return this.texts.slice(first, this.next);
  }
}

/**
 * Puts the values that came beside a frame in their places among its replies.
 * @param {any[]} replies
 * @param {number} from the place of the first of them among those of the batch
 * @param {Aside[]} asides
 * @param {string[]} texts
 * @returns {{ errors: 0 | Failure[], misread: number }} the replies that failed, and how many values are no JSON: those
 *   are null, as is what is not there
 */
function place(replies, from, asides, texts) {
  /** @type {Failure[]} */
  const errors = [];
  let misread = 0;
  let next = 0;
  for (const aside of asides) {
    const at = aside[0] - from;
    if (aside.length === 3) errors.push(aside);
    else if (aside.length === 2) misread++;
    else {
      const text = texts[next++];
      const value = parsed(text);
      const inList = Array.isArray(replies[at]);
      if (inList) replies[at][1] = value;
      else replies[at] = value ?? null;
      if (value !== undefined) continue;
      // V8 has no room for the text; or it was checked, and is no JSON to V8 alone.
      if (text === '' || inList) errors.push([aside[0], 'ERR_REPLY_LOST', replyLost(undefined).message]);
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
