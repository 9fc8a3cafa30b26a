// What a URL names: one server, the nodes of a cluster, or sentinels; read as the engine reads it
// (src/engine/net/target.rs, nodes.rs, seeds.rs), and nothing of it is ever part of a message.
//
// The engine's own reading is not to be had here: it ends in a cache, and says less of what is wrong. A test compares
// the two.
'use strict';

const { isIPv6 } = require('node:net');

/**
 * `path`: of a unix socket; '' where there is none.
 * @typedef {{ host: string, port: number, path: string, tls: boolean, user: string | null, password: string | null,
 *   database: number }} Target
 */
/**
 * `name`: of the primary that sentinels are asked for. `access`: how the servers are dialled that they name.
 * @typedef {{ form: 'server' | 'cluster' | 'sentinels', targets: Target[], name: string, access: Target }} Seeds
 */

/** A URL that does not parse. `id`: of the finding, behind `url.`. */
class UrlFault extends Error {
  /**
   * @param {string} id
   * @param {string} message
   */
  constructor(id, message) {
    super(message);
    this.id = id;
  }
}

/** Schemes with TLS. */
const SECURE = /^(rediss|valkeys)/;
const PORT = 6379;
const SENTINEL_PORT = 26_379;
const MOST_DATABASE = 65_535;
const MOST_NODES = 64;

/**
 * @param {string} text
 * @returns {Seeds} throws a UrlFault
 */
