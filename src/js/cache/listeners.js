// The listeners of a cache: the functions of an EventEmitter, the calls that wait for ready(), and listeners of `ready`
// that are added after it.
//
// The emitter itself stays private: only the cache emits its events, and removeAllListeners() must not end what the
// cache itself awaits.
'use strict';

const { EventEmitter, errorMonitor } = require('node:events');
const { invalidations } = require('../base/channels.js');
const { clearInterval, nextTick, setImmediate, setInterval } = require('../base/host.js');
const { describe, invalid } = require('../options/arguments.js');

const EVENTS = ['ready', 'fallback', 'recovered', 'invalidate', 'error'];
// The events of every EventEmitter.
const OF_NODE = ['newListener', 'removeListener'];
// Milliseconds. The longest wait of a timer.
const LONGEST_TIMER = 0x7fffffff;

/** @typedef {import('../../../index').Cache} Cache */
/**
 * The functions of an EventEmitter.
 * @typedef {'on' | 'once' | 'off' | 'addListener' | 'removeListener' | 'prependListener' | 'prependOnceListener' |
 *   'removeAllListeners' | 'listenerCount' | 'listeners' | 'rawListeners' | 'eventNames' | 'setMaxListeners' |
 *   'getMaxListeners' | 'emit'} EmitterFunction
 */

class Listeners {
  constructor() {
    this.emitter = new EventEmitter();
    /** `ready` was emitted. */
    this.ready = false;
    /** The first attempt to connect has ended, or there is none. */
    this.settled = false;
    /** @type {(() => void)[]} resolve the promises that wait for that */
    this.waiting = [];
    /** @type {NodeJS.Timeout | undefined} keeps the process alive while a promise waits */
    this.alive = undefined;
    /** @type {((listens: boolean) => void) | null} of an open cache: gathers for `invalidate`, or no longer */
    this.gather = null;
    this.gathers = false;
  }

  /**
   * Emits an event that bridge/events.js delivers.
   * @param {string} event
   * @param {any} detail
   */
  emit(event, detail) {
    if (event === 'ready') this.ready = true;
    // Every event but `error` says how the first attempt to connect ended.
    if (event !== 'error') this.decided();
    if (event === 'invalidate') this.invalidate(detail);
    else if (event !== 'error' || this.emitter.listenerCount('error') > 0) this.emitter.emit(event, detail);
    else this.emitter.emit(errorMonitor, detail);
  }

  /** @param {[keys: string[] | null, tags: string[] | null]} changed */
  invalidate([keys, tags]) {
    try {
      this.emitter.emit('invalidate', keys, tags);
    } finally {
      // A listener that was called once is gone.
      this.attend();
    }
  }

  /**
   * The cache opens, or nobody listens any more.
   * @param {((listens: boolean) => void) | null} gather
   */
  attach(gather) {
    this.gather = gather;
    this.gathers = false;
    this.attend();
  }

  /** Gathering costs something with each change, so it is only done while somebody listens. */
  attend() {
    const listens = this.emitter.listenerCount('invalidate') > 0 || invalidations.hasSubscribers;
    if (this.gather === null || listens === this.gathers) return;
    this.gathers = listens;
    this.gather(listens);
  }

  /**
   * How many listeners would hear an event.
   * @param {string} event
   */
  listenerCount(event) {
    const monitors = event === 'error' ? this.emitter.listenerCount(errorMonitor) : 0;
    return this.emitter.listenerCount(event) + monitors;
  }

  /** Resolves with the event that says how the first attempt to connect ended. */
  decision() {
    this.hold();
    return new Promise((resolve) => this.waiting.push(() => resolve(undefined)));
  }

  /**
   * Keeps the process alive until the first attempt has ended, as every call under way does: else the process could end
   * before, without a word.
   */
  hold() {
    if (this.settled || this.alive !== undefined) return;
    this.alive = setInterval(ignore, LONGEST_TIMER);
    // The default cache opens in an immediate that keeps nothing alive, and so does not wake the event loop by itself.
    setImmediate(ignore);
  }

  decided() {
    this.settled = true;
    clearInterval(this.alive);
    this.alive = undefined;
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  /**
   * @param {'on' | 'once' | 'prependListener' | 'prependOnceListener'} how
   * @param {unknown} event
   * @param {unknown} listener
   */
  add(how, event, listener) {
    const { emitter } = this;
    emitter[how](checkEvent(event), checkListener(listener));
    this.attend();
    if (event !== 'ready') return;
    this.hold();
    if (!this.ready) return;
    // `ready` happens once: a listener added later is called all the same, so that none waits for ever.
    const added = emitter.rawListeners('ready').at(how.startsWith('prepend') ? 0 : -1);
    nextTick(() => {
      if (emitter.rawListeners('ready').includes(/** @type {any} */ (added))) added?.call(emitter, {});
    });
  }

  /**
   * The emitter's functions for the holder of a cache; they return the holder, as those of every emitter do.
   * @param {any} self
   * @returns {Pick<Cache, EmitterFunction>}
   */
  functionsOf(self) {
    const { emitter } = this;
    /** @param {'on' | 'once' | 'prependListener' | 'prependOnceListener'} how */
    const adder = (how) => (/** @type {unknown} */ event, /** @type {unknown} */ listener) => {
      this.add(how, event, listener);
      return self;
    };
    /** @type {(event: unknown, listener: unknown) => any} */
    const remove = (event, listener) => {
      emitter.removeListener(checkEvent(event), checkListener(listener));
      this.attend();
      return self;
    };
    const functions = {
      on: adder('on'),
      once: adder('once'),
      off: remove,
      addListener: adder('on'),
      removeListener: remove,
      prependListener: adder('prependListener'),
      prependOnceListener: adder('prependOnceListener'),
      removeAllListeners: (/** @type {unknown} */ event) => {
        if (event === undefined) emitter.removeAllListeners();
        else emitter.removeAllListeners(checkEvent(event));
        this.attend();
        return self;
      },
      listenerCount: (/** @type {unknown} */ event, /** @type {any} */ listener) =>
        emitter.listenerCount(checkEvent(event), listener),
      listeners: (/** @type {unknown} */ event) => emitter.listeners(checkEvent(event)),
      rawListeners: (/** @type {unknown} */ event) => emitter.rawListeners(checkEvent(event)),
      eventNames: () => emitter.eventNames(),
      setMaxListeners(/** @type {unknown} */ most) {
        if (typeof most !== 'number' || !(most >= 0))
          throw invalid(`setMaxListeners needs a number, 0 or more, not ${describe(most)}`);
        emitter.setMaxListeners(most);
        return self;
      },
      getMaxListeners: () => emitter.getMaxListeners(),
      emit() {
        throw invalid('the events of a cache are its own: listeners may be added, and nothing else emits');
      },
    };
    return /** @type {any} */ (functions);
  }
}

/**
 * @param {unknown} event
 * @returns {string}
 */
function checkEvent(event) {
  if (
    event !== errorMonitor &&
    !EVENTS.includes(/** @type {any} */ (event)) &&
    !OF_NODE.includes(/** @type {any} */ (event))
  )
    throw invalid(`there is no such event; listen to ${EVENTS.join(', ')}`);
  return /** @type {string} */ (event);
}

/**
 * @param {unknown} listener
 * @returns {(...args: any[]) => void}
 */
function checkListener(listener) {
  if (typeof listener !== 'function') throw invalid(`a listener must be a function, not ${describe(listener)}`);
  return /** @type {(...args: any[]) => void} */ (listener);
}

function ignore() {}

module.exports = { Listeners };
