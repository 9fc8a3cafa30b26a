// The channels of node:diagnostics_channel by which tracers and metrics see what Holdfast does. Their names and
// messages are a contract: index.d.ts has the types, docs/monitoring.md the meaning.
//
// Mostly nobody subscribes. A call then looks at a few flags and makes no message. What a subscriber throws, Node
// turns into an uncaught exception in a tick of its own: it keeps no call from settling.
//
// Rejected: Node's `tracePromise`. It puts the result into the message, which here is a cached value: subscribers write
// messages to logs.
'use strict';

const { now } = require('./host.js');

/** @typedef {import('node:diagnostics_channel').Channel} Channel */
/**
 * The five channels of a TracingChannel.
 * @typedef {{ start: Channel, end: Channel, asyncStart: Channel, asyncEnd: Channel, error: Channel }} Tracing
 * What was told of something that is not over.
 * @typedef {{ message: any, began: number }} Told
 */

const diagnostics = diagnosticsOf();
const SILENT = /** @type {any} */ ({
  hasSubscribers: false,
  publish() {},
  runStores: (/** @type {any} */ _, /** @type {() => any} */ act) => act(),
});

/** The calls that an application makes. */
const operations = tracing('holdfast:operation');
/** The calls of one turn, from when they are handed over until the last of them is answered. */
const batches = tracing('holdfast:batch');
/** The functions that the cache runs for its callers. */
const computations = tracing('holdfast:compute');
/** What happens to a connection. */
const states = point('holdfast:state');
/** Keys and tags that others changed. */
const invalidations = point('holdfast:invalidation');
/** Entries that the memory bound pushed out. */
const evictions = point('holdfast:eviction');

/** Undefined in a runtime that has no such module, and in a module registry that has been torn down (Jest). */
function diagnosticsOf() {
  try {
    return require('node:diagnostics_channel');
  } catch {
    return undefined;
  }
}

/**
 * @param {string} name
 * @returns {Channel}
 */
function point(name) {
  return diagnostics?.channel(name) ?? SILENT;
}

/**
 * @param {string} name
 * @returns {Tracing}
 */
function tracing(name) {
  const part = (/** @type {string} */ event) => point(`tracing:${name}:${event}`);
  return {
    start: part('start'),
    end: part('end'),
    asyncStart: part('asyncStart'),
    asyncEnd: part('asyncEnd'),
    error: part('error'),
  };
}

/**
 * Whether anybody subscribes to one of the five.
 * @param {Tracing} channels
 */
function isWatched({ start, asyncEnd, error, end, asyncStart }) {
  return (
    start.hasSubscribers ||
    asyncEnd.hasSubscribers ||
    error.hasSubscribers ||
    end.hasSubscribers ||
    asyncStart.hasSubscribers
  );
}

/**
 * Adds to a message. A subscriber may have frozen it: that is no reason for a call to fail.
 * @param {any} message
 * @param {string} name
 * @param {unknown} value
 */
function note(message, name, value) {
  Reflect.set(message, name, value);
}

/**
 * Tells of something that has begun, and goes on.
 * @param {Tracing} channels
 * @param {any} message the same object for all events
 * @returns {Told}
 */
function begun({ start, end }, message) {
  const began = now();
  start.publish(message);
  end.publish(message);
  return { message, began };
}

/**
 * It is over: the message gets `durationMs`, and `error` where it failed.
 * @param {Tracing} channels
 * @param {Told} told
 */
function ended({ asyncStart, asyncEnd }, { message, began }) {
  note(message, 'durationMs', now() - began);
  asyncStart.publish(message);
  asyncEnd.publish(message);
}

/**
 * As `ended`.
 * @param {Tracing} channels
 * @param {Told} told
 * @param {unknown} error
 */
function failed(channels, told, error) {
  tellError(channels, told, error);
  ended(channels, told);
}

/**
 * @param {Tracing} channels
 * @param {Told} told
 * @param {unknown} error
 */
function tellError({ error: channel }, { message, began }, error) {
  note(message, 'durationMs', now() - began);
  note(message, 'error', error);
  channel.publish(message);
}

/**
 * Runs a function, and tells of its begin and its end. A store that is bound to `start` (AsyncLocalStorage) is there
 * while it runs, so that spans of what it calls find theirs.
 * @template T
 * @param {Tracing} channels
 * @param {any} message as for `begun` and `ended`
 * @param {() => T} act
 * @param {(value: any) => void} [look] adds to the message what is to be told of the result
 * @returns {Promise<Awaited<T>>} its promise; its value, or a thenable, as a promise
 */
function traced(channels, message, act, look = ignore) {
  const { start, end } = channels;
  const told = { message, began: now() };
  const run = () => {
    try {
      // Once: to ask a thenable twice may run it twice (the queries of knex). And no promise beside the caller's: it
      // would count a rejection as handled that nobody handles.
      return Promise.resolve(act()).then(
        (value) => {
          look(value);
          ended(channels, told);
          return value;
        },
        (error) => {
          failed(channels, told, error);
          throw error;
        },
      );
    } catch (error) {
      // As of Node's own: what throws at once has no asynchronous end.
      tellError(channels, told, error);
      throw error;
    } finally {
      end.publish(message);
    }
  };
  return start.runStores(message, run);
}

function ignore() {}

module.exports = {
  batches,
  begun,
  computations,
  ended,
  evictions,
  failed,
  invalidations,
  isWatched,
  note,
  operations,
  states,
  traced,
};
