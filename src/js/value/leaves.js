// Takes a plain value apart into its leaves, so that Rust writes its JSON text and not the event loop. Why, and how the
// leaves cross: src/engine/call/leaves.rs.
//
// Rust must write the text that JSON.stringify would write. So only plain values are taken apart: strings, numbers,
// booleans, null, and lists and objects of them, with `toJSON` where they have one. JSON.stringify takes every other
// value as a whole, and its error says what is wrong with it. The two texts differ only for perverse values: a getter
// that hides later names of its own object (`enumerable: false`), or a boxed value with the prototype of plain objects.
'use strict';

const { stringify } = require('../base/host.js');

// Numbers of one value: 64 KiB, which each environment keeps for the next value. JSON.stringify takes values of more.
const MOST = 8192;
// Levels of one value: the walk is recursive, and would not end in a cycle.
const DEEPEST = 64;
// Upper bound of JSON bytes for each number in the array, quotes, separators and braces included:
// -1.2345678901234567e-300 and a comma.
const LONGEST = 25;
// Names of an object, and code units of a name. Objects with more, or longer names, are mostly tables whose names are
// data.
const MOST_NAMES = 128;
const LONGEST_NAME = 256;
// Nodes of the tree of names; beyond this the tree is reset. Rust keeps the shapes that it knows.
const MOST_NODES = 16384;
// After a value that could be taken apart, take apart this many that follow; else try one value in TRY_ONE_IN.
const APART_CREDIT = 8;
const TRY_ONE_IN = 16;

// In place of a shape's number. NEW: no object had the shape yet. SEEN: one had. NEVER: Rust accepts no more shapes.
const NEW = -1;
const SEEN = -2;
const NEVER = -3;

/**
 * The names of objects, in their order, as a tree. Most objects at a place have the shape of the last one there, so
 * that one comparison a name finds the shape.
 */
class Node {
  /**
   * @param {Node | null} parent
   * @param {string} name of the edge from the parent
   */
  constructor(parent, name) {
    this.parent = parent;
    this.name = name;
    /** @type {number} */
    this.depth = parent === null ? 0 : parent.depth + 1;
    /** @type {number} upper bound of bytes of the names on the way here, with quotes and colons */
    this.size = parent === null ? 0 : parent.size + name.length * 6 + 3;
    this.shape = NEW;
    /** The first name that followed, and its node; `others` has the further ones. */
    this.nextName = '';
    /** @type {Node | null} */
    this.next = null;
    /** @type {Map<string, Node> | null} */
    this.others = null;
  }

  /** @param {string} name */
  grow(name) {
    const node = new Node(this, name);
    if (this.next === null) {
      this.nextName = name;
      this.next = node;
    } else {
      this.others ??= new Map();
      this.others.set(name, node);
    }
    return node;
  }

  /** The names on the way here as JSON, a line each: the form in which Rust takes a shape. */
  names() {
    const names = [];
    for (let node = /** @type {Node} */ (this); node.parent !== null; node = node.parent)
      names.push(stringify(node.name));
    return names.reverse().join('\n');
  }
}

/** The leaves of one value, until the next one is taken apart. */
class Leaves {
  /** @param {(names: string) => number | null} number asks Rust for the number of a shape */
  constructor(number) {
    this.number = number;
    this.numbers = new Float64Array(MOST);
    /** How many of the numbers belong to the value. */
    this.count = 0;
    this.text = '';
    /** Upper bound of bytes of the names in it. */
    this.size = 0;
    /** Whether Rust does not know one of its shapes. */
    this.unknown = false;
    this.root = new Node(null, '');
    this.nodes = 0;
    this.busy = false;
    this.credit = APART_CREDIT;
    this.tries = 0;
  }

  /**
   * Takes a value apart. False where JSON.stringify must take it: it is not plain, is large, has a shape seen for the
   * first time, or might have more than `maxBytes` bytes.
   * @param {unknown} value
   * @param {number} maxBytes
   */
  take(value, maxBytes) {
    // A getter or a toJSON of the value that is being taken apart stores another value.
    if (this.busy) return false;
    if (this.credit === 0 && ++this.tries % TRY_ONE_IN !== 0) return false;
    this.busy = true;
    this.count = 0;
    this.text = '';
    this.size = 0;
    this.unknown = false;
    try {
      if (
        this.put(value, '', 0) &&
        !this.unknown &&
        this.count * LONGEST + this.size + this.text.length * 6 <= maxBytes
      ) {
        this.credit = APART_CREDIT;
        return true;
      }
    } catch {
      // The value's own code threw. JSON.stringify runs it again, and reports its error.
    } finally {
      this.busy = false;
    }
    if (this.credit > 0) this.credit--;
    this.text = '';
    return false;
  }

