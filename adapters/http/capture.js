// Listens to a handler's answer while the client gets it, and keeps a copy if it is to be stored.
//
// Who waits for it hears as early as can be that there will be no copy: with the head, where that forbids storing, or
// as soon as the body exceeds its bound. So nobody waits for an answer that never ends.
'use strict';

/** The client went away while its answer was on its way: who waits asks again. Never leaves this folder. */
class Gone extends Error {
  name = 'Gone';
}

class Capture {
  #plan;
  #maxBytes;
  #chunks = [];
  #bytes = 0;
  #head = null;
  #settle;
  #fail;

  /**
   * @param {(response: { status: number, headers: Record<string, any> }) => any} plan how it is stored; undefined: not
   * @param {number} maxBytes
   */
  constructor(plan, maxBytes) {
    this.#plan = plan;
    this.#maxBytes = maxBytes;
    this.over = false;
    /** Resolves to what came, with a `plan` and a `body` where it is to be stored; rejects with `Gone`. */
    this.result = new Promise((resolve, reject) => {
      this.#settle = resolve;
      this.#fail = reject;
    });
    // A leader that has timed out does not wait for it any more.
    this.result.catch(() => {});
  }

  get begun() {
    return this.#head !== null;
  }

  /**
   * @param {number} status
   * @param {Record<string, any>} headers all that the client gets; they decide
   * @param {Record<string, any>} [own] those of the handler, which are stored
   */
  head(status, headers, own = headers) {
    if (this.over || this.begun) return;
    this.#head = { status, headers: own, plan: this.#plan({ status, headers }) };
    if (this.#head.plan === undefined) this.#end();
  }

  /** @param {Uint8Array} bytes whose owner may write over them */
  chunk(bytes) {
    if (this.over) return;
    this.#bytes += bytes.length;
    if (this.#bytes > this.#maxBytes) return this.#giveUp();
    this.#chunks.push(Buffer.from(bytes));
  }

  end() {
    if (this.over) return;
    // It has ended without a head: nothing is known of it.
    if (!this.begun) return this.lose();
    const announced = this.#head.headers['content-length'];
    // A handler that stopped in the middle: the client sees a broken answer, and nobody else shall (3.3).
    if (announced !== undefined && Number(announced) !== this.#bytes) return this.#giveUp();
    this.#end(Buffer.concat(this.#chunks));
  }

  /** Its client, or the stream behind it, is gone. */
  lose() {
    if (this.over) return;
    this.#release();
    this.#fail(new Gone('the answer was not finished'));
  }

  #giveUp() {
    this.#head.plan = undefined;
    this.#end();
  }

  #end(body) {
    this.#release();
    this.#settle({ ...this.#head, body });
  }

  #release() {
    this.over = true;
    this.#chunks = [];
  }
}

module.exports = { Capture, Gone };
