// Owns the work that every subject does: 1,000 keys, JSON objects, and callers that await one call after another.
'use strict';

const { performance } = require('node:perf_hooks');

const KEYS = 1000;
const VALUE_BYTES = 200;
/** What all values of a workload have together at most: of large ones there are fewer than KEYS. */
const TOTAL_BYTES = 20_000_000;
/**
 * The clock is asked once per so many calls of small values whether the time is up: often enough at one caller, unseen
 * at 512.
 */
const CALLS_PER_LOOK = 256;
/** And once per so many bytes of larger ones. */
const BYTES_PER_LOOK = CALLS_PER_LOOK * VALUE_BYTES;
/** With many callers one call in eight is timed, because two looks at the clock cost a tenth of the fastest call. */
const TIMED_OF_MANY = 8;
/** Of the calls of `mixed`, every fifth writes. */
const READS_PER_WRITE = 4;
/** Keys of a `getMany`. */
const MANY = 100;
/**
 * Reads of all keys until they are kept in process: the second read of a key may be the first that is kept where it is
 * hottest.
 */
const PASSES_TO_KEEP = 3;
/**
 * A prime that divides no number of keys: its multiples visit every key, and neighbours in memory never one after the
 * other.
 */
const STRIDE = 65_537;

const workloads = new Map();

/** Keys and values of so many bytes each: `{ keys, values, bytes }`. Made once in a process. */
function workloadOf(bytes = VALUE_BYTES) {
  if (!workloads.has(bytes)) {
    const keys = keysFrom(0, Math.min(KEYS, TOTAL_BYTES / bytes));
    workloads.set(bytes, { keys, values: keys.map((_, i) => valueFor(i, bytes)), bytes });
  }
  return workloads.get(bytes);
}

/** The names of the values from `first` on. */
function keysFrom(first, count) {
  return Array.from({ length: count }, (_, i) => keyFor(first + i));
}

function keyFor(i) {
  return `bench:performance:tenant-${1000 + i}`;
}

/**
 * An object as an analytics route caches it, whose JSON text has exactly so many bytes: large ones have rows, the
 * smallest hardly a field.
 */
function valueFor(i, bytes = VALUE_BYTES) {
  if (bytes < VALUE_BYTES) return filled({ n: 1000 + (i % KEYS), note: '' }, bytes);
  const value = {
    tenant: 1000 + i,
    period: 'week',
    trades: 40_000 + i * 7,
    winRate: 0.5 + i / 4000,
    drawdown: -1234.5 - i / 8,
    percentiles: [0.25 + i, 1.5 + i, 3.75 + i],
    open: i % 2 === 0,
    note: '',
  };
  if (bytes > VALUE_BYTES) {
    value.rows = [];
    const room = bytes - JSON.stringify(value).length;
    // One more byte each: the comma.
    const rows = Math.floor(room / (VALUE_BYTES + 1));
    for (let row = 0; row < rows; row += 1) value.rows.push(valueFor((i + row) % KEYS));
  }
  return filled(value, bytes);
}

function filled(value, bytes) {
  value.note = 'x'.repeat(bytes - JSON.stringify(value).length);
  return value;
}

/**
 * Runs `callers` loops of `op` for `seconds` and resolves to `{ calls, failed, latencies }`: `failed` are reads that
 * missed, though every key was written; latencies are in milliseconds. Encoding and decoding happen in the
 * loop, as an application does it, so that no client pays for a wrapper's promise.
 */
async function runCallers(client, { op, callers, seconds }, { keys, values, bytes }) {
  const { get, getMany, set, encode, decode } = client;
  const lists = op === 'getMany' ? keys.map((_, i) => [...keys, ...keys].slice(i, i + MANY)) : [];
  const writes = (n) => op === 'set' || (op === 'mixed' && n % (READS_PER_WRITE + 1) === 0);
  const every = callers === 1 ? 1 : TIMED_OF_MANY;
  const bytesPerCall = op === 'getMany' ? bytes * MANY : bytes;
  const perLook = Math.max(1, Math.min(CALLS_PER_LOOK, Math.floor(BYTES_PER_LOOK / bytesPerCall)));
  const latencies = [];
  const end = performance.now() + seconds * 1000;
  let calls = 0;
  let failed = 0;
  let over = false;

  const caller = async (first) => {
    for (let n = first; !over; n += 1) {
      const i = n % keys.length;
      const began = n % every === 0 ? performance.now() : 0;
      if (op === 'getMany') {
        for (const text of await getMany(lists[i])) if (decode(text) === null) failed += 1;
      } else if (writes(n)) {
        await set(keys[i], encode(values[i]));
      } else if (decode(await get(keys[i])) === null) {
        failed += 1;
      }
      if (began !== 0) latencies.push(performance.now() - began);
      calls += 1;
      if (calls % perLook === 0 && performance.now() >= end) over = true;
    }
  };

  // The callers begin spread over the keys instead of asking for the same one side by side.
  await Promise.all(Array.from({ length: callers }, (_, n) => caller(Math.floor((n * keys.length) / callers))));
  return { calls, failed, latencies };
}

/** Reads every key, many at a time, in one pass or several. */
async function readInTurns(get, keys, passes = 1) {
  for (let pass = 0; pass < passes; pass += 1) {
    for (let i = 0; i < keys.length; i += 1000) await Promise.all(keys.slice(i, i + 1000).map((key) => get(key)));
  }
}

/** Median and 99th percentile of durations; null of none. */
function percentiles(durations) {
  if (durations.length === 0) return { p50: null, p99: null };
  const sorted = durations.toSorted((a, b) => a - b);
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
  return { p50: at(0.5), p99: at(0.99) };
}

/** Milliseconds on the clock that all processes of this machine share. */
function now() {
  return performance.timeOrigin + performance.now();
}

module.exports = {
  VALUE_BYTES,
  PASSES_TO_KEEP,
  STRIDE,
  workloadOf,
  keysFrom,
  keyFor,
  valueFor,
  runCallers,
  readInTurns,
  percentiles,
  now,
};
