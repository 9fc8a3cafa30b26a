// What the environment and the caller's options say, gathered for Rust, which checks the parts that are its own.
'use strict';

const fs = require('node:fs');
const { HoldfastError } = require('./errors');
const { toMs } = require('./codec');

const OPTIONS = ['url', 'namespace', 'ttl', 'maxMemory', 'timeoutMs', 'nearCache', 'tls', 'logger'];
const NEAR_OPTIONS = ['maxMemory', 'maxAge', 'values'];
const TLS_OPTIONS = ['ca', 'insecure', 'servername'];

/**
 * @typedef {{ ttl: number, logger: import('../../index').Logger | null, acceptsAnyCertificate: boolean, near: boolean, frozen: boolean, given: any }} Config
 */

/** @param {string} message */
function refuse(message) {
  return new HoldfastError('ERR_CONFIG', message);
}

/**
 * @param {string | undefined} text
 * @param {string} name
 */
function flag(text, name) {
  if (text === undefined || text === '' || text === '0' || text === 'false') return false;
  if (text === '1' || text === 'true') return true;
  throw refuse(`${name} must be 1 or 0`);
}

/**
 * @param {string | undefined} text
 * @param {string} name
 */
function number(text, name) {
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (Number.isNaN(value)) throw refuse(`${name} must be a number`);
  return value;
}

/** @param {unknown} seconds */
function defaultTtl(seconds) {
  try {
    return toMs(seconds);
  } catch (cause) {
    throw new HoldfastError('ERR_CONFIG', 'ttl (HOLDFAST_TTL) must be a positive number of seconds, or Infinity', {
      cause,
    });
  }
}

/** @type {import('../../index').Logger & { warningsOnly: true }} */
const warnings = {
  warningsOnly: true,
  info: (message) => process.emitWarning(message, 'HoldfastWarning'),
  warn: (message) => process.emitWarning(message, 'HoldfastWarning'),
  error: (message) => process.emitWarning(message, 'HoldfastWarning'),
};
/** @type {import('../../index').Logger} */
const toConsole = {
  info: (message) => console.info(message),
  warn: (message) => console.warn(message),
  error: (message) => console.error(message),
};

/** @param {string | undefined} name */
function loggerOf(name) {
  switch (name) {
    case undefined:
    case '':
    case 'warn':
      return warnings;
    case 'console':
      return toConsole;
    case 'silent':
      return null;
    default:
      throw refuse('HOLDFAST_LOG must be warn, console or silent');
  }
}

/** @param {string | undefined} ca a path, or the PEM text itself */
function readCa(ca) {
  if (!ca) return [];
  if (ca.includes('-----BEGIN')) return [Buffer.from(ca)];
  try {
    return [fs.readFileSync(ca)];
  } catch {
    throw refuse('HOLDFAST_TLS_CA names no file that can be read');
  }
}

/** @param {any} ca */
function caOption(ca) {
  if (ca === undefined) return readCa(process.env.HOLDFAST_TLS_CA);
  return (Array.isArray(ca) ? ca : [ca]).map((pem) => {
    if (typeof pem === 'string' || pem instanceof Uint8Array) return Buffer.from(/** @type {any} */ (pem));
    throw refuse('tls.ca must be PEM text, or an array of such');
  });
}

/**
 * @param {Record<string, unknown>} options
 * @param {string[]} known
 * @param {string} where
 */
function checkNames(options, known, where) {
  if (options === null || typeof options !== 'object') throw refuse(`${where} must be an object`);
  for (const name of Object.keys(options)) {
    if (!known.includes(name))
      throw refuse(`unknown option ${JSON.stringify(name)} of ${where}; known: ${known.join(', ')}`);
  }
}

/** @param {unknown} size */
function sizeOption(size) {
  if (size === undefined) return process.env.HOLDFAST_MAX_MEMORY || undefined;
  if (typeof size === 'number' || typeof size === 'string') return String(size);
  throw refuse('maxMemory must be a number of bytes, or a text such as "64mb"');
}

/**
 * @param {any} given true, false, or an object that tunes it
 * @returns {{ near: boolean, frozen: boolean, nearMaxMemory?: string | undefined, nearMaxAge?: number | undefined }}
 */
