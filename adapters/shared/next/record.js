// Owns the form in which entries of Next lie in Redis: a line of JSON, and behind it the parts that are bytes or long
// texts, as what they are. `redis-cli get` shows a page, no version of Node reads another one's clones, and nothing is
// turned into base64.
'use strict';

const VERSION = 1;
const LINE_END = 0x0a;

/**
 * @param {object} head what JSON carries
 * @param {Uint8Array[]} parts
 */
function pack(head, parts) {
  const line = JSON.stringify({ v: VERSION, lengths: parts.map((part) => part.byteLength), ...head });
  return Buffer.concat([Buffer.from(`${line}\n`), ...parts]);
}

/** What `pack` was given; undefined for bytes that it has not made, or not in this version. The parts are views. */
function unpack(bytes) {
  const end = bytes.indexOf(LINE_END);
  if (end < 0) return undefined;
  const head = parsed(bytes.toString('utf8', 0, end));
  if (head?.v !== VERSION || !Array.isArray(head.lengths)) return undefined;
  let from = end + 1;
  const parts = head.lengths.map((length) => {
    const part = bytes.subarray(from, from + length);
    from += length;
    return part;
  });
  return from === bytes.length ? { head, parts } : undefined;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

module.exports = { pack, unpack };
