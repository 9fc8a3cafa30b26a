// What RFC 9111 says of storing a response and of answering a request with it; the numbers are those of its sections.
//
// `http-cache-semantics` was considered. It keeps the request's headers, cookies among them, with what is stored, it
// takes `Max-Age` for another directive than `max-age`, and would have to be installed beside this package.
'use strict';

/** Final statuses that are stored where the response says how long it is fresh (3). */
const UNDERSTOOD = new Set([200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501]);
/** Those to which the option `ttl` applies: not 404, or whoever asks for names at random would fill the cache. */
const BY_DEFAULT = new Set([200, 203, 300, 301, 308]);
/** Methods that change nothing on the server (RFC 9110, 9.2.1). */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);
/** Fields of one connection, and those that are written anew for each answer (3.1). */
const NOT_STORED = new Set([
  ...['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'proxy-connection'],
  ...['proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization'],
  ...['content-length', 'age', 'date', 'x-cache', 'cache-status', 'set-cookie'],
]);
/** A name, and its value as a token or as a quoted string, which may hold commas. */
const DIRECTIVE = /([!#$%&'*+.^_`|~\w-]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/g;
const LONGEST_S = 31_536_000;

/**
 * The directives of a Cache-Control field, their names in lower case (5.2). Of one that is there twice the first counts
 * (4.2.1).
 */
function directivesOf(field) {
  const found = new Map();
  for (const [, name, quoted, token] of String(field ?? '').matchAll(DIRECTIVE)) {
    const key = name.toLowerCase();
    if (!found.has(key)) found.set(key, quoted ?? token ?? true);
  }
  return found;
}

/** The seconds of a directive (1.2.2); undefined where it is not there, 0 where it is not a number of seconds. */
function secondsOf(directives, name) {
  const value = directives.get(name);
  if (value === undefined) return undefined;
  return /^\d+$/.test(value) ? Math.min(Number(value), LONGEST_S) : 0;
}

/** What a request asks of a cache (5.2.1), and of HTTP/1.0 `Pragma: no-cache` (5.4). */
function demandsOf(request) {
  const field = request.header('cache-control');
  const directives = directivesOf(field);
  const pragma = field === undefined && /\bno-cache\b/i.test(request.header('pragma') ?? '');
  return {
    noStore: directives.has('no-store'),
    noCache: directives.has('no-cache') || pragma,
    onlyIfCached: directives.has('only-if-cached'),
    maxAge: secondsOf(directives, 'max-age') ?? Infinity,
    minFresh: secondsOf(directives, 'min-fresh') ?? 0,
  };
}

/** How long a response says that it is fresh (4.2.1), in seconds; undefined where it does not say. */
function lifetimeOf(directives, headers, now) {
  const stated = secondsOf(directives, 's-maxage') ?? secondsOf(directives, 'max-age');
  if (stated !== undefined || headers.expires === undefined) return stated;
  const expires = Date.parse(headers.expires);
  // A date that does not parse is one in the past (5.3).
  if (Number.isNaN(expires)) return 0;
  return Math.min(Math.max(0, (expires - (Date.parse(headers.date) || now)) / 1000), LONGEST_S);
}

/** The age with which a response comes (4.2.3): it may be one that the handler got from elsewhere. */
function ageOf(headers, now) {
  const apparent = (now - (Date.parse(headers.date) || now)) / 1000;
  return Math.max(0, apparent, /^\d+$/.test(headers.age ?? '') ? Number(headers.age) : 0);
}

/** The names in a Vary field, sorted (4.1). */
function varyOf(headers) {
  const names = String(headers.vary ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase());
  return [...new Set(names.filter((name) => name !== ''))].sort();
}

/**
 * How a response may be stored, or undefined where it may not be.
 * @param {{ status: number, headers: Record<string, any> }} response
 * @param {boolean} personal whether the request had credentials
 * @param {import('./options').Options} options
 */
function planOf({ status, headers }, personal, options, now) {
  const directives = directivesOf(headers['cache-control']);
  const vary = varyOf(headers);
  const has = (name) => directives.has(name);
  // 3 and 5.2.2; a response that has to be validated each time (5.2.2.4) is of no use here: the handler would run.
  if (!UNDERSTOOD.has(status) || has('no-store') || has('private') || has('no-cache')) return undefined;
  if (vary.includes('*') || headers['content-range'] !== undefined || headers.trailer !== undefined) return undefined;
  if (headers['set-cookie'] !== undefined && !options.withoutSetCookie) return undefined;
  // 3.5: what was made for somebody is for all only where it says so.
  if (personal && !has('public') && !has('s-maxage')) return undefined;
  const byDefault = BY_DEFAULT.has(status) && !personal && options.ttl > 0 ? options.ttl : undefined;
  const lifetime = lifetimeOf(directives, headers, now) ?? byDefault;
  if (lifetime === undefined) return undefined;
  // 4.2.4. `s-maxage` forbids stale answers too, unless the response allows them itself, as CDNs read it.
  const strict = has('must-revalidate') || has('proxy-revalidate');
  const windowOf = (name, usual) => {
    const stated = secondsOf(directives, name);
    if (strict || (stated === undefined && has('s-maxage'))) return 0;
    return Math.min(stated ?? usual, options.maxStale);
  };
  const swr = windowOf('stale-while-revalidate', options.swr);
  const grace = windowOf('stale-if-error', options.grace);
  const age = ageOf(headers, now);
  return age < lifetime + swr ? { lifetime, swr, grace, age, vary } : undefined;
}

/** The age of a stored response, in seconds (4.2.3). */
const ageAt = (stored, now) => stored.age + Math.max(0, now - stored.time) / 1000;

/**
 * Whether a stored response answers a request that came at `now`: `fresh`, `stale`, or undefined. One that was made
 * since then always does, or a request for a new one would not be content with what it made itself.
 */
function useOf(stored, demands, now) {
  if (stored.time >= now) return 'fresh';
  // It stands in for a handler that has just failed, whatever was asked for (RFC 5861, 4).
  if (stored.retryAt > now) return 'stale';
  const age = ageAt(stored, now);
  if (demands.noCache || age > demands.maxAge) return undefined;
  if (stored.lifetime - age > demands.minFresh) return 'fresh';
  if (demands.minFresh > 0) return undefined;
  return age < stored.lifetime + stored.swr ? 'stale' : undefined;
}

/** Whether it may stand in for a handler that fails, which is for the response to say (RFC 5861). */
function standsIn(stored, now) {
  const window = Math.max(stored.swr, stored.grace);
  return window > 0 && ageAt(stored, now) < stored.lifetime + window;
}

/** The fields to store: none of one connection, also as `Connection` names them (RFC 9110, 7.6.1). */
function storedFields(headers) {
  const named = String(headers.connection ?? '')
    .toLowerCase()
    .split(/\s*,\s*/);
  return Object.entries(headers).filter(([name]) => !NOT_STORED.has(name) && !named.includes(name));
}

module.exports = { SAFE, ageAt, demandsOf, planOf, standsIn, storedFields, useOf };
