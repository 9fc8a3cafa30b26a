// Owns `holdfast/keyv`: the storage adapter for Keyv 5, and with it for cache-manager 7 and cacheable 2.
//
// Keyv 5 prefixes keys with its namespace itself and tells the adapter of it too, so an adapter must not prefix a
// second time, yet has to heed the namespace in `clear` and `iterator`. Times to live are milliseconds from now. There
// is no `setMany`: without it Keyv stores the entries one by one in the same turn, which is one pipeline, and tells of
// each whether it was stored.
'use strict';

const { KeyvStore } = require('../shared/keyv-store.js');
const { globOf, lifeOf } = require('../shared/texts.js');

class KeyvHoldfast extends KeyvStore {
  /** Keyv 5 has an iterator for the stores that it knows by these names alone. */
  opts = { dialect: 'redis' };

  async set(key, value, ttl) {
    await this.cache.set(key, value, lifeOf(ttl));
    return true;
  }

  /** Whether all of them existed. */
  async deleteMany(keys) {
    return (await this.deleted(keys)).every(Boolean);
  }

  async clear() {
    if (this.namespace) await this.cache.delPattern(globOf(`${this.namespace}:`));
    else await this.cache.clear();
  }

  iterator(namespace) {
    return this.entries(namespace ? globOf(`${namespace}:`) : '*');
  }
}

module.exports = { KeyvHoldfast };
