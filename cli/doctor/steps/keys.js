// A sample of the namespace's keys: what has no expiry, is too large, or is no value of a cache; and a queue beside it.
//
// SCAN in pages, so many keys at the most and no longer than the step has. The server is told not to count the reads as
// use, where it knows how (CLIENT NO-TOUCH, from version 7.2 on), so that a sample keeps nothing from being evicted.
// Nothing of a value is printed, and of keys only the part before the first `:`.
'use strict';

const { ReplyError } = require('../../redis/connection.js');
const { text } = require('../../redis/resp.js');
const { HEAD_BYTES, entryOf, keyOf } = require('../../stored/entry.js');
const { size } = require('../report.js');

/** @typedef {import('../exam.js').Exam} Exam */
/** @typedef {import('../exam.js').Deadline} Deadline */

const MOST_KEYS = 2_000;
const PAGE = 250;
/** Part of the step's time that the sample may take. */
const SHARE = 0.8;
/** Values from here on are too large for a cache that is asked often. */
const LARGE_BYTES = 1024 * 1024;
/** A lease that is alive ends within this, and is renewed before: src/engine/once/lease.rs. */
const LEASE_MS = 3_000;
const MOST_PREFIXES = 5;
/** What BullMQ's keys begin with. */
const QUEUE = 'bull:';
/** Keys that one SCAN looks at, for the queue. */
const LOOKED_AT = 1_000;

/** What was counted: numbers by what they are of. */
class Tally {
  /** Whether all keys were seen. */
  complete = false;
  counts = { keys: 0, entries: 0, noExpiry: 0, large: 0, foreign: 0, broken: 0, notJson: 0, dead: 0, bytes: 0 };
  largest = 0;
  /** @type {Map<string, { keys: number, bytes: number }>} */
  prefixes = new Map();
  /** @type {Set<string>} tags that have a token, and those that an entry names */
  tokens = new Set();
  /** @type {Set<string>} */
  named = new Set();
}

/** @type {import('../exam.js').Examination} */
const keys = {
  name: 'keys',
  async run(exam, deadline) {
    const { connection, report } = exam;
    await deadline.race(connection.ask('CLIENT', 'NO-TOUCH', 'ON'));
    const queue = await deadline.race(connection.ask('SCAN', 0, 'MATCH', `${QUEUE}*`, 'COUNT', LOOKED_AT));
    const tally = await sample(exam, deadline);
    if (tally === null) {
      report.add('note', 'keys.unseen', {
        measured: 'the server refuses SCAN, so no keys were looked at',
        why: 'keys without expiry, or of another program, would not be noticed',
        mend: [`ACL SETUSER ${exam.userName} +scan`],
      });
      return;
    }
    const hasQueue = Array.isArray(queue) && Array.isArray(queue[1]) && queue[1].length > 0;
    if (hasQueue || tally.prefixes.has(QUEUE)) besideQueue(exam);
    tell(exam, tally);
  },
};

/**
 * @param {Exam} exam
 * @param {Deadline} deadline
 * @returns {Promise<Tally | null>} null where SCAN is refused
 */
async function sample(exam, deadline) {
  const { connection, prefix } = exam;
  const tally = new Tally();
  const end = deadline.ms * (1 - SHARE);
  /** @type {import('../../redis/resp.js').Reply} */
  let cursor = '0';
  do {
    /** @type {any} */
    const page = await deadline.race(connection.ask('SCAN', text(cursor) ?? '0', 'MATCH', `${prefix}*`, 'COUNT', PAGE));
    if (page instanceof ReplyError || !Array.isArray(page?.[1])) return null;
    cursor = page[0];
    await look(exam, page[1], tally, deadline);
    tally.complete = text(cursor) === '0';
  } while (!tally.complete && tally.counts.keys < MOST_KEYS && deadline.left() > end);
  return tally;
}

/**
 * @param {Exam} exam
 * @param {Buffer[]} page
 * @param {Tally} tally
 * @param {Deadline} deadline
 */
