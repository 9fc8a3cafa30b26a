// The calls of one cache: gathered into batches, handed over when the turn is over, and given their replies. The bridge's essay says why: bridge.js.
'use strict';

const { append, newBatch, settle } = require('./batch');
const { Early, Op, Task, WRITES } = require('./ops');
const { laterBy } = require('./turn');

const NONE = new Float64Array(0);
// A turn with more calls than this goes in parts, each handed over as soon as it is full: Rust and Redis work on the first one while the event loop makes
// the rest. Smaller parts gain little more, and wake the event loop more often: docs/bridge.md.
const PART = 256;
// So is one with as much text, or whose replies will have as much if they are like the last ones.
const PART_TEXT = 64 * 1024;
// Groups (getMany) may make a batch longer, up to this: a pipeline of bounded length each, and strings of bounded size.
const MAX_OPS = 4096;
const MAX_TEXT = 8 * 1024 * 1024;
// After a look-up in the near cache that found something, so many more are tried; else one read in so many.
const LUCK = 8;
const PEEK_ONE_IN = 16;

/** @typedef {import('./batch').Batch} Batch */
/** @typedef {import('./batch').Leaves} Leaves */
/** @typedef {import('./batch').Slot} Slot */
/** @typedef {import('./bridge').Bridge} Bridge */
/** @typedef {import('./errors').HoldfastError} HoldfastError */
/** @typedef {{ channel: Channel, slots: Slot[], count: number, size: number }} Sent */

/** The calls of one cache. */
class Channel {
  /**
   * @param {Bridge} bridge
   * @param {any} handle the native cache
   * @param {import('./hot').Hot | null} hot
   */
  constructor(bridge, handle, hot) {
    this.bridge = bridge;
    this.handle = handle;
    this.hot = hot;
    /** @type {Batch} */
    this.open = newBatch();
    /** @type {Batch[]} full, waiting for the window */
    this.sealed = [];
    /** How many look-ups may still fail before they become rare. */
    this.luck = 0;
    this.peeks = 0;
    this.scheduled = false;
    /** How the flush of a turn is scheduled: by whether the last one crossed to another thread. */
    this.later = laterBy(false);
    this.underWay = 0;
    this.flush = this.flush.bind(this);
    /** @type {(() => void)[]} */
    this.whenIdle = [];
    /** @type {HoldfastError | null} why nothing can be called any more */
    this.closed = null;
  }

  /**
   * Adds an operation to this turn. `slot` is null where it shares the slot of the one before.
   * @param {number} kind
   * @param {string} key
   * @param {string} value
   * @param {number} a
   * @param {number} b
   * @param {Slot | null} slot
   * @param {string} extras a JSON object, or ''
   * @param {Leaves | null} [leaves] of the value, in place of `b`
   */
  push(kind, key, value, a, b, slot, extras, leaves = null) {
    if (this.closed !== null) throw this.closed;
    // Not only when Rust sees it, at the end of the turn: a read behind a write goes behind it.
    if (this.hot !== null && WRITES.has(kind)) this.hot.forget(key);
    let batch = this.open;
    // A group (getMany, setMany) stays in one batch: it is chunked where it is made. Groups of one turn share a batch
    // up to the size of a part.
    if (
      slot !== null &&
      batch.count > 0 &&
      (batch.count + slot.count > (slot.many ? PART : MAX_OPS) || batch.text.length + value.length > MAX_TEXT)
    ) {
      this.sealed.push(batch);
      batch = this.open = newBatch();
    }
    append(batch, kind, key, value, a, b, extras, leaves);
    if (slot !== null) batch.slots.push(slot);
    if (slot?.many === false && this.isPart(batch)) {
      this.flush();
    } else if (!this.scheduled) {
      this.scheduled = true;
      // A round of the event loop for nothing would be more than a tenth of what a lone call costs it.
      if (this.bridge.woken === null) this.later(this.flush);
      else this.bridge.woken.add(this);
    }
  }

