// The configuration of a cache: environment and options, gathered for Rust, which checks the parts that are its own.
'use strict';

const { flag, number, variable } = require('./base/environment.js');
const { misconfigured } = require('./base/errors.js');
const { hasTime } = require('./base/host.js');
const { isPlain, toMs } = require('./options/arguments.js');
const { caOption, extraCertificates, pemOption } = require('./options/certificates.js');
const { loggerOfEnvironment, loggerOption } = require('./options/logging.js');
const { passwordOption } = require('./options/passwords.js');
const { clusterOption, optionsOf, sentinelOption, typed } = require('./options/servers.js');

const OPTIONS = [
  'url',
  'sentinel',
  'username',
  'password',
  'database',
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
  'heartbeat',
  'marks',
  'lazy',
  'cluster',
  'readFrom',
  'io',
  'spin',
];
const CODECS = /** @type {const} */ (['json', 'structured', 'raw', 'text']);
const NEAR_OPTIONS = ['maxMemory', 'maxAge', 'values'];
const TLS_OPTIONS = ['ca', 'cert', 'key', 'insecure', 'servername'];
const DEFAULT_TTL_SECONDS = 300;
// Bytes. Smaller values gain little by compression.
const DEFAULT_COMPRESS_ABOVE = 1024;
const DEFAULT_MAX_VALUE_BYTES = 32 * 1024 * 1024;
// Bytes. As base64 it still fits into a string of V8.
const LARGEST_MAX_VALUE_BYTES = 256 * 1024 * 1024;

// Microseconds.
const LONGEST_SPIN = 1000;

/** @typedef {typeof CODECS[number]} CodecName */
/**
 * `hot`: hot values are held. `insecure`: any certificate is accepted. `spin`: milliseconds. `given`: the options for
 * Rust, on an object that inherits nothing, as the binding also reads names that are absent.
 * @typedef {{ ttl: number, logger: import('../../index').Logger | null, insecure: boolean, hot: boolean,
 *   frozen: boolean, codec: CodecName, maxValueBytes: number, spin: number, given: any }} Config
 */

/** @param {unknown} seconds */
function defaultTtl(seconds) {
  try {
    return toMs(seconds);
  } catch (cause) {
    throw misconfigured('ttl (HOLDFAST_TTL) must be a positive number of seconds, or Infinity', cause);
  }
}

/**
 * Whether the event loop may read and write the socket. Rust has the last word (a second thread, TLS).
 * @param {unknown} given
 */
function isLoopIo(given) {
  const io = given ?? (variable('HOLDFAST_IO') || 'auto');
  if (io === 'auto' || io === 'loop') return hasTime;
  if (io === 'thread') return false;
  throw misconfigured("io (HOLDFAST_IO) must be 'auto', 'loop' or 'thread'");
}

/**
 * Microseconds for which the event loop stays awake, as milliseconds.
 * @param {unknown} given
 */
function spinOption(given) {
  const spin = given ?? number('HOLDFAST_SPIN') ?? 0;
  if (typeof spin === 'number' && spin >= 0 && spin <= LONGEST_SPIN) return spin / 1000;
  throw misconfigured(`spin (HOLDFAST_SPIN) must be a number of microseconds, 0 to ${LONGEST_SPIN}`);
}

/**
 * Seconds, 0 for none; Rust checks the bounds.
 * @param {unknown} given
 * @returns {number | undefined}
 */
function heartbeatOption(given) {
  if (given === undefined) return number('HOLDFAST_HEARTBEAT');
  if (given === false) return 0;
  if (given === 0) throw misconfigured('heartbeat must be a number of seconds, or false for none');
  return typed(given, 'heartbeat', 'number');
}

/** @param {unknown} size */
function sizeOption(size) {
  if (size === undefined) return variable('HOLDFAST_MAX_MEMORY') || undefined;
  if (typeof size === 'number' || typeof size === 'string') return String(size);
  throw misconfigured('maxMemory must be a number of bytes, or a text such as "64mb"');
}

