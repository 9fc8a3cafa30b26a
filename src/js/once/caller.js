// One caller of getOrCompute whose key had no value at once: how it waits, and the value that it gets.
//
// It leads a flight, follows one, or waits for an answer from elsewhere, and asks again where that gives no value. A
// flight may come with a value whose TTL has ended. Each caller, leader and followers alike, decides by its own options
// how it uses that value: serves it at once (`swr`), falls back on it when the function throws or is slow (`grace`), or
// ignores it.
'use strict';

const { clearTimeout, hasOwn, pause, turn } = require('../base/host.js');
const { Answer, Op } = require('../base/ops.js');
const { UNREADABLE } = require('../value/codec.js');
const { alone } = require('./context.js');
const { Patience, after, tooLate } = require('./patience.js');

// The pause before a caller asks again for a flight that it was told to follow and that is not here: the message that
// begins or ends the flight is on its way.
const FOLLOW_PAUSE_MS = 5;
// Beside the answers of Rust: the value of a flight, which is still to be looked at.
const FLOWN = -1;

/** @typedef {import('./compute').Computer} Computer */
/** @typedef {import('./flights').Flight} Flight */
/** @typedef {import('./flights').Ended} Ended */
/** @typedef {import('./stale').Stale} Stale */
/** @typedef {import('./terms').Terms} Terms */

class Caller {
  /**
   * @param {Computer} computer
   * @param {string} key
   * @param {import('./compute').Fn} fn
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
    /** @type {any} a value that it did not take, or undefined */
    this.old = undefined;
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
      this.begin(first);
    });
  }

  /** @param {any[]} first the answer that it got */
  begin(first) {
    this.ask(first).catch((error) => this.fallBack(error));
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
        case FLOWN:
        case Answer.STALE: {
          const value = answer[0] === FLOWN ? answer[1] : computer.read(answer[1]);
          if (value !== UNREADABLE && (terms.validate === null || (await this.takes(value)))) {
            if (this.settled) return;
            if (answer[0] === Answer.STALE) computer.staleServed++;
            return this.settle(this.resolve, value);
          }
          if (this.settled) return;
          // One that came back after it was removed would come back again.
          if (this.dropped) return this.settle(this.resolve, await alone(computer, key, this.fn, terms, this.old));
          this.drop(value);
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
          if (flight !== undefined) return this.meet(flight);
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
        answer = await this.question();
        if (this.settled) return computer.decline(key, answer);
      } finally {
        computer.asked();
      }
    }
  }

  /** Asks for its key. */
  question() {
    return this.computer.begin(this.key, this.terms, false);
  }

  /**
   * @param {Flight} flight whose function is this caller's
   * @returns {Promise<void> | void}
   */
  lead(flight) {
    const { patience } = this;
    this.leads = flight;
    flight.patience = patience;
    patience?.hold();
    const met = this.meet(flight);
    this.fly(flight);
    return met;
  }

  /** @param {Flight} flight that it leads */
  fly(flight) {
    this.computer.fly(flight, this.fn, this.terms, undefined);
  }

  /**
   * @param {Flight} flight that it leads or follows
   * @returns {Promise<void> | void}
   */
  meet(flight) {
    this.join(flight);
  }

  /**
   * Waits for a flight, as long as this caller's own terms say.
   * @param {Flight} flight
   */
  join(flight) {
    const { ended } = flight;
    const stale = this.usable(flight);
    if (stale?.servesAtOnce(this.terms)) {
      flight.wanted = true;
      return this.settle(this.resolve, this.serve(stale));
    }
    if (stale?.servesInNeed(this.terms)) this.spare = stale;
    // The function has ended; its result may still be on its way to Rust.
    if (ended !== null) return this.landed(flight, ended);
    if (this.spare !== null) this.soft = after(this.terms.timeout, () => this.lose(flight));
    this.follows = flight;
    flight.join(this);
  }

  /**
   * @param {Flight} flight
   * @returns {Stale | null} its old value
   */
  usable(flight) {
    return flight.stale;
  }

  /**
   * The flight that it waits for is over. No exception of this caller's reaches the others that wait for it.
   * @param {Flight} flight
   * @param {Ended} ended
   */
  landed(flight, ended) {
    try {
      if (failed(ended)) {
        // Told to stop when nobody waited, and this one came since; or out of date.
        if (flight.aborted || flight.outlived) return this.again();
        return this.fallBack(ended.error);
      }
      // A follower's own copy, which no other caller can change.
      const own = flight === this.leads || ended.text === null;
      const value = own ? ended.value : this.computer.codec.parse(ended.text ?? '');
      if (own || this.terms.validate === null) return this.settle(this.resolve, value);
      this.follows = null;
      this.ask([FLOWN, value]).catch((error) => this.fallBack(error));
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

  /**
   * The function is slow: the old value serves, and the new one is still wanted.
   * @param {Flight} flight
   */
  lose(flight) {
    flight.wanted = true;
    this.fallBack(undefined);
  }

  /** The caller's patience is over. */
  giveUp() {
    const { leads, follows } = this;
    if (!this.settled) this.computer.timeouts++;
    if (leads !== null) {
      leads.wanted = false;
      this.computer.overdue(leads);
    }
    this.fallBack(tooLate(this.terms));
    leads?.left();
    follows?.left();
  }

  /** The result of this caller is no longer wanted. */
  leave() {
    this.depart(ignore, undefined);
  }

  /**
   * @param {(result: any) => void} end
   * @param {unknown} result
   */
  depart(end, result) {
    const { follows } = this;
    if (this.settled) return;
    this.settle(end, result);
    follows?.left();
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

  /**
   * Whether its caller takes a value.
   * @param {any} _value
   */
  async takes(_value) {
    return true;
  }

  /**
   * Removes a value that this caller does not take, so that it is computed anew.
   * @param {any} _value UNREADABLE where no caller can read it
   */
  drop(_value) {
    this.dropped = true;
    this.computer.codec.unreadable++;
    this.remove();
  }

  remove() {
    this.computer.send(Op.DEL, this.key, 0, 0);
  }
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

module.exports = { Caller };
