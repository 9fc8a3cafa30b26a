// Owns `holdfast/bentocache`: the second-level driver of BentoCache.
//
// Its near cache is a first level that Redis itself keeps coherent, so BentoCache needs neither one of its own nor a
// bus. BentoCache hands over texts of its own making, with milliseconds, and a prefix; namespaces nest behind it.
'use strict';

const { openTexts, textOf, lifeOf, globOf, joined } = require('../shared/texts.js');

class HoldfastDriver {
  type = 'l2';
  #prefix;

  /** `prefix`: with its colon, or empty. */
  constructor(cache, prefix) {
    this.cache = cache;
    this.#prefix = prefix;
  }

  namespace(name) {
    return new HoldfastDriver(this.cache, this.#prefix + joined(name, ''));
  }

  async get(key) {
    return textOf(await this.cache.get(this.#prefix + key));
  }

  async pull(key) {
    return textOf(await this.cache.take(this.#prefix + key));
  }

  async set(key, value, ttl) {
    await this.cache.set(this.#prefix + key, value, lifeOf(ttl || undefined));
    return true;
  }

  async delete(key) {
    return (await this.cache.del(this.#prefix + key)) > 0;
  }

  async deleteMany(keys) {
    await this.cache.del(keys.map((key) => this.#prefix + key));
    return true;
  }

  /** Without a prefix the cache has to have a namespace: the database may hold more. */
  async clear() {
    if (this.#prefix === '') await this.cache.clear();
    else await this.cache.delPattern(globOf(this.#prefix));
  }

  async disconnect() {
    await this.cache.close();
  }
}

/** What `bentostore().useL2Layer()` takes. The options stay here: they may hold a password. */
function holdfastDriver(options = {}) {
  const { prefix, ...rest } = options;
  return {
    options: prefix === undefined ? {} : { prefix },
    factory: (config) => new HoldfastDriver(openTexts(rest), joined(config.prefix, '')),
  };
}

module.exports = { holdfastDriver };
