// The functions of many keys. They go in chunks, each a group of one batch with a deadline of its own, so that a
// million keys are no burst.
'use strict';

const { parse, stringify } = require('../base/host.js');
const { Op, TAG, Task } = require('../base/ops.js');
const {
  checkKeys,
  checkOptions,
  checkStorable,
  checkTag,
  describe,
  invalid,
  isArray,
  pairsOf,
} = require('../options/arguments.js');
const { Unsent } = require('../bridge/unsent.js');

// Keys of a chunk.
const CHUNK = 2048;
// Keys of a chunk of reads. These chunks are smaller, with as many keys at once: each entry may have tags of its own,
// and the engine's thread, which handles a chunk in one go, also serves other caches.
const READ_CHUNK = 256;
// Tags of a chunk, summed over its keys: each is a look-up.
const CHUNK_TAGS = 8192;
// Code units of a chunk's texts.
const CHUNK_TEXT = 8 * 1024 * 1024;
// Keys that a page of a scan looks at: about a millisecond of the server, which serves nobody else meanwhile.
const PAGE = 1000;
const LONGEST_PAGE = 10_000;
// Chunks that go at once.
const CHUNKS_AT_ONCE = 4;

/** @typedef {import('../bridge/channel').Channel} Channel */
/** @typedef {import('../value/codec').Codec} Codec */

/**
 * @param {Channel} channel
 * @param {Codec} codec
 * @param {unknown} keys
 * @returns {Promise<any[]>}
 */
async function getMany(channel, codec, keys) {
  const values = await askEach(channel, Op.GET, checkKeys(keys));
  const { read } = codec;
  return read === null ? values : values.map((reply) => read(reply));
}

/**
 * @param {Channel} channel
 * @param {unknown} keys
 * @returns {Promise<boolean[]>} of each, whether it exists
 */
async function existsMany(channel, keys) {
  return askEach(channel, Op.EXISTS, checkKeys(keys, checkStorable));
}

/**
 * @param {Channel} channel
 * @param {Codec} codec
 * @param {unknown} entries
 * @param {number} ttl milliseconds; 0 where the time of the entries is over already
 * @param {string} extras
 */
async function setMany(channel, codec, entries, ttl, extras) {
  // All entries are checked before the first is stored.
  const writes = pairsOf(entries).map(([key, value]) => {
    checkStorable(key);
    const leaves = codec.take(value);
    return leaves === null
      ? { key, text: codec.encode(value), leaves }
      : { key, text: leaves.strings(), leaves: leaves.copy() };
  });
  // They would replace what lies there, and end at once.
  if (ttl === 0) {
    await delEach(
      channel,
      writes.map(({ key }) => key),
    );
    return;
  }
  const tags = extras === '' ? 0 : parse(extras).tags.length;
  const most = tags === 0 ? CHUNK : Math.min(CHUNK, Math.ceil(CHUNK_TAGS / tags));
  await writeInChunks(
    channel,
    writes,
    ({ key }) => key,
    (push, { key, text, leaves }) => push(Op.SET, key, text, ttl, leaves),
    ({ key, text, leaves }) => key.length + text.length + (leaves?.numbers.byteLength ?? 0) + extras.length,
    extras,
    most,
    (CHUNKS_AT_ONCE * CHUNK) / most,
  );
}

/**
 * @param {Channel} channel
 * @param {unknown} keys
 * @returns {Promise<boolean[]>} of each, whether it existed
 */
async function delMany(channel, keys) {
  const removed = await delEach(channel, checkKeys(keys, checkStorable));
  return removed.map((count) => count > 0);
}

/**
 * @param {Channel} channel
 * @param {unknown} keys
 * @param {number} stale milliseconds
 * @returns {Promise<number>} how many existed
 */
async function delAll(channel, keys, stale) {
  const removed = await delEach(channel, checkKeys(keys), stale);
  return removed.reduce((sum, count) => sum + count, 0);
}

/**
 * @param {Channel} channel
 * @param {unknown} tags one or many
 * @param {number} stale milliseconds
 */
async function invalidateTags(channel, tags, stale) {
  const checked = isArray(tags) ? checkKeys(tags, checkTag) : [checkTag(tags)];
  const keys = Array.from(new Set(checked), (tag) => TAG + tag);
  // All chunks at once: the keys of later reads do not tell which tags concern them.
  const ended = writeEach(channel, Op.END_TAG, keys, stale, Infinity);
  channel.flushAhead();
  await ended;
}

/**
 * @param {Channel} channel
 * @param {unknown} tags
 * @returns {Promise<number[]>} of each, when it was last ended, in milliseconds since 1970
 */
async function tagTimes(channel, tags) {
  const keys = checkKeys(tags, checkTag).map((tag) => TAG + tag);
  return askEach(channel, Op.TAG_TIME, keys);
}

/**
 * The keys, page by page. Rust says where the next page begins, and keeps nothing between two.
 * @param {() => import('../bridge/channel').Channel} open
 * @param {string} glob
 * @param {import('../../../index').ScanOptions} options
 * @returns {AsyncGenerator<string[], void, undefined>}
 */