/**
 * @param {unknown} codec
 * @returns {CodecName}
 */
function codecOption(codec = 'json') {
  const name = CODECS.find((known) => known === codec);
  if (name === undefined) throw misconfigured("codec must be 'json', 'structured', 'raw' or 'text'");
  return name;
}

/**
 * @param {unknown} given false, 'zstd', or an object that tunes it
 * @returns {number | undefined} bytes above which values are compressed
 */
function compressionOption(given = false) {
  if (given === false) return undefined;
  if (given === 'zstd') return DEFAULT_COMPRESS_ABOVE;
  if (!isPlain(given)) throw misconfigured("compression must be false, 'zstd', or a plain object with a threshold");
  const { threshold = DEFAULT_COMPRESS_ABOVE } = optionsOf(given, ['threshold'], 'compression');
  return bytes(threshold, 'compression.threshold', 0, LARGEST_MAX_VALUE_BYTES);
}

/**
 * @param {unknown} value
 * @param {string} name
 * @param {number} least
 * @param {number} most
 */
function bytes(value, name, least, most) {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw misconfigured(`${name} must be a whole number of bytes, ${least} to ${most}`);
}

/**
 * @param {unknown} given true, false, or an object that tunes it
 * @param {CodecName} codec
 * @param {string} readFrom what a replica says cannot be kept in process
 * @returns {{ near: boolean, frozen: boolean, nearMaxMemory: string | undefined, nearMaxAge: number | undefined }}
 */
function nearOption(given, codec, readFrom) {
  const onByDefault = flag('HOLDFAST_NEAR_CACHE', true) && readFrom !== 'replica';
  const switched = given === undefined || typeof given === 'boolean';
  const { maxMemory, maxAge, values } = optionsOf(switched ? {} : given, NEAR_OPTIONS, 'nearCache');
  const wanted = values ?? (variable('HOLDFAST_VALUES') || 'copied');
  if (values === null || (wanted !== 'copied' && wanted !== 'frozen'))
    throw misconfigured("nearCache.values (HOLDFAST_VALUES) must be 'copied' or 'frozen'");
  if (values === 'frozen' && codec !== 'json')
    throw misconfigured(`nearCache.values 'frozen' needs codec 'json': values of codec '${codec}' cannot be frozen`);
  return {
    near: given === undefined ? onByDefault : given !== false,
    frozen: wanted === 'frozen' && codec === 'json',
    nearMaxMemory: maxMemory === undefined ? undefined : sizeOption(maxMemory),
    nearMaxAge: typed(maxAge, 'nearCache.maxAge', 'number'),
  };
}

/** @param {unknown} url */
function urlOption(url) {
  if (url === undefined) return variable('REDIS_URL');
  if (url === null) return '';
  if (typeof url === 'string') return url;
  throw misconfigured('url must be a string, or null for memory mode');
}

/**
 * The configuration of a cache made by createCache.
 * @param {unknown} options
 * @returns {Config}
 */
