// Owns the cache beneath an adapter whose framework hands over texts that it has serialised itself: they lie in Redis
// as the framework wrote them, byte for byte, so that what another client of the framework stored is read here, and
// the other way round. Codec `text`, not `raw`: short texts that are read often are hot values, without a crossing into
// Rust and without base64.
'use strict';

const { openCache } = require('./cache.js');

/** The cache of an adapter by the application's options; keys are as the framework names them, unless they say. */
function openTexts(options, defaults) {
  return openCache(options, { namespace: '', ...defaults }, 'text');
}

/** What was read, as the frameworks want it: undefined on a miss. */
function textOf(text) {
  return text ?? undefined;
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

/** A prefix and a key as one name. The prefix may be missing, and may end with the colon. */
function joined(prefix, key) {
  const bare = (prefix ?? '').replace(/:+$/, '');
  return bare === '' ? key : `${bare}:${key}`;
}

module.exports = { openTexts, textOf, lifeOf, globOf, joined };
