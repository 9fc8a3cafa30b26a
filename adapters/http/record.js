// What lies at a key: a response, the names by which responses vary, or that this URL is not cached for now.
//
// A record is bytes: the length of its head, the head as JSON, and the body as it is. So a cache of codec `raw` or
// `structured` stores it, no other code reads it by accident, and the body is neither parsed nor copied as text.
'use strict';

const { createHash, randomUUID } = require('node:crypto');

/** Begins each record; a change of the form changes it, so that an older version's records are misses. */
const MAGIC = 0x48_46_31_00;
const PREFIX_BYTES = 8;
const NOTHING = Buffer.alloc(0);

/**
 * `response`: `time` is when it was made, in milliseconds since 1970; `age`, `lifetime`, `swr` and `grace` are seconds;
 * `retryAt`: it stands in for a handler that failed, which is not asked again before. `vary`: responses depend on the
 * fields `names`; `id` is in their keys, so that whoever removes this record has removed them all. `pass`: the handler
 * answers everybody itself until then.
 * @typedef {{ kind: 'response', status: number, fields: [string, any][], time: number, age: number, lifetime: number,
 *   swr: number, grace: number, retryAt: number, body: Buffer }} Response
 * @typedef {{ kind: 'vary', names: string[], id: string, until: number }} Vary
 * @typedef {{ kind: 'pass', until: number }} Pass
 */

/** @param {any} record */
function encode({ body = NOTHING, ...head }) {
  const text = Buffer.from(JSON.stringify(head));
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(MAGIC, 0);
  prefix.writeUInt32BE(text.length, 4);
  return Buffer.concat([prefix, text, body]);
}

/**
 * @param {unknown} bytes
 * @returns {any} undefined for what is no record
 */
function decode(bytes) {
  if (!Buffer.isBuffer(bytes) || bytes.length < PREFIX_BYTES || bytes.readUInt32BE(0) !== MAGIC) return undefined;
  const end = PREFIX_BYTES + bytes.readUInt32BE(4);
  try {
    return { ...JSON.parse(bytes.toString('utf8', PREFIX_BYTES, end)), body: bytes.subarray(end) };
  } catch {
    return undefined;
  }
}

/** @param {string[]} names */
const varyBy = (names, until) => ({ kind: 'vary', names, id: randomUUID(), until });

/**
 * The key of the response for requests with the same fields. Their values are hashed: one may be a cookie.
 * @param {string} base
 * @param {Vary} vary
 * @param {{ header(name: string): string | undefined }} request
 */
function variantKey(base, { names, id }, request) {
  const hash = createHash('sha256');
  // Whitespace means nothing in a list (4.1).
  for (const name of names) hash.update(`${name}:${(request.header(name) ?? '\0').replace(/\s+/g, '')}\n`);
  return `${base} ${id} ${hash.digest('base64url')}`;
}

module.exports = { decode, encode, variantKey, varyBy };
