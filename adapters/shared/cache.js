// Owns how an adapter opens its cache: by the application's options, and with the codec that its framework needs.
//
// Every adapter has a cache of its own. Caches of one URL share the connection and the memory, so that costs nothing,
// and `close()` of one ends no other.
'use strict';

const { createCache, HoldfastError } = require('../../src/js/index.js');

/** `defaults` stand where the application's options say nothing. */
function openCache(options = {}, defaults, codec) {
  if (options.codec !== undefined) {
    throw new HoldfastError('ERR_CONFIG', 'the adapter decides how values are stored: leave the option codec out');
  }
  return createCache({ ...defaults, ...options, codec });
}

module.exports = { openCache };
