// The calls of one cache, as operations: each is appended to its lane's batch, which crosses when the turn is over
// (lane.js), and is a promise of its reply.
'use strict';

const { now, parse } = require('../base/host.js');
const { Early, Op, Task, WRITES } = require('../base/ops.js');
const { append, newSlot } = require('./batch.js');
const { namespaceOf } = require('./events.js');

const NONE = new Float64Array(0);
// After a hit in the near cache, peek for this many reads that follow; else for one read in PEEK_ONE_IN.
const HIT_CREDIT = 8;
const PEEK_ONE_IN = 16;

/** @typedef {import('./batch').Leaves} Leaves */
/** @typedef {import('./batch').Whole} Whole */
/** @typedef {import('./batch').Slot} Slot */
/** @typedef {import('./bridge').Bridge} Bridge */
/** @typedef {import('../base/errors').HoldfastError} HoldfastError */

/** The calls of one cache. */
class Channel {
  /**
   * @param {Bridge} bridge
   * @param {any} handle the native cache
   * @param {import('../hot/hot').Hot | null} hot
   * @param {number} [spin] milliseconds
   */
  constructor(bridge, handle, hot, spin = 0) {
    this.bridge = bridge;
    this.handle = handle;
    this.hot = hot;
    this.namespace = namespaceOf(handle);
    this.lane = bridge.laneOf(handle);
    this.line = bridge.lineOf(handle);
    if (this.line !== null) this.line.spin = Math.max(this.line.spin, spin);
    this.ownHots = hot === null ? 0 : 1;
    if (hot !== null) {
      this.lane.share(hot);
      hot.line = this.line;
    }
    /** Peeks that may still fail before peeking becomes rare. */
    this.credit = 0;
    this.peeks = 0;
    this.underWay = 0;
    /** Pieces of work in several steps; between two steps nothing may be under way. */
    this.working = 0;
    /** @type {(() => void)[]} */
    this.whenIdle = [];
    /** @type {HoldfastError | null} why nothing can be called any more */
    this.closed = null;
  }

  /**
   * Adds an operation to this turn. `slot` is null where it shares the slot of the one before.
   * @param {number} kind
   * @param {string} key
   * @param {string | Whole} value
   * @param {number} a
   * @param {number} b
   * @param {Slot | null} slot
   * @param {string} extras a JSON object, or ''
   * @param {Leaves | null} [leaves] of the value, in place of `b`
   */
  push(kind, key, value, a, b, slot, extras, leaves = null) {
    if (this.closed !== null) throw this.closed;
    const { lane } = this;
    // Now, and not only when Rust sees the write at the end of the turn: a read after it must not find the old value.
    if (WRITES.has(kind)) {
      this.hot?.forget(key);
      if (lane.hots.length > this.ownHots) lane.forget(key);
    }
    // A group (getMany, setMany) stays in one batch: many.js cuts large ones into chunks.
    const batch = slot === null ? lane.open : lane.batchFor(this, slot, value.length);
    append(batch, kind, key, value, a, b, extras, leaves);
    if (slot !== null) batch.slots.push(slot);
    lane.added(slot?.many === false);
  }

  /**
   * One operation and the promise of its reply.
   * @param {number} kind
   * @param {string} key
   * @param {string | Whole} value
   * @param {number} a
   * @param {number} b
   * @param {boolean} [quiet] resolves to undefined
   * @param {string} [extras]
   * @param {Leaves | null} [leaves]
   * @returns {Promise<any>}
   */
  call(kind, key, value, a, b, quiet = false, extras = '', leaves = null) {
    return new Promise((resolve, reject) => {
      if (this.lane.unsent.length > 0) this.lane.goAhead(key, null);
      const slot = newSlot(resolve, reject, key);
      slot.quiet = quiet;
      this.push(kind, key, value, a, b, slot, extras, leaves);
    });
  }

