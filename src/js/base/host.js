// What of the runtime holdfast runs on, taken once, when this module loads: timers, ticks, clocks and JSON.
//
// Tests replace these (the fake timers of Jest, sinon and node:test; a spy on JSON.parse that throws once). A flush
// that was given to a fake timer would wait until somebody turns its clock, and every call of the cache with it. So
// they are taken from Node's modules where those have them, as fakes mostly replace globals; and what is a fake already
// while this module loads is not used where something else will do.
'use strict';

const { performance } = require('node:perf_hooks');
const process = require('node:process');
const timers = require('node:timers');

const { parse, stringify } = JSON;
const { hasOwn } = Object;
const { now: dateNow } = Date;
const { clearInterval, clearTimeout, setInterval, setTimeout } = timers;

const resolved = Promise.resolve();

/**
 * Whether a function is the runtime's: fakes carry their clock, mocks say so, and neither keeps the name.
 * @param {any} fn
 * @param {string} name
 */
function isReal(fn, name) {
  return typeof fn === 'function' && fn.name === name && fn.clock === undefined && fn._isMockFunction !== true;
}

/** @param {() => void} act runs behind the promise jobs that are due */
function inPromiseJob(act) {
  resolved.then(act);
}

/**
 * Turns of the event loop by messages to this very thread.
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

/** @type {(act: () => void) => NodeJS.Immediate | void} runs in the next turn of the event loop */
const setImmediate = isReal(timers.setImmediate, 'setImmediate') ? timers.setImmediate : byMessages();
/** @type {(act: () => void) => void} */
const nextTick = isReal(process.nextTick, 'nextTick') ? process.nextTick : inPromiseJob;
/** @type {(act: () => void) => void} */
const microtask = isReal(globalThis.queueMicrotask, 'queueMicrotask') ? globalThis.queueMicrotask : inPromiseJob;
/** Milliseconds of a clock that nobody sets. */
const now = performance.now.bind(performance);

/** Resolves in the next turn of the event loop. */
function turn() {
  return new Promise((resolve) => {
    setImmediate(() => resolve(undefined));
  });
}

/** @param {number} ms until it resolves, or the next turn where the timers were fakes as this module loaded */
function pause(ms) {
  if (!isReal(setTimeout, 'setTimeout')) return turn();
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), ms);
  });
}

/**
 * Lets an exception of the caller's code be what it is, an uncaught one, without ending what runs now.
 * @param {unknown} error
 */
function surface(error) {
  nextTick(() => {
    throw error;
  });
}

module.exports = {
  clearInterval,
  clearTimeout,
  dateNow,
  hasOwn,
  microtask,
  nextTick,
  now,
  parse,
  pause,
  setImmediate,
  setInterval,
  setTimeout,
  stringify,
  surface,
  turn,
};
