// A lane keeps the order of one namespace's calls: it gathers them into batches, hands these over when the turn is
// over, and gives the replies to their slots. Why calls are batched: bridge.js.
//
// Caches of one engine and namespace share a lane: a call goes behind all earlier calls, on whichever cache they were
// made. An operation takes its codec and deadline from the handle of its cache, so a batch holds the calls of one
// channel.
'use strict';

const { replyLost } = require('../base/errors.js');
const { now, parse, setImmediate } = require('../base/host.js');
const { crossingOf, follows, newBatch, rejectAll, settle } = require('./batch.js');
const { isHeard, tellBatch } = require('./events.js');
const { place } = require('./frames.js');
const { SHARED, isBatchDue, laterBy } = require('./turn.js');
const { sizeOf } = require('./window.js');

// A turn with more calls than this goes in parts, each handed over as soon as it is full: Rust and Redis work on the
// first one while the event loop makes the rest. Smaller parts gain little more, and wake the event loop more often:
// docs/bridge.md.
const PART = 256;
// Code units. A batch with as much text also goes at once, or one whose replies will have as much, going by the last
// ones.
const PART_TEXT = 64 * 1024;
// Operations and code units of a batch, which groups (getMany) may make longer than a part: they bound the pipeline and
// the strings.
const MAX_OPS = 4096;
const MAX_TEXT = 8 * 1024 * 1024;
// A flush comes before the turn is over. One that has not come after this many milliseconds, when a further call is
// made, never comes: a fake timer holds it.
const OVERDUE_MS = 1000;

