// What lies at a key, as the engine writes it (src/engine/value/entry.rs, base/key.rs, once/lease.rs): which kind of
// key it is, and what its first bytes say. A test reads what the engine has written.
'use strict';

/** The first byte of a header, and that of a computation's marker; no UTF-8 text has either of them. */
const MAGIC = 0xff;
const MARK = 0xfe;
const VERSION = 1;

const CODECS = /** @type {const} */ (['json', 'structured', 'raw', 'text']);
const ZSTD = 1;
const LIFE = 2;
const TAGS = 4;

/** Behind the prefix of a cache: keys of its own. */
const INTERNAL = /** @type {const} */ ([
  ['\0tag\0', 'tag'],
  ['\0refresh\0', 'refresh'],
  ['\0lease\0', 'lease'],
]);

/** Bytes of an entry that hold its header in all but the rarest cases: `exists` reads as many. */
const HEAD_BYTES = 4096;

/**
 * `plain`: no header. `marker`: somebody computes. `broken`: a header that this version does not understand, `cut`
 * where it goes on behind the bytes that were given. `extraMs`: how long it is kept beyond its TTL. `payloadAt`: where
 * the value begins.
 * @typedef {{ kind: 'plain' | 'marker' | 'broken' | 'entry', cut: boolean, codec: typeof CODECS[number] | null,
 *   compressed: boolean, extraMs: number, deltaMs: number, tags: { name: string, token: string }[],
 *   payloadAt: number }} Entry
 */

/**
 * Whose a key is, without its prefix; `name`: that of the tag, or of the key that is refreshed.
 * @param {string} rest
 * @returns {{ kind: 'entry' | 'tag' | 'refresh' | 'lease', name: string }}
 */
function keyOf(rest) {
  for (const [begins, kind] of INTERNAL) {
    if (rest.startsWith(begins)) return { kind, name: rest.slice(begins.length) };
  }
  return { kind: 'entry', name: rest };
}

/**
 * @param {Buffer} bytes the first ones at a key
 * @param {boolean} [whole] whether they are all
 * @returns {Entry}
 */
function entryOf(bytes, whole = true) {
  const none = { cut: false, codec: null, compressed: false, extraMs: 0, deltaMs: 0, tags: [], payloadAt: 0 };
  if (bytes[0] === MARK) return { kind: 'marker', ...none };
  if (bytes[0] !== MAGIC) return { kind: 'plain', ...none };
  try {
    return { kind: 'entry', ...headerOf(bytes) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const understood = bytes.length < 4 || (bytes[1] === VERSION && bytes[2] < CODECS.length && bytes[3] < 8);
    return { kind: 'broken', ...none, cut: understood && !whole };
  }
}

/**
 * Throws a RangeError where the bytes end within it, or say what this version does not know.
 * @param {Buffer} bytes
 */
function headerOf(bytes) {
  const [, version, codec, flags] = bytes;
  if (bytes.length < 4 || version !== VERSION || codec >= CODECS.length || flags > (ZSTD | LIFE | TAGS)) {
    throw new RangeError('not a header of this version');
  }
  let at = 4;
  /** @param {number} length */
  const take = (length) => {
    at += length;
    if (at > bytes.length) throw new RangeError('the bytes end within the header');
    return at - length;
  };
  let extraMs = 0;
  let deltaMs = 0;
  if (flags & LIFE) {
    take(8); // the nonce, which tells an entry from an equal one
    extraMs = Number(bytes.readBigUInt64LE(take(8)));
    deltaMs = bytes.readUInt32LE(take(4));
  }
  if (flags & ZSTD) take(4);
  /** @type {{ name: string, token: string }[]} */
  const tags = [];
  for (let left = flags & TAGS ? bytes[take(1)] : 0; left > 0; left--) {
    const nameLength = bytes.readUInt16LE(take(2));
    const name = bytes.toString('utf8', take(nameLength), at);
    const tokenLength = bytes[take(1)];
    tags.push({ name, token: bytes.toString('utf8', take(tokenLength), at) });
  }
  const compressed = (flags & ZSTD) !== 0;
  return { cut: false, codec: CODECS[codec], compressed, extraMs, deltaMs, tags, payloadAt: at };
}

module.exports = { HEAD_BYTES, entryOf, keyOf };