  /** The value's strings, one behind the other. They are not kept here, as they may be large. */
  strings() {
    const { text } = this;
    this.text = '';
    return text;
  }

  /** A copy of the numbers, which outlives the next value. */
  copy() {
    return { count: this.count, numbers: this.numbers.slice(0, this.count) };
  }

  /**
   * @param {any} value
   * @param {string | number} name its own, for toJSON
   * @param {number} depth
   * @returns {boolean}
   */
  put(value, name, depth) {
    if (this.count + 2 > MOST) return false;
    switch (typeof value) {
      case 'string':
        this.pair(Infinity, value.length);
        this.text += value;
        return true;
      case 'number':
        // A number that is not finite becomes null, as in JSON.
        this.numbers[this.count++] = value - value === 0 ? value : NaN;
        return true;
      case 'boolean':
        this.pair(Infinity, value ? -1 : -2);
        return true;
      case 'object':
        break;
      default:
        return false;
    }
    if (value === null) {
      this.numbers[this.count++] = NaN;
      return true;
    }
    if (depth === DEEPEST) return false;
    const { toJSON } = value;
    if (toJSON !== undefined) {
      if (typeof toJSON !== 'function') return false;
      const made = toJSON.call(value, String(name));
      // JSON.stringify does not call toJSON on the result.
      return (
        (typeof made !== 'object' || made === null || made.toJSON === undefined) && this.put(made, name, depth + 1)
      );
    }
    if (Array.isArray(value)) return this.putList(value, depth + 1);
    return Object.getPrototypeOf(value) === Object.prototype && this.putObject(value, depth + 1);
  }

  /**
   * @param {any[]} list
   * @param {number} depth
   */
  putList(list, depth) {
    const { length } = list;
    this.pair(-Infinity, -1 - length);
    for (let i = 0; i < length; i++) {
      const element = list[i];
      if (!this.put(element === undefined ? null : element, i, depth)) return false;
    }
    return true;
  }

  /**
   * @param {any} object
   * @param {number} depth
   */
  putObject(object, depth) {
    const at = this.count;
    this.pair(-Infinity, NEVER);
    let node = this.root;
    for (const name in object) {
      // An inherited name: another module has extended Object.prototype.
      if (!hasOwn.call(object, name)) return false;
      const value = object[name];
      if (value === undefined) continue;
      const next = node.nextName === name && node.next !== null ? node.next : this.find(node, name);
      if (next === null || !this.put(value, name, depth)) return false;
      node = next;
    }
    this.size += node.size;
    if (node.shape < 0) this.meet(node);
    this.numbers[at + 1] = node.shape;
    return true;
  }

  /**
   * @param {number} kind
   * @param {number} code
   */
  pair(kind, code) {
    this.numbers[this.count++] = kind;
    this.numbers[this.count++] = code;
  }

  /**
   * @param {Node} node
   * @param {string} name
   * @returns {Node | null} null where the shape would have too many or too long names
   */
  find(node, name) {
    const known = node.others?.get(name);
    if (known !== undefined) return known;
    if (node.depth === MOST_NAMES || name.length > LONGEST_NAME) return null;
    if (++this.nodes > MOST_NODES) {
      this.root = new Node(null, '');
      this.nodes = 0;
    }
    return node.grow(name);
  }

  /**
   * Meets an object whose shape has no number. Most shapes that come only once are tables whose names are data, so Rust
   * learns a shape when it comes for the second time.
   * @param {Node} node
   */
  meet(node) {
    if (node.shape === SEEN) node.shape = this.number(node.names()) ?? NEVER;
    else if (node.shape === NEW) node.shape = SEEN;
    this.unknown ||= node.shape < 0;
  }
}

const hasOwn = Object.prototype.hasOwnProperty;

module.exports = { Leaves };
