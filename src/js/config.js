// What the environment and the caller's options say, gathered for Rust, which checks the parts that are its own.
'use strict';

const fs = require('node:fs');
const { toMs } = require('./arguments');
const { HoldfastError } = require('./errors');

const OPTIONS = [
  'url',
  'namespace',
  'ttl',
  'maxMemory',
  'maxValueBytes',
  'timeoutMs',
  'outageStale',
  'outageTtl',
  'nearCache',
  'codec',
  'compression',
  'tls',
  'logger',
];
const CODECS = /** @type {const} */ (['json', 'structured', 'raw']);
const NEAR_OPTIONS = ['maxMemory', 'maxAge', 'values'];
const TLS_OPTIONS = ['ca', 'insecure', 'servername'];
// Smaller values gain little by compression.
const DEFAULT_COMPRESS_ABOVE = 1024;
const DEFAULT_MAX_VALUE_BYTES = 32 * 1024 * 1024;
// A text of base64 of it is well within what a string of V8 holds.
const LARGEST_MAX_VALUE_BYTES = 256 * 1024 * 1024;

/** @typedef {typeof CODECS[number]} CodecName */
/**
 * `hot`: hot values are held. `given`: what Rust is told.
 * @typedef {{ ttl: number, logger: import('../../index').Logger | null, acceptsAnyCertificate: boolean, hot: boolean, frozen: boolean,
 *   codec: CodecName, maxValueBytes: number, given: any }} Config
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
 * @param {unknown} codec
 * @returns {CodecName}
 */
function codecOption(codec = 'json') {
  const name = CODECS.find((known) => known === codec);
  if (name === undefined) throw refuse("codec must be 'json', 'structured' or 'raw'");
  return name;
}

/**
 * @param {any} given false, 'zstd', or an object that tunes it
 * @returns {number | undefined} bytes above which values are compressed
 */
function compressionOption(given = false) {
  if (given === false) return undefined;
  if (given === 'zstd') return DEFAULT_COMPRESS_ABOVE;
  if (typeof given !== 'object') throw refuse("compression must be false, 'zstd', or an object with a threshold");
  checkNames(given, ['threshold'], 'compression');
  return bytes(given.threshold ?? DEFAULT_COMPRESS_ABOVE, 'compression.threshold', 0, LARGEST_MAX_VALUE_BYTES);
}

/**
 * @param {unknown} value
 * @param {string} name
 * @param {number} least
 * @param {number} most
 */
function bytes(value, name, least, most) {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw refuse(`${name} must be a whole number of bytes, ${least} to ${most}`);
}

/**
 * @param {any} given true, false, or an object that tunes it
 * @param {CodecName} codec
 * @returns {{ near: boolean, frozen: boolean, nearMaxMemory?: string | undefined, nearMaxAge?: number | undefined }}
 */
function nearOption(given, codec) {
  const { HOLDFAST_NEAR_CACHE: byDefault, HOLDFAST_VALUES } = process.env;
  const values = given?.values ?? (HOLDFAST_VALUES || 'copied');
  if (values !== 'copied' && values !== 'frozen')
    throw refuse("nearCache.values (HOLDFAST_VALUES) must be 'copied' or 'frozen'");
  if (given?.values === 'frozen' && codec !== 'json')
    throw refuse(`nearCache.values 'frozen' needs codec 'json': values of codec '${codec}' cannot be frozen`);
  const frozen = values === 'frozen' && codec === 'json';
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
  const codec = codecOption(options.codec);
  const maxValueBytes = bytes(
    options.maxValueBytes ?? DEFAULT_MAX_VALUE_BYTES,
    'maxValueBytes',
    1024,
    LARGEST_MAX_VALUE_BYTES,
  );
  const { near, frozen, nearMaxMemory, nearMaxAge } = nearOption(options.nearCache, codec);
  return {
    hot: near && codec === 'json',
    frozen,
    codec,
    maxValueBytes,
    acceptsAnyCertificate: insecure && /^(rediss|valkeys):/.test(url ?? ''),
    ttl: defaultTtl(options.ttl ?? number(env.HOLDFAST_TTL, 'HOLDFAST_TTL') ?? 300),
    logger: loggerOption(options.logger),
    given: {
      url,
      namespace: options.namespace,
      near,
      nearMaxMemory,
      nearMaxAge,
      codec,
      compressAbove: compressionOption(options.compression),
      maxValueBytes,
      outageStale: typed(options.outageStale, 'outageStale', 'number'),
      outageTtl: typed(options.outageTtl, 'outageTtl', 'number'),
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
    hot: false,
    frozen: process.env.HOLDFAST_VALUES === 'frozen',
    codec: 'json',
    maxValueBytes: DEFAULT_MAX_VALUE_BYTES,
    acceptsAnyCertificate: false,
    ttl: 300_000,
    logger:
      process.env.HOLDFAST_LOG === 'silent' ? null : process.env.HOLDFAST_LOG === 'console' ? toConsole : warnings,
    given: {
      url: '',
      namespace: /^[A-Za-z0-9_.-]{0,64}$/.test(namespace) ? namespace : '',
      near: false,
      codec: 'json',
      maxValueBytes: DEFAULT_MAX_VALUE_BYTES,
      tlsCa: [],
      tlsInsecure: false,
    },
  };
}

module.exports = { fromEnvironment, fromOptions, inMemory };
