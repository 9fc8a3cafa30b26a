// Owns the worker thread of a checked process, as its main thread sees it. A schedule may end it in the middle of its
// calls: then the calls that it had reported are its history, and the main thread answers for it until the next
// schedule starts another one.
'use strict';

const { Worker } = require('node:worker_threads');

class Thread {
  #file;
  #place;
  #send;
  #worker = null;
  /** Tasks without an answer, by their numbers. */
  #asked = new Map();
  /** @type {Map<number, object>} calls by their place in its history, where it tells of them as they happen */
  #records = new Map();

  /** @param {(reply: object) => void} send answers the pool */
  constructor(file, place, send) {
    this.#file = file;
    this.#place = place;
    this.#send = send;
  }

  post(message) {
    if (message.task === 'open') this.#records.clear();
    if (message.task === 'open' || message.task === 'hello') this.#worker ??= this.#start();
    if (this.#worker === null) return this.#answer(message);
    this.#asked.set(message.id, message);
    this.#worker.postMessage(message);
  }

  async end() {
    await this.#worker?.terminate();
    this.#worker = null;
    for (const message of this.#asked.values()) this.#answer(message);
    this.#asked.clear();
  }

  #start() {
    const worker = new Worker(this.#file, { workerData: { place: this.#place } });
    worker.on('message', ({ record, drop, ...reply }) => {
      if (record) this.#records.set(record.seq, record);
      else if (drop !== undefined) this.#records.delete(drop);
      else if (this.#asked.delete(reply.id)) this.#send(reply);
    });
    // A thread that fails by itself is a failure of its process.
    worker.once('error', (error) => {
      throw error;
    });
    return worker;
  }

  #answer({ id, task }) {
    const result = task === 'close' ? { history: [...this.#records.values()], events: [], ended: true } : null;
    this.#send({ place: this.#place, id, result });
  }
}

module.exports = { Thread };