async function look({ connection, prefix }, page, tally, deadline) {
  const ours = page.filter((key) => key.subarray(0, prefix.length).toString('latin1') === prefix);
  const questions = ours.flatMap((key) => [
    ['PTTL', key],
    ['STRLEN', key],
    ['GETRANGE', key, 0, HEAD_BYTES - 1],
  ]);
  const replies = await deadline.race(connection.askAll(questions));
  for (const [n, key] of ours.entries()) {
    const [left, length, head] = replies.slice(n * 3, n * 3 + 3);
    // It has ended meanwhile.
    if (left === -2) continue;
    judge(key.toString('utf8', prefix.length), { left, length, head }, tally);
  }
}

/**
 * @param {string} rest of the key, behind the prefix
 * @param {{ left: unknown, length: unknown, head: unknown }} seen
 * @param {Tally} tally
 */
function judge(rest, { left, length, head }, tally) {
  const { counts } = tally;
  const { kind, name } = keyOf(rest);
  counts.keys++;
  if (kind === 'tag') tally.tokens.add(name);
  if (kind !== 'entry') return;
  counts.entries++;
  if (left === -1) counts.noExpiry++;
  const bytes = typeof length === 'number' ? length : 0;
  counts.bytes += bytes;
  tally.largest = Math.max(tally.largest, bytes);
  if (bytes >= LARGE_BYTES) counts.large++;
  count(tally.prefixes, prefixOf(rest), bytes);
  if (head instanceof ReplyError) {
    if (head.code === 'WRONGTYPE') counts.foreign++;
    return;
  }
  if (!Buffer.isBuffer(head)) return;
  const whole = bytes <= HEAD_BYTES;
  const entry = entryOf(head, whole);
  if (entry.kind === 'marker' && (left === -1 || Number(left) > LEASE_MS)) counts.dead++;
  if (entry.kind === 'broken' && !entry.cut) counts.broken++;
  if (entry.kind === 'plain' && whole && !isJson(head)) counts.notJson++;
  for (const tag of entry.tags) tally.named.add(tag.name);
}

/**
 * @param {Exam} exam
 * @param {Tally} tally
 */
