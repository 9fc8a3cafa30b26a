// Owns `holdfast/unstorage`: the driver of unstorage, and with it of Nitro and Nuxt.
//
// unstorage calls the functions of a driver detached, so they are closures. Keys are `a:b:c`; texts and bytes lie in
// Redis as they are, and which of the two an item is, only its reader knows: so the codec is `raw`. Nitro gives its
// stale-while-revalidate entries no time to live, so they would stay for ever: `maxTtl` ends them.
'use strict';

const { openCache } = require('../shared/cache.js');
const { globOf, joined } = require('../shared/texts.js');

const NAME = 'holdfast';

/**
 * `base`: a prefix of all keys, as that of unstorage's own drivers. Nitro hands over all that its configuration says of
 * a mount, the name of the driver among it, and as JSON, in which Infinity is null.
 */
function holdfastDriver({ driver, base, ttl, maxTtl, ...rest } = {}) {
  const own = { base: base ?? '', ttl: ttl ?? Infinity, maxTtl: maxTtl ?? Infinity };
  const cache = openCache(rest, { namespace: '' }, 'raw');
  const prefix = joined(own.base, '');

  const nameOf = (key) => prefix + key;
  const keyOf = (name) => name.slice(prefix.length);
  /** Seconds; no time, or none that is left, is the driver's own. */
  const lifeOf = (given) => Math.min(given?.ttl > 0 ? given.ttl : own.ttl, own.maxTtl);
  /** unstorage gives a base with its colon, or none. */
  const patternOf = (within) => globOf(nameOf(within ? joined(within, '') : ''));
  const bytesOf = (value) => (value instanceof ArrayBuffer ? new Uint8Array(value) : value);
  const textOf = (bytes) => (bytes === null ? null : bytes.toString());

  async function setItem(key, value, given) {
    await cache.set(nameOf(key), value, lifeOf(given));
  }

  return {
    name: NAME,
    // The options that an application may show: not the URL, which may hold a password.
    options: own,
    getInstance: () => cache,

    hasItem: (key) => cache.exists(nameOf(key)),

    async getItem(key) {
      return textOf(await cache.get(nameOf(key)));
    },

    async getItems(items) {
      const found = await cache.getMany(items.map(({ key }) => nameOf(key)));
      return items.map(({ key }, at) => ({ key, value: textOf(found[at]) }));
    },

    getItemRaw: (key) => cache.get(nameOf(key)),

    setItem,

    async setItems(items) {
      await Promise.all(items.map(({ key, value, options: given }) => setItem(key, value, given)));
    },

    setItemRaw: (key, value, given) => setItem(key, bytesOf(value), given),

    async removeItem(key) {
      await cache.del(nameOf(key));
    },

    /** Nothing of an entry without an end, nor of none. */
    async getMeta(key) {
      const left = await cache.ttl(nameOf(key));
      return left === null || left === Infinity ? {} : { ttl: left };
    },

    /** A page of a scan may name a key that another has named. */
    async getKeys(within) {
      const keys = new Set();
      for await (const names of cache.scan(patternOf(within))) for (const name of names) keys.add(keyOf(name));
      return [...keys];
    },

    /** The whole cache has to have a name of its own: the database may hold more. */
    async clear(within) {
      if (prefix === '' && !within) await cache.clear();
      else await cache.delPattern(patternOf(within));
    },

    dispose: () => cache.close(),
  };
}

module.exports = holdfastDriver;
// By name, too. Nitro imports a driver's default.
module.exports.holdfastDriver = holdfastDriver;
