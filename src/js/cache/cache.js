// The functions of a cache: each checks its arguments and becomes operations of the bridge.
'use strict';

const { LateVariables } = require('../base/environment.js');
const { HoldfastError, closed } = require('../base/errors.js');
const { dateNow, parse, stringify } = require('../base/host.js');
const { Op, Task } = require('../base/ops.js');
const {
  checkKey,
  checkOptions,
  checkPattern,
  describe,
  extrasOf,
  invalid,
  isArray,
  outageExtras,
  setOptions,
} = require('../options/arguments.js');
const { lifeOf, newLifeOf, staleOf, ttlOf } = require('../options/expiry.js');
const { tellLogger } = require('../options/logging.js');
const { answered } = require('../bridge/turn.js');
const { getOrComputeMany } = require('../once/compute-many.js');
const { Listeners } = require('./listeners.js');
const { delAll, delMany, existsMany, getMany, invalidateTags, scan, setMany, tagTimes } = require('./many.js');
const { memoize } = require('./memoize.js');
const { opened } = require('./opening.js');
const { countersOf, countersOfNone, healthOf, healthSince, statsOf } = require('./report.js');

/** @typedef {import('./opening').State} State */

class Cache {
  /**
   * @param {() => import('../config').Config} configure
   * @param {boolean} tolerant a configuration that does not parse causes a warning and memory mode; else it throws
   */
  constructor(configure, tolerant) {
    this.configure = configure;
    this.tolerant = tolerant;
    /** @type {State | null} */
    this.state = null;
    /** @type {Promise<void> | null} */
    this.closing = null;
    this.closedAt = 0;
    /** @type {string | null} as JSON, as they were when it was closed */
    this.lastCounters = null;
    this.listeners = new Listeners();
    /** @type {LateVariables | null} of the default cache, until it has warned of one */
    this.late = null;
  }

  /** Opens the cache: connecting begins, in the background. */
  open() {
    if (this.tolerant) this.late = new LateVariables();
    const { state, tell } = opened(this.configure, this.tolerant, this.listeners);
    this.state = state;
    tell();
    return state;
  }

  /** @returns {State} */
  use() {
    if (this.closing !== null) throw closed();
    if (this.late?.due() === true) this.lookForLate(this.late);
    return this.state ?? this.open();
  }

  /**
   * Warns, once, of variables that came too late: they change nothing, which would otherwise go unnoticed.
   * @param {LateVariables} late
   */
  lookForLate(late) {
    const names = late.look();
    if (names.length === 0 || this.state === null) return;
    this.late = null;
    const { handle, logger } = this.state;
    const message = `${names.join(', ')} came after the default cache had read the environment, which it does in the turn of its first require or at its first call, and changes nothing: load the environment (dotenv) before`;
    if (names.includes('REDIS_URL') && handle.target === 'memory')
      this.state.problem ??= { kind: 'config', message, at: dateNow() };
    tellLogger(logger, 'warn', `holdfast: ${message}`);
  }

  /**
   * Resolves with the mode once the first attempt to connect has ended, well or not.
   * @returns {Promise<'redis' | 'memory'>}
   */
  async ready() {
    const { handle, channel, lazy } = this.use();
    // A lazy one is dialled by its first call.
    const decided = () => (lazy ? channel.call(Op.EXISTS, 'ready', '', 0, 0) : this.listeners.decision());
    if (handle.mode === 'initializing') await decided();
    if (this.closing !== null) throw closed();
    return handle.mode;
  }

