// One caller of getOrCompute whose key had no value at once: what it waits for, and what it gets.
//
// It leads a flight, follows one, or waits for an answer from elsewhere, and asks again where that came to nothing. A value whose TTL has ended may be had
// with the flight. Each caller, the leader and every follower, decides by its own options what that value is to it: all that it wants (`swr`), what it falls
// back on when the function throws or is slow (`grace`), or nothing.
'use strict';

const { UNREADABLE } = require('./codec');
const { HoldfastError } = require('./errors');
const { clearTimeout, now, setTimeout, turn } = require('./host');
const { Answer, Op } = require('./ops');

// Node's timers hold a signed 32-bit number of milliseconds; beyond that is as good as never.
const LONGEST_TIMER = 0x7fffffff;

/** @typedef {import('./compute').Computer} Computer */
/** @typedef {import('./compute').Flight} Flight */
/** @typedef {import('./codec').Codec} Codec */
/** @typedef {import('./terms').Terms} Terms */

/** A value whose TTL has ended, or that is to be refreshed before it does. */
class Stale {
  /**
   * @param {Codec} codec
   * @param {any} reply
   * @param {number} age milliseconds since its TTL ended; negative: until it ends
   */
  constructor(codec, reply, age) {
    this.codec = codec;
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

  /** The value, for one more owner. */
  take() {
    const { codec, reply } = this;
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
  if (codec.decode === null || codec.decode(reply) !== UNREADABLE) return new Stale(codec, reply, age);
  codec.unreadable++;
  return null;
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
    /** @type {Stale | null} what it falls back on */
    this.spare = null;
    this.dropped = false;
    this.late = false;
    this.settled = false;
    /** @type {NodeJS.Timeout | undefined} */
    this.soft = undefined;
    /** @type {NodeJS.Timeout | undefined} */
    this.hard = undefined;
    /** @type {(value: any) => void} */
    this.resolve = ignore;
    /** @type {(error: unknown) => void} */
    this.reject = ignore;
  }

  /**
   * Settles with what comes first: a value, an error, or the end of its patience.
   * @param {any[]} first the answer that it got
   * @param {boolean} [alone] nobody else tells it to give up
   * @returns {Promise<any>}
   */
  wait(first, alone = true) {
    return new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
      this.computer.waiting++;
      // Keeps the process alive, as every call under way does until it is settled.
      if (alone) this.hard = after(this.terms.hardTimeout, () => this.giveUp());
      this.outcome(first).then(
        (value) => this.settle(resolve, value),
        (error) => this.fallBack(error),
      );
    });
  }

  /**
   * What the answers lead to, however long that takes.
   * @param {any[]} answer
   * @returns {Promise<any>}
   */
  async outcome(answer) {
    const { computer, key, terms } = this;
    for (;;) {
      if (this.late && answer[0] !== Answer.WAIT) {
        // Nobody waits any more: somebody else shall lead.
        if (answer[0] === Answer.LEAD) computer.send(Op.ABANDON, key, 0, answer[1]);
        return undefined;
      }
      switch (answer[0]) {
        case Answer.HIT:
        case Answer.STALE: {
          const value = computer.read(answer[1]);
          if (value !== UNREADABLE) {
            if (answer[0] === Answer.STALE) computer.staleServed++;
            return value;
          }
          // What came back after it had been removed will do so again.
          if (this.dropped) return computer.start([key], this.fn);
          this.drop();
          break;
        }
        case Answer.NOTHING:
          return undefined;
        case Answer.LEAD:
          this.leads = computer.flights.get(answer[1]) ?? computer.reserve(key, answer);
          computer.fly(this.leads, this.fn, terms);
          return this.join(this.leads);
        case Answer.WAIT:
          answer = await answer[1];
          continue;
        case Answer.FOLLOW: {
          const flight = computer.flights.get(answer[1]);
          if (flight !== undefined) return this.join(flight);
          // It has ended, or the answer that begins it is still on its way here: an answer given at once overtakes a wake-up. Asked again at once,
          // in memory mode, the event loop would turn on the spot and never get to that wake-up.
          await turn();
          break;
        }
        // AGAIN, or ELSEWHERE, which was said to one of many: alone it waits for it.
      }
      answer = await computer.begin(key, terms, false);
    }
  }

  /**
   * Waits for a flight as far as its own terms say.
   * @param {Flight} flight
   */
  async join(flight) {
    const { stale } = flight;
    if (stale?.servesAtOnce(this.terms)) return this.serve(stale);
    if (stale?.servesInNeed(this.terms)) {
      this.spare = stale;
      this.soft = after(this.terms.timeout, () => this.fallBack(undefined));
    }
    const ended = await flight.ended;
    if ('error' in ended) throw ended.error;
    // A follower's own copy, which no other caller can change.
    return flight === this.leads || ended.text === null ? ended.value : this.computer.codec.parse(ended.text);
  }

  /**
   * @param {unknown} error for want of a stale value
   */
  fallBack(error) {
    if (this.settled) return;
    if (this.spare === null) this.settle(this.reject, error);
    else this.settle(this.resolve, this.serve(this.spare));
  }

  /** The caller has waited for as long as it would. */
  giveUp() {
    this.late = true;
    if (this.leads !== null) this.computer.send(Op.OVERDUE, this.key, 0, this.leads.token);
    this.fallBack(
      new HoldfastError(
        'ERR_COMPUTE_TIMEOUT',
        `the function did not settle within hardTimeout (${this.terms.hardTimeout / 1000} s); it goes on, and its result will be stored`,
      ),
    );
  }

  /**
   * @param {(result: any) => void} end
   * @param {unknown} result
   */
  settle(end, result) {
    if (this.settled) return;
    this.settled = true;
    clearTimeout(this.soft);
    if (this.leads === null) {
      clearTimeout(this.hard);
    } else {
      // The function may go on without its caller. Whoever asks after its time is to lead anew.
      this.hard?.unref();
      this.leads.ended.then(() => clearTimeout(this.hard));
    }
    this.computer.left();
    end(result);
  }

  /** @param {Stale} stale */
  serve(stale) {
    if (stale.age >= 0) this.computer.staleServed++;
    return stale.take();
  }

  /** Removes what no caller can read, so that it is computed. */
  drop() {
    this.dropped = true;
    this.computer.codec.unreadable++;
    this.computer.send(Op.DEL, this.key, 0, 0);
  }
}

/**
 * @param {number} ms
 * @param {() => void} act
 */
function after(ms, act) {
  return ms > LONGEST_TIMER ? undefined : setTimeout(act, ms);
}

function ignore() {}

module.exports = { Caller, Stale, after, staleOf };
