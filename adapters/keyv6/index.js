// Owns `holdfast/keyv6`: the storage adapter for Keyv 6.
//
// Keyv 6 leaves the namespace to the adapter and hands over the moment at which an entry expires. It takes an adapter
// for one of Keyv 5, and wraps it, unless `capabilities.expires` says otherwise. The separator is that of Keyv's own
// adapters, `::`; as theirs, an adapter without a namespace has only the keys that have no separator.
'use strict';

const { HoldfastError } = require('../../src/js/index.js');
const { KeyvStore } = require('../shared/keyv-store.js');
const { globOf } = require('../shared/texts.js');

const SEPARATOR = '::';
/**
 * As Keyv's `keyvStorageCapability` would find them; asking it would need a Keyv at a place that is not ours to say.
 */
const METHODS = [
  'get',
  'getMany',
  'has',
  'hasMany',
  'set',
  'setMany',
  'delete',
  'deleteMany',
  'clear',
  'disconnect',
  'iterator',
];

class KeyvHoldfast extends KeyvStore {
  #isNamespaced;

  constructor(options = {}) {
    super(options);
    this.#isNamespaced = Boolean(options.namespace);
  }

  get capabilities() {
    const methods = METHODS.map((name) => [name, { exists: true, methodType: name === 'iterator' ? 'sync' : 'async' }]);
    return { compatible: true, store: 'keyvStorage', methods: Object.fromEntries(methods), expires: true };
  }

  nameOf(key) {
    return this.namespace ? this.namespace + SEPARATOR + key : key;
  }

  async set(key, value, expires) {
    await this.cache.set(this.nameOf(key), value, expires === undefined ? Infinity : { expiresAt: expires });
    return true;
  }

  /** Which of them were stored; what is wrong with the others is told as an error, once each. */
  async setMany(entries) {
    const settled = await Promise.allSettled(entries.map(({ key, value, expires }) => this.set(key, value, expires)));
    for (const { status, reason } of settled) if (status === 'rejected') this.tell(reason);
    return settled.map(({ status }) => status === 'fulfilled');
  }

  async deleteMany(keys) {
    return this.deleted(keys);
  }

  /**
   * Refused where neither Keyv nor the cache has a namespace, in memory mode too: what works on the developer's machine
   * would empty a database elsewhere.
   */
  async clear() {
    if (this.namespace) return void (await this.cache.delPattern(globOf(this.nameOf(''))));
    if (!this.#isNamespaced) {
      throw new HoldfastError('ERR_CLEAR_NEEDS_NAMESPACE', 'clear() needs the namespace of a Keyv, or of KeyvHoldfast');
    }
    for await (const names of this.cache.scan()) await this.cache.del(names.filter(hasNoNamespace));
  }

  async *iterator() {
    const length = this.nameOf('').length;
    for await (const [name, text] of this.entries(globOf(this.nameOf('')))) {
      if (this.namespace || hasNoNamespace(name)) yield [name.slice(length), text];
    }
  }
}

const hasNoNamespace = (name) => !name.includes(SEPARATOR);

module.exports = { KeyvHoldfast };
