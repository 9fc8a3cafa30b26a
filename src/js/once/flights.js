// The flights of this environment: one table for all of its caches, as Rust may tell a caller of one cache to follow
// the flight of another cache with the same URL and namespace.
//
// A function that never settles would keep its flight for ever, and each `hardTimeout` begins another one. So the
// flights whose callers gave up are bounded: the newest few may still store their results; older ones lose that right
// and are forgotten, here and in Rust.
'use strict';

const { AbortController } = require('../base/host.js');

/** Flights of one key whose callers gave up, and that may still store. */
const MAX_OVERDUE_OF_KEY = 2;
/** Such flights of all keys of this environment. */
const MAX_OVERDUE = 1_000;

/** @typedef {import('./caller').Caller} Caller */
/** @typedef {import('./compute').Computer} Computer */
/**
 * How a flight ended; `text` is null where the function returned undefined.
 * @typedef {{ value: any, text: string | import('../value/whole').Whole | null } | { error: unknown }} Ended
 */

/** One run of a caller's function. */
class Flight {
  /**
   * @param {Computer} computer of the cache whose caller gave the function
   * @param {string} key
   * @param {number} token its name in Rust
   * @param {import('./stale').Stale | null} stale the value that it replaces
   */
  constructor(computer, key, token, stale) {
    this.computer = computer;
    this.key = key;
    this.token = token;
    this.stale = stale;
    /** @type {Set<Caller>} the callers that wait for it, its leader among them; a caller that gives up is removed */
    this.followers = new Set();
    /** @type {import('./patience').Patience | null} how long its leader's call waits */
    this.patience = null;
    /** @type {Ended | null} */
    this.ended = null;
    /** @type {AbortController | null} made when the function asks for its signal */
    this.controller = null;
    /** A caller has been given the old value, and counts on the new one. */
    this.wanted = false;
    /** All callers of this environment who waited have given up. */
    this.deserted = false;
    this.overdue = false;
    /** Its result is older than an end of one of its tags. */
    this.outlived = false;
    /** It may no longer store its result, and Rust has forgotten it. */
    this.lost = false;
  }

  get id() {
    return this.computer.idOf(this.token);
  }

  /** Aborted when all who waited have given up. */
  get signal() {
    if (this.controller === null) {
      this.controller = new AbortController();
      if (this.deserted) this.abort();
    }
    return this.controller.signal;
  }

  /** Whether its function has been told to stop. */
  get aborted() {
    return this.controller?.signal.aborted === true;
  }

  /** @param {Caller} caller waits for it */
  join(caller) {
    this.followers.add(caller);
    this.deserted = false;
  }

  /** A caller has given up. */
  left() {
    if (this.ended !== null || this.wanted || this.followers.size > 0) return;
    this.deserted = true;
    if (this.controller !== null) this.abort();
  }

  /** Who asks from here on is not to get the error that this ends with. */
  abort() {
    this.computer.overdue(this);
    this.controller?.abort();
  }

  /** @param {Ended} ended */
  end(ended) {
    if (this.ended !== null) return;
    this.ended = ended;
    try {
      this.followers.forEach((follower) => {
        follower.landed(this, ended);
      });
    } finally {
      this.followers.clear();
      this.patience?.release();
    }
  }

  /**
   * Its leader gets the result; the others wait until it is known whether it is for them as well.
   * @param {Ended} ended
   */
  lead(ended) {
    for (const follower of this.followers) {
      if (follower.leads !== this) continue;
      this.followers.delete(follower);
      follower.landed(this, ended);
    }
  }

  /** What it returned is out of date: the callers that still wait ask anew. */
  outlive() {
    this.outlived = true;
    this.end({ error: undefined });
  }

  /** Its function never begins: the callers that wait for it ask anew. */
  scatter() {
    const followers = [...this.followers];
    this.followers.clear();
    for (const follower of followers) follower.again();
  }
}

/** The flights of one environment. */
class Flights {
  constructor() {
    /** @type {Map<number, Flight>} */
    this.byId = new Map();
    /** @type {Map<string, Flight[]>} the flights whose callers gave up, by key; the latest come last */
    this.late = new Map();
    this.lateCount = 0;
  }

  /** @param {number} id */
  get(id) {
    return this.byId.get(id);
  }

  /** @param {Flight} flight */
  add(flight) {
    this.byId.set(flight.id, flight);
  }

  /** @param {Flight} flight */
  remove(flight) {
    this.byId.delete(flight.id);
    if (!flight.overdue) return;
    const scope = scopeOf(flight);
    const late = this.late.get(scope);
    const at = late === undefined ? -1 : late.indexOf(flight);
    if (late === undefined || at === -1) return;
    late.splice(at, 1);
    if (late.length === 0) this.late.delete(scope);
    this.lateCount--;
  }

  /**
   * Its callers gave up.
   * @param {Flight} flight
   * @returns {Flight | null} a flight that must lose its right to store, to make room for this one
   */
  overdue(flight) {
    flight.overdue = true;
    const scope = scopeOf(flight);
    const late = this.late.get(scope) ?? [];
    late.push(flight);
    this.late.delete(scope);
    this.late.set(scope, late);
    this.lateCount++;
    if (late.length > MAX_OVERDUE_OF_KEY) return late[0];
    if (this.lateCount <= MAX_OVERDUE) return null;
    const [oldest] = this.late.values();
    return oldest[0];
  }

  /**
   * @param {Computer} computer
   * @returns {Flight[]} its flights
   */
  of(computer) {
    return [...this.byId.values()].filter((flight) => flight.computer === computer);
  }
}

/** @param {Flight} flight */
function scopeOf({ computer, key }) {
  return `${computer.scope}${key}`;
}

module.exports = { Flight, Flights };