function seeds(text) {
  const at = text.indexOf('://');
  const scheme = at < 0 ? '' : text.slice(0, at).toLowerCase();
  const rest = text.slice(at + 3);
  if (/^(redis|valkey)s?[+-]sentinel$/.test(scheme)) return sentinels(rest, SECURE.test(scheme));
  const plain = scheme.replace(/[+-]cluster$/, '');
  if (at >= 0 && /^(redis|valkey)s?$/.test(plain)) {
    const authority = rest.split(/[/?#]/, 1)[0];
    const hosts = authority.slice(authority.lastIndexOf('@') + 1);
    if (plain !== scheme || hosts.includes(',')) return cluster(plain, rest, authority, hosts);
  }
  const target = server(text);
  return { form: 'server', targets: [target], name: '', access: target };
}

/**
 * @param {string} text
 * @returns {Target}
 */
function server(text) {
  unescaped(text);
  const url = parsed(text);
  if (url.hash !== '' || text.includes('#')) {
    throw new UrlFault('hash', 'the URL has a # in it: a part of a password that is not encoded, or #insecure');
  }
  const scheme = url.protocol.slice(0, -1);
  if (/^(unix|redis\+unix|valkey\+unix)$/.test(scheme)) return socket(url);
  if (!/^(redis|valkey)s?$/.test(scheme)) {
    const web = /^https?$/.test(scheme) ? ' (a web address, such as that of a REST interface)' : '';
    throw new UrlFault('scheme', `the scheme is none of redis, rediss, valkey, valkeys and unix${web}`);
  }
  if (url.hostname === '') throw new UrlFault('invalid', 'the URL names no host');
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : decoded(url.hostname);
  const path = url.pathname.replace(/^\/+|\/+$/g, '');
  return {
    host,
    port: url.port === '' ? PORT : Number(url.port),
    path: '',
    tls: SECURE.test(scheme),
    user: decoded(url.username) || null,
    // Without a colon there is none; behind a colon it may be empty.
    password: url.password === '' && !hasPassword(text) ? null : decoded(url.password),
    database: database(path === '' ? url.searchParams.get('db') : path),
  };
}

/** @param {URL} url */
function socket(url) {
  const path = decoded(url.pathname);
  if (path === '' || path === '/') throw new UrlFault('invalid', 'the URL names no socket');
  const { searchParams } = url;
  const user = decoded(url.username) || searchParams.get('user');
  const password = url.password === '' ? searchParams.get('pass') : decoded(url.password);
  const number = database(searchParams.get('db'));
  return { host: '', port: 0, path, tls: false, user, password, database: number };
}

/**
 * @param {string} scheme
 * @param {string} rest
 * @param {string} authority
 * @param {string} hosts
 * @returns {Seeds}
 */
function cluster(scheme, rest, authority, hosts) {
  const [first] = hosts.split(',', 1);
  const before = rest.slice(0, authority.length - hosts.length);
  const access = server(`${scheme}://${before}${first}${rest.slice(authority.length)}`);
  const targets = nodes(hosts, PORT).map((place) => ({ ...access, ...place }));
  return { form: 'cluster', targets, name: '', access };
}

/**
 * @param {string} rest behind the scheme
 * @param {boolean} tls
 * @returns {Seeds}
 */
function sentinels(rest, tls) {
  const [beforeHash, hash = ''] = split(rest, '#');
  const [beforeQuery, query = ''] = split(beforeHash, '?');
  const [authority, path = ''] = split(beforeQuery, '/');
  const login = authority.slice(0, Math.max(0, authority.lastIndexOf('@')));
  const hosts = authority.slice(authority.lastIndexOf('@') + 1);
  const [user, password = ''] = split(login, ':');
  const parts = path.split('/').filter((part) => part !== '');
  const name = decoded(hash !== '' ? hash : (parts.shift() ?? ''));
  if (name === '') throw new UrlFault('invalid', 'the URL of the sentinels names no master behind the hosts');
  const params = new URLSearchParams(query);
  const said = database(parts[0] ?? (params.get('db') || null));
  const credentials = { user: decoded(user) || null, password: decoded(password) || null };
  const access = { host: '', port: 0, path: '', tls, ...credentials, database: said };
  const own = { user: params.get('sentinel_username') || null, password: params.get('sentinel_password') || null };
  const targets = nodes(hosts, SENTINEL_PORT).map((place) => ({ ...access, ...own, ...place, database: 0 }));
  return { form: 'sentinels', targets, name, access };
}

/**
 * @param {string} hosts with commas between
 * @param {number} port where none is named
 */
function nodes(hosts, port) {
  const places = hosts.split(',').map((text) => place(text.trim(), port));
  if (places.length > MOST_NODES) throw new UrlFault('invalid', `the URL names more than ${MOST_NODES} hosts`);
  return places;
}

/**
 * `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 literal.
 * @param {string} text
 * @param {number} byDefault
 */
function place(text, byDefault) {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/s.exec(text);
  const [host, port] = bracketed ? bracketed.slice(1) : isIPv6(text) ? [text] : split(text, ':');
  const fits = bracketed || isIPv6(host) ? isIPv6(host) : /^[A-Za-z0-9._-]{1,253}$/.test(host);
  const number = port === undefined ? byDefault : /^\d{1,5}$/.test(port) ? Number(port) : 0;
  if (!fits || number < 1 || number > 65_535)
    throw new UrlFault('invalid', 'one of the hosts of the URL does not parse');
  return { host, port: number };
}

/** @param {string} text */
function parsed(text) {
  try {
    return new URL(text);
  } catch {
    throw new UrlFault('invalid', 'the URL does not parse');
  }
}

/**
 * A password that is not encoded ends the host at its first `/`, `?` or `#`: what is left has the `@`.
 * @param {string} text
 */
function unescaped(text) {
  const rest = text.slice(text.indexOf('://') + 3);
  const end = rest.search(/[/?#]/);
  if (/^(redis|valkey)s?:\/\//i.test(text) && end >= 0 && rest.slice(end).includes('@')) {
    const names = { '/': '%2F', '?': '%3F', '#': '%23' };
    const char = /** @type {'/' | '?' | '#'} */ (rest[end]);
    throw new UrlFault('password-encoding', `user or password have a ${char} that is not written ${names[char]}`);
  }
}

/** @param {string} text */
function hasPassword(text) {
  const authority = text.slice(text.indexOf('://') + 3).split(/[/?#]/, 1)[0];
  const login = authority.slice(0, Math.max(0, authority.lastIndexOf('@')));
  return login.includes(':');
}

/**
 * A `%` without two hexadecimal digits stands for itself.
 * @param {string} text
 */
function decoded(text) {
  try {
    return decodeURIComponent(text.replace(/%(?![0-9a-f]{2})/gi, '%25'));
  } catch {
    throw new UrlFault('invalid', 'a part of the URL is no UTF-8 once it is percent-decoded');
  }
}

/** @param {string | null} text */
function database(text) {
  if (text === null) return 0;
  const number = /^\+?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number >= 0 && number <= MOST_DATABASE) return number;
  throw new UrlFault('invalid', 'the URL names a database that is no number');
}

/**
 * @param {string} text
 * @param {string} at
 * @returns {[string, string?]}
 */
function split(text, at) {
  const index = text.indexOf(at);
  return index < 0 ? [text] : [text.slice(0, index), text.slice(index + at.length)];
}

module.exports = { UrlFault, seeds };
