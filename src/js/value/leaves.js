// Takes a plain value apart, so that the event loop need not write its JSON text: Rust does. Why, and how the leaves cross: src/engine/call/leaves.rs.
//
// The text that Rust writes must be the one that JSON.stringify would have written. So what is taken apart is only what is plain: strings, numbers, booleans, null, and lists and
// objects of them, with `toJSON` where they have one. With anything else JSON.stringify takes the whole value, and tells what is wrong with it. What could still tell the two
// apart is perverse: a getter that hides later names of its own object (`enumerable: false`), or a boxed value that was given the prototype of plain objects.
'use strict';

const { stringify } = require('../base/host.js');

// Of a value, 64 KiB of them, which each environment keeps for the next one. JSON.stringify takes what has more.
const MOST = 8192;
// Deeper values: the walk is recursive, and would not end in a cycle.
const DEEPEST = 64;
// So long is a leaf's text at most, quotes, separators and braces included, by the number: -1.2345678901234567e-300 and a comma.
const LONGEST = 25;
// Objects of more names, or longer ones, are rather tables whose names are data.
const MOST_NAMES = 128;
const LONGEST_NAME = 256;
// Names of all shapes, seen once or known; then begins a new collection. What Rust knows it keeps.
const MOST_NODES = 16384;
// After a value that could be taken apart, take apart this many that follow; else try one value in TRY_ONE_IN.
const APART_CREDIT = 8;
const TRY_ONE_IN = 16;

// What stands in place of the number of a shape: no object had it yet; one had; Rust keeps no more.
const NEW = -1;
const SEEN = -2;
const NEVER = -3;

/**
 * The names that objects have, in their order, as a tree: most objects at a place have the shape of the last one there, so that one comparison a name finds it.
 */
class Node {
  /**
   * @param {Node | null} parent
   * @param {string} name what leads here
   */
  constructor(parent, name) {
    this.parent = parent;
    this.name = name;
    /** @type {number} */
    this.depth = parent === null ? 0 : parent.depth + 1;
    /** @type {number} bytes of the names until here at most, with quotes and colons */
    this.size = parent === null ? 0 : parent.size + name.length * 6 + 3;
    this.shape = NEW;
    /** What came first, and what else came. */
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

  /** The names that lead here, as Rust wants them. */
  names() {
    const names = [];
    for (let node = /** @type {Node} */ (this); node.parent !== null; node = node.parent)
      names.push(stringify(node.name));
    return names.reverse().join('\n');
  }
}

/** The leaves of one value at a time, until the next is taken apart. */
class Leaves {
  /** @param {(names: string) => number | null} number of Rust: the number of a shape */
  constructor(number) {
    this.number = number;
    this.numbers = new Float64Array(MOST);
    /** How many of the numbers are the value's. */
    this.count = 0;
    this.text = '';
    /** Of the names in it. */
    this.size = 0;
    /** A shape in it is not known to Rust. */
    this.unknown = false;
    this.root = new Node(null, '');
    this.nodes = 0;
    this.busy = false;
    this.credit = APART_CREDIT;
    this.tries = 0;
  }

  /**
   * Takes a value apart. False where JSON.stringify must take it: it is not plain, large, of a shape that is seen for the first or second time, or might have more than so many bytes.
   * @param {unknown} value
   * @param {number} maxBytes
   */
  take(value, maxBytes) {
    // A getter or a toJSON of the value that is being taken apart stores another one.
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
      // The value's own code threw. It will once more, and is then told of.
    } finally {
      this.busy = false;
    }
    if (this.credit > 0) this.credit--;
    this.text = '';
    return false;
  }

  /** The value's strings, one behind the other; given away, as they may be large. */
  strings() {
    const { text } = this;
    this.text = '';
    return text;
  }

  /** The numbers, for longer than until the next value is taken apart. */
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
        // What is not finite is null, as in JSON.
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
      // Of what it returns, JSON asks no toJSON.
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
      // Object.prototype was given more than it should have.
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
   * @returns {Node | null} null where no shape may be so long
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
   * An object whose shape has no number. Most shapes that come once are names that are data; the second time Rust is told of it.
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
