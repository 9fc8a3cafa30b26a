// The room that the hot values of one cache take, reserved in the engine's bound (src/engine/tier/budget.rs) before it is
// taken.
//
// Asking is a call into Rust, so it is done in steps: room is reserved by a step more than is needed, and given back
// when some steps of it are not. Where Rust gives less than was asked for, hot values make do
// with it, and ask again after some time, as other threads and caches give back what they do not need.
'use strict';

// Bytes.
const STEP = 256 * 1024;
// Room that is kept without need, so that hot values that come and go do not ask each time.
const SPARE = 4 * STEP;
// Of values admitted while there is no more room, one in so many asks again.
const ASK_ONE_IN = 1024;

class Room {
  /** @param {(bytes: number) => number} hold */
  constructor(hold) {
    this.hold = hold;
    this.taken = 0;
    this.held = 0;
    /** Rust gave less than it was asked for. */
    this.refused = false;
    this.asks = 0;
  }

  /** Whether more is taken than is held. */
  get short() {
    return this.taken > this.held;
  }

  /** Whether what comes takes the place of something. */
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

  /** Holds what is taken and no more, for those who look. */
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
