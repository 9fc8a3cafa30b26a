// Owns the cache beneath an adapter whose framework hands over texts that it has serialised itself: they lie in Redis
// as the framework wrote them, byte for byte, so that what another client of the framework stored is read here, and
// the other way round.
//
// Every adapter has a cache of its own. Caches of one URL share the connection and the memory, so that costs nothing,
// and `close()` of one ends no other.
'use strict';

const { createCache, HoldfastError } = require('../../src/js/index.js');

/**
 * Opens the cache of an adapter by the application's options. `namespace`: where these name none; `''` for keys as the
 * framework names them.
 */
function openTexts(options = {}, namespace = '') {
  if (options.codec !== undefined) {
    throw new HoldfastError('ERR_CONFIG', 'an adapter stores texts as they are: leave the option codec out');
  }
  return createCache({ namespace, ...options, codec: 'raw' });
}

/** What was read, as the text that was stored; undefined on a miss. */
function textOf(bytes) {
  return bytes === null ? undefined : bytes.toString();
}

/**
 * Milliseconds as frameworks give them, as what `set` takes. Without a time the entry stays for ever: a cache's own
 * default of five minutes would surprise whoever comes from another store. A time that is over removes the entry.
 */
function lifeOf(ms) {
  if (ms === undefined || ms === null) return Infinity;
  return ms <= 0 ? { expiresAt: 0 } : ms / 1000;
}

/** The glob of all keys that begin with a text, whatever stands in it. */
function globOf(prefix) {
  return `${prefix.replace(/[\\*?[\]^-]/g, '\\$&')}*`;
}

/** A prefix and a key as one name; a prefix may be empty, and may end with the colon. */
function joined(prefix, key) {
  const bare = (prefix ?? '').replace(/:+$/, '');
  return bare === '' ? key : `${bare}:${key}`;
}

module.exports = { openTexts, textOf, lifeOf, globOf, joined };
