// The calls of one turn as they cross: one text and an array of numbers, and who waits for the replies, which are given out here as well.
'use strict';

const { HoldfastError } = require('./errors');
const { Answer } = require('./ops');

// Numbers an operation: its kind, the lengths of key and value, two of the kind's own, and the length of its extras; the leaves of its value stand behind them.
// src/binding/decode.rs reads them.
const STRIDE = 6;
// An array that grew beyond this is not kept for the next turn.
const LARGE = 65536;

/**
 * Who waits for an answer. `many`: for the array of the next `count` replies, else for one.
 * `waiter`: the id of an answer that may come instead. `quiet`: the reply says nothing. `done`: answered before the rest of its batch.
 * @typedef {{ resolve: (value: any) => void, reject: (error: unknown) => void, key: string, count: number, many: boolean,
 *   waiter: number, quiet: boolean, done: boolean }} Slot
 * `used`: of the numbers. `task`: of `Task`, of a batch that is long work.
 * @typedef {{ text: string, numbers: Float64Array, used: number, count: number, slots: Slot[], task: number | undefined }} Batch
 * @typedef {{ count: number, numbers: Float64Array }} Leaves
 */

/**
 * @param {Batch} [handedOver] Rust has copied its numbers: the next turn may write over them
 * @returns {Batch}
 */
function newBatch(handedOver) {
  const numbers = handedOver?.numbers;
  return {
    text: '',
    numbers: numbers === undefined || numbers.length > LARGE ? new Float64Array(64 * STRIDE) : numbers,
    used: 0,
    count: 0,
    slots: [],
    // Its own: what is absent is looked for on Object.prototype.
    task: undefined,
  };
}

/**
 * @param {Batch} batch
 * @param {number} kind
 * @param {string} key
 * @param {string} value
 * @param {number} a
 * @param {number} b
 * @param {string} extras
 * @param {Leaves | null} leaves of the value, whose strings `value` then is; `b` is how many there are
 */
function append(batch, kind, key, value, a, b, extras, leaves) {
  let at = batch.used;
  const end = at + STRIDE + (leaves === null ? 0 : leaves.count);
  if (end > batch.numbers.length) batch.numbers = grown(batch.numbers, end);
  const numbers = batch.numbers;
  numbers[at] = kind;
  numbers[++at] = key.length;
  numbers[++at] = value.length;
  numbers[++at] = a;
  numbers[++at] = leaves === null ? b : leaves.count;
  numbers[++at] = extras.length;
  if (leaves !== null) for (let i = 0; i < leaves.count; i++) numbers[++at] = leaves.numbers[i];
  batch.used = end;
  batch.text += key;
  if (value !== '') batch.text += value;
  if (extras !== '') batch.text += extras;
  batch.count++;
}

/**
 * @param {Float64Array} numbers
 * @param {number} least
 */
function grown(numbers, least) {
  const larger = new Float64Array(Math.max(numbers.length * 2, least));
  larger.set(numbers);
  return larger;
}

/**
 * Gives replies to those who wait for them.
 * @param {import('./bridge').Bridge} bridge
 * @param {Slot[]} slots
 * @param {any[]} replies
 * @param {0 | [number, string, string][]} errors
 * @param {Set<number> | null} later indexes of replies that are still to come
 */
function settle(bridge, slots, replies, errors, later) {
  const failed =
    errors === 0
      ? null
      : new Map(errors.map(([at, code, message]) => [at, new HoldfastError(/** @type {any} */ (code), message)]));
  let at = 0;
  for (const slot of slots) {
    if (slot.done || later?.has(at)) {
      // Answered before, or to be answered.
    } else if (failed !== null && fail(slot, failed, at)) {
      if (slot.waiter !== 0) bridge.sent.delete(slot.waiter);
    } else if (slot.many) {
      slot.resolve(slots.length === 1 ? replies : replies.slice(at, at + slot.count));
    } else if (slot.waiter === 0) {
      slot.resolve(slot.quiet ? undefined : replies[at]);
    } else if (replies[at][0] === Answer.WAIT) {
      tellToWait(bridge, slot);
    } else {
      bridge.sent.delete(slot.waiter);
      slot.resolve(replies[at]);
    }
    if (later !== null && !later.has(at)) slot.done = true;
    at += slot.count;
  }
}

/**
 * The caller knows that it waits, for what, and under which id, so that it can lose its patience.
 * @param {import('./bridge').Bridge} bridge
 * @param {Slot} slot
 */
function tellToWait(bridge, slot) {
  const { resolve } = slot;
  // Also where all else of the batch was answered at once.
  bridge.busy.bridge = bridge;
  const answer = new Promise((resolveLater, rejectLater) => {
    slot.resolve = resolveLater;
    slot.reject = rejectLater;
  });
  resolve([Answer.WAIT, answer, slot.waiter]);
}

/**
 * @param {Slot} slot
 * @param {Map<number, HoldfastError>} failed
 * @param {number} at
 */
function fail(slot, failed, at) {
  for (let i = at; i < at + slot.count; i++) {
    const error = failed.get(i);
    if (error !== undefined) {
      slot.reject(error);
      return true;
    }
  }
  return false;
}

module.exports = { append, newBatch, settle };
