// Values that cross whole, and the memory in which bytes wait for the end of their turn.
//
// The problem. A caller may write to his bytes as soon as the call has returned, and they cross later. So they are
// copied, and of 200 KB new memory costs ten times as much as the copy: the system clears each page of it.
//
// The approach. Bytes are copied onto a shelf, memory that is used again once all that lies there has crossed. Where it
// is full there is a new one: also behind a value that never crosses, as its call was refused after all. What is longer
// than a shelf, and what somebody keeps for longer, gets memory of its own.
'use strict';

// Bytes of the shelf of this environment.
const SHELF = 1024 * 1024;

/** `waiting`: values on it that have not crossed yet. */
class Shelf {
  memory = Buffer.allocUnsafeSlow(SHELF);
  used = 0;
  waiting = 0;

  /** @param {Buffer} bytes */
  put(bytes) {
    const content = this.memory.subarray(this.used, this.used + bytes.length);
    content.set(bytes);
    this.used += bytes.length;
    this.waiting++;
    return content;
  }
}

/** @type {Shelf | null} the one that has room */
let open = null;

/** A value that crosses as what it is: bytes that nobody changes until then, or a text that is no JSON. */
class Whole {
  /**
   * @param {Buffer | string} content
   * @param {Shelf | null} [shelf] where it lies
   */
  constructor(content, shelf = null) {
    this.content = content;
    /** As that of a text: bytes, or code units. */
    this.length = content.length;
    this.shelf = shelf;
  }

  /**
   * A copy of bytes, until they have crossed.
   * @param {Buffer} bytes
   */
  static of(bytes) {
    if (bytes.length > SHELF) return new Whole(Buffer.from(bytes));
    if (open?.waiting === 0) open.used = 0;
    if (open === null || open.used + bytes.length > SHELF) open = new Shelf();
    return new Whole(open.put(bytes), open);
  }

  /** Its content, which crosses now, before anything else is put on the shelf. */
  cross() {
    if (this.shelf !== null) this.shelf.waiting--;
    this.shelf = null;
    return this.content;
  }
}

module.exports = { Whole };
