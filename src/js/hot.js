// Hot values: what a read of a hot key costs when nothing changed is a look-up in a Map, not a call into Rust.
//
// The problem. A near hit in Rust copies the key in and the text out, and waits for the end of the turn; that is ten times what a Map costs. A Map in
// JavaScript alone would be stale: invalidations arrive on Rust's thread, and must be seen by the very next read, even in a loop that never
// yields to the event loop.
//
// The approach. Each key has a counter in memory shared with Rust (src/engine/near.rs), which Rust raises when the key changes. A hot entry holds
// the version that its counter had before Rust looked the value up. A hit is a look-up, an atomic load, and a look at the clock for the TTL.
//
// A hit gives a fresh copy by default (copy.js). With frozen values every hit is the same object, deeply frozen. Primitives need neither.
'use strict';

const { copyBy, planOf } = require('./copy');
const { now: loopTime, parse } = require('./host');

const MAX_ENTRIES = 131072;
const MAX_TEXT = 32 * 1024 * 1024;
// Larger ones cost so much to copy that the call into Rust no longer matters.
const MAX_ONE = 16 * 1024;
// While the map is full, one near hit in so many takes the place of the oldest entry: the hottest keys come to stay, and a scan does not sweep them out at once.
const ADMIT_ONE_IN = 16;

/**
 * `plan`: how to copy the value for each hit; null where every hit may have the value itself. `size`: the length of its text. `slot` and `version`: of the key's
 * own counter; `tags`: those of its tags', in turn, behind the first two; null where it has none. `deadline`: in whole milliseconds, which V8 keeps within
 * the entry; one more look at memory would be a tenth of a hit.
 * @typedef {{ value: any, slot: number, version: number, deadline: number, plan: import('./copy').Plan | null, tags: number[] | null, size: number }} Entry
 */

class Hot {
  /**
   * @param {Int32Array} versions
   * @param {boolean} frozen
   * @param {number} clock where, among the versions, stands until when they are vouched for
   * @param {() => number} now of the clock in which that is
   */
  constructor(versions, frozen, clock, now) {
    this.versions = versions;
    this.frozen = frozen;
    this.clock = clock;
    this.now = now;
    /** What `loopTime()` was when that clock was 0. */
    this.origin = loopTime() - now();
    /** From when deadlines count. */
    this.began = loopTime();
    /** @type {Map<string, Entry>} */
    this.map = new Map();
    this.size = 0;
    this.asked = 0;
    this.hits = 0;
  }

  /**
   * The value, or undefined, which no stored value is.
   * @param {string} key
   */
  get(key) {
    const entry = this.map.get(key);
    if (entry === undefined) return undefined;
    const now = loopTime();
    if (!this.vouched(now)) return undefined;
    if (
      Atomics.load(this.versions, entry.slot) !== entry.version ||
      now - this.began >= entry.deadline ||
      (entry.tags !== null && !this.stand(entry.tags))
    ) {
      this.forget(key);
      return undefined;
    }
    this.hits++;
    return entry.plan === null ? entry.value : copyBy(entry.value, entry.plan);
  }

  /**
   * Whether Redis vouched for what is held a short while ago. A process that was stopped must not serve it before Rust has read what came meanwhile.
   * @param {number} now of `loopTime()`
   */
  vouched(now) {
    const until = Atomics.load(this.versions, this.clock);
    // Both are the low bits of moments nearby: what counts is the sign of the difference.
    if (((now - this.origin - until) | 0) <= 0) return true;
    // Rarely; and should the two clocks have parted, as they may when a machine sleeps, they meet again here.
    this.origin = now - this.now();
    return ((now - this.origin - until) | 0) <= 0;
  }

  /** @param {number[]} tags slots and versions in turn */
  stand(tags) {
    for (let i = 2; i < tags.length; i += 2) if (Atomics.load(this.versions, tags[i]) !== tags[i + 1]) return false;
    return true;
  }

  /** Whether a near hit may become hot. */
  wants() {
    return (this.map.size < MAX_ENTRIES && this.size < MAX_TEXT) || ++this.asked % ADMIT_ONE_IN === 0;
  }

  /**
   * Takes a value that Rust found in the near cache, and gives it to its caller.
   * @param {string} key
   * @param {string} text
   * @param {number[]} versions slots and their versions in turn, as they were before the look-up: the key's own, then its tags'
   * @param {number} deadline of `loopTime()`
   */
  admit(key, text, versions, deadline) {
    const value = this.give(parse(text));
    if (text.length > MAX_ONE) return value;
    const plan = !this.frozen && value !== null && typeof value === 'object' ? planOf(value) : null;
    if (plan !== undefined) {
      this.forget(key);
      // The caller may change its value: what is kept is a copy already.
      const kept = plan === null ? value : copyBy(value, plan);
      const [slot, version] = versions;
      const tags = versions.length > 2 ? versions : null;
      const due = Math.floor(deadline - this.began);
      this.map.set(key, { value: kept, slot, version, deadline: due, plan, tags, size: text.length });
      this.size += text.length;
      while (this.map.size > MAX_ENTRIES || this.size > MAX_TEXT)
        this.forget(/** @type {string} */ (this.map.keys().next().value));
    }
    return value;
  }

  /**
   * A value that is not kept, as if it were.
   * @param {any} value
   */
  give(value) {
    return this.frozen ? frozenCopy(value) : value;
  }

  /** @param {string} key */
  forget(key) {
    const entry = this.map.get(key);
    if (entry === undefined) return;
    this.map.delete(key);
    this.size -= entry.size;
  }

  clear() {
    this.map.clear();
    this.size = 0;
  }
}

/** @param {object} value what JSON.parse made: a tree, without cycles, and as deep as whoever wrote it likes */
function freeze(value) {
  const objects = [value];
  for (let object = objects.pop(); object !== undefined; object = objects.pop()) {
    for (const part of Object.values(object)) if (part !== null && typeof part === 'object') objects.push(part);
    Object.freeze(object);
  }
  return value;
}

/**
 * A value of a cache with frozen values that was not hot, as if it were.
 * @param {any} value
 */
function frozenCopy(value) {
  return value !== null && typeof value === 'object' ? freeze(value) : value;
}

module.exports = { Hot, frozenCopy };