  /** @param {string} key */
  get(key) {
    try {
      const { channel, codec, hot } = this.use();
      let value = hot?.get(key);
      if (value === undefined) value = channel.near(checkKey(key));
      if (value !== undefined) return answered(value);
      const reply = channel.get(key);
      return codec.read === null ? reply : reply.then(codec.read);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * @param {string} key
   * @param {unknown} value
   * @param {number | import('../../../index').SetOptions} [options] a TTL or options
   * @returns {Promise<void>}
   */
  set(key, value, options) {
    try {
      const { channel, codec, ttl } = this.use();
      const given = setOptions(options);
      return channel.set(checkKey(key), value, codec, ttlOf(given, ttl), extrasOf(given));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * @param {string} key
   * @param {unknown} value
   * @param {number | import('../../../index').SetIfAbsentOptions} [options] a TTL or options
   * @returns {Promise<boolean>}
   */
  async setIfAbsent(key, value, options) {
    const { channel, codec, ttl } = this.use();
    const given = setOptions(options, ['onOutage']);
    const life = Math.max(1, ttlOf(given, ttl));
    return channel.call(Op.SET_IF_ABSENT, checkKey(key), codec.encode(value), life, 0, false, extrasOf(given));
  }

  /**
   * @param {string | readonly string[]} key
   * @param {import('../../../index').DelOptions} [options]
   */
  async del(key, options) {
    const { channel } = this.use();
    const stale = staleOf(options);
    if (isArray(key)) return delAll(channel, key, stale);
    const kind = stale === 0 ? Op.DEL : Op.SOFTEN;
    return channel.call(kind, checkKey(/** @type {string} */ (key)), '', stale, 0);
  }

  /** @param {readonly string[]} keys */
  async delMany(keys) {
    return delMany(this.use().channel, keys);
  }

  /** @param {string} pattern */
  async delPattern(pattern) {
    return this.use().channel.run(Task.DEL_PATTERN, checkPattern(pattern));
  }

  /**
   * @param {string} [pattern]
   * @param {import('../../../index').ScanOptions} [options]
   */
  scan(pattern = '*', options = {}) {
    return scan(() => this.use().channel, checkPattern(pattern), options);
  }

  /**
   * @param {string} key
   * @param {import('../../../index').TakeOptions} [options]
   * @returns {Promise<any>}
   */
  async take(key, options) {
    const { channel, codec } = this.use();
    const extras = outageExtras(checkOptions(options, ['onOutage']));
    const reply = await channel.call(Op.TAKE, checkKey(key), '', 0, 0, false, extras);
    return codec.read === null ? reply : codec.read(reply);
  }

  /**
   * @param {string} key
   * @param {(context: any) => unknown} fn
   * @param {number | import('../../../index').ComputeOptions} [options]
   * @returns {Promise<any>}
   */
  getOrCompute(key, fn, options) {
    try {
      return this.use().computer.getOrCompute(checkKey(key), fn, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * @param {readonly string[]} keys
   * @param {(missing: string[]) => unknown} fn
   * @param {number | import('../../../index').ComputeOptions} [options]
   * @returns {Promise<any[]>}
   */
  async getOrComputeMany(keys, fn, options) {
    return getOrComputeMany(this.use().computer, keys, fn, options);
  }

  /**
   * @param {any} fn
   * @param {any} options
   * @returns {any}
   */
  memoize(fn, options) {
    return memoize(() => this.use(), fn, options);
  }

  /**
   * @param {string} name
   * @param {(context: import('../../../index').ExclusiveContext) => any} fn
   * @param {import('../../../index').ExclusiveOptions} [options]
   * @returns {Promise<any>}
   */
  async runExclusive(name, fn, options) {
    return this.use().exclusive.run(name, fn, options);
  }

  /**
   * @param {string} key
   * @param {number} [amount]
   * @param {import('../../../index').IncrementOptions} [options]
   */
  async increment(key, amount = 1, options) {
    const { channel } = this.use();
    checkKey(key);
    if (!Number.isSafeInteger(amount)) {
      throw new HoldfastError('ERR_INVALID_AMOUNT', `an amount must be a safe integer; got ${describe(amount)}`);
    }
    const given = checkOptions(options, ['ttl', 'expiresAt', 'onOutage']);
    const life = lifeOf(given);
    // 0 stands for no expiry here: a counter whose time is over gets the shortest that there is.
    const ttl = life === undefined ? 0 : Math.max(1, life);
    return channel.call(Op.INCREMENT, key, '', ttl, amount, false, outageExtras(given));
  }

  /**
   * @param {string} key
   * @param {number} [amount]
   * @param {import('../../../index').IncrementOptions} [options]
   */
  async incrementWithTtl(key, amount, options) {
    // Behind each other in one batch, and so in one trip.
    const [value, ttl] = await Promise.all([this.increment(key, amount, options), this.ttl(key)]);
    return { value, ttl };
  }

  /** @param {string} key */
  async exists(key) {
    return this.use().channel.call(Op.EXISTS, checkKey(key), '', 0, 0);
  }

  /** @param {readonly string[]} keys */
  async existsMany(keys) {
    return existsMany(this.use().channel, keys);
  }

  /** @param {string} key */
  async ttl(key) {
    const ms = await this.use().channel.call(Op.TTL, checkKey(key), '', 0, 0);
    if (ms === null) return null;
    return ms === -1 ? Infinity : ms / 1000;
  }

  /**
   * @param {string} key
   * @param {number | import('../../../index').ExpireOptions} options a TTL or options
   */
  async expire(key, options) {
    const { channel } = this.use();
    checkKey(key);
    const life = newLifeOf(options);
    if (life > 0) return channel.call(Op.EXPIRE, key, '', life, 0);
    return (await channel.call(Op.DEL, key, '', 0, 0)) > 0;
  }

  /**
   * @param {readonly string[]} keys
   * @returns {Promise<any[]>}
   */
  async getMany(keys) {
    const { channel, codec } = this.use();
    return getMany(channel, codec, keys);
  }

  /**
   * @param {Iterable<readonly [string, unknown]> | Record<string, unknown>} entries
   * @param {number | import('../../../index').SetOptions} [options] a TTL or options
   */
  async setMany(entries, options) {
    const { channel, codec, ttl } = this.use();
    const given = setOptions(options);
    return setMany(channel, codec, entries, ttlOf(given, ttl), extrasOf(given));
  }

  /**
   * @param {string | readonly string[]} tags
   * @param {import('../../../index').InvalidateOptions} [options]
   */
  async invalidateTags(tags, options) {
    return invalidateTags(this.use().channel, tags, staleOf(options));
  }

  /** @param {readonly string[]} tags */
  async tagTimes(tags) {
    return tagTimes(this.use().channel, tags);
  }

  /** @param {import('../../../index').ClearOptions} [options] */
  async clear(options) {
    const { channel } = this.use();
    const { flushDb = false } = checkOptions(options, ['flushDb']);
    if (typeof flushDb !== 'boolean') throw invalid(`flushDb must be true or false, not ${describe(flushDb)}`);
    return channel.run(flushDb ? Task.FLUSH_DB : Task.CLEAR, '');
  }

  /** @returns {Promise<import('../../../index').Stats>} */
  async getStats() {
    return statsOf(this.use());
  }

  /** @returns {import('../../../index').Counters} */
  getCounters() {
    if (this.lastCounters !== null) return parse(this.lastCounters);
    const state = this.closing === null ? this.use() : this.state;
    return state === null ? countersOfNone() : countersOf(state);
  }

  /** @returns {import('../../../index').Mode} */
  getMode() {
    return this.closing === null ? this.use().handle.mode : 'memory';
  }

  /** @returns {import('../../../index').Health} */
  health() {
    return this.closing === null ? healthOf(this.use()) : healthSince(this.closedAt);
  }

  /** @returns {Promise<void>} */
  close() {
    this.closing ??= this.end();
    return this.closing;
  }

  async end() {
    this.closedAt = dateNow();
    this.listeners.decided();
    const { state } = this;
    if (state === null) return;
    state.exclusive.close();
    // Calls under way settle first, also those that wait for a function.
    await state.channel.drained();
    await state.computer.drained();
    await state.channel.drained();
    state.channel.closed = closed();
    state.unlisten();
    this.listeners.attach(null);
    this.lastCounters = stringify(countersOf(state));
    state.handle.close();
    state.channel.line?.turn();
  }
}

module.exports = { Cache };