  /**
   * Whether a batch is large enough to go before the turn is over.
   * @param {Batch} batch
   */
  isPart({ count, text, used }) {
    return count >= PART || text.length + used * 8 >= PART_TEXT || count * this.bridge.replyLength >= PART_TEXT;
  }

  /**
   * One operation and the promise of its reply.
   * @param {number} kind
   * @param {string} key
   * @param {string} value
   * @param {number} a
   * @param {number} b
   * @param {boolean} [quiet] resolves to undefined
   * @param {string} [extras]
   * @param {Leaves | null} [leaves]
   * @returns {Promise<any>}
   */
  call(kind, key, value, a, b, quiet = false, extras = '', leaves = null) {
    return new Promise((resolve, reject) => {
      const slot = { resolve, reject, key, count: 1, many: false, waiter: 0, quiet, done: false };
      this.push(kind, key, value, a, b, slot, extras, leaves);
    });
  }

  /**
   * A write.
   * @param {string} key
   * @param {unknown} value
   * @param {import('./codec').Codec} codec
   * @param {number} ttl milliseconds
   * @param {string} extras
   * @returns {Promise<any>}
   */
  set(key, value, codec, ttl, extras) {
    const leaves = codec.take(value);
    const text = leaves === null ? codec.encode(value) : leaves.strings();
    return this.call(Op.SET, key, text, ttl, 0, true, extras, leaves);
  }

  /**
   * A read.
   * @param {string} key
   * @returns {Promise<any>}
   */
  get(key) {
    const hot = this.hot?.wants() === true;
    return this.call(Op.GET, key, '', hot ? Early.HOT : Early.YES, 0);
  }

  /**
   * What the near cache holds, for a read with nothing before it that is still to be handed over; undefined where it holds nothing. One call into Rust for one
   * value: a third of what a batch costs. Where it finds nothing it costs for nothing, so it is tried as often as it succeeds.
   * @param {string} key
   */
  near(key) {
    const { hot } = this;
    if (hot === null || this.open.count > 0 || this.sealed.length > 0) return undefined;
    if (this.luck === 0 && ++this.peeks % PEEK_ONE_IN !== 0) return undefined;
    const wanted = hot.wants();
    // Before Rust looks at its clock: what is left of a TTL must not count from later than that.
    const now = wanted ? performance.now() : 0;
    const found = wanted ? this.bridge.native.peekHot(this.handle, key) : this.handle.peek(key);
    if (found === null) {
      if (this.luck > 0) this.luck--;
      return undefined;
    }
    this.luck = LUCK;
    if (!wanted) return hot.give(JSON.parse(found));
    const [ms, text, versions] = JSON.parse(found);
    return versions.length === 0 ? hot.give(JSON.parse(text)) : hot.admit(key, text, versions, now + ms);
  }

  /**
   * A read of getOrCompute: resolves to its reply, which begins with an `Answer`. Where another thread computes the key, that is `[WAIT, promise]`,
   * and the promise of the real reply: it comes under the waiter's id, and may even overtake the batch.
   * @param {string} key
   * @param {number} flags of `Ask`
   * @param {string} extras
   * @returns {Promise<any[]>}
   */
  begin(key, flags, extras) {
    return new Promise((resolve, reject) => {
      if (this.closed !== null) throw this.closed;
      const waiter = this.bridge.nextId();
      const slot = { resolve, reject, key, count: 1, many: false, waiter, quiet: false, done: false };
      this.bridge.sent.set(waiter, { channel: this, slots: [slot], count: 0, size: 0 });
      this.push(Op.BEGIN, key, '', flags, waiter, slot, extras);
    });
  }

  /**
   * Many operations of one kind, and the promise of the array of their replies.
   * @param {number} count
   * @param {(push: (kind: number, key: string, value: string, a: number, leaves?: Leaves | null) => void) => void} fill calls push `count` times
   * @param {string} [extras] of each of them
   * @returns {Promise<any[]>}
   */
  group(count, fill, extras = '') {
    return new Promise((resolve, reject) => {
      /** @type {Slot | null} */
      let slot = { resolve, reject, key: '', count, many: true, waiter: 0, quiet: false, done: false };
      fill((kind, key, value, a, leaves) => {
        this.push(kind, key, value, a, 0, slot, extras, leaves);
        slot = null;
      });
    });
  }

