// The one place where the tests load the package, and how they make caches and expect errors.
'use strict';

const { randomUUID } = require('node:crypto');
const path = require('node:path');

const ROOT = path.join(__dirname, '..', '..');
const holdfast = require('../..');
const { Cache } = require('../../src/js/cache/cache');
const { untilMode } = require('./until');

const open = new Set();

// A test of an outage waits this long for it; any other has the patience for a busy machine.
const PATIENCE_MS = 5_000;

// What the functions of a cache work with, for tests that look within: callers have no way to it.
const states = new WeakMap();
const { open: openReal } = Cache.prototype;
let opened = null;
Cache.prototype.open = function open() {
  opened = openReal.call(this);
  return opened;
};

/** The state of a cache that `makeCache` made. */
function stateOf(cache) {
  return states.get(cache);
}

/** A cache in a namespace of its own, told nothing on the console, closed by `closeCaches`. */
function makeCache(options = {}) {
  const defaults = { namespace: freshNamespace(), url: '', logger: silent(), timeoutMs: PATIENCE_MS };
  const cache = holdfast.createCache({ ...defaults, ...options });
  open.add(cache);
  states.set(cache, opened);
  return cache;
}

/** A cache of `makeCache`, once it is connected to its Redis. */
async function openCache(options) {
  const cache = makeCache(options);
  await untilMode(cache, 'redis');
  return cache;
}

/** The same, with its events from the first on. */
async function openWatched(options) {
  const cache = makeCache(options);
  const told = watch(cache);
  await untilMode(cache, 'redis');
  return { cache, told };
}

function freshNamespace() {
  return `t-${randomUUID().slice(0, 8)}`;
}

/** A logger that keeps what it is told: `lines` holds `[level, message]`. */
function recorder() {
  const lines = [];
  return {
    lines,
    info: (message) => lines.push(['info', message]),
    warn: (message) => lines.push(['warn', message]),
    error: (message) => lines.push(['error', message]),
  };
}

/** Records the events of a cache: `events` holds `[name, payload]`, `count(name)` how many there were. */
function watch(cache) {
  const events = [];
  for (const name of ['ready', 'fallback', 'recovered', 'error'])
    cache.on(name, (payload) => events.push([name, payload]));
  return { events, count: (name) => events.filter(([each]) => each === name).length };
}

function silent() {
  return { info() {}, warn() {}, error() {} };
}

/**
 * Closes them. In memory mode they take what they stored with them: the tier is the whole process's, and other spec
 * files have use for it.
 */
async function closeCaches() {
  const caches = [...open];
  open.clear();
  const end = async (cache) => {
    // One that was closed, or whose keys are raw beside a Redis that is away, refuses.
    if (cache.getMode() === 'memory') await cache.clear().catch(() => {});
    await cache.close();
  };
  await Promise.all(caches.map(end));
}

/** Expects a call to reject, not throw, with a HoldfastError of this code; returns the error. */
async function expectCode(call, code) {
  const promise = call();
  expect(promise).toBeInstanceOf(Promise);
  const error = await promise.then(
    (value) => {
      throw new Error(`expected ${code}, but the call resolved to ${String(value)}`);
    },
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(holdfast.HoldfastError);
  expect(error).toMatchObject({ name: 'HoldfastError', code });
  expect(error.message.length).toBeGreaterThan(10);
  return error;
}

/** Expects a call to throw a HoldfastError of this code at once; returns the error. */
function expectThrows(call, code) {
  let error;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(holdfast.HoldfastError);
  expect(error).toMatchObject({ name: 'HoldfastError', code });
  return error;
}

/**
 * Resolves once what a cache has computed lies in Redis: the store travels behind the value, and a later call of the
 * same thread behind the store.
 */
const stored = (cache) => cache.exists('behind the store');

module.exports = {
  holdfast,
  ROOT,
  makeCache,
  openCache,
  openWatched,
  stateOf,
  stored,
  closeCaches,
  freshNamespace,
  recorder,
  watch,
  silent,
  expectCode,
  expectThrows,
};
