// A caller with a signal, with `validate` or `forceFresh`: what it does beyond waiting.
//
// What is the caller's own (its validate, its signal) runs in promise jobs of its own, or within the abort of its own
// signal. So it may throw, or never end: that delays this caller alone, and no longer than hardTimeout.
'use strict';

const { UNREADABLE } = require('../value/codec.js');
const { Caller } = require('./caller.js');
const { Listening, checkSignal } = require('./patience.js');
const { Reader, problemOf } = require('./validation.js');

/** @typedef {import('./flights').Flight} Flight */
/** @typedef {import('./stale').Stale} Stale */

class Careful extends Caller {
  /**
   * @param {import('./compute').Computer} computer
   * @param {string} key
   * @param {import('./compute').Fn} fn
   * @param {import('./terms').Terms} terms
   */
  constructor(computer, key, fn, terms) {
    super(computer, key, fn, terms);
    /** @type {Promise<any> | null} the value that `forceFresh` removed */
    this.found = null;
    /** @type {Stale | null} an old value that it refused */
    this.refused = null;
    this.reader = terms.validate === null ? null : new Reader(computer, key);
    /** @type {Listening | null} */
    this.listening = null;
  }

  /**
   * @override
   * @param {any[]} first the answer that it got
   */
  begin(first) {
    const { signal } = this.terms;
    // One call of many keys listens itself.
    if (signal !== undefined && this.alone) {
      try {
        this.listening = new Listening(signal, (reason) => this.quit(reason));
        // It may have been aborted while a hot value waited for its turn.
        checkSignal(signal);
      } catch (reason) {
        return this.quit(reason);
      }
    }
    super.begin(first);
  }

  /** @override */
  question() {
    this.reader?.asks();
    return super.question();
  }

  /**
   * @override
   * @param {Flight} flight that it leads
   */
  fly(flight) {
    const { computer, fn, terms } = this;
    // It was asked for in front of the lead, and is mostly here already.
    if (this.found !== null) this.found.then((old) => computer.fly(flight, fn, terms, old));
    else computer.fly(flight, fn, terms, this.old);
  }

  /**
   * Joins a flight, once it is known whether this caller takes its old value. The function does not wait for that:
   * others may follow it.
   * @override
   * @param {Flight} flight
   * @returns {Promise<void> | void}
   */
  meet(flight) {
    const { terms } = this;
    const stale = this.usable(flight);
    if (terms.validate === null || stale === null) return this.join(flight);
    if (stale.servesAtOnce(terms) || stale.servesInNeed(terms)) return this.weigh(flight, stale);
    this.join(flight);
  }

  /**
   * @param {Flight} flight
   * @param {Stale} stale
   */
  async weigh(flight, stale) {
    if (!(await this.takes(stale.take(this.computer.codec)))) this.refused = stale;
    if (!this.settled) this.join(flight);
  }

  /**
   * @override
   * @param {Flight} flight
   * @returns {Stale | null} its old value, unless this caller refused it
   */
  usable({ stale }) {
    return stale === this.refused ? null : stale;
  }

  /**
   * @override
   * @param {any} value
   */
  async takes(value) {
    const { validate } = this.terms;
    return validate === null || (await problemOf(validate, value)) === null;
  }

  /**
   * @override
   * @param {any} value that it refused, or UNREADABLE
   */
  drop(value) {
    if (value === UNREADABLE) return super.drop(value);
    this.dropped = true;
    this.old = value;
    this.remove();
  }

  /** @override */
  remove() {
    if (this.reader === null) super.remove();
    else this.reader.remove();
  }

  /** @param {unknown} reason of its signal, which was aborted: no old value stands in for the new one */
  quit(reason) {
    this.depart(this.reject, reason);
  }

  /**
   * @override
   * @param {(result: any) => void} end
   * @param {unknown} result
   */
  settle(end, result) {
    if (this.settled) return;
    super.settle(end, result);
    this.reader?.end();
    this.listening?.stop();
  }
}

module.exports = { Careful };