function nearOption(given) {
  const { HOLDFAST_NEAR_CACHE: byDefault, HOLDFAST_VALUES } = process.env;
  const values = given?.values ?? (HOLDFAST_VALUES || 'copied');
  if (values !== 'copied' && values !== 'frozen')
    throw refuse("nearCache.values (HOLDFAST_VALUES) must be 'copied' or 'frozen'");
  const frozen = values === 'frozen';
  const on = byDefault === undefined || byDefault === '' || flag(byDefault, 'HOLDFAST_NEAR_CACHE');
  if (given === undefined) return { near: on, frozen };
  if (typeof given === 'boolean') return { near: given, frozen };
  checkNames(given, NEAR_OPTIONS, 'nearCache');
  return {
    near: true,
    frozen,
    nearMaxMemory: given.maxMemory === undefined ? undefined : sizeOption(given.maxMemory),
    nearMaxAge: typed(given.maxAge, 'nearCache.maxAge', 'number'),
  };
}

/** @param {unknown} url */
function urlOption(url) {
  if (url === undefined) return process.env.REDIS_URL;
  if (url === null) return '';
  if (typeof url === 'string') return url;
  throw refuse('url must be a string, or null for memory mode');
}

/**
 * @param {unknown} value
 * @param {string} name
 * @param {'string' | 'boolean' | 'number'} type
 */
function typed(value, name, type) {
  if (value !== undefined && typeof value !== type) throw refuse(`${name} must be a ${type}`);
  return /** @type {any} */ (value);
}

/** @param {unknown} logger */
function loggerOption(logger) {
  if (logger === undefined) return loggerOf(process.env.HOLDFAST_LOG);
  if (logger === null) return null;
  for (const level of /** @type {const} */ (['info', 'warn', 'error'])) {
    if (typeof (/** @type {any} */ (logger)[level]) !== 'function')
      throw refuse('logger must have the functions info, warn and error');
  }
  return /** @type {import('../../index').Logger} */ (logger);
}

/**
 * The configuration of a further cache.
 * @param {any} options
 * @returns {Config}
 */
function fromOptions(options) {
  checkNames(options, OPTIONS, 'createCache');
  if (typeof options.namespace !== 'string')
    throw refuse("createCache needs a namespace (or '' for raw keys, said on purpose)");
  const tls = options.tls ?? {};
  checkNames(tls, TLS_OPTIONS, 'tls');
  const { env } = process;
  const url = urlOption(options.url);
  const insecure =
    typed(tls.insecure, 'tls.insecure', 'boolean') ?? flag(env.HOLDFAST_TLS_INSECURE, 'HOLDFAST_TLS_INSECURE');
  const { near, frozen, nearMaxMemory, nearMaxAge } = nearOption(options.nearCache);
  return {
    near,
    frozen,
    acceptsAnyCertificate: insecure && /^(rediss|valkeys):/.test(url ?? ''),
    ttl: defaultTtl(options.ttl ?? number(env.HOLDFAST_TTL, 'HOLDFAST_TTL') ?? 300),
    logger: loggerOption(options.logger),
    given: {
      url,
      namespace: options.namespace,
      near,
      nearMaxMemory,
      nearMaxAge,
      maxMemory: sizeOption(options.maxMemory),
      timeoutMs:
        typed(options.timeoutMs, 'timeoutMs', 'number') ?? number(env.HOLDFAST_TIMEOUT_MS, 'HOLDFAST_TIMEOUT_MS'),
      tlsCa: caOption(tls.ca),
      tlsInsecure: insecure,
      tlsServername: typed(tls.servername, 'tls.servername', 'string'),
    },
  };
}

/** The configuration of the default cache. */
function fromEnvironment() {
  return fromOptions({ namespace: process.env.HOLDFAST_NAMESPACE ?? '' });
}

/**
 * What is left of the environment when a part of it does not parse: memory mode, with defaults.
 * @returns {Config}
 */
function inMemory() {
  const namespace = process.env.HOLDFAST_NAMESPACE ?? '';
  return {
    near: false,
    frozen: process.env.HOLDFAST_VALUES === 'frozen',
    acceptsAnyCertificate: false,
    ttl: 300_000,
    logger:
      process.env.HOLDFAST_LOG === 'silent' ? null : process.env.HOLDFAST_LOG === 'console' ? toConsole : warnings,
    given: {
      url: '',
      namespace: /^[A-Za-z0-9_.-]{0,64}$/.test(namespace) ? namespace : '',
      near: false,
      tlsCa: [],
      tlsInsecure: false,
    },
  };
}

module.exports = { fromEnvironment, fromOptions, inMemory };
