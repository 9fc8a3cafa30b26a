// The batched bridge: the calls of one turn of the event loop travel to Rust as one call, and many replies come back as
// one text.
//
// The cost of a call is the cost of crossing the boundary. A native promise per call costs some 10 µs of event loop;
// here a call only appends to a text and to an array of numbers, and the first one of a turn schedules the flush. Rust
// answers with frames `id,from,[reply,…],asides`, any number of them in one text, which one JSON.parse turns into
// values (frames.js); the replies of a batch come in several frames where they are long.
//
// Many callers wait for one wake-up. Nothing in it may keep the others from their replies: where handling a frame
// throws, only its own callers are rejected, and the application's code (loggers, listeners) runs later, in ticks of
// its own.
//
// When a turn is over: turn.js.
'use strict';

const { batches, ended, failed } = require('../base/channels.js');
const { replyLost } = require('../base/errors.js');
const { surface } = require('../base/host.js');
const native = require('../addon/native.js');
const { askPassword } = require('../options/passwords.js');
const { Leaves } = require('../value/leaves.js');
const { rejectAll, settle, settleSome } = require('./batch.js');
const { Events } = require('./events.js');
const { Beside, framesOf, place } = require('./frames.js');
const { Lane } = require('./lane.js');
const { Line } = require('./line.js');
const { Shares, afterWake } = require('./turn.js');
const { Window } = require('./window.js');

/** @typedef {import('./lane').Sent} Sent */
/**
 * Frames, as the engine's splice.rs writes them, alone or first in a list of what comes beside them.
 * @typedef {string | [string, ...(string | Buffer)[]]} Came
 */

/** @type {never[]} */
const NONE = [];

/** The bridge of this environment: numbers the batches that it sends, and finds the slots of the replies that come. */
class Bridge {
  constructor() {
    // Rust holds the function for ever. It holds the bridge weakly, so that a module registry that drops this module
    // (Jest) drops the bridge with it; but firmly while calls are under way, which must settle even if their cache is
    // forgotten.
    const self = new WeakRef(this);
    /** @type {{ bridge: Bridge | null }} */
    const busy = { bridge: null };
    this.busy = busy;
    /** Where, among the versions, a peek leaves how many versions there are, milliseconds, and slots and versions. */
    this.peeked = native.Bridge.peeked();
    // The counters against which hot values are checked; a page of them costs memory once it is written.
    this.versions = new Int32Array(new SharedArrayBuffer(native.Bridge.slots() * Int32Array.BYTES_PER_ELEMENT));
    this.native = new native.Bridge(
      (/** @type {Came} */ came) => (busy.bridge ?? self.deref())?.wake(came),
      this.versions,
      process.versions.bun === undefined && process.versions.deno === undefined,
    );
    /** @type {Map<number, Sent>} */
    this.sent = new Map();
    this.lastId = 0;
    /** Bounds the calls that all channels have under way. */
    this.window = new Window();
    /** Code units of a reply: a moving average. */
    this.replyLength = 0;
    this.events = new Events();
    this.leaves = new Leaves((names) => this.native.shape(names));
    /** @type {Map<string, WeakRef<Lane>>} by engine and namespace */
    this.lanes = new Map();
    /** @type {Map<number, WeakRef<Line>>} by engine */
    this.lines = new Map();
    /** @type {Lane[] | null} the lanes of calls made by callers that one text of replies has woken, while they run */
    this.woken = null;
    this.shares = new Shares();
    /** The calls of the callers just woken wait for the end of the turn, and for calls of others. */
    this.gathers = false;
    /** How many of their calls go together; Infinity: all of them. */
    this.share = Infinity;
    this.flush = this.flush.bind(this);
  }

  nextId() {
    // 0 means an event.
    this.lastId = this.lastId === 0xffffffff ? 1 : this.lastId + 1;
    return this.lastId;
  }

  /**
   * The handle of a new cache, or why there is none.
   * @param {any} given options for Rust
   */
  open(given) {
    const loopIo = given.loopIo && Boolean(given.url) && Line.isPossible();
    const handle = native.open(this.native, { __proto__: null, ...given, loopIo });
    // The function lives as long as the engine may ask for it.
    handle.askPassword = given.askPassword;
    return handle;
  }

  /**
   * The lane of a cache, which caches of the same engine and namespace share.
   * @param {any} handle the native cache
   * @returns {Lane}
   */
  laneOf(handle) {
    const name = `${handle.engine}:${handle.prefix}`;
    const known = this.lanes.get(name)?.deref();
    if (known !== undefined) return known;
    for (const [other, lane] of this.lanes) if (lane.deref() === undefined) this.lanes.delete(other);
    const lane = new Lane(this);
    this.lanes.set(name, new WeakRef(lane));
    return lane;
  }

