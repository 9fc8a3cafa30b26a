// One caller of getOrCompute whose key had no value at once: how it waits, and the value that it gets.
//
// It leads a flight, follows one, or waits for an answer from elsewhere, and asks again where that gives no value. A
// flight may come with a value whose TTL has ended. Each caller, leader and followers alike, decides by its own options
// how it uses that value: serves it at once (`swr`), falls back on it when the function throws or is slow (`grace`), or
// ignores it.
'use strict';

const { HoldfastError } = require('../base/errors.js');
const { clearTimeout, hasOwn, now, pause, setTimeout, turn } = require('../base/host.js');
const { Answer, Op } = require('../base/ops.js');
const { UNREADABLE } = require('../value/codec.js');

// The pause before a caller asks again for a flight that it was told to follow and that is not here: the message that
// begins or ends the flight is on its way.
const FOLLOW_PAUSE_MS = 5;
// Node's timers hold a signed 32-bit number of milliseconds; a longer time is as good as never.
const LONGEST_TIMER = 0x7fffffff;

/** @typedef {import('./compute').Computer} Computer */
/** @typedef {import('./flights').Flight} Flight */
/** @typedef {import('./flights').Ended} Ended */
/** @typedef {import('../value/codec').Codec} Codec */
/** @typedef {import('./terms').Terms} Terms */

/** A value whose TTL has ended, or that is refreshed before it ends. */
class Stale {
  /**
   * @param {any} reply
   * @param {number} age milliseconds since its TTL ended; negative where it has not ended yet
   */
  constructor(reply, age) {
    this.reply = reply;
    this.endedAt = now() - age;
  }

  /** @param {Terms} terms of a caller; whether this value satisfies it */
  servesAtOnce({ swr }) {
    const { age } = this;
    return age < 0 || age < swr;
  }

  /** @param {Terms} terms of a caller; whether it may fall back on this value */
  servesInNeed({ grace }) {
    return this.age < grace;
  }

  get age() {
    return now() - this.endedAt;
  }

  /**
   * The value, for one more owner.
   * @param {Codec} codec of the owner's cache
   */
  take(codec) {
    const { reply } = this;
    return codec.decode === null ? codec.copy(reply) : codec.decode(reply);
  }
}

/**
 * The stale value that came with an answer to lead.
 * @param {Codec} codec
 * @param {any[]} answer
 */
function staleOf(codec, [, , age, reply]) {
  if (age === undefined) return null;
  if (codec.decode === null || codec.decode(reply) !== UNREADABLE) return new Stale(reply, age);
  codec.unreadable++;
  return null;
}

/**
 * How long a call waits: one timer. It keeps the process alive until the call is settled, and runs on for the flights
 * that the call leads.
 */
class Patience {
  /**
   * @param {number} ms
   * @param {() => void} end
   */
  constructor(ms, end) {
    this.timer = after(ms, end);
    /** The call, and each flight that it leads. */
    this.holders = 1;
  }

  hold() {
    this.holders++;
  }

  release() {
    if (--this.holders === 0) clearTimeout(this.timer);
  }

  /** The call is settled. Its functions may go on; after its time the next caller leads anew. */
  leave() {
    this.timer?.unref();
    this.release();
  }
}

class Caller {
  /**
   * @param {Computer} computer
   * @param {string} key
   * @param {() => unknown} fn
   * @param {Terms} terms
   */
  constructor(computer, key, fn, terms) {
    this.computer = computer;
    this.key = key;
    this.fn = fn;
    this.terms = terms;
    /** @type {Flight | null} the flight that it leads */
    this.leads = null;
    /** @type {Flight | null} the flight that it waits for */
    this.follows = null;
    /** The id of the answer that it waits for, or 0. */
    this.waiter = 0;
    /** @type {Stale | null} the value that it falls back on */
    this.spare = null;
    this.dropped = false;
    this.settled = false;
    /** @type {NodeJS.Timeout | undefined} */
    this.soft = undefined;
    /** @type {Patience | null} */
    this.patience = null;
    this.alone = true;
    /** @type {(value: any) => void} */
    this.resolve = ignore;
    /** @type {(error: unknown) => void} */
    this.reject = ignore;
  }