  /**
   * Long work.
   * @param {number} task
   * @param {string} pattern
   * @returns {Promise<any>}
   */
  run(task, pattern) {
    return new Promise((resolve, reject) => {
      if (task !== Task.STATS) this.hot?.clear();
      const slots = [{ resolve, reject, key: '', count: 1, many: false, waiter: 0, quiet: false, done: false }];
      const batch = { text: pattern, numbers: NONE, used: 0, count: 1, slots, task };
      this.sealOpen();
      this.sealed.push(batch);
      this.release();
    });
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
    if (this.sealed.length > 0) this.hot?.clear();
  }

  sealOpen() {
    if (this.open.count === 0) return;
    this.sealed.push(this.open);
    this.open = newBatch();
  }

  /** @param {Batch} batch */
  admits(batch) {
    // One batch may be under way whatever other caches do: its end releases the next.
    return this.underWay === 0 || this.bridge.window.admits(batch);
  }

  release() {
    let done = 0;
    while (done < this.sealed.length && this.admits(this.sealed[done])) this.submit(this.sealed[done++]);
    if (done > 0) this.sealed.splice(0, done);
  }

  /** @param {Batch} batch */
  submit(batch) {
    const { bridge, handle } = this;
    const { text, numbers, used, count, slots } = batch;
    const id = bridge.nextId();
    // Before Rust looks at its clock: what is left of a TTL must not count from later than that.
    const now = this.hot === null ? 0 : performance.now();
    const answer =
      batch.task === undefined
        ? bridge.native.submit(handle, id, text, numbers, used)
        : bridge.native.run(handle, id, batch.task, text);
    let later = null;
    if (answer !== null && answer !== undefined) {
      const [replies, errors, hot, rest] = JSON.parse(answer);
      if (hot !== 0) this.admit(hot, slots, replies, now);
      if (rest !== 0) later = new Set(rest);
      settle(bridge, slots, replies, errors, later);
      if (later === null) {
        this.later = laterBy(true);
        this.wakeIdle();
        return;
      }
    }
    this.later = laterBy(false);
    this.underWay += count;
    bridge.busy.bridge = bridge;
    bridge.sent.set(id, { channel: this, slots, count, size: bridge.window.take(batch) });
  }

  /**
   * Takes hot values, and puts them in their places among the replies.
   * @param {any[]} found index, milliseconds, text and versions of each, in the order of the replies
   * @param {Slot[]} slots
   * @param {any[]} replies
   * @param {number} now of `performance.now()`, when they were looked up
   */
  admit(found, slots, replies, now) {
    if (this.hot === null) return;
    let at = 0;
    let next = 0;
    for (let i = 0; i < found.length; i += 4) {
      const index = found[i];
      while (at < index) at += slots[next++].count;
      replies[index] = this.hot.admit(slots[next].key, found[i + 2], found[i + 3], now + found[i + 1]);
    }
  }

  /**
   * Replies that came as a frame.
   * @param {Slot[]} slots
   * @param {any[]} replies
   * @param {0 | [number, string, string][]} errors
   */
  answer(slots, replies, errors) {
    settle(this.bridge, slots, replies, errors, null);
  }

  /**
   * @param {number} count operations that have been answered
   * @param {number} size of their text
   */
  settled(count, size) {
    this.underWay -= count;
    this.bridge.window.give(count, size);
    if (this.sealed.length > 0) this.release();
    this.wakeIdle();
  }

  get idle() {
    return this.underWay === 0 && this.open.count === 0 && this.sealed.length === 0;
  }

  wakeIdle() {
    if (this.whenIdle.length > 0 && this.idle) for (const resolve of this.whenIdle.splice(0)) resolve();
  }

  /** Resolves once everything that was called is answered. */
  async drained() {
    while (!this.idle) await new Promise((resolve) => this.whenIdle.push(() => resolve(undefined)));
  }
}

module.exports = { Channel };