function tell(exam, tally) {
  const { report, given, prefix, info } = exam;
  const { counts, complete, largest } = tally;
  const isRaw = given.namespace === '';
  const where = isRaw ? 'without a namespace' : `of the namespace ${given.namespace}`;
  const top = [...tally.prefixes].sort(([, a], [, b]) => b.bytes - a.bytes).slice(0, MOST_PREFIXES);
  const list = top.map(([name, seen]) => `${name} ${size(seen.bytes)}`).join(', ');
  const orphans = [...tally.tokens].filter((name) => !tally.named.has(name)).length;
  const data = { complete, largestBytes: largest, tags: tally.tokens.size, orphanTags: orphans, ...counts };
  const extent = complete ? 'all' : 'a sample of';
  const most = list === '' ? '' : `; most bytes: ${list}`;
  report.ok('keys.sample', `${extent} ${counts.keys} keys ${where}, ${size(counts.bytes)}${most}`, data);
  const of = `of ${counts.entries} entries`;
  const each = (/** @type {string} */ condition) =>
    `redis-cli --scan --pattern '${prefix}*' | while read -r k; do if [ ${condition} ]; then echo "$k"; fi; done   # names them`;
  // Where the database is shared with others, they are theirs.
  const level = isRaw ? 'note' : 'warning';
  if (counts.noExpiry > 0) {
    const evicts = /^allkeys/.test(info.get('maxmemory_policy') ?? '');
    report.add(evicts ? 'note' : level, 'keys.no-expiry', {
      measured: `${counts.noExpiry} ${of} have no expiry`,
      why: evicts ? 'they stay until they are evicted' : 'they stay for ever, and nothing makes room for others',
      mend: [each('"$(redis-cli TTL "$k")" = -1')],
      data: { count: counts.noExpiry },
    });
  }
  if (counts.large > 0) {
    report.add('warning', 'keys.large', {
      measured: `${counts.large} ${of} have ${size(LARGE_BYTES)} or more; the largest has ${size(largest)}`,
      why: `each read takes the time of their transfer from a deadline of ${exam.timeoutMs} ms, and delays those behind it`,
      mend: [each(`"$(redis-cli STRLEN "$k")" -ge ${LARGE_BYTES}`), "createCache({ …, compression: 'zstd' })"],
      data: { count: counts.large, largestBytes: largest },
    });
  }
  if (counts.foreign > 0) {
    report.add(level, 'keys.foreign-type', {
      measured: `${counts.foreign} ${of} are no strings: another program keeps lists, hashes or sets there`,
      why: 'each read of such a key is a miss, and increment rejects; the cache never deletes them',
      mend: [each('"$(redis-cli TYPE "$k")" != string'), 'HOLDFAST_NAMESPACE=NAME   # one of its own'],
      data: { count: counts.foreign },
    });
  }
  if (counts.broken > 0) {
    report.add(level, 'keys.undecodable', {
      measured: `${counts.broken} ${of} have a header that this version does not understand`,
      why: 'each read of them is a miss, counted in decodeErrors: a later version, another program, or damage',
      mend: ['npm ls holdfast   # in each application that shares the namespace'],
      data: { count: counts.broken },
    });
  }
  if (counts.notJson > 0) {
    report.add('note', 'keys.not-json', {
      measured: `${counts.notJson} ${of} are plain bytes and no JSON`,
      why: "they are values to a cache with codec 'raw' or 'text' alone; to others each is a miss",
      mend: ["createCache({ …, codec: 'text' })   # where they are meant"],
      data: { count: counts.notJson },
    });
  }
  if (counts.dead > 0) {
    report.add(level, 'keys.dead-markers', {
      measured: `${counts.dead} ${of} are markers of computations that last longer than any lease`,
      why: 'whoever computes such a key waits for an owner that is not there',
      mend: [each(`"$(redis-cli --no-raw GETRANGE "$k" 0 0)" = '"\\xfe"'`)],
      data: { count: counts.dead },
    });
  }
  if (complete && orphans > 0 && !isRaw) {
    report.add('note', 'keys.orphan-tags', {
      measured: `${orphans} of ${tally.tokens.size} tags are named by no entry`,
      why: 'each keeps some 120 bytes until it ends, 30 days after its last use; it does no harm',
      data: { count: orphans },
    });
  }
}

/** @param {Exam} exam */
function besideQueue({ report, info }) {
  const policy = info.get('maxmemory_policy') ?? 'unknown';
  const evicts = /^allkeys/.test(policy) && Number(info.get('maxmemory')) > 0;
  report.add(evicts ? 'problem' : 'note', evicts ? 'queue.evicted' : 'queue.beside', {
    measured: `a job queue (${QUEUE}*) lies in the same database; the policy is ${policy}`,
    why: evicts
      ? 'a full server evicts jobs as it evicts entries: they are lost'
      : 'a queue wants noeviction, and a cache allkeys-lru: one of the two is served badly when the server is full',
    mend: ['REDIS_URL=redis://USER:PASSWORD@ANOTHER_SERVER:6379   # a server of its own for the cache'],
    data: { policy },
  });
}

/**
 * What stands before the first colon, where it looks like a name.
 * @param {string} rest
 */
function prefixOf(rest) {
  return /^([\w.-]{1,32}:)/.exec(rest)?.[1] ?? '(others)';
}

/**
 * @param {Map<string, { keys: number, bytes: number }>} prefixes
 * @param {string} name
 * @param {number} bytes
 */
function count(prefixes, name, bytes) {
  const seen = prefixes.get(name) ?? { keys: 0, bytes: 0 };
  prefixes.set(name, { keys: seen.keys + 1, bytes: seen.bytes + bytes });
}

/** @param {Buffer} bytes */
function isJson(bytes) {
  try {
    JSON.parse(bytes.toString('utf8'));
    return true;
  } catch {
    return false;
  }
}

module.exports = { keys };
