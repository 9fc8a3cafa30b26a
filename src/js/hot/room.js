// The room of one cache's hot values, reserved in the engine's bound (src/engine/tier/budget.rs) before it is taken.
//
// Each request is a call into Rust, so room is reserved in steps: a step more than needed, and given back when several
// steps are unused. Where Rust grants less than requested, hot values make do with it and ask again after some time, as
// other threads and caches give back room that they do not need.
'use strict';

// Bytes.
const STEP = 256 * 1024;
// Unused bytes that are kept, so that hot values that come and go do not cause a request each time.
const SPARE = 4 * STEP;
// While room is refused, one admitted value in ASK_ONE_IN asks again.
const ASK_ONE_IN = 1024;

class Room {
  /** @param {(bytes: number) => number} hold */
  constructor(hold) {
    this.hold = hold;
    this.taken = 0;
    this.held = 0;
    /** Rust granted less than requested. */
    this.refused = false;
    this.asks = 0;
  }

  /** Whether more is taken than is held. */
  get short() {
    return this.taken > this.held;
  }

  /** Whether a new value takes the place of an old one. */
  get full() {
    return this.refused && this.held - this.taken < STEP / 16;
  }

  /** @param {number} bytes */
  take(bytes) {
    this.taken += bytes;
    if (this.short && (!this.refused || ++this.asks % ASK_ONE_IN === 0)) this.reserve(this.taken + STEP);
  }

  /** @param {number} bytes */
  give(bytes) {
    this.taken -= bytes;
    if (this.held - this.taken > SPARE) this.reserve(this.taken + STEP);
  }

  empty() {
    this.taken = 0;
    this.reserve(0);
  }

  /** Gives back unused room, so that statistics show what is taken. */
  settle() {
    if (this.held > this.taken) this.reserve(this.taken);
  }

  /** @param {number} bytes */
  reserve(bytes) {
    this.held = this.hold(bytes);
    this.refused = this.held < bytes;
  }
}

module.exports = { Room };
