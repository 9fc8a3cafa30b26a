// Opens a cache: from its options to the parts that its functions use.
'use strict';

const { HoldfastError } = require('../base/errors.js');
const { dateNow, nextTick } = require('../base/host.js');
const native = require('../addon/native.js');
const { extraProblem } = require('../options/certificates.js');
const { tellLogger } = require('../options/logging.js');
const config = require('../config.js');
const { codecOf } = require('../value/codec.js');
const { Hot } = require('../hot/hot.js');
const { Bridge } = require('../bridge/bridge.js');
const { Channel } = require('../bridge/channel.js');
const { Computer } = require('../once/compute.js');
const { Flights } = require('../once/flights.js');
const { Exclusive } = require('./exclusive.js');

const ANY_CERTIFICATE =
  'holdfast accepts any TLS certificate (tls.insecure): whoever is between can read and change the cache';

// All caches of this environment share them.
/** @type {Bridge | undefined} */
let bridge;
const flights = new Flights();

/** @typedef {import('../config').Config} Config */
/** @typedef {import('../../../index').Logger} Logger */
/**
 * The parts of an open cache. `problem`: why a default cache is in memory mode although a Redis is configured.
 * @typedef {{ handle: any, channel: Channel, codec: import('../value/codec').Codec, computer: Computer,
 *   exclusive: Exclusive, hot: Hot | null, ttl: number, lazy: boolean, logger: Logger | null, unlisten: () => void,
 *   problem: { kind: 'config', message: string, at: number } | null }} State
 */

/**
 * @param {() => Config} configure
 * @param {boolean} tolerant a configuration that does not parse causes a warning and memory mode; else it throws
 * @param {import('./listeners').Listeners} listeners
 * @returns {{ state: State, tell: () => void }} `tell` is called once the cache has its state: it calls its owner's
 * code
 */
function opened(configure, tolerant, listeners) {
  bridge ??= new Bridge();
  /** @type {State['problem']} */
  let problem = null;
  let settings;
  let handle;
  try {
    settings = configure();
    handle = openHandle(settings);
  } catch (error) {
    if (!tolerant || !(error instanceof HoldfastError) || error.code !== 'ERR_CONFIG') throw error;
    problem = { kind: 'config', message: error.message, at: dateNow() };
    settings = config.inMemory();
    handle = openHandle(settings);
  }
  const { logger, ttl, frozen, spin } = settings;
  const codec = codecOf(settings.codec, settings.maxValueBytes, frozen, bridge.leaves);
  const hot = settings.hot
    ? new Hot(bridge.versions, frozen, handle.clock, native.Bridge.now, (bytes) => handle.hold(bytes))
    : null;
  const channel = new Channel(bridge, handle, hot, spin);
  // Before anybody listens: an attempt that ends from here on is told by an event, which the process waits for.
  const { mode } = handle;
  const unlisten = bridge.events.add(handle, listeners, logger);
  listeners.attach(gatherer(bridge, handle));
  const computer = new Computer(channel, codec, ttl, settings.given.namespace, flights, native.Bridge.now);
  const { lazy } = settings.given;
  const tell = () => {
    // In a tick of its own, as all events are.
    if (handle.target === 'memory') nextTick(() => listeners.emit('ready', {}));
    // The first attempt is over. Where the cache shares a connection that is down, no further event would say so.
    else if (mode !== 'initializing') listeners.decided();
    if (problem !== null) tellLogger(logger, 'warn', `holdfast runs in memory mode: ${problem.message}`);
    if (handle.target === 'tls') warn(settings);
  };
  const exclusive = new Exclusive(channel);
  return { state: { handle, channel, codec, computer, exclusive, hot, ttl, lazy, logger, unlisten, problem }, tell };
}

/**
 * What switches the gathering of changes on and off. The bridge knows the listeners of every cache, also of one that
 * was forgotten: they must not keep its handle, and with it the connection.
 * @param {Bridge} bridge
 * @param {any} handle
 */
function gatherer(bridge, handle) {
  const known = new WeakRef(handle);
  return (/** @type {boolean} */ listens) => {
    const open = known.deref();
    if (open !== undefined) bridge.native.listen(open, listens);
  };
}

/** @param {Config} settings */
function warn({ logger, insecure }) {
  if (insecure) tellLogger(logger, 'warn', ANY_CERTIFICATE);
  const extra = extraProblem();
  if (extra !== null) tellLogger(logger, 'warn', `holdfast: ${extra}`);
}

/** @param {Config} settings */
function openHandle(settings) {
  const handle = /** @type {Bridge} */ (bridge).open(settings.given);
  if (handle instanceof native.CacheHandle) return handle;
  throw new HoldfastError(handle.code, handle.message);
}

module.exports = { opened };
