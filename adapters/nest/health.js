// The health of the cache, for `@nestjs/terminus`: what its indicators return is a plain object.
'use strict';

const { Inject, Injectable } = require('@nestjs/common');
const { HoldfastCache } = require('./tokens.js');

class HoldfastHealthIndicator {
  #cache;

  /** @param {any} cache */
  constructor(cache) {
    this.#cache = cache;
  }

  /**
   * Up, also without Redis: the application serves, and to take it out of rotation would make an outage of the cache
   * one of the application. `strict` says otherwise. No I/O.
   * @param {string} [key]
   * @param {{ strict?: boolean }} [options]
   */
  isHealthy(key = 'cache', { strict = false } = {}) {
    const { status, mode, since, lastError } = this.#cache.health();
    const isDown = strict && status === 'degraded';
    const reason = lastError === null ? {} : { reason: lastError.kind };
    return { [key]: { status: isDown ? 'down' : 'up', state: status, mode, since, ...reason } };
  }
}
Injectable()(HoldfastHealthIndicator);
Inject(HoldfastCache)(HoldfastHealthIndicator, undefined, 0);

module.exports = { HoldfastHealthIndicator };