function fromOptions(options) {
  const own = optionsOf(options, OPTIONS, 'the options of createCache');
  if (typeof own.namespace !== 'string')
    throw misconfigured("createCache needs a namespace (or '' for raw keys, said on purpose)");
  const tls = optionsOf(own.tls === undefined ? {} : own.tls, TLS_OPTIONS, 'tls');
  const sentinel = sentinelOption(own.sentinel);
  const cluster = clusterOption(own.cluster);
  // Sentinels and nodes stand in the place of the environment's URL; beside one that was given they are refused.
  const named = sentinel !== undefined || (cluster !== undefined && cluster.nodes.length > 0);
  const url = !named || own.url !== undefined ? urlOption(own.url) : undefined;
  const insecure = typed(tls.insecure, 'tls.insecure', 'boolean') ?? flag('HOLDFAST_TLS_INSECURE');
  const codec = codecOption(own.codec);
  const password = passwordOption(own.password);
  const { maxValueBytes: most = DEFAULT_MAX_VALUE_BYTES } = own;
  const maxValueBytes = bytes(most, 'maxValueBytes', 1024, LARGEST_MAX_VALUE_BYTES);
  const readFrom = typed(own.readFrom, 'readFrom', 'string') ?? (variable('HOLDFAST_READ_FROM') || 'primary');
  const { near, frozen, nearMaxMemory, nearMaxAge } = nearOption(own.nearCache, codec, readFrom);
  const ttl = own.ttl === undefined ? (number('HOLDFAST_TTL') ?? DEFAULT_TTL_SECONDS) : own.ttl;
  return {
    // Values of the others are objects that each reader decodes for itself.
    hot: near && (codec === 'json' || codec === 'text'),
    frozen,
    codec,
    maxValueBytes,
    insecure,
    ttl: defaultTtl(ttl),
    logger: loggerOption(own.logger),
    spin: spinOption(own.spin),
    given: {
      __proto__: null,
      url,
      sentinel,
      username: typed(own.username, 'username', 'string'),
      password: password.text,
      passwordFunction: password.number,
      askPassword: password.of,
      database: typed(own.database, 'database', 'number'),
      tls: own.tls !== undefined,
      namespace: own.namespace,
      near,
      nearMaxMemory,
      nearMaxAge,
      codec,
      compressAbove: compressionOption(own.compression),
      maxValueBytes,
      outageStale: typed(own.outageStale, 'outageStale', 'number'),
      outageTtl: typed(own.outageTtl, 'outageTtl', 'number'),
      maxMemory: sizeOption(own.maxMemory),
      heartbeat: heartbeatOption(own.heartbeat),
      marks: typed(own.marks, 'marks', 'boolean') ?? flag('HOLDFAST_MARKS', true),
      lazy: typed(own.lazy, 'lazy', 'boolean') ?? flag('HOLDFAST_LAZY'),
      readFrom,
      cluster,
      timeoutMs: typed(own.timeoutMs, 'timeoutMs', 'number') ?? number('HOLDFAST_TIMEOUT_MS'),
      tlsCa: caOption(tls.ca),
      tlsExtraCa: url || named ? extraCertificates() : undefined,
      tlsInsecure: insecure,
      tlsCert: pemOption(tls.cert, 'tls.cert', 'HOLDFAST_TLS_CERT'),
      tlsKey: pemOption(tls.key, 'tls.key', 'HOLDFAST_TLS_KEY'),
      tlsServername: typed(tls.servername, 'tls.servername', 'string'),
      loopIo: isLoopIo(own.io),
    },
  };
}

/** The configuration of the default cache. */
function fromEnvironment() {
  return fromOptions({ namespace: variable('HOLDFAST_NAMESPACE') ?? '' });
}

/**
 * The configuration where the environment does not parse: memory mode with defaults.
 * @returns {Config}
 */
function inMemory() {
  const namespace = variable('HOLDFAST_NAMESPACE') ?? '';
  return {
    hot: false,
    frozen: variable('HOLDFAST_VALUES') === 'frozen',
    codec: 'json',
    maxValueBytes: DEFAULT_MAX_VALUE_BYTES,
    insecure: false,
    ttl: DEFAULT_TTL_SECONDS * 1000,
    logger: loggerOfEnvironment(true),
    spin: 0,
    given: {
      __proto__: null,
      url: '',
      namespace: /^[A-Za-z0-9_.-]{0,64}$/.test(namespace) ? namespace : '',
      near: false,
      codec: 'json',
      maxValueBytes: DEFAULT_MAX_VALUE_BYTES,
      tlsCa: [],
      tls: false,
      tlsInsecure: false,
      loopIo: false,
    },
  };
}

module.exports = { fromEnvironment, fromOptions, inMemory };
