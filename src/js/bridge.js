// The batched bridge: the calls of one turn of the event loop travel to Rust as one call, and many replies come back as one text.
//
// What a call costs is what crosses the boundary. A native promise per call costs some 10 µs of event loop; here a call only appends to a
// text and to an array of numbers, and the first one of a turn schedules the flush. Rust answers with frames `id,[reply,…],errors`, any
// number of them in one text, which one JSON.parse turns into values.
//
// When a turn is over: src/js/turn.js.
'use strict';

const { Events } = require('./events');
const { Leaves } = require('./leaves');
const native = require('./native');
const { afterWake } = require('./turn');
const { Window } = require('./window');

/** @typedef {import('./channel').Channel} Channel */
/** @typedef {import('./channel').Sent} Sent */

/** The bridge of this environment: numbers what is sent and finds who waits for what comes. */
class Bridge {
  constructor() {
    // Rust holds the function for ever. Weak, so that a module registry that drops this module (Jest) drops the bridge with it; but held while calls are
    // under way, which must settle even if their cache is forgotten.
    const self = new WeakRef(this);
    /** @type {{ bridge: Bridge | null }} */
    const busy = { bridge: null };
    this.busy = busy;
    // Counters that hot values are checked against; a page of it costs memory once it is written.
    this.versions = new Int32Array(new SharedArrayBuffer(native.Bridge.slots() * Int32Array.BYTES_PER_ELEMENT));
    this.native = new native.Bridge(
      (/** @type {string} */ text) => (busy.bridge ?? self.deref())?.wake(text),
      this.versions,
    );
    /** @type {Map<number, Sent>} */
    this.sent = new Map();
    this.lastId = 0;
    /** What all channels have under way. */
    this.window = new Window();
    /** Code units of a reply, on average of the last ones. */
    this.replyLength = 0;
    this.events = new Events();
    this.leaves = new Leaves((names) => this.native.shape(names));
    /** @type {Set<Channel> | null} while the callers run that one text of replies has woken: the channels that they called */
    this.woken = null;
    this.flush = this.flush.bind(this);
  }

  nextId() {
    // 0 means an event.
    this.lastId = this.lastId === 0xffffffff ? 1 : this.lastId + 1;
    return this.lastId;
  }

  /** @param {string} text frames, as the engine's splice.rs writes them */
  wake(text) {
    const frames = JSON.parse(text);
    if (this.woken === null && afterWake(this.flush)) this.woken = new Set();
    let replies = 0;
    for (let i = 0; i < frames.length; i += 3) {
      const id = frames[i];
      if (id === 0) this.events.tell(frames[i + 1]);
      else {
        replies += frames[i + 1].length;
        this.finish(id, frames[i + 1], frames[i + 2]);
      }
    }
    if (replies > 0) this.replyLength = (this.replyLength + text.length / replies) / 2;
    if (this.sent.size === 0) {
      this.busy.bridge = null;
      this.native.rest();
    }
  }

  /** Hands over what callers did who were woken. */
  flush() {
    const channels = this.woken ?? [];
    this.woken = null;
    for (const channel of channels) channel.flush();
  }

  /**
   * @param {number} id
   * @param {any[]} replies
   * @param {0 | [number, string, string][]} errors
   */
  finish(id, replies, errors) {
    const sent = this.sent.get(id);
    // A waiter that was answered otherwise.
    if (sent === undefined) return;
    this.sent.delete(id);
    sent.channel.answer(sent.slots, replies, errors);
    sent.channel.settled(sent.count, sent.size);
  }
}

module.exports = { Bridge };
