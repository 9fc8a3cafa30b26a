// The window: how many calls, and how much text, all caches of a thread may have under way at once. Further batches
// wait in their lanes, in order, until replies come.
//
// It bounds the memory of a burst beyond the values that the callers hold anyway, and keeps a burst from missing its
// own deadlines, which begin when a batch is handed over. An outage answers the calls under way, and so releases the
// others.
'use strict';

const MAX_CALLS = 16384;
// Code units of all texts: of larger values fewer calls may be under way.
const MAX_TEXT = 64 * 1024 * 1024;

class Window {
  constructor() {
    this.calls = 0;
    this.text = 0;
  }

  /** @param {import('./batch').Batch} batch */
  admits(batch) {
    return this.calls + batch.count <= MAX_CALLS && this.text + sizeOf(batch) <= MAX_TEXT;
  }

  /**
   * @param {number} calls
   * @param {number} size of their text
   */
  take(calls, size) {
    this.calls += calls;
    this.text += size;
  }

  /**
   * @param {number} calls
   * @param {number} size
   */
  give(calls, size) {
    this.calls -= calls;
    this.text -= size;
  }
}

/**
 * What a batch carries, in code units and bytes, its numbers included.
 * @param {import('./batch').Batch} batch
 */
function sizeOf({ text, used, wholeLength }) {
  return text.length + used * 8 + wholeLength;
}

module.exports = { MAX_CALLS, MAX_TEXT, Window, sizeOf };
