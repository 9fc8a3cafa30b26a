// The functions of many keys: in chunks, each a group of one batch with a deadline of its own, so that a million keys are no burst.
'use strict';

const { checkKeys, checkStorable, checkTag, pairsOf } = require('./arguments');
const { Op, TAG } = require('./ops');

// Keys of a chunk, the length of their texts, and how many chunks go at once.
const CHUNK = 2048;
// Reads go in smaller ones, and as many keys at once: each of them may turn out to have tags of its own, and the
// engine's thread, which looks at a chunk in one go, also serves other caches.
const READ_CHUNK = 256;
// Tags of a chunk, each key's counted: as many look-ups.
const CHUNK_TAGS = 8192;
const CHUNK_TEXT = 8 * 1024 * 1024;
const CHUNKS_AT_ONCE = 4;

/** @typedef {import('./channel').Channel} Channel */
/** @typedef {import('./codec').Codec} Codec */

/**
 * @param {Channel} channel
 * @param {Codec} codec
 * @param {unknown} keys
 * @returns {Promise<any[]>}
 */
async function getMany(channel, codec, keys) {
  const values = await inChunks(
    checkKeys(keys),
    (chunk) =>
      channel.group(chunk.length, (push) => {
        for (const key of chunk) push(Op.GET, key, '', 0);
      }),
    READ_CHUNK,
  );
  const { read } = codec;
  return read === null ? values : values.map((reply) => read(reply));
}

/**
 * @param {Channel} channel
 * @param {Codec} codec
 * @param {unknown} entries
 * @param {number} ttl
 * @param {string} extras
 */
async function setMany(channel, codec, entries, ttl, extras) {
  // All are checked before the first is stored.
  const writes = pairsOf(entries).map(([key, value]) => {
    checkStorable(key);
    const leaves = codec.take(value);
    return leaves === null
      ? { key, text: codec.encode(value), leaves }
      : { key, text: leaves.strings(), leaves: leaves.copy() };
  });
  const tags = extras === '' ? 0 : (JSON.parse(extras).tags?.length ?? 0);
  await inChunks(
    writes,
    (chunk) =>
      channel.group(
        chunk.length,
        (push) => {
          for (const { key, text, leaves } of chunk) push(Op.SET, key, text, ttl, leaves);
        },
        extras,
      ),
    tags === 0 ? CHUNK : Math.ceil(CHUNK_TAGS / tags),
    ({ key, text, leaves }) => key.length + text.length + (leaves?.numbers.byteLength ?? 0) + extras.length,
  );
}

/**
 * @param {Channel} channel
 * @param {string[]} keys
 * @returns {Promise<number>} how many there were
 */
async function delMany(channel, keys) {
  const removed = await inChunks(
    keys,
    (chunk) =>
      channel.group(chunk.length, (push) => {
        for (const key of chunk) push(Op.DEL, key, '', 0);
      }),
    CHUNK,
  );
  return removed.reduce((sum, n) => sum + n, 0);
}

/**
 * @param {Channel} channel
 * @param {unknown} tags one or many
 */
async function invalidateTags(channel, tags) {
  const checked = Array.isArray(tags) ? checkKeys(tags, checkTag) : [checkTag(tags)];
  const keys = Array.from(new Set(checked), (tag) => TAG + tag);
  const removed = delMany(channel, keys);
  channel.flushAhead();
  // The rest goes when these are answered.
  if (keys.length > CHUNK * CHUNKS_AT_ONCE) channel.hot?.clear();
  await removed;
}

/**
 * Sends items in groups, some at once, and gathers the replies in order.
 * @template T
 * @param {T[]} items
 * @param {(chunk: T[]) => Promise<any[]>} send
 * @param {number} most items of a group
 * @param {(item: T) => number} [lengthOf] the text of an item
 * @returns {Promise<any[]>}
 */
async function inChunks(items, send, most, lengthOf = () => 0) {
  const size = Math.min(most, CHUNK);
  const atOnce = (CHUNKS_AT_ONCE * CHUNK) / size;
  const results = [];
  for (let at = 0; at < items.length; ) {
    const wave = [];
    for (; wave.length < atOnce && at < items.length; at += wave[wave.length - 1].length)
      wave.push(chunkAt(items, at, size, lengthOf));
    for (const replies of await Promise.all(wave.map(send))) results.push(replies);
  }
  return results.length === 1 ? results[0] : results.flat(1);
}

/**
 * @template T
 * @param {T[]} items
 * @param {number} from
 * @param {number} size
 * @param {(item: T) => number} lengthOf
 * @returns {T[]} one at least
 */
function chunkAt(items, from, size, lengthOf) {
  let end = from + 1;
  let length = lengthOf(items[from]);
  while (end < items.length && end - from < size) {
    length += lengthOf(items[end]);
    if (length > CHUNK_TEXT) break;
    end++;
  }
  return items.slice(from, end);
}

module.exports = { delMany, getMany, invalidateTags, setMany };
