// Owns what the adapters of Keyv 5 and of Keyv 6 have in common: reads, deletions and the telling of errors. The two
// versions disagree on who prefixes keys and on what a time to live is; each adapter says so in its own file.
'use strict';

const { EventEmitter } = require('node:events');
const { openTexts, textOf } = require('./texts.js');

class KeyvStore extends EventEmitter {
  /** The namespace of the Keyv in front, which assigns it. */
  namespace = undefined;

  constructor(options) {
    super();
    this.cache = openTexts(options);
    this.cache.on('error', (error) => this.tell(error));
  }

  /** The name of a key in the cache: Keyv 5 has prefixed it already. */
  nameOf(key) {
    return key;
  }

  /**
   * Keyv passes errors on to its own listeners; where it has none, Keyv 6 throws the error back. From here that would
   * be an uncaught exception, for a fact of which Holdfast has told its logger already. What a listener itself throws
   * goes on.
   */
  tell(error) {
    if (this.listenerCount('error') === 0) return;
    try {
      this.emit('error', error);
    } catch (thrown) {
      if (thrown !== error) throw thrown;
    }
  }

  async get(key) {
    return textOf(await this.cache.get(this.nameOf(key)));
  }

  async getMany(keys) {
    return (await this.cache.getMany(keys.map((key) => this.nameOf(key)))).map(textOf);
  }

  async has(key) {
    return this.cache.exists(this.nameOf(key));
  }

  async hasMany(keys) {
    return this.cache.existsMany(keys.map((key) => this.nameOf(key)));
  }

  async delete(key) {
    return (await this.cache.del(this.nameOf(key))) > 0;
  }

  /** Which of the keys existed. */
  async deleted(keys) {
    return this.cache.delMany(keys.map((key) => this.nameOf(key)));
  }

  /** The entries whose names match, as pairs of name and text, page by page. */
  async *entries(pattern) {
    for await (const names of this.cache.scan(pattern)) {
      const texts = (await this.cache.getMany(names)).map(textOf);
      for (const [at, text] of texts.entries()) if (text !== undefined) yield [names[at], text];
    }
  }

  async disconnect() {
    await this.cache.close();
  }
}

module.exports = { KeyvStore };
