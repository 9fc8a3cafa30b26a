// The weight of a hot value: the bytes that V8 keeps for a value that JSON.parse made.
//
// The length of its text says little: `[[],[],[]]` takes twenty times as much memory as text, a long string just as
// much. So the value is walked once, when it is admitted, and each part counts the bytes that V8 allocates for it on a
// 64-bit machine. docs/memory.md has the figures beside measured heaps.
//
// All values share the names and short strings that JSON.parse has met before; each counts once, when it is first met.
'use strict';

// Bytes of the headers of a string, an object, an array and an array's elements; and of a number that is no small
// integer.
const STRING = 16;
const OBJECT = 24;
const ARRAY = 32;
const ELEMENTS = 16;
const NUMBER = 16;
const WORD = 8;
// Slots that V8 leaves in an object of few names.
const LEAST_SLOTS = 4;
// Bytes of a name that no object had before: its slot in tables of names, or in the object as a dictionary.
const NEW_NAME = 60;
// Code units. JSON.parse shares strings up to this length.
const LONGEST_SHARED = 10;
// Names and short strings that are remembered here; beyond this the set is reset.
const MOST_MET = 8192;
// Deeper values are not kept: the walk is recursive, and so is the copy.
const DEEPEST = 64;

const WIDE = /[^\0-\xff]/;
// A text that may hold strings of two bytes a character.
const MAY_BE_WIDE = /[^\0-\xff]|\\u/;

// Bytes beside a hot value: its entry in the map, the entry's object, and the header of its key.
const ENTRY = 152;

/** @type {Set<string>} names and short strings that were counted */
let met = new Set();
// Of the value that is being walked: its text may hold wide characters; it is to be frozen.
let wide = false;
let frozen = false;

/**
 * @param {any} value
 * @param {string} text from which it was parsed
 * @param {boolean} freezes it is to be frozen: V8 then keeps each number of an array by itself
 * @returns {number} infinite where it is nested too deeply to be kept
 */
function weightOf(value, text, freezes) {
  wide = MAY_BE_WIDE.test(text);
  frozen = freezes;
  return weigh(value, 0);
}

/**
 * @param {any} value
 * @param {number} depth
 * @returns {number}
 */
function weigh(value, depth) {
  switch (typeof value) {
    case 'string':
      return weighString(value);
    case 'number':
      return isSmall(value) ? 0 : NUMBER;
    case 'object':
      break;
    default:
      return 0;
  }
  if (value === null) return 0;
  if (depth > DEEPEST) return Infinity;
  if (Array.isArray(value)) return weighArray(value, depth + 1);
  const names = Object.keys(value);
  let bytes = OBJECT + WORD * Math.max(names.length, LEAST_SLOTS);
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    if (isNew(name)) bytes += NEW_NAME + STRING + padded(name.length);
    bytes += weigh(value[name], depth);
  }
  return bytes;
}

/**
 * @param {any[]} array
 * @param {number} depth
 */
function weighArray(array, depth) {
  if (array.length === 0) return ARRAY;
  let bytes = ARRAY + ELEMENTS + WORD * array.length;
  let numbers = 0;
  let boxed = 0;
  // Walks a copy, for the same reason as value/copy.js.
  const parts = array.slice();
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    if (typeof part !== 'number') bytes += weigh(part, depth);
    else {
      numbers++;
      if (!isSmall(part)) boxed++;
    }
  }
  // An array of nothing but numbers holds them in place.
  return numbers < array.length || frozen ? bytes + boxed * NUMBER : bytes;
}

/** @param {string} string */
function weighString(string) {
  const { length } = string;
  if (length <= LONGEST_SHARED && (length <= 1 || !isNew(string))) return 0;
  return STRING + padded(wide && WIDE.test(string) ? length * 2 : length);
}

/** @param {string} string a name, or a short string */
function isNew(string) {
  if (met.has(string)) return false;
  if (met.size >= MOST_MET) met = new Set();
  if (string.length <= 4 * LONGEST_SHARED) met.add(string);
  return true;
}

/** @param {number} number whether V8 keeps it in place of a pointer */
function isSmall(number) {
  return (number | 0) === number && (number !== 0 || 1 / number > 0);
}

/** @param {number} bytes */
function padded(bytes) {
  return (bytes + 7) & ~7;
}

module.exports = { ENTRY, weightOf };