  /**
   * The line of a cache's engine, where this event loop does its I/O.
   * @param {any} handle the native cache
   * @returns {Line | null}
   */
  lineOf(handle) {
    const known = this.lines.get(handle.engine)?.deref();
    if (known !== undefined && !known.gone) {
      known.share(handle);
      return known;
    }
    if (!handle.lined) return null;
    for (const [other, line] of this.lines) if (line.deref() === undefined) this.lines.delete(other);
    const line = new Line(this, handle);
    this.lines.set(handle.engine, new WeakRef(line));
    return line;
  }

  /** @param {Came} came */
  wake(came) {
    // The flush after the last wake-up never came: a fake timer holds it.
    if (this.woken !== null) this.flush();
    this.events.attend();
    this.gathers = !this.shares.mayGoAhead() || !afterWake(this.flush);
    if (!this.gathers) {
      this.woken = [];
      this.share = this.shares.of(this.window.calls);
    }
    try {
      if (typeof came === 'string') this.take(framesOf(came), came.length, NONE);
      else this.take(framesOf(came[0]), lengthOf(came), came);
    } catch (cause) {
      // Its content is lost; Rust knows the ids that it had.
      for (const id of this.native.lastIds()) this.drop(id, cause);
    }
    if (this.sent.size === 0) this.rest();
  }

  /**
   * Its caller no longer waits for this answer.
   * @param {number} waiter
   */
  forget(waiter) {
    if (this.sent.delete(waiter) && this.sent.size === 0) this.rest();
  }

  /** Nothing is under way: nothing keeps the bridge or the process alive any more. */
  rest() {
    this.busy.bridge = null;
    this.native.rest();
  }

  /**
   * @param {any[]} frames
   * @param {number} length of all that came
   * @param {(string | Buffer)[]} came the text of the frames, and what comes beside it
   */
  take(frames, length, came) {
    const beside = new Beside(came);
    let count = 0;
    for (let i = 0; i < frames.length; i += 4) {
      const id = frames[i];
      const replies = frames[i + 2];
      const lone = beside.take(frames[i + 3]);
      try {
        if (id === 0) this.tell(replies);
        else this.finish(id, frames[i + 1], replies, frames[i + 3], lone);
      } catch (cause) {
        this.drop(id, cause);
      }
      if (id !== 0) count += replies.length;
    }
    if (count > 0) this.replyLength = (this.replyLength + length / count) / 2;
  }

  /** @param {any} message a change, for listeners, or that a password is wanted */
  tell(message) {
    if (message.question === undefined) this.events.tell(message);
    else askPassword(message);
  }

  /** Hands over the calls of the callers that were woken. */
  flush() {
    const lanes = this.woken ?? [];
    this.woken = null;
    this.share = Infinity;
    for (let i = 0; i < lanes.length; i++) {
      try {
        lanes[i].flush();
      } catch (error) {
        // No lane keeps another one from its flush.
        surface(error);
      }
    }
  }

  /**
   * @param {number} id
   * @param {number | number[]} from the place of the first reply among those of the batch; or those of all of them
   * @param {any[]} replies
   * @param {0 | import('./frames').Aside[]} asides
   * @param {(string | Buffer)[]} lone what came beside this frame
   */
  finish(id, from, replies, asides, lone) {
    const sent = this.sent.get(id);
    // A waiter that has already been answered another way.
    if (sent === undefined) return;
    try {
      const apart = typeof from !== 'number';
      const placed = asides === 0 ? null : place(replies, apart ? 0 : from, asides, lone);
      if (placed !== null && placed.misread > 0) sent.channel.handle.misread(placed.misread);
      const errors = placed === null ? 0 : placed.errors;
      if (apart) settleSome(this, sent.slots, from, replies, errors);
      else settle(this, sent.slots, from, replies, errors, null);
    } catch (cause) {
      return this.drop(id, cause);
    }
    sent.left -= replies.length;
    if (sent.left <= 0) this.over(id, sent);
  }

  /**
   * The replies of a batch, or of a waiter, are lost.
   * @param {number} id
   * @param {unknown} cause
   */
  drop(id, cause) {
    const sent = this.sent.get(id);
    if (sent === undefined) return;
    const error = replyLost(cause);
    rejectAll(this, sent.slots, error);
    if (sent.told !== null) failed(batches, sent.told, error);
    sent.told = null;
    this.over(id, sent);
  }

  /**
   * Nothing more comes for a batch, or for a waiter.
   * @param {number} id
   * @param {Sent} sent
   */
  over(id, { channel, count, length, told }) {
    this.sent.delete(id);
    channel.lane.end(channel, count, length);
    if (told !== null) ended(batches, told);
  }
}

/** @param {(string | Buffer)[]} came */
function lengthOf(came) {
  let length = 0;
  for (let i = 0; i < came.length; i++) length += came[i].length;
  return length;
}

module.exports = { Bridge };
