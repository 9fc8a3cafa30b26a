// One caller of getOrCompute whose key had no value at once: what it waits for, and what it gets.
//
// It leads a flight, follows one, or waits for an answer from elsewhere, and asks again where that came to nothing. A value whose TTL has ended may be had
// with the flight. Each caller, the leader and every follower, decides by its own options what that value is to it: all that it wants (`swr`), what it falls
// back on when the function throws or is slow (`grace`), or nothing.
'use strict';

const { HoldfastError } = require('../base/errors.js');
const { clearTimeout, hasOwn, now, pause, setTimeout, turn } = require('../base/host.js');
const { Answer, Op } = require('../base/ops.js');
const { UNREADABLE } = require('../value/codec.js');

// A flight that is to be followed and is not here is asked for again after so long: its beginning, or its end, is on
// its way here.
const FOLLOW_PAUSE_MS = 5;
// Node's timers hold a signed 32-bit number of milliseconds; beyond that is as good as never.
const LONGEST_TIMER = 0x7fffffff;

/** @typedef {import('./compute').Computer} Computer */
/** @typedef {import('./flights').Flight} Flight */
/** @typedef {import('./flights').Ended} Ended */
/** @typedef {import('../value/codec').Codec} Codec */
/** @typedef {import('./terms').Terms} Terms */

/** A value whose TTL has ended, or that is to be refreshed before it does. */
class Stale {
  /**
   * @param {any} reply
   * @param {number} age milliseconds since its TTL ended; negative: until it ends
   */
  constructor(reply, age) {
    this.reply = reply;
    this.endedAt = now() - age;
  }

  /** @param {Terms} terms whose caller wants no other */
  servesAtOnce({ swr }) {
    const { age } = this;
    return age < 0 || age < swr;
  }

  /** @param {Terms} terms whose caller falls back on it */
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
 * How long a call waits: one timer. It keeps the process alive until the call is settled, and runs on for what it
 * leads.
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

  /** The call is settled. Functions may go on without it; whoever asks after its time is to lead anew. */
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
    /** @type {Flight | null} what it leads */
    this.leads = null;
    /** @type {Flight | null} what it waits for */
    this.follows = null;
    /** The id of the answer that it waits for, or 0. */
    this.waiter = 0;
    /** @type {Stale | null} what it falls back on */
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
   * Settles with what comes first: a value, an error, or the end of its patience.
   * @param {any[]} first the answer that it got
   * @param {Patience | null} [shared] with other callers of one call, which tells them to give up
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
          // What came back after it had been removed will do so again.
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
          // It has ended, or the answer that begins it is still on its way here: an answer given at once overtakes a wake-up. Asked again at once,
          // in memory mode, the event loop would turn on the spot and never get to that wake-up.
          await (missed++ === 0 ? turn() : pause(FOLLOW_PAUSE_MS));
          if (this.settled) return;
          break;
        }
        // AGAIN, or ELSEWHERE, which was said to one of many: alone it waits for it.
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
   * Waits for a flight as far as its own terms say.
   * @param {Flight} flight
   */
  join(flight) {
    const { stale, ended } = flight;
    if (stale?.servesAtOnce(this.terms)) return this.settle(this.resolve, this.serve(stale));
    if (stale?.servesInNeed(this.terms)) this.spare = stale;
    // What it came to may be on its way to Rust.
    if (ended !== null) return this.landed(flight, ended);
    if (this.spare !== null) this.soft = after(this.terms.timeout, () => this.fallBack(undefined));
    this.follows = flight;
    flight.followers.add(this);
  }

  /**
   * The flight that it waits for is over. Nothing that happens here reaches the others who wait for it.
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

  /** The flight that it waits for comes to nothing. */
  again() {
    this.follows = null;
    this.spare = null;
    clearTimeout(this.soft);
    this.ask([Answer.AGAIN]).catch((error) => this.fallBack(error));
  }

  /**
   * @param {unknown} error for want of a stale value
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

  /** The caller has waited for as long as it would. */
  giveUp() {
    if (this.leads !== null) this.computer.overdue(this.leads);
    this.fallBack(tooLate(this.terms));
  }

  /** Nobody takes what it waits for. */
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
    // First, as nothing of what follows may keep the caller from it.
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

  /** Removes what no caller can read, so that it is computed. */
  drop() {
    this.dropped = true;
    this.computer.codec.unreadable++;
    this.computer.send(Op.DEL, this.key, 0, 0);
  }
}

/** @param {Terms} terms of a call that has waited for as long as it would */
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
 * Whether a flight failed. Its own property: Object.prototype may have anything.
 * @param {Ended} ended
 * @returns {ended is { error: unknown }}
 */
function failed(ended) {
  return hasOwn(ended, 'error');
}

function ignore() {}

module.exports = { Caller, Patience, Stale, staleOf, tooLate };
