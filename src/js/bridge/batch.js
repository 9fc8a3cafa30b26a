// A batch: the calls of one turn as they cross, in one text and an array of numbers, and values that do not lie in the
// text; with the slots that wait for the replies; and how replies reach their slots.
'use strict';

const { HoldfastError, replyLost } = require('../base/errors.js');
const { Answer } = require('../base/ops.js');

// Numbers of an operation: its kind, the lengths of key and value, two that depend on the kind, and the length of its
// extras; the leaves of its value stand behind them. A value that is whole has a negative length. src/binding/decode.rs
// reads them.
const STRIDE = 6;
// Numbers. A longer array is not kept for the next turn.
const LARGE = 65536;

/** @typedef {import('./channel').Channel} Channel */
/**
 * A slot waits for an answer.
 * `many`: it waits for the array of the next `count` replies, else for one reply.
 * `gathered`: the replies of those `count` that have come, where they come in parts, and how many are missing.
 * `waiter`: the id of an answer that may come instead.
 * `quiet`: it resolves to undefined, whatever the reply.
 * `done`: answered before the rest of its batch.
 * @typedef {{ resolve: (value: any) => void, reject: (error: unknown) => void, key: string, count: number,
 *   many: boolean, waiter: number, quiet: boolean, done: boolean,
 *   gathered: { replies: any[], missing: number } | null }} Slot
 * `channel`: the channel of all its calls. `used`: how many of the numbers are used. `whole`: the values that are, if
 * any, and `wholeLength` the length of all. `task`: of `Task`, where the batch is long work.
 * @typedef {{ channel: Channel | null, text: string, numbers: Float64Array, used: number, count: number, slots: Slot[],
 *   whole: Whole[] | null, wholeLength: number, task: number | undefined }} Batch
 * @typedef {import('../value/whole').Whole} Whole
 * @typedef {{ count: number, numbers: Float64Array }} Leaves
 */

/**
 * @param {Batch} [handedOver] a batch whose numbers Rust has copied: the new batch may write over them
 * @returns {Batch}
 */
function newBatch(handedOver) {
  const numbers = handedOver?.numbers;
  return {
    channel: null,
    text: '',
    numbers: numbers === undefined || numbers.length > LARGE ? new Float64Array(64 * STRIDE) : numbers,
    used: 0,
    count: 0,
    slots: [],
    whole: null,
    wholeLength: 0,
    // An own property: an absent one would be looked for on Object.prototype.
    task: undefined,
  };
}

/**
 * @param {Batch} batch
 * @param {number} kind
 * @param {string} key
 * @param {string | Whole} value
 * @param {number} a
 * @param {number} b
 * @param {string} extras
 * @param {Leaves | null} leaves of the value: `value` is then their strings, and their count stands in place of `b`
 */
function append(batch, kind, key, value, a, b, extras, leaves) {
  let at = batch.used;
  const end = at + STRIDE + (leaves === null ? 0 : leaves.count);
  if (end > batch.numbers.length) batch.numbers = grown(batch.numbers, end);
  const numbers = batch.numbers;
  numbers[at] = kind;
  numbers[++at] = key.length;
  numbers[++at] = typeof value === 'string' ? value.length : -1;
  numbers[++at] = a;
  numbers[++at] = leaves === null ? b : leaves.count;
  numbers[++at] = extras.length;
  if (leaves !== null) for (let i = 0; i < leaves.count; i++) numbers[++at] = leaves.numbers[i];
  batch.used = end;
  batch.text += key;
  if (typeof value !== 'string') addWhole(batch, value);
  else if (value !== '') batch.text += value;
  if (extras !== '') batch.text += extras;
  batch.count++;
}

/**
 * @param {Batch} batch
 * @param {Whole} value
 */
function addWhole(batch, value) {
  batch.whole ??= [];
  batch.whole.push(value);
  batch.wholeLength += value.length;
}

/**
 * The text of a batch, alone or first in a list of what is whole. It crosses now, or never.
 * @param {Batch} batch
 */
function crossingOf({ text, whole }) {
  return whole === null ? text : [text, ...whole.map((value) => value.cross())];
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
 * @param {(value: any) => void} resolve
 * @param {(error: unknown) => void} reject
 * @param {string} key
 * @returns {Slot}
 */
function newSlot(resolve, reject, key) {
  return { resolve, reject, key, count: 1, many: false, waiter: 0, quiet: false, done: false, gathered: null };
}

/**
 * Gives replies to their slots. Whatever is wrong with one reply, the others reach their callers.
 * @param {import('./bridge').Bridge} bridge
 * @param {Slot[]} slots
 * @param {number} from the place of the first of these replies among those of the batch
 * @param {any[]} replies
 * @param {0 | [number, string, string][]} errors
 * @param {Set<number> | null} later the indexes of replies that come later
 */
function settle(bridge, slots, from, replies, errors, later) {
  const failed = errors === 0 ? null : failures(errors);
  const end = from + replies.length;
  let at = 0;
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i];
    const next = at + slot.count;
    if (next > from && !slot.done && later?.has(at) !== true) {
      if (at >= end) return;
      try {
        settleOne(bridge, slot, at, from, replies, failed, slots.length === 1);
      } catch (cause) {
        slot.reject(replyLost(cause));
        bridge.sent.delete(slot.waiter);
      }
      if (later !== null) slot.done = true;
    }
    at = next;
  }
}

