// The functions of many keys: in chunks, each a group of one batch with a deadline of its own, so that a million keys are no burst.
'use strict';

const { checkKeys, checkStorable, checkTag, pairsOf } = require('./arguments');
const { Op, TAG } = require('./ops');

// Keys of a chunk, the length of their texts, and how many chunks go at once.
const CHUNK = 2048;
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
  const values = await inChunks(checkKeys(keys), (chunk) =>
    channel.group(chunk.length, (push) => {
      for (const key of chunk) push(Op.GET, key, '', 0);
    }),
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
    ({ key, text, leaves }) => key.length + text.length + (leaves?.numbers.byteLength ?? 0) + extras.length,
  );
}

/**
 * @param {Channel} channel
 * @param {string[]} keys
 * @returns {Promise<number>} how many there were
 */
async function delMany(channel, keys) {
  const removed = await inChunks(keys, (chunk) =>
    channel.group(chunk.length, (push) => {
      for (const key of chunk) push(Op.DEL, key, '', 0);
    }),
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
 * @param {(item: T) => number} [lengthOf] the text of an item
 * @returns {Promise<any[]>}
 */
async function inChunks(items, send, lengthOf = () => 0) {
  const results = [];
  for (let at = 0; at < items.length; ) {
    const wave = [];
    for (; wave.length < CHUNKS_AT_ONCE && at < items.length; at += wave[wave.length - 1].length)
      wave.push(chunkAt(items, at, lengthOf));
    for (const replies of await Promise.all(wave.map(send))) results.push(replies);
  }
  return results.length === 1 ? results[0] : results.flat(1);
}

/**
 * @template T
 * @param {T[]} items
 * @param {number} from
 * @param {(item: T) => number} lengthOf
 * @returns {T[]} one at least
 */
function chunkAt(items, from, lengthOf) {
  let end = from + 1;
  let length = lengthOf(items[from]);
  while (end < items.length && end - from < CHUNK) {
    length += lengthOf(items[end]);
    if (length > CHUNK_TEXT) break;
    end++;
  }
  return items.slice(from, end);
}

module.exports = { delMany, getMany, invalidateTags, setMany };
