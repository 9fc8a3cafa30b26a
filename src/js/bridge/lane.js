// The order of one namespace's calls: gathered into batches, handed over when the turn is over, and given their
// replies. The bridge's essay says why: bridge.js.
//
// Caches of one engine and namespace share a lane: a call goes behind what was called before it, on whichever of them.
// What an operation needs of its cache (codec, deadline) is its handle's, so a batch holds the calls of one channel.
'use strict';

const { now, parse, setImmediate } = require('../base/host.js');
const { newBatch, rejectAll, replyLost, settle } = require('./batch.js');
const { isBatchDue, laterBy } = require('./turn.js');
const { sizeOf } = require('./window.js');

// A turn with more calls than this goes in parts, each handed over as soon as it is full: Rust and Redis work on the
// first one while the event loop makes the rest. Smaller parts gain little more, and wake the event loop more often:
// docs/bridge.md.
const PART = 256;
// So is one with as much text, or whose replies will have as much if they are like the last ones.
const PART_TEXT = 64 * 1024;
// Groups (getMany) may make a batch longer, up to this: a pipeline of bounded length each, and strings of bounded size.
const MAX_OPS = 4096;
const MAX_TEXT = 8 * 1024 * 1024;
// A flush comes before the turn is over. One that has not come after so many milliseconds, and a call later, never
// will: a fake timer has it.
const OVERDUE_MS = 1000;

/** @typedef {import('./batch').Batch} Batch */
/** @typedef {import('./batch').Slot} Slot */
/** @typedef {import('./bridge').Bridge} Bridge */
/** @typedef {import('./channel').Channel} Channel */
/** @typedef {import('../hot/hot').Hot} Hot */
/** @typedef {import('./unsent').Unsent} Unsent */
/**
 * A batch, or a waiter, whose replies are to come. `left`: how many of the `count` have not. `length`: of its text.
 * @typedef {{ channel: Channel, slots: Slot[], count: number, left: number, length: number }} Sent
 */

class Lane {
  /** @param {Bridge} bridge */
  constructor(bridge) {
    this.bridge = bridge;
    /** @type {Batch} */
    this.open = newBatch();
    /** @type {Batch[]} full, waiting for the window */
    this.sealed = [];
    this.scheduled = false;
    /** When the flush was scheduled. */
    this.since = 0;
    /** How the flush of a turn is scheduled: by whether the last one crossed to another thread. */
    this.later = laterBy(false);
    this.underWay = 0;
    /** @type {WeakRef<Hot>[]} the hot values of its caches; weak, as a cache may be forgotten without being closed */
    this.hots = [];
    /** @type {Unsent[]} large writes of which chunks are still to be sent, the oldest first */
    this.unsent = [];
    this.flush = this.flush.bind(this);
  }

  /** @param {Hot} hot the hot values of a further cache */
  share(hot) {
    this.hots = this.hots.filter((ref) => ref.deref() !== undefined);
    this.hots.push(new WeakRef(hot));
  }

  /**
   * A write is called: no hot value of its key is read behind it.
   * @param {string} key
   */
  forget(key) {
    for (const ref of this.hots) ref.deref()?.forget(key);
  }

  /** As `forget`, for all keys. */
  forgetAll() {
    for (const ref of this.hots) ref.deref()?.clear();
  }

  /** Whether a call waits here that is not handed over yet. */
  get waits() {
    return this.open.count > 0 || this.sealed.length > 0 || this.unsent.length > 0;
  }

  /**
   * A call of this key is about to be added: what large writes still have of it goes first.
   * @param {string} key
   * @param {Unsent | null} by the large write whose call it is: younger ones go behind it
   */
  goAhead(key, by) {
    for (const unsent of this.unsent.slice()) {
      if (unsent === by) return;
      unsent.goAhead(key);
    }
  }

  /** As `goAhead`, for all keys. */
  allGoAhead() {
    for (const unsent of this.unsent.slice()) unsent.sendUpTo(unsent.chunks.length - 1);
  }

  /** @param {Unsent} unsent whose chunks have all been sent */
  sentAll(unsent) {
    this.unsent = this.unsent.filter((other) => other !== unsent);
  }

  /**
   * The batch that takes a call.
   * @param {Channel} channel
   * @param {Slot} slot who waits for it
   * @param {number} length of its text
   */
  batchFor(channel, { count, many }, length) {
    // Before the first of a group: it stays together.
    if (many && this.open.count > 0 && this.overdue) this.flush();
    const { open } = this;
    if (open.count > 0) {
      // Groups of one turn share a batch up to the size of a part.
      const most = many ? PART : MAX_OPS;
      if (open.channel === channel && open.count + count <= most && open.text.length + length <= MAX_TEXT) return open;
      this.sealOpen();
    }
    this.open.channel = channel;
    return this.open;
  }

  /**
   * A call was added to the open batch.
   * @param {boolean} single it is no part of a group
   */
  added(single) {
    const { open } = this;
    if (single && this.isPart(open)) {
      this.flush();
    } else if (!this.scheduled) {
      this.scheduled = true;
      this.since = now();
      // A round of the event loop for nothing would be more than a tenth of what a lone call costs it.
      if (this.bridge.woken === null) this.later(this.flush);
      else this.bridge.woken.push(this);
    } else if (single && (open.count & (open.count - 1)) === 0 && this.overdue) {
      // Asked at the second, fourth, eighth … call, as it costs a look at the clock.
      this.flush();
    }
  }

