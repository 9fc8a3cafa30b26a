// Hot values: a read of a hot key that has not changed is a look-up in a Map, not a call into Rust.
//
// The problem. A near hit in Rust copies the key in and the text out, and waits for the end of the turn: ten times the
// cost of a Map. A Map in JavaScript alone would be stale: invalidations arrive on Rust's thread, and the very next
// read must see them, even in a loop that never yields to the event loop.
//
// The approach. Each key has a counter in memory shared with Rust (src/engine/tier/near.rs), which Rust raises when the
// key changes. A hot entry holds the version that its counter had before Rust looked the value up. A hit is a look-up,
// an atomic load, and a look at the clock for the TTL.
//
// A hit gives a fresh copy by default (value/copy.js). With frozen values every hit is the same object, deeply frozen.
// Primitives need neither.
'use strict';

const { now: loopTime, parse, stringify } = require('../base/host.js');
const { copyBy, frozenCopy, planOf } = require('../value/copy.js');
const { Room } = require('./room.js');
const { ENTRY, weightOf } = require('./weight.js');

const MAX_ENTRIES = 131072;
// Code units of the text of one value, and bytes of its weight: copying a larger value costs so much that the call into
// Rust no longer matters.
const MAX_ONE_TEXT = 16 * 1024;
const MAX_ONE_WEIGHT = 64 * 1024;
// Code units. V8 copies shorter parts of a string; a longer part keeps the whole string alive.
const SHORTEST_SLICE = 13;
// While the map is full, one near hit in ADMIT_ONE_IN takes the place of the oldest entry: the hottest keys stay, and a
// scan does not sweep them out at once.
const ADMIT_ONE_IN = 16;

/**
 * `plan`: how to copy the value for each hit; null where every hit may have the value itself.
 * `size`: bytes that V8 keeps for it (weight.js).
 * `slot` and `version`: of the key's own counter.
 * `tags`: slots and versions in turn, the key's own first, then those of its tags; null where it has no tags.
 * `deadline`: in whole milliseconds, which V8 keeps within the entry: one more look at memory would be a tenth of a
 * hit.
 * @typedef {{ value: any, slot: number, version: number, deadline: number, plan: import('../value/copy').Plan | null,
 *   tags: number[] | null, size: number }} Entry
 */

class Hot {
  /**
   * @param {Int32Array} versions
   * @param {boolean} frozen
   * @param {number} clock the index, among the versions, of the moment until which Redis vouches for them
   * @param {() => number} now the engine's clock, in which that moment is given
   * @param {(bytes: number) => number} hold reserves bytes of the engine's bound; returns how many it got
   */
  constructor(versions, frozen, clock, now, hold) {
    this.versions = versions;
    this.frozen = frozen;
    this.clock = clock;
    this.now = now;
    /** @type {{ look: () => void } | null} where this event loop has the socket, and hears of changes by looking */
    this.line = null;
    /** The value of `loopTime()` when the engine's clock was 0. */
    this.origin = loopTime() - now();
    /** The moment from which deadlines count. */
    this.began = loopTime();
    /** @type {Map<string, Entry>} */
    this.map = new Map();
    this.room = new Room(hold);
    this.asked = 0;
    this.hits = 0;
  }

  /**
   * The value, or undefined where there is none; no stored value is undefined.
   * @param {string} key
   */
  get(key) {
    const entry = this.map.get(key);
    if (entry === undefined) return undefined;
    const now = loopTime();
    if (!this.vouched(now) && !this.looks(now)) {
      // Redis is away, or this process was stopped. No hot value is served again, and the fallback tier needs the room.
      this.clear();
      return undefined;
    }
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
   * Whether Redis vouched for the hot values a short while ago. A process that was stopped must not serve them before
   * Rust has read the invalidations that came meanwhile.
   * @param {number} now of `loopTime()`
   */
  vouched(now) {
    const until = Atomics.load(this.versions, this.clock);
    // Both are the low 32 bits of moments close to each other: the sign of the difference tells which is later.
    if (((now - this.origin - until) | 0) <= 0) return true;
    // This is rare. Should the two clocks have drifted apart, as when a machine sleeps, this aligns them again.
    this.origin = now - this.now();
    return ((now - this.origin - until) | 0) <= 0;
  }

  /**
   * Whether Redis vouches once the event loop has looked at its socket: a busy one reads no invalidations.
   * @param {number} now of `loopTime()`
   */
  looks(now) {
    if (this.line === null) return false;
    this.line.look();
    return this.vouched(now);
  }

  /** @param {number[]} tags slots and versions in turn */
  stand(tags) {
    for (let i = 2; i < tags.length; i += 2) if (Atomics.load(this.versions, tags[i]) !== tags[i + 1]) return false;
    return true;
  }

  /** Whether the next near hit may become hot. */
  wants() {
    return (this.map.size < MAX_ENTRIES && !this.room.full) || ++this.asked % ADMIT_ONE_IN === 0;
  }

  /**
   * Takes a value that Rust found in the near cache, and gives it to its caller.
   * @param {string} key
   * @param {string} text
   * @param {number[]} versions slots and their versions in turn, from before the look-up: the key's own, then its tags'
   * @param {number} deadline of `loopTime()`
   */
  admit(key, text, versions, deadline) {
    const value = parse(text);
    const weight = text.length <= MAX_ONE_TEXT ? weightOf(value, text, this.frozen) : Infinity;
    this.give(value);
    const plan = !this.frozen && value !== null && typeof value === 'object' ? planOf(value) : null;
    if (weight <= MAX_ONE_WEIGHT && plan !== undefined) {
      this.forget(key);
      const [slot, version] = versions;
      const tags = versions.length > 2 ? versions : null;
      const due = Math.floor(deadline - this.began);
      const size = ENTRY + key.length + weight + (plan?.weight ?? 0) + (tags === null ? 0 : 48 + 8 * tags.length);
      this.map.set(ownText(key), { value, slot, version, deadline: due, plan, tags, size });
      this.room.take(size);
      while (this.map.size > MAX_ENTRIES || this.room.short)
        this.forget(/** @type {string} */ (this.map.keys().next().value));
      // Keeps the value that JSON.parse made and gives away the copy: V8 may keep a copy in a wider form.
      if (plan !== null) return copyBy(value, plan);
    }
    return value;
  }

  /**
   * A value that is not kept, in the form of a hit: frozen where hits are.
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
    this.room.give(entry.size);
  }

  clear() {
    if (this.map.size === 0) return;
    this.map.clear();
    this.room.empty();
  }
}

/**
 * The same text without a reference to another one: a part of a longer string keeps the whole string alive.
 * @param {string} text
 */
function ownText(text) {
  return text.length < SHORTEST_SLICE ? text : parse(stringify(text));
}

module.exports = { Hot };
