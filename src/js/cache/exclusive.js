// runExclusive: a function that runs once at a time under a name, in all processes that share the Redis.
//
// Rust takes, renews and gives up the lease, in Redis and in this process (src/engine/once/exclusive.rs). Here is what
// the event loop alone knows: which calls of this thread wait, in their order, and when a lease is lost. A lease counts
// from when it was asked for; Redis got that later, and keeps the lease longer. So its holder takes it for lost before
// anybody else can have it, unless the holder is paused.
'use strict';

const { HoldfastError, closed } = require('../base/errors.js');
const { AbortController, clearTimeout, now } = require('../base/host.js');
const { LEASE, Op } = require('../base/ops.js');
const {
  checkFunction,
  checkName,
  checkOptions,
  describe,
  invalid,
  outageExtras,
  toMs,
} = require('../options/arguments.js');
const { after } = require('../once/patience.js');

const DEFAULT_TTL_MS = 10_000;
const LEAST_TTL_MS = 1_000;
const LONGEST_TTL_MS = 86_400_000;
// Renewals in the time of a lease: all but one may be lost.
const RENEWALS = 3;
// Between two questions of a call that waits: from the first to the longest, each at random down to its half.
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 100;
// What Rust says of a lease.
const Held = Object.freeze({ NO: 0, IN_REDIS: 1, IN_PROCESS: 2 });

// By which Rust tells the calls of this thread apart.
let lastToken = 0;

/** @typedef {import('../bridge/channel').Channel} Channel */
/** @typedef {{ ttl: number, wait: number, extras: string }} Terms in milliseconds */

/**
 * @param {unknown} options
 * @returns {Terms}
 */
function termsOf(options) {
  const given = checkOptions(options, ['ttl', 'wait', 'onOutage']);
  const { ttl, wait = 0 } = given;
  const life = ttl === undefined ? DEFAULT_TTL_MS : toMs(ttl);
  if (life < LEAST_TTL_MS || life > LONGEST_TTL_MS)
    throw new HoldfastError('ERR_INVALID_TTL', `the ttl of a lease must be 1 to 86,400 seconds; got ${describe(ttl)}`);
  if (typeof wait !== 'number' || !(wait >= 0))
    throw invalid(`wait must be a number of seconds, 0 or more; got ${describe(wait)}`);
  return { ttl: life, wait: wait * 1000, extras: outageExtras(given) };
}

/** A call that waits: for its turn in this thread, or to ask again. */
class Waiting {
  /** @param {number} ms */
  constructor(ms) {
    /** @type {(woken: boolean) => void} */
    this.settle = () => {};
    /** Whether it was woken before its time was over. */
    this.over = /** @type {Promise<boolean>} */ (new Promise((resolve) => (this.settle = resolve)));
    this.timer = after(ms, () => this.settle(false));
  }

  wake() {
    clearTimeout(this.timer);
    this.settle(true);
  }
}

/** The exclusive runs of one cache. */
class Exclusive {
  /** @param {Channel} channel */
  constructor(channel) {
    this.channel = channel;
    /** @type {Map<string, Waiting[]>} by the names for which a call of this thread asks, or has the lease */
    this.lines = new Map();
    /** @type {Set<Waiting>} */
    this.waiting = new Set();
    this.closing = false;
  }

  /**
   * @param {unknown} name
   * @param {(context: { readonly signal: AbortSignal }) => unknown} fn
   * @param {unknown} options
   */
  run(name, fn, options) {
    const key = LEASE + checkName(name);
    checkFunction(fn, 'runExclusive');
    const terms = termsOf(options);
    return this.channel.during(async () => {
      const end = now() + terms.wait;
      await this.queue(key, end);
      try {
        const lease = await this.take(key, terms, end);
        return await lease.run(fn);
      } finally {
        const next = this.lines.get(key)?.shift();
        if (next === undefined) this.lines.delete(key);
        else next.wake();
      }
    });
  }

  /**
   * Waits behind the other calls of this thread.
   * @param {string} key
   * @param {number} end
   */
  async queue(key, end) {
    const line = this.lines.get(key);
    if (line === undefined) {
      this.lines.set(key, []);
      return;
    }
    const left = end - now();
    if (left <= 0) throw isHeld();
    const place = new Waiting(left);
    line.push(place);
    if (await this.woken(place)) return;
    line.splice(line.indexOf(place), 1);
    throw isHeld();
  }

