// The functions of a cache: each checks its arguments and becomes operations of the bridge.
'use strict';

const { HoldfastError } = require('../base/errors.js');
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
const { answered } = require('../bridge/turn.js');
const { getOrComputeMany } = require('../once/compute-many.js');
const { Lifecycle } = require('./lifecycle.js');
const { delAll, delMany, existsMany, getMany, invalidateTags, scan, setMany, tagTimes } = require('./many.js');
const { memoize } = require('./memoize.js');

class Cache extends Lifecycle {
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
    const extras = extrasOf(given);
    return channel.call(Op.SET_IF_ABSENT, checkKey(key), codec.encode(value), life, 0, false, extras);
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
   * @returns {Promise<import('../../../index').EntryInfo | null>}
   */
  async inspect(key) {
    const found = await this.use().channel.call(Op.INSPECT, checkKey(key), '', 0, 0);
    if (found === null) return null;
    const { ttlMs, keptMs, computeMs, ...rest } = found;
    return { ...rest, ttl: secondsOf(ttlMs), kept: secondsOf(keptMs), computeSeconds: computeMs && computeMs / 1000 };
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
}

/** @param {number | null} ms null: for ever */
function secondsOf(ms) {
  return ms === null ? Infinity : ms / 1000;
}

module.exports = { Cache };