/**
 * As `settle`, of replies that are not one behind the other.
 * @param {import('./bridge').Bridge} bridge
 * @param {Slot[]} slots
 * @param {number[]} places of the replies among those of the batch, in their order
 * @param {any[]} replies
 * @param {0 | [number, string, string][]} errors by the indexes of the replies
 */
function settleSome(bridge, slots, places, replies, errors) {
  const failed = errors === 0 ? null : failures(errors);
  let slot = slots[0];
  let first = 0;
  for (let next = 1, i = 0; i < places.length; i++) {
    while (places[i] >= first + slot.count) {
      first += slot.count;
      slot = slots[next++];
    }
    if (slot.done) continue;
    try {
      const error = failed?.get(i);
      if (slot.many && error === undefined) gather(slot, places[i] - first, replies[i]);
      else settleOne(bridge, slot, i, 0, replies, failed, false);
    } catch (cause) {
      slot.reject(replyLost(cause));
      bridge.sent.delete(slot.waiter);
    }
  }
}

/** @param {[number, string, string][]} errors */
function failures(errors) {
  return new Map(errors.map(([at, code, message]) => [at, new HoldfastError(/** @type {any} */ (code), message)]));
}

/**
 * @param {import('./bridge').Bridge} bridge
 * @param {Slot} slot
 * @param {number} at its place in the batch
 * @param {number} from that of the first reply
 * @param {any[]} replies
 * @param {Map<number, HoldfastError> | null} failed
 * @param {boolean} alone no other slot waits for any of them
 */
function settleOne(bridge, slot, at, from, replies, failed, alone) {
  if (failed !== null && fail(slot, failed, at)) {
    if (slot.waiter !== 0) bridge.sent.delete(slot.waiter);
  } else if (slot.many) {
    const begin = at - from;
    if (begin < 0 || begin + slot.count > replies.length) gatherAll(slot, begin, replies);
    else slot.resolve(alone && slot.count === replies.length ? replies : replies.slice(begin, begin + slot.count));
  } else if (slot.waiter === 0) {
    slot.resolve(slot.quiet ? undefined : replies[at - from]);
  } else if (replies[at - from][0] === Answer.WAIT) {
    tellToWait(bridge, slot);
  } else {
    bridge.sent.delete(slot.waiter);
    slot.resolve(replies[at - from]);
  }
}

/**
 * Takes a part of the replies that a group waits for.
 * @param {Slot} slot
 * @param {number} begin its place among these replies; negative where earlier parts have come
 * @param {any[]} replies
 */
function gatherAll(slot, begin, replies) {
  const end = Math.min(replies.length, begin + slot.count);
  for (let at = Math.max(begin, 0); at < end; at++) gather(slot, at - begin, replies[at]);
}

/**
 * Takes one of the replies that a group waits for.
 * @param {Slot} slot
 * @param {number} index its place among those of the group
 * @param {any} reply
 */
function gather(slot, index, reply) {
  slot.gathered ??= { replies: new Array(slot.count).fill(undefined), missing: slot.count };
  const { gathered } = slot;
  gathered.replies[index] = reply;
  if (--gathered.missing === 0) slot.resolve(gathered.replies);
}

/**
 * All slots of a batch get this error.
 * @param {import('./bridge').Bridge} bridge
 * @param {Slot[]} slots
 * @param {unknown} error
 */
function rejectAll(bridge, slots, error) {
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i];
    slot.reject(error);
    if (slot.waiter !== 0) bridge.sent.delete(slot.waiter);
  }
}

/**
 * Answers that the caller must wait: with the promise of the answer and its id, so that the caller can give up.
 * @param {import('./bridge').Bridge} bridge
 * @param {Slot} slot
 */
function tellToWait(bridge, slot) {
  const { resolve } = slot;
  // Also where the rest of the batch was answered at once.
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

/**
 * Whether one of these callers is to follow a flight, which may have ended by the next turn.
 * @param {Slot[]} slots
 * @param {any[]} replies
 */
function follows(slots, replies) {
  let at = 0;
  for (const { waiter, count } of slots) {
    if (waiter !== 0 && replies[at]?.[0] === Answer.FOLLOW) return true;
    at += count;
  }
  return false;
}

module.exports = { append, crossingOf, follows, newBatch, newSlot, rejectAll, settle, settleSome };