  /**
   * Settles with a value, an error, or the end of its patience, whichever comes first.
   * @param {any[]} first the answer that it got
   * @param {Patience | null} [shared] of all callers of one call, which tells them to give up
   * @returns {Promise<any>}
   */
  wait(first, shared = null) {
    return new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
      this.computer.waiting++;
      this.alone = shared === null;
      this.patience = shared ?? new Patience(this.terms.hardTimeout, () => this.giveUp());
      this.ask(first).catch((error) => this.fallBack(error));
    });
  }

  /**
   * Asks until there is a value, or a flight to wait for.
   * @param {any[]} answer
   * @returns {Promise<void>}
   */
  async ask(answer) {
    const { computer, key, terms } = this;
    for (let missed = 0; ; ) {
      switch (answer[0]) {
        case Answer.HIT:
        case Answer.STALE: {
          const value = computer.read(answer[1]);
          if (value !== UNREADABLE) {
            if (answer[0] === Answer.STALE) computer.staleServed++;
            return this.settle(this.resolve, value);
          }
          // An unreadable value that came back after it was removed would come back again.
          if (this.dropped) return this.settle(this.resolve, await computer.start([key], this.fn));
          this.drop();
          break;
        }
        case Answer.NOTHING:
          return this.settle(this.resolve, undefined);
        case Answer.LEAD:
          return this.lead(computer.flight(answer[1]) ?? computer.reserve(key, answer));
        case Answer.WAIT:
          this.waiter = answer[2];
          answer = await answer[1];
          this.waiter = 0;
          if (this.settled) return computer.decline(key, answer);
          continue;
        case Answer.FOLLOW: {
          const flight = answer[2] ?? computer.flight(answer[1]);
          if (flight !== undefined) return this.join(flight);
          // The flight has ended, or the answer that begins it is still on its way: an answer given at once overtakes a
          // wake-up. In memory mode, asking again at once would keep the event loop from ever reaching that wake-up.
          await (missed++ === 0 ? turn() : pause(FOLLOW_PAUSE_MS));
          if (this.settled) return;
          break;
        }
        // AGAIN; or ELSEWHERE, the answer to one key of several: asked for alone, the key is waited for.
      }
      computer.asking++;
      try {
        answer = await computer.begin(key, terms, false);
        if (this.settled) return computer.decline(key, answer);
      } finally {
        computer.asked();
      }
    }
  }

  /** @param {Flight} flight whose function is this caller's */
  lead(flight) {
    const { patience } = this;
    this.leads = flight;
    flight.patience = patience;
    patience?.hold();
    this.join(flight);
    this.computer.fly(flight, this.fn, this.terms);
  }

  /**
   * Waits for a flight, as long as this caller's own terms say.
   * @param {Flight} flight
   */
  join(flight) {
    const { stale, ended } = flight;
    if (stale?.servesAtOnce(this.terms)) return this.settle(this.resolve, this.serve(stale));
    if (stale?.servesInNeed(this.terms)) this.spare = stale;
    // The function has ended; its result may still be on its way to Rust.
    if (ended !== null) return this.landed(flight, ended);
    if (this.spare !== null) this.soft = after(this.terms.timeout, () => this.fallBack(undefined));
    this.follows = flight;
    flight.followers.add(this);
  }

  /**
   * The flight that it waits for is over. No exception of this caller's reaches the others that wait for it.
   * @param {Flight} flight
   * @param {Ended} ended
   */
  landed(flight, ended) {
    try {
      if (failed(ended)) return this.fallBack(ended.error);
      // A follower's own copy, which no other caller can change.
      const own = flight === this.leads || ended.text === null;
      this.settle(this.resolve, own ? ended.value : this.computer.codec.parse(ended.text ?? ''));
    } catch (error) {
      this.fallBack(error);
    }
  }

  /** The flight that it waits for never begins. */
  again() {
    this.follows = null;
    this.spare = null;
    clearTimeout(this.soft);
    this.ask([Answer.AGAIN]).catch((error) => this.fallBack(error));
  }

  /**
   * @param {unknown} error the rejection where there is no stale value
   */
  fallBack(error) {
    if (this.settled) return;
    const { spare } = this;
    this.spare = null;
    if (spare === null) return this.settle(this.reject, error);
    try {
      this.settle(this.resolve, this.serve(spare));
    } catch (unreadable) {
      this.settle(this.reject, unreadable);
    }
  }

  /** The caller's patience is over. */
  giveUp() {
    if (this.leads !== null) this.computer.overdue(this.leads);
    this.fallBack(tooLate(this.terms));
  }

  /** The result of this caller is no longer wanted. */
  leave() {
    this.settle(ignore, undefined);
  }

  /**
   * @param {(result: any) => void} end
   * @param {unknown} result
   */
  settle(end, result) {
    if (this.settled) return;
    this.settled = true;
    // First, as nothing that follows may keep the result from the caller.
    end(result);
    clearTimeout(this.soft);
    if (this.alone) this.patience?.leave();
    this.computer.left();
    if (this.waiter !== 0) this.computer.withdraw(this.key, this.waiter);
    this.follows?.followers.delete(this);
  }

  /** @param {Stale} stale */
  serve(stale) {
    if (stale.age >= 0) this.computer.staleServed++;
    return stale.take(this.computer.codec);
  }

  /** Removes a value that no caller can read, so that it is computed anew. */
  drop() {
    this.dropped = true;
    this.computer.codec.unreadable++;
    this.computer.send(Op.DEL, this.key, 0, 0);
  }
}

/** @param {Terms} terms of a call whose patience is over */
function tooLate({ hardTimeout }) {
  return new HoldfastError(
    'ERR_COMPUTE_TIMEOUT',
    `the function did not settle within hardTimeout (${hardTimeout / 1000} s); it goes on, and its result may still be stored`,
  );
}

/**
 * @param {number} ms
 * @param {() => void} act
 */
function after(ms, act) {
  return ms > LONGEST_TIMER ? undefined : setTimeout(act, ms);
}

/**
 * Whether a flight failed. Only an own property counts, as Object.prototype may have been extended.
 * @param {Ended} ended
 * @returns {ended is { error: unknown }}
 */
function failed(ended) {
  return hasOwn(ended, 'error');
}

function ignore() {}

module.exports = { Caller, Patience, Stale, staleOf, tooLate };