/** @typedef {import('./batch').Batch} Batch */
/** @typedef {import('./batch').Slot} Slot */
/** @typedef {import('./bridge').Bridge} Bridge */
/** @typedef {import('./channel').Channel} Channel */
/** @typedef {import('../hot/hot').Hot} Hot */
/** @typedef {import('./unsent').Unsent} Unsent */
/**
 * A batch, or a waiter, whose replies are to come. `left`: how many of the `count` are still missing. `length`: of its
 * text, in code units. `told`: what subscribers know of it.
 * @typedef {{ channel: Channel, slots: Slot[], count: number, left: number, length: number,
 *   told: import('../base/channels').Told | null }} Sent
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
    /** Schedules the flush of a turn; how depends on whether the last batch was answered at once. */
    this.later = laterBy(false);
    this.underWay = 0;
    /** @type {WeakRef<Hot>[]} the hot values of its caches; weak, as a cache may be forgotten without being closed */
    this.hots = [];
    /** @type {Unsent[]} large writes with chunks still to be sent, the oldest first */
    this.unsent = [];
    this.flush = this.flush.bind(this);
  }

  /** @param {Hot} hot the hot values of a further cache */
  share(hot) {
    this.hots = this.hots.filter((ref) => ref.deref() !== undefined);
    this.hots.push(new WeakRef(hot));
  }

  /**
   * A write is called: later reads must not find a hot value of its key.
   * @param {string} key
   */
  forget(key) {
    for (const ref of this.hots) ref.deref()?.forget(key);
  }

  /** As `forget`, for all keys. */
  forgetAll() {
    for (const ref of this.hots) ref.deref()?.clear();
  }

  /** Whether a call is here that is not handed over yet. */
  get waits() {
    return this.open.count > 0 || this.sealed.length > 0 || this.unsent.length > 0;
  }

  /**
   * A call of this key is about to be added: large writes send their chunks of the key first.
   * @param {string} key
   * @param {Unsent | null} by the large write that makes the call: younger large writes go behind it
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
   * @param {Slot} slot waits for its reply
   * @param {number} length of its value
   */
  batchFor(channel, { count, many }, length) {
    // Before the first call of a group: the group stays together.
    if (many && this.open.count > 0 && this.overdue) this.flush();
    const { open } = this;
    if (open.count > 0) {
      // Groups of one turn share a batch up to the size of a part.
      const most = many ? PART : MAX_OPS;
      const fits = open.text.length + open.wholeLength + length <= MAX_TEXT;
      if (open.channel === channel && open.count + count <= most && fits) return open;
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
      if (this.bridge.woken !== null) this.bridge.woken.push(this);
      else {
        if (!this.bridge.gathers) this.bridge.shares.other();
        this.later(this.flush);
      }
    } else if (single && (open.count & (open.count - 1)) === 0 && this.overdue) {
      // Asked at the second, fourth, eighth … call, as it costs a look at the clock.
      this.flush();
    }
  }

  /** Whether the scheduled flush is late: mostly because the turn is a long one. */
  get overdue() {
    return this.scheduled && now() - this.since > OVERDUE_MS;
  }

  /**
   * Whether a batch is large enough to go before the turn is over.
   * @param {Batch} batch
   */
  isPart(batch) {
    const { count, channel } = batch;
    const { replyLength, sent, share } = this.bridge;
    if (count >= share && sent.size < SHARED && channel?.line) return true;
    return count >= PART || sizeOf(batch) >= PART_TEXT || count * replyLength >= PART_TEXT;
  }

  /** @param {Batch} batch goes behind all earlier calls */
  add(batch) {
    this.allGoAhead();
    this.sealOpen();
    this.sealed.push(batch);
    this.release();
  }

  /** Hands over the gathered calls, as far as the window allows. */
  flush() {
    this.scheduled = false;
    this.bridge.gathers = false;
    const batch = this.open;
    if (batch.count > 0 && this.sealed.length === 0 && this.admits(batch)) {
      this.open = newBatch(batch);
      this.submit(batch);
    } else {
      this.sealOpen();
      this.release();
    }
  }

  /** Hands over the gathered calls before a hot value is read again: they end more than the keys that they name. */
  flushAhead() {
    this.flush();
    // They wait for the window, so Rust has not raised the versions yet.
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
    // Asks for the length first: an absent element would be looked for on Object.prototype.
    while (this.sealed.length > 0 && this.admits(this.sealed[0]))
      this.submit(/** @type {Batch} */ (this.sealed.shift()));
  }

  /** @param {Batch} batch */
  submit(batch) {
    const { bridge } = this;
    const { text, numbers, used, count, slots } = batch;
    const channel = /** @type {Channel} */ (batch.channel);
    const given = crossingOf(batch);
    // Rust answers nothing for a handle that was closed.
    if (channel.closed !== null) return rejectAll(bridge, slots, channel.closed);
    const id = bridge.nextId();
    // Taken before Rust looks at its clock: the rest of a TTL must not count from a later moment.
    const asked = channel.hot === null ? 0 : now();
    let length = 0;
    let atOnce = 0;
    try {
      const answer =
        batch.task === undefined
          ? bridge.native.submit(channel.handle, id, given, numbers, used)
          : bridge.native.run(channel.handle, id, batch.task, text);
      channel.line?.turn();
      if (answer !== null && answer !== undefined) {
        const alone = typeof answer === 'string';
        const [replies, asides, found, rest] = parse(alone ? answer : answer[0]);
        const errors = alone ? asides : place(replies, 0, asides, answer.slice(1)).errors;
        if (found !== 0) this.admit(channel, found, slots, replies, asked);
        if (rest === 0) {
          this.later = laterBy(true);
          this.answer(channel, batch, replies, errors);
          if (isHeard()) tellBatch(channel, count, count);
          return;
        }
        settle(bridge, slots, 0, replies, errors, new Set(rest));
        atOnce = count - rest.length;
      }
      length = sizeOf(batch);
      bridge.sent.set(id, { channel, slots, count, left: count, length, told: null });
      channel.line?.sent();
    } catch (cause) {
      rejectAll(bridge, slots, replyLost(cause));
      channel.wakeIdle();
      return;
    }
    this.later = laterBy(false);
    this.begin(channel, count, length);
    bridge.busy.bridge = bridge;
    // Only now: a subscriber may make calls of its own, which go behind these.
    if (isHeard()) /** @type {Sent} */ (bridge.sent.get(id)).told = tellBatch(channel, count, atOnce);
  }

  /**
   * A batch is answered within the call.
   * @param {Channel} channel
   * @param {Batch} batch
   * @param {any[]} replies
   * @param {0 | [number, string, string][]} errors
   */
  answer(channel, { slots, count }, replies, errors) {
    if (!isBatchDue(count) || follows(slots, replies)) {
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
   * Keeps values as hot ones, and puts them in their places among the replies.
   * @param {Channel} channel
   * @param {any[]} found index, milliseconds, text and versions of each, in the order of the replies
   * @param {Slot[]} slots
   * @param {any[]} replies
   * @param {number} asked the value of `now()` before they were looked up
   */
  admit({ hot }, found, slots, replies, asked) {
    if (hot === null) return;
    // A call that still waits may write one of these keys: a read behind it must not find the old value.
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
   * Operations are answered.
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
