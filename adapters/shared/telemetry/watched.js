// Owns which caches an exporter tells of, and reads them: each once a collection, and what caches share once for all.
//
// Caches of one URL share a connection and the memory, and name the same numbers of these. Nothing in the public
// contract says who shares with whom, so the application names the connection, and each connection is told of by one of
// its caches.
'use strict';

const holdfast = require('../../../src/js/index.js');

/** What a label of a cache or a connection may be: it is on each of their series. */
const NAME = /^[\w.:-]{1,64}$/;

/** @typedef {{ cache: any, name: string, connection: string }} Member */
/** @typedef {{ name: string, counters: any, health: any, isClosed: boolean }} Seen */

/** @param {string} message */
const invalid = (message) => new holdfast.HoldfastError('ERR_INVALID_ARGUMENT', message);

/**
 * The options of `register`, checked.
 * @param {any} given
 * @param {string[]} others names of the exporter's own options
 * @returns {Member}
 */
function memberOf(given, others) {
  if (given === null || typeof given !== 'object' || Array.isArray(given)) throw invalid('options must be an object');
  const names = ['cache', 'name', 'connection', ...others];
  if (!Object.keys(given).every((name) => names.includes(name))) {
    throw invalid(`unknown option of register: it takes ${names.join(', ')}`);
  }
  const { cache = holdfast, name = 'default', connection = 'default' } = given;
  if (typeof cache?.getCounters !== 'function') throw invalid('cache must be a cache of Holdfast');
  for (const [option, text] of Object.entries({ name, connection })) {
    if (typeof text !== 'string' || !NAME.test(text))
      throw invalid(`${option} must be a text of 1 to 64 letters, digits and . _ : -`);
  }
  return { cache, name, connection };
}

/**
 * Whether this is the health of a closed cache: no open one has its breaker open for no reason. Its counters stand
 * still and it holds no memory, so another one had better tell of the connection.
 */
const isOfClosed = ({ mode, breaker, lastError }) => mode === 'memory' && breaker === 'open' && lastError === null;

class Watched {
  /** @type {Map<string, Member>} by name */
  #members = new Map();
  /** @type {{ caches: Seen[], connections: Seen[] } | null} */
  #seen = null;

  get isEmpty() {
    return this.#members.size === 0;
  }

  /**
   * Throws `ERR_INVALID_ARGUMENT` where the name or the cache is there already: its numbers would count twice.
   * @param {Member} member
   */
  add(member) {
    for (const { name, cache } of this.#members.values()) {
      if (name === member.name) {
        throw invalid(`a cache is registered as ${name} already: give each cache a name of its own`);
      }
      if (cache === member.cache) throw invalid(`this cache is registered already, as ${name}`);
    }
    this.#members.set(member.name, member);
  }

  /**
   * Without effect for one that was removed.
   * @param {Member} member
   */
  remove(member) {
    if (this.#members.get(member.name) === member) this.#members.delete(member.name);
  }

  /** All of them as they are now. Whoever looks again in the same turn of the event loop sees the same. */
  look() {
    if (this.#seen === null) {
      this.#seen = this.#read();
      queueMicrotask(() => {
        this.#seen = null;
      });
    }
    return this.#seen;
  }

  #read() {
    /** @type {Map<string, Seen>} */
    const connections = new Map();
    const caches = [...this.#members.values()].map(({ name, cache, connection }) => {
      const health = cache.health();
      const seen = { name, counters: cache.getCounters(), health, isClosed: isOfClosed(health) };
      const other = connections.get(connection);
      if (other === undefined || (other.isClosed && !seen.isClosed)) {
        connections.set(connection, { ...seen, name: connection });
      }
      return seen;
    });
    return { caches, connections: [...connections.values()] };
  }
}

/**
 * Reads by who answered them, so that each is counted in one place: [tier, result, number].
 * @returns {Array<['hot' | 'near' | 'redis' | 'memory', 'hit' | 'miss', number]>}
 */
function requestsOf({ hits, misses }) {
  return [
    ['hot', 'hit', hits.hot],
    ['near', 'hit', hits.near - hits.hot],
    ['redis', 'hit', hits.redis],
    ['memory', 'hit', hits.memory],
    ['redis', 'miss', misses.redis],
    ['memory', 'miss', misses.memory],
  ];
}

/** The modes of a cache, each with whether it is the one. */
const modesOf = ({ mode }) => ['initializing', 'redis', 'memory'].map((each) => [each, Number(each === mode)]);

module.exports = { Watched, invalid, memberOf, modesOf, requestsOf };
