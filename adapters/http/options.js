// The options of a response cache, checked, with their defaults.
'use strict';

const { HoldfastError, createCache } = require('../../src/js/index.js');

const MIB = 1_048_576;
/** Seconds for which a response is kept beyond its freshness at least, if its own headers want that. */
const MAX_STALE_S = 300;
const NAMES = [
  ...['cache', 'ttl', 'swr', 'grace', 'maxStale', 'maxBytes', 'wait', 'key', 'tags', 'responseTags', 'credentials'],
  ...['withoutSetCookie', 'requestDirectives', 'statusHeaders'],
];

/** @typedef {ReturnType<typeof optionsOf>} Options */

const invalid = (message) => new HoldfastError('ERR_INVALID_ARGUMENT', message);

/** @param {Record<string, any>} given */
function optionsOf(given = {}) {
  if (given === null || typeof given !== 'object' || Array.isArray(given)) throw invalid('options must be an object');
  for (const name of Object.keys(given)) {
    if (!NAMES.includes(name)) throw invalid(`unknown option of a response cache: it takes ${NAMES.join(', ')}`);
  }
  const numberOf = (name, usual, least) => {
    const value = given[name] ?? usual;
    if (typeof value === 'number' && value >= least && value < Infinity) return value;
    throw invalid(`${name} must be a finite number of at least ${least}`);
  };
  const switchOf = (name, usual) => {
    const value = given[name] ?? usual;
    if (typeof value === 'boolean') return value;
    throw invalid(`${name} must be true or false`);
  };
  const { key, tags, responseTags, cache, credentials = ['authorization', 'cookie'] } = given;
  if (key !== undefined && typeof key !== 'function') throw invalid('key must be a function of the request');
  if (tags !== undefined && typeof tags !== 'function' && !isTexts(tags))
    throw invalid('tags must be an array of texts, or a function of the request that returns one');
  if (responseTags !== undefined && typeof responseTags !== 'function')
    throw invalid('responseTags must be a function of the response');
  if (!isTexts(credentials)) throw invalid('credentials must be an array of names of request headers');
  if (cache !== undefined && typeof cache?.getOrCompute !== 'function')
    throw invalid("cache must be a cache of Holdfast, with codec 'raw'");
  const swr = numberOf('swr', 0, 0);
  const grace = numberOf('grace', 0, 0);
  return {
    ttl: numberOf('ttl', 0, 0),
    swr,
    grace,
    maxStale: Math.max(numberOf('maxStale', MAX_STALE_S, 0), swr, grace),
    maxBytes: numberOf('maxBytes', MIB, 1),
    wait: numberOf('wait', 10, 0.001),
    key,
    tags: typeof tags === 'function' ? tags : () => tags,
    responseTags,
    credentials: credentials.map((name) => name.toLowerCase()),
    withoutSetCookie: switchOf('withoutSetCookie', false),
    requestDirectives: switchOf('requestDirectives', true),
    statusHeaders: switchOf('statusHeaders', true),
    // Last: nothing is opened for options that do not fit.
    cache: cache ?? createCache({ namespace: 'http', codec: 'raw' }),
  };
}

const isTexts = (value) => Array.isArray(value) && value.every((text) => typeof text === 'string');

module.exports = { invalid, optionsOf };