  /** Whether the flush that was scheduled has not come: mostly as the turn is a long one. */
  get overdue() {
    return this.scheduled && now() - this.since > OVERDUE_MS;
  }

  /**
   * Whether a batch is large enough to go before the turn is over.
   * @param {Batch} batch
   */
  isPart({ count, text, used }) {
    return count >= PART || text.length + used * 8 >= PART_TEXT || count * this.bridge.replyLength >= PART_TEXT;
  }

  /** @param {Batch} batch goes behind all that was called before */
  add(batch) {
    this.allGoAhead();
    this.sealOpen();
    this.sealed.push(batch);
    this.release();
  }

  /** Hands over what has gathered, as far as the window allows. */
  flush() {
    this.scheduled = false;
    const batch = this.open;
    if (batch.count > 0 && this.sealed.length === 0 && this.admits(batch)) {
      this.open = newBatch(batch);
      this.submit(batch);
    } else {
      this.sealOpen();
      this.release();
    }
  }

  /** Hands over what has gathered before anything hot is read again: it ends more than the keys that it names. */
  flushAhead() {
    this.flush();
    // It waits for the window, and Rust has not raised the versions yet.
    if (this.sealed.length > 0) this.forgetAll();
  }

  sealOpen() {
    if (this.open.count === 0) return;
    this.sealed.push(this.open);
    this.open = newBatch();
  }

  /** @param {Batch} batch */
  admits(batch) {
    // One batch may be under way whatever other lanes do: its end releases the next.
    return this.underWay === 0 || this.bridge.window.admits(batch);
  }

  release() {
    // By its length: what is absent is looked for on Object.prototype.
    while (this.sealed.length > 0 && this.admits(this.sealed[0]))
      this.submit(/** @type {Batch} */ (this.sealed.shift()));
  }

  /** @param {Batch} batch */
  submit(batch) {
    const { bridge } = this;
    const { text, numbers, used, count, slots } = batch;
    const channel = /** @type {Channel} */ (batch.channel);
    // Rust answers nothing for a handle that was closed.
    if (channel.closed !== null) return rejectAll(bridge, slots, channel.closed);
    const id = bridge.nextId();
    // Before Rust looks at its clock: what is left of a TTL must not count from later than that.
    const asked = channel.hot === null ? 0 : now();
    let length = 0;
    try {
      const answer =
        batch.task === undefined
          ? bridge.native.submit(channel.handle, id, text, numbers, used)
          : bridge.native.run(channel.handle, id, batch.task, text);
      if (answer !== null && answer !== undefined) {
        const [replies, errors, found, rest] = parse(answer);
        if (found !== 0) this.admit(channel, found, slots, replies, asked);
        if (rest === 0) {
          this.later = laterBy(true);
          this.answer(channel, batch, replies, errors);
          return;
        }
        settle(bridge, slots, 0, replies, errors, new Set(rest));
      }
      length = sizeOf(batch);
      bridge.sent.set(id, { channel, slots, count, left: count, length });
    } catch (cause) {
      rejectAll(bridge, slots, replyLost(cause));
      channel.wakeIdle();
      return;
    }
    this.later = laterBy(false);
    this.begin(channel, count, length);
    bridge.busy.bridge = bridge;
  }

  /**
   * A batch is answered within the call.
   * @param {Channel} channel
   * @param {Batch} batch
   * @param {any[]} replies
   * @param {0 | [number, string, string][]} errors
   */
  answer(channel, { slots, count }, replies, errors) {
    if (!isBatchDue(count)) {
      settle(this.bridge, slots, 0, replies, errors, null);
      channel.wakeIdle();
      return;
    }
    this.begin(channel, count, 0);
    setImmediate(() => {
      settle(this.bridge, slots, 0, replies, errors, null);
      this.end(channel, count, 0);
    });
  }

  /**
   * Takes hot values, and puts them in their places among the replies.
   * @param {Channel} channel
   * @param {any[]} found index, milliseconds, text and versions of each, in the order of the replies
   * @param {Slot[]} slots
   * @param {any[]} replies
   * @param {number} asked of `now()`, when they were looked up
   */
  admit({ hot }, found, slots, replies, asked) {
    if (hot === null) return;
    // What still waits may be a write of these very keys: the next read, behind it, must not find what was before.
    const keeps = !this.waits;
    let at = 0;
    let next = 0;
    for (let i = 0; i < found.length; i += 4) {
      const index = found[i];
      while (at < index) at += slots[next++].count;
      const text = found[i + 2];
      replies[index] = keeps
        ? hot.admit(slots[next].key, text, found[i + 3], asked + found[i + 1])
        : hot.give(parse(text));
    }
  }

  /**
   * Operations are under way.
   * @param {Channel} channel
   * @param {number} count
   * @param {number} length of their text
   */
  begin(channel, count, length) {
    this.underWay += count;
    this.bridge.window.take(count, length);
    channel.underWay += count;
  }

  /**
   * And answered.
   * @param {Channel} channel
   * @param {number} count
   * @param {number} length
   */
  end(channel, count, length) {
    this.underWay -= count;
    this.bridge.window.give(count, length);
    channel.underWay -= count;
    if (this.sealed.length > 0) this.release();
    channel.wakeIdle();
  }

  /** @param {Channel} channel whether one of its calls waits here */
  holds(channel) {
    return (
      (this.open.count > 0 && this.open.channel === channel) || this.sealed.some((batch) => batch.channel === channel)
    );
  }
}

module.exports = { Lane };
