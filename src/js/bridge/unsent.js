// The unsent chunks of one large write: they go in waves, so that a million keys are no burst.
//
// The problem. A read called after the large write goes at once, and would find the old value of a key of a later wave.
//
// The approach. A call for such a key first sends the chunks up to the key's own: they go ahead of their wave, and the
// call goes behind them. Between large writes the older one's chunks go first. Making the read wait for its turn was
// rejected: it would wait for seconds.
'use strict';

/** @typedef {import('./lane').Lane} Lane */

class Unsent {
  /**
   * @param {Lane} lane
   * @param {string[][]} chunks the keys of each
   * @param {(index: number, unsent: Unsent) => Promise<any[]>} send
   */
  constructor(lane, chunks, send) {
    this.lane = lane;
    this.chunks = chunks;
    this.send = send;
    /** The index of the next chunk. */
    this.at = 0;
    /** @type {Promise<any[]>[]} the replies of the chunks that were sent */
    this.replies = [];
    /** @type {Map<string, number> | null} the last chunk of each key, once a call asks for it */
    this.places = null;
  }

  /**
   * Sends all, some at once.
   * @param {number} atOnce
   * @returns {Promise<any[][]>} the replies of each chunk
   */
  async sendAll(atOnce) {
    const { lane, chunks, replies } = this;
    lane.unsent.push(this);
    for (const keys of chunks) for (const key of keys) lane.forget(key);
    try {
      while (this.at < chunks.length) {
        this.sendUpTo(Math.min(this.at + atOnce, chunks.length) - 1);
        await Promise.all(replies);
      }
      return await Promise.all(replies);
    } finally {
      this.at = chunks.length;
      lane.sentAll(this);
    }
  }

  /** @param {number} index */
  sendUpTo(index) {
    while (this.at <= index) {
      const reply = this.send(this.at++, this);
      // Where an earlier chunk fails, nothing awaits this promise.
      reply.catch(ignore);
      this.replies.push(reply);
    }
    if (this.at === this.chunks.length) this.lane.sentAll(this);
  }

  /** @param {string} key of a call that must go behind this write */
  goAhead(key) {
    this.places ??= new Map(this.chunks.flatMap((keys, i) => keys.map((each) => [each, i])));
    const place = this.places.get(key);
    if (place !== undefined) this.sendUpTo(place);
  }
}

function ignore() {}

module.exports = { Unsent };
