// Brings changes of an engine's state, and of keys that others changed, from Rust to the listeners of each cache; those
// of its state also, once each, to their loggers. And what happens on the bridge, to the subscribers of its channels.
//
// Listeners and loggers are the application's code, so they run in ticks of their own: an exception of a listener is an
// uncaught one, as with any emitter. A logger that throws causes a process warning: a stream that was closed is no
// reason to end the process.
'use strict';

const { batches, begun, ended, evictions, invalidations, isWatched, states } = require('../base/channels.js');
const { nextTick, parse } = require('../base/host.js');
const { tellLogger, warnings } = require('../options/logging.js');

/**
 * @typedef {{ emit: (event: string, detail: any) => void, listenerCount: (event: string) => number,
 *   attend: () => void }} Emitter
 */
/**
 * @typedef {{ handle: WeakRef<any>, emitter: Emitter, logger: import('../../../index').Logger | null, ready: boolean }}
 * Listener
 */

class Events {
  constructor() {
    /** @type {Map<number, Set<Listener>>} by engine */
    this.listeners = new Map();
    /** @type {Map<number, any>} the standing error of each engine's connection, for caches that are made later */
    this.notices = new Map();
    /** Whether somebody subscribes to the channel of changed keys. */
    this.subscribed = invalidations.hasSubscribers;
  }

  /** Nobody says when a channel gets its first subscriber, or loses its last one: asked at each wake-up. */
  attend() {
    if (this.subscribed === invalidations.hasSubscribers) return;
    this.subscribed = invalidations.hasSubscribers;
    for (const listeners of this.listeners.values()) for (const { emitter } of listeners) emitter.attend();
  }

  /**
   * @param {any} handle the native cache
   * @param {Emitter} emitter
   * @param {import('../../../index').Logger | null} logger
   * @returns {() => void} forgets the listener
   */
  add(handle, emitter, logger) {
    /** @type {Listener} */
    const listener = { handle: new WeakRef(handle), emitter, logger, ready: false };
    const { engine } = handle;
    const known = this.listeners.get(engine) ?? new Set();
    this.listeners.set(engine, known.add(listener));
    // The cache shares a connection that is up already.
    if (handle.mode === 'redis') deliver(listener, 'ready', {});
    const notice = this.notices.get(engine);
    if (notice !== undefined) {
      const told = Array.from(known, (other) => (other === listener ? null : other.logger));
      if (logger !== null && !told.includes(logger)) log(logger, 'error', notice);
      deliver(listener, 'error', notice);
    }
    return () => {
      known.delete(listener);
      if (known.size > 0) return;
      this.listeners.delete(engine);
      this.notices.delete(engine);
      evicted.delete(engine);
    };
  }

  /** @param {{ engine: number, event: string, detail: any }} message */
  tell({ engine, event, detail }) {
    // No cache uses this engine any more, nor will one: engines are not numbered twice.
    if (!this.listeners.has(engine)) return;
    if (event === 'invalidate') return this.tellChanged(engine);
    if (event === 'error') this.notices.set(engine, detail);
    else this.notices.delete(engine);
    const listeners = this.listeners.get(engine) ?? [];
    if (states.hasSubscribers)
      states.publish({ event, ...detail, caches: Array.from(listeners, ({ handle }) => namespaceOf(handle.deref())) });
    // Caches of one engine share its changes: a logger that several of them share is called once.
    const loggers = new Set(Array.from(listeners, (listener) => listener.logger));
    for (const logger of loggers) if (logger !== null) log(logger, event, detail);
    for (const listener of listeners) deliver(listener, event, detail);
  }

  /**
   * Takes what has gathered: all that came since the last time is one event.
   * @param {number} engine
   */
  tellChanged(engine) {
    for (const listener of this.listeners.get(engine) ?? []) {
      const handle = listener.handle.deref();
      const changed = handle?.changed();
      if (changed == null) continue;
      const [keys, tags] = parse(changed);
      deliver(listener, 'invalidate', [keys, tags]);
      // Lists of its own: listeners hear of it later.
      if (invalidations.hasSubscribers)
        invalidations.publish({ cache: namespaceOf(handle), keys: keys && [...keys], tags: tags && [...tags] });
    }
  }
}

/** @param {any} handle the native cache; undefined where it was forgotten */
function namespaceOf(handle) {
  return handle?.prefix.slice(0, -1) ?? '';
}

/** @type {Map<number, number>} how many evictions were told, by engine: its caches have one memory */
const evicted = new Map();

/** Whether somebody is to hear of batches, or of what Rust does within them. */
function isHeard() {
  return evictions.hasSubscribers || isWatched(batches);
}

/**
 * A batch was handed over.
 * @param {import('./channel').Channel} channel
 * @param {number} size how many operations it has
 * @param {number} atOnce how many of these were answered within the call
 * @returns {import('../base/channels').Told | null} what is to be told of its end, if that is still to come
 */
function tellBatch({ handle, namespace }, size, atOnce) {
  if (evictions.hasSubscribers) tellEvictions(handle, namespace);
  if (!isWatched(batches)) return null;
  const told = begun(batches, { cache: namespace, size, atOnce });
  if (atOnce < size) return told;
  ended(batches, told);
  return null;
}

/**
 * @param {any} handle the native cache
 * @param {string} namespace
 */
function tellEvictions(handle, namespace) {
  const { engine, evictions: now } = handle;
  const before = evicted.get(engine);
  if (before !== undefined && now <= before) return;
  evicted.set(engine, now);
  if (before !== undefined) evictions.publish({ cache: namespace, count: now - before });
}

/**
 * @param {Listener} listener
 * @param {string} event
 * @param {any} detail
 */
function deliver(listener, event, detail) {
  if (event === 'ready') {
    if (listener.ready) return;
    listener.ready = true;
  }
  nextTick(() => {
    const { emitter } = listener;
    if (event !== 'error') emitter.emit(event, detail);
    else if (emitter.listenerCount('error') > 0)
      emitter.emit('error', Object.assign(new Error(detail.message), { kind: detail.kind }));
  });
}

/**
 * @param {import('../../../index').Logger} logger
 * @param {string} event
 * @param {any} detail
 */
function log(logger, event, detail) {
  if (event === 'fallback')
    tellLogger(
      logger,
      'warn',
      `holdfast: Redis is away (${detail.kind}: ${detail.message}); the in-process tier answers`,
    );
  else if (event === 'recovered') tellLogger(logger, 'info', `holdfast: Redis is back after ${detail.outageMs} ms`);
  else if (event === 'error') tellLogger(logger, 'error', `holdfast: ${detail.message}`);
  // A start that went well is not worth a process warning.
  else if (event === 'ready' && logger !== warnings) tellLogger(logger, 'info', 'holdfast: connected to Redis');
}

module.exports = { Events, isHeard, namespaceOf, tellBatch };
