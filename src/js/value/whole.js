// Values that cross whole, and the memory in which bytes wait for the end of their turn.
//
// The problem. A caller may write to his bytes as soon as the call has returned, and they cross later. So they are
// copied, and of 200 KB new memory costs ten times as much as the copy: the system clears each page of it.
//
// The approach. Bytes are copied onto a shelf, memory that is used again once all that lies there has crossed. What it
// has no room for, and what somebody keeps for longer, gets memory of its own.
'use strict';

// Bytes of the shelf of this environment.
const SHELF = 1024 * 1024;

/** @type {Buffer | null} */
let shelf = null;
let used = 0;
/** Values on the shelf that have not crossed yet. */
let waiting = 0;

/** A value that crosses as what it is: bytes that nobody changes until then, or a text that is no JSON. */
class Whole {
  /**
   * @param {Buffer | string} content
   * @param {boolean} [shelved]
   */
  constructor(content, shelved = false) {
    this.content = content;
    /** As that of a text: bytes, or code units. */
    this.length = content.length;
    this.shelved = shelved;
  }

  /**
   * A copy of bytes, until they have crossed.
   * @param {Buffer} bytes
   */
  static of(bytes) {
    if (waiting === 0) used = 0;
    const end = used + bytes.length;
    if (end > SHELF) return new Whole(Buffer.from(bytes));
    shelf ??= Buffer.allocUnsafeSlow(SHELF);
    const content = shelf.subarray(used, end);
    content.set(bytes);
    used = end;
    waiting++;
    return new Whole(content, true);
  }

  /** Its content, which crosses now, before anything else is put on the shelf. */
  cross() {
    if (this.shelved) waiting--;
    this.shelved = false;
    return this.content;
  }
}

module.exports = { Whole };
