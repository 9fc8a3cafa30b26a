// Fresh copies of values that JSON.parse made, for less than parsing the text again; and frozen values.
//
// A copy has its own objects and arrays, and shares the strings and numbers, which cannot change. V8 copies the
// properties of an object of known shape (`{ ...object }`) and the elements of an array (`slice`) in one go, several
// times faster than a parser reads them from a text. Only the objects within must be walked. A plan lists their places;
// it is made once, when the value is kept, and values with the same places share it: with a hundred thousand values,
// reading memory that was not read lately is most of the cost of a copy.
'use strict';

const { stringify } = require('../base/host.js');

// Levels of a value. Deeper values are parsed each time: the walk is recursive.
const DEEPEST = 64;

// Plans that are kept to be shared, and code units of the text that describes one. With more kinds of values, or larger
// values, sharing gains nothing.
const MOST_PLANS = 1024;
const LONGEST = 1024;

// Bytes that V8 keeps for a plan that no other value shares, and for each place in it: see hot/weight.js.
const PLAN = 120;
const PLACE = 48;

/**
 * Whether a value is an array, and where the objects within it are. `every`: the plan of each element, where all
 * elements of the array are objects with the same plan. `number`: 0 where the plan is not shared. `weight`: bytes in
 * memory, with the plans within that are not shared; 0 where it is shared.
 * @typedef {{ array: boolean, within: { key: string | number, plan: Plan }[], every: Plan | null, number: number,
 * weight: number }} Plan
 */

/** @type {Map<string, Plan>} the shared plans, by the texts that describe them */
const plans = new Map();
/** @type {Plan['within']} */
const NOTHING = [];

/**
 * How to copy a value that JSON.parse made; undefined where parsing its text again is better.
 * @param {any} value an object or array
 * @returns {Plan | undefined}
 */
function planOf(value) {
  return newPlan(value, 0);
}

/**
 * @param {any} value
 * @param {number} depth
 * @returns {Plan | undefined}
 */
function newPlan(value, depth) {
  if (depth > DEEPEST) return undefined;
  const array = Array.isArray(value);
  const within = [];
  // Walks a copy of the list: optimized code that has met lists of other kinds boxes each number of a list before it
  // reads one.
  const parts = array ? value.slice() : value;
  for (const key of array ? parts.keys() : Object.keys(value)) {
    const part = parts[key];
    if (part === null || typeof part !== 'object') continue;
    // An own property of that name is copied by `{ ...object }`, but an assignment would set the prototype.
    const plan = key === '__proto__' ? undefined : newPlan(part, depth + 1);
    if (plan === undefined) return undefined;
    within.push({ key, plan });
  }
  const first = within.length > 0 && array && within.length === value.length ? within[0].plan : null;
  const rows = first !== null && first.number !== 0 && within.every(({ plan }) => plan === first);
  return shared(array, rows ? NOTHING : within, rows ? first : null);
}

/**
 * The shared plan with the same description, or a new one.
 * @param {boolean} array
 * @param {Plan['within']} within
 * @param {Plan | null} every
 * @returns {Plan}
 */
function shared(array, within, every) {
  let text = every === null ? (array ? 'a' : 'o') : `e${every.number}`;
  let weight = PLAN;
  for (const { key, plan } of within) {
    weight += PLACE + plan.weight;
    if (text !== '') text = plan.number === 0 ? '' : `${text},${plan.number}:${stringify(key)}`;
    if (text.length > LONGEST) text = '';
  }
  const first = plans.get(text);
  if (first !== undefined) return first;
  // `slice` leaves no spare room in the list.
  const places = within.length === 0 ? NOTHING : within.slice();
  if (text === '' || plans.size >= MOST_PLANS) return { array, within: places, every, number: 0, weight };
  const plan = { array, within: places, every, number: plans.size + 1, weight: 0 };
  plans.set(text, plan);
  return plan;
}

/**
 * A copy that shares no object with the value.
 * @param {any} value
 * @param {Plan} plan the value's own
 */
function copyBy(value, plan) {
  const copy = plan.array ? value.slice() : { ...value };
  const { within, every } = plan;
  for (let i = 0; i < within.length; i++) {
    const { key, plan: inner } = within[i];
    copy[key] = copyBy(value[key], inner);
  }
  if (every !== null) for (let i = 0; i < copy.length; i++) copy[i] = copyBy(value[i], every);
  return copy;
}

/**
 * A copy of a value of any depth, that shares no object with it.
 * @param {any} value an object or array; one that has a cycle, or an object twice, is not copied
 * @returns {any} undefined where there is none
 */
function copyTree(value) {
  const whole = Array.isArray(value) ? value.slice() : { ...value };
  const copies = [whole];
  const seen = new Set([value]);
  for (let copy = copies.pop(); copy !== undefined; copy = copies.pop()) {
    for (const key of Object.keys(copy)) {
      const part = copy[key];
      if (part === null || typeof part !== 'object') continue;
      if (seen.has(part)) return undefined;
      seen.add(part);
      const inner = Array.isArray(part) ? part.slice() : { ...part };
      // An assignment to this name would set the prototype.
      if (key === '__proto__')
        Object.defineProperty(copy, key, /** @type {PropertyDescriptor} */ ({ __proto__: null, value: inner }));
      else copy[key] = inner;
      copies.push(inner);
    }
  }
  return whole;
}

/** @param {object} value made by JSON.parse: a tree without cycles, of any depth */
function freeze(value) {
  const objects = [value];
  for (let object = objects.pop(); object !== undefined; object = objects.pop()) {
    for (const part of Object.values(object)) if (part !== null && typeof part === 'object') objects.push(part);
    Object.freeze(object);
  }
  return value;
}

/**
 * Deeply freezes a value, as each hit of a cache with frozen values is frozen.
 * @param {any} value
 */
function frozenCopy(value) {
  return value !== null && typeof value === 'object' ? freeze(value) : value;
}

/**
 * Values in the order of their keys: a key that comes again gets a copy of its own.
 * @param {string[]} keys
 * @param {Map<string, any>} values
 * @param {import('./codec').Codec} codec
 */
function inOrder(keys, values, codec) {
  const given = new Set();
  return keys.map((key) => {
    const value = values.get(key);
    if (given.has(key)) return codec.copy(value);
    given.add(key);
    return value;
  });
}

module.exports = { copyBy, copyTree, frozenCopy, inOrder, planOf };