  /**
   * Asks until the lease is had.
   * @param {string} key
   * @param {Terms} terms
   * @param {number} end
   */
  async take(key, terms, end) {
    lastToken = (lastToken % 0xffffffff) + 1;
    const token = lastToken;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      if (this.closing) throw closed();
      const asked = now();
      const held = await this.channel.call(Op.HOLD, key, '', terms.ttl, token, false, terms.extras);
      if (held !== Held.NO) return new Lease(this.channel, key, terms.ttl, token, asked, held === Held.IN_REDIS);
      const left = end - now();
      if (left <= 0) throw isHeld();
      await this.woken(new Waiting(Math.min(left, pause * (0.5 + Math.random() / 2))));
    }
  }

  /** @param {Waiting} waiting */
  async woken(waiting) {
    this.waiting.add(waiting);
    // One that is woken by the end of the cache finds that out when it asks.
    if (this.closing) waiting.wake();
    const woken = await waiting.over;
    this.waiting.delete(waiting);
    return woken;
  }

  /** No further call begins; those that run go on. */
  close() {
    this.closing = true;
    for (const waiting of this.waiting) waiting.wake();
  }
}

/** A lease that is had, and the function that runs under it. */
class Lease {
  /**
   * @param {Channel} channel
   * @param {string} key
   * @param {number} ttl
   * @param {number} token
   * @param {number} asked
   * @param {boolean} inRedis
   */
  constructor(channel, key, ttl, token, asked, inRedis) {
    this.channel = channel;
    this.key = key;
    this.ttl = ttl;
    this.token = token;
    this.inRedis = inRedis;
    this.until = asked + ttl;
    this.over = false;
    this.abort = new AbortController();
    /** @type {NodeJS.Timeout | undefined} */
    this.end = undefined;
    /** @type {NodeJS.Timeout | undefined} */
    this.renewal = undefined;
  }

  /** @param {(context: { readonly signal: AbortSignal }) => unknown} fn */
  async run(fn) {
    const { signal } = this.abort;
    try {
      this.watch();
      if (this.over) throw signal.reason;
      return await fn({ signal });
    } finally {
      this.stop();
      // Where it cannot be told, the lease ends by itself.
      await this.ask(Op.RENEW, 0).catch(() => {});
    }
  }

  /** Waits for the next renewal, and for the end of the lease. Neither keeps the process alive. */
  watch() {
    const left = this.until - now();
    if (left <= 0) return this.lose();
    clearTimeout(this.end);
    this.end = after(left, () => this.lose());
    this.end?.unref();
    this.renewal = after(this.ttl / RENEWALS, () => this.renew());
    this.renewal?.unref();
  }

  async renew() {
    const asked = now();
    // One of this process alone is taken in Redis when that is back, unless another process has it there.
    const held = await this.ask(this.inRedis ? Op.RENEW : Op.HOLD, this.ttl).catch(() => Held.IN_PROCESS);
    if (this.over) return;
    if (held === Held.NO) return this.lose();
    if (held === Held.IN_REDIS) this.inRedis = true;
    // Where Redis is away, what it has ends as it was to end.
    if (held === Held.IN_REDIS || !this.inRedis) this.until = asked + this.ttl;
    this.watch();
  }

  /**
   * @param {number} kind
   * @param {number} ttl
   * @returns {Promise<number>}
   */
  ask(kind, ttl) {
    return this.channel.call(kind, this.key, '', ttl, this.token);
  }

  lose() {
    if (this.over) return;
    this.stop();
    this.abort.abort(
      new HoldfastError(
        'ERR_LEASE_LOST',
        'the lease was lost (it was not renewed in time, or it is gone from Redis): another call may run by now; stop',
      ),
    );
  }

  stop() {
    this.over = true;
    clearTimeout(this.end);
    clearTimeout(this.renewal);
  }
}

function isHeld() {
  return new HoldfastError(
    'ERR_LEASE_HELD',
    'another call runs under this name; give runExclusive a longer wait, or leave it to that one',
  );
}

module.exports = { Exclusive };
