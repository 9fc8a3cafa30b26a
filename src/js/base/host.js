// What Holdfast uses of the runtime, taken once, when this module loads: timers, ticks, clocks, JSON, AbortController.
//
// Tests replace them (the fake timers of Jest, sinon and node:test; a spy on JSON.parse that throws once). A flush
// scheduled with a fake timer would wait until the test advances its clock, and every call of the cache with it. So
// they are taken from Node's modules where possible, as most fakes replace globals. A function that is already a fake
// when this module loads is not used where there is another way.
'use strict';

const process = require('node:process');
const timers = require('node:timers');

const { parse, stringify } = JSON;
const { AbortController } = globalThis;
const { hasOwn } = Object;
const { now: dateNow } = Date;
const { hrtime } = process;
const { clearInterval, clearTimeout, setInterval, setTimeout } = timers;

const resolved = Promise.resolve();

/**
 * Whether a function is the runtime's own: fakes carry their clock, mocks carry a mark, and neither keeps the name.
 * @param {any} fn
 * @param {string} name
 */
function isReal(fn, name) {
  return typeof fn === 'function' && fn.name === name && fn.clock === undefined && fn._isMockFunction !== true;
}

/** @param {() => void} act runs after the promise jobs that are due */
function inPromiseJob(act) {
  resolved.then(act);
}

/**
 * Turns of the event loop by messages that this thread sends to itself.
 * @returns {(act: () => void) => void}
 */
function byMessages() {
  const { MessageChannel } = require('node:worker_threads');
  const { port1, port2 } = new MessageChannel();
  /** @type {(() => void)[]} */
  const due = [];
  port1.on('message', () => {
    const act = due.shift();
    if (due.length === 0) port1.unref();
    act?.();
  });
  port1.unref();
  return (act) => {
    due.push(act);
    port1.ref();
    port2.postMessage(null);
  };
}

/** As fast as `performance.now`, whose module takes one to two milliseconds to load. */
function byHrtime() {
  const time = hrtime();
  return time[0] * 1000 + time[1] / 1e6;
}

/** @returns {() => number} also real under the fake timers of Jest, which leave this module alone */
function byPerformance() {
  const { performance } = require('node:perf_hooks');
  return performance.now.bind(performance);
}

/** @type {(act: () => void) => NodeJS.Immediate | void} runs in the next turn of the event loop */
const setImmediate = isReal(timers.setImmediate, 'setImmediate') ? timers.setImmediate : byMessages();
/** @type {(act: () => void) => void} */
const nextTick = isReal(process.nextTick, 'nextTick') ? process.nextTick : inPromiseJob;
/** @type {(act: () => void) => void} */
const microtask = isReal(globalThis.queueMicrotask, 'queueMicrotask') ? globalThis.queueMicrotask : inPromiseJob;
/** @type {() => number} milliseconds of a monotonic clock */
const now = isReal(hrtime, 'hrtime') ? byHrtime : byPerformance();

/** @type {{ idleTime?: number } | undefined} once it was asked for */
let timing;

/** Milliseconds for which the event loop has slept so far; always 0 where the runtime does not say. */
function slept() {
  timing ??= timingOf();
  return timing.idleTime ?? 0;
}

function timingOf() {
  try {
    return require('node:perf_hooks').performance.nodeTiming ?? {};
  } catch {
    // A module registry that has been torn down (Jest).
    return {};
  }
}

/** Resolves in the next turn of the event loop. */
function turn() {
  return new Promise((resolve) => {
    setImmediate(() => resolve(undefined));
  });
}

/** @param {number} ms until it resolves; the next turn where the timers were fakes when this module loaded */
function pause(ms) {
  if (!isReal(setTimeout, 'setTimeout')) return turn();
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), ms);
  });
}

/**
 * Makes an exception of the caller's code an uncaught one, without interrupting the code that runs now.
 * @param {unknown} error
 */
function surface(error) {
  nextTick(() => {
    throw error;
  });
}

/** Whether a moment that is named to the runtime comes by itself: no fake holds the timers. */
const hasTime = isReal(setTimeout, 'setTimeout') && isReal(timers.setImmediate, 'setImmediate');

module.exports = {
  AbortController,
  clearInterval,
  clearTimeout,
  dateNow,
  hasOwn,
  hasTime,
  microtask,
  nextTick,
  now,
  parse,
  pause,
  setImmediate,
  setInterval,
  setTimeout,
  slept,
  stringify,
  surface,
  turn,
};