  /**
   * A write.
   * @param {string} key
   * @param {unknown} value
   * @param {import('../value/codec').Codec} codec
   * @param {number} ttl milliseconds; 0 where the time of the value is over already
   * @param {string} extras
   * @returns {Promise<any>}
   */
  set(key, value, codec, ttl, extras) {
    const leaves = codec.take(value);
    const given = leaves === null ? codec.encode(value) : leaves.strings();
    // It would replace what lies there, and end at once.
    if (ttl === 0) return this.call(Op.DEL, key, '', 0, 0, true);
    return this.call(Op.SET, key, given, ttl, 0, true, extras, leaves);
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
   * The value that the near cache holds, or undefined. Only where no earlier call is still to be handed over. One call
   * into Rust for one value costs a third of a batch, and is wasted where it finds nothing: so it is tried often only
   * while it succeeds.
   * @param {string} key
   */
  near(key) {
    const { hot } = this;
    if (hot === null || this.lane.waits) return undefined;
    if (this.credit === 0 && ++this.peeks % PEEK_ONE_IN !== 0) return undefined;
    const wanted = hot.wants();
    // Taken before Rust looks at its clock: the rest of a TTL must not count from a later moment.
    const asked = wanted ? now() : 0;
    const found = wanted ? this.bridge.native.peekHot(this.handle, key) : this.handle.peek(key);
    this.line?.turn();
    if (found === null) {
      if (this.credit > 0) this.credit--;
      return undefined;
    }
    this.credit = HIT_CREDIT;
    if (!wanted) return hot.give(parse(found));
    const { versions, peeked } = this.bridge;
    const count = versions[peeked];
    if (count === 0) return hot.give(parse(found));
    const pairs = [];
    for (let at = peeked + 2; at < peeked + 2 + 2 * count; at++) pairs.push(versions[at]);
    return hot.admit(key, found, pairs, asked + versions[peeked + 1]);
  }

  /**
   * A read of getOrCompute: resolves to its reply, which begins with an `Answer`. Where another thread computes the
   * key, that is `[WAIT, promise, id]`: the promise of the real reply, and the waiter's id, under which it comes; it
   * may even overtake the batch.
   * @param {string} key
   * @param {number} flags of `Ask`
   * @param {string} extras
   * @returns {Promise<any[]>}
   */
  begin(key, flags, extras) {
    return new Promise((resolve, reject) => {
      if (this.closed !== null) throw this.closed;
      if (this.lane.unsent.length > 0) this.lane.goAhead(key, null);
      const waiter = this.bridge.nextId();
      const slot = newSlot(resolve, reject, key);
      slot.waiter = waiter;
      this.bridge.sent.set(waiter, { channel: this, slots: [slot], count: 0, left: 1, length: 0, told: null });
      try {
        this.push(Op.BEGIN, key, '', flags, waiter, slot, extras);
      } catch (error) {
        this.bridge.forget(waiter);
        throw error;
      }
    });
  }

  /**
   * Many operations of one kind, and the promise of the array of their replies.
   * @param {number} count
   * @param {(push: (kind: number, key: string, value: string | Whole, a: number, leaves?: Leaves | null) => void) =>
   *   void} fill calls push `count` times
   * @param {string} [extras] of each of them
   * @param {import('./unsent').Unsent | null} [by] the large write that they are a part of
   * @returns {Promise<any[]>}
   */
  group(count, fill, extras = '', by = null) {
    return new Promise((resolve, reject) => {
      // Before the first is added: a group stays together.
      if (this.lane.unsent.length > 0) fill((_kind, key) => this.lane.goAhead(key, by));
      /** @type {Slot | null} */
      let slot = newSlot(resolve, reject, '');
      slot.count = count;
      slot.many = true;
      fill((kind, key, value, a, leaves) => {
        this.push(kind, key, value, a, 0, slot, extras, leaves);
        slot = null;
      });
    });
  }

  /**
   * Long work.
   * @param {number} task
   * @param {string} given a pattern, the page of a scan as JSON, or ''
   * @returns {Promise<any>}
   */
  run(task, given) {
    return new Promise((resolve, reject) => {
      if (task !== Task.STATS && task !== Task.SCAN) this.lane.forgetAll();
      const slots = [newSlot(resolve, reject, '')];
      const none = { numbers: NONE, used: 0, whole: null, wholeLength: 0 };
      this.lane.add({ channel: this, text: given, ...none, count: 1, slots, task });
    });
  }

  /** Hands over the gathered calls before a hot value is read again: they end more than the keys that they name. */
  flushAhead() {
    this.lane.flushAhead();
  }

  /**
   * Work in several steps: until its promise settles, the channel is not idle.
   * @template T
   * @param {() => Promise<T>} steps
   * @returns {Promise<T>}
   */
  async during(steps) {
    this.working++;
    try {
      return await steps();
    } finally {
      this.working--;
      this.wakeIdle();
    }
  }

  get idle() {
    return this.underWay === 0 && this.working === 0 && !this.lane.holds(this);
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