async function* scan(open, glob, options) {
  const { count = PAGE } = checkOptions(options, ['count']);
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 1 || count > LONGEST_PAGE) {
    throw invalid(`count must be a whole number from 1 to ${LONGEST_PAGE}, not ${describe(count)}`);
  }
  for (let from = ''; from !== null; ) {
    const page = await open().run(Task.SCAN, stringify({ glob, count, from }));
    if (page.keys.length > 0) yield page.keys;
    from = page.next;
  }
}

/**
 * Removes keys.
 * @param {Channel} channel
 * @param {string[]} keys
 * @param {number} [stale] for how long they are of use to who takes stale values, in milliseconds
 * @returns {Promise<number[]>} of each, 1 where it existed, else 0
 */
function delEach(channel, keys, stale = 0) {
  return writeEach(channel, stale === 0 ? Op.DEL : Op.SOFTEN, keys, stale);
}

/**
 * Does the same to keys.
 * @param {Channel} channel
 * @param {number} kind
 * @param {string[]} keys
 * @param {number} a
 * @param {number} [atOnce]
 * @returns {Promise<number[]>}
 */
function writeEach(channel, kind, keys, a, atOnce = CHUNKS_AT_ONCE) {
  return writeInChunks(
    channel,
    keys,
    (key) => key,
    (push, key) => push(kind, key, '', a),
    (key) => key.length,
    '',
    CHUNK,
    atOnce,
  );
}

/**
 * Sends reads of one kind in groups, some at once, and gathers the replies in order.
 * @param {Channel} channel
 * @param {number} kind
 * @param {string[]} keys
 * @returns {Promise<any[]>}
 */
function askEach(channel, kind, keys) {
  const chunks = chunksOf(keys, (key) => key.length, READ_CHUNK);
  const atOnce = (CHUNKS_AT_ONCE * CHUNK) / READ_CHUNK;
  /** @param {string[]} chunk */
  const send = (chunk) =>
    channel.group(chunk.length, (push) => {
      for (const key of chunk) push(kind, key, '', 0);
    });
  return channel.during(async () => {
    const results = [];
    for (let at = 0; at < chunks.length; at += atOnce)
      for (const replies of await Promise.all(chunks.slice(at, at + atOnce).map(send))) results.push(replies);
    return joined(results);
  });
}

/**
 * Sends writes in groups, some at once, and gathers the replies in order. Later calls find all of them written: see
 * bridge/unsent.js.
 * @template T
 * @param {Channel} channel
 * @param {T[]} items
 * @param {(item: T) => string} keyOf
 * @param {(push: (kind: number, key: string, value: any, a: number, leaves?: any) => void, item: T) => void} write
 *   pushes one operation
 * @param {(item: T) => number} lengthOf the text of an item
 * @param {string} extras of each
 * @param {number} [most] items of a chunk
 * @param {number} [atOnce]
 * @returns {Promise<any[]>}
 */
async function writeInChunks(channel, items, keyOf, write, lengthOf, extras, most = CHUNK, atOnce = CHUNKS_AT_ONCE) {
  const chunks = chunksOf(items, lengthOf, most);
  /** @type {(chunk: T[], by: Unsent | null) => Promise<any[]>} */
  const send = (chunk, by) =>
    channel.group(
      chunk.length,
      (push) => {
        for (const item of chunk) write(push, item);
      },
      extras,
      by,
    );
  if (chunks.length <= atOnce) return joined(await Promise.all(chunks.map((chunk) => send(chunk, null))));
  const keys = chunks.map((chunk) => chunk.map(keyOf));
  const unsent = new Unsent(channel.lane, keys, (index, self) => send(chunks[index], self));
  return joined(await channel.during(() => unsent.sendAll(atOnce)));
}

/** @param {any[][]} results */
function joined(results) {
  return results.length === 1 ? results[0] : results.flat(1);
}

/**
 * @template T
 * @param {T[]} items
 * @param {(item: T) => number} lengthOf the text of an item
 * @param {number} most items of a chunk
 */
function chunksOf(items, lengthOf, most) {
  const chunks = [];
  for (let at = 0; at < items.length; at += chunks[chunks.length - 1].length)
    chunks.push(chunkAt(items, at, lengthOf, most));
  return chunks;
}

/**
 * @template T
 * @param {T[]} items
 * @param {number} from
 * @param {(item: T) => number} lengthOf
 * @param {number} most
 * @returns {T[]} one at least
 */
function chunkAt(items, from, lengthOf, most) {
  let end = from + 1;
  let length = lengthOf(items[from]);
  while (end < items.length && end - from < most) {
    length += lengthOf(items[end]);
    if (length > CHUNK_TEXT) break;
    end++;
  }
  return items.slice(from, end);
}

module.exports = { delAll, delMany, existsMany, getMany, invalidateTags, scan, setMany, tagTimes };
