// Owns one tiered cache in a process of its own: reads hot keys whenever the parent asks.
'use strict';

const assert = require('node:assert');
const { performance } = require('node:perf_hooks');
const { serve, startMeter, stopMeter } = require('../lab/child');
const { adapters } = require('./adapters');
const { PASSES_TO_KEEP, STRIDE, workloadOf, keysFrom, readInTurns, valueFor } = require('../lab/workload');

/** The clock is asked once per so many reads. */
const READS_PER_LOOK = 512;

const texts = workloadOf().values.map((value) => JSON.stringify(value));

async function main([name, url, first, count]) {
  const cache = await adapters[name](url);
  const keys = keysFrom(Number(first), Number(count));
  const crowd = keysFrom(Number(first) + keys.length, cache.crowd ?? 0);
  await fill(cache, [...keys, ...crowd]);
  const subject = { cache, keys, crowd, expected: 0, before: 0 };
  const work = cache.crowd === undefined ? readHot : readOnce;
  return (request) => work(subject, request);
}

/**
 * Writes every key to both tiers and reads it several times: the first read may go to Redis, and no later one has to.
 */
async function fill({ get, set }, keys) {
  for (let i = 0; i < keys.length; i += 1000) {
    await Promise.all(keys.slice(i, i + 1000).map((key, n) => set(key, valueFor(i + n))));
  }
  await readInTurns(get, keys, PASSES_TO_KEEP);
}

/**
 * Reads one key after another for so many seconds; to warm up, begins with all of them, in case something was dropped
 * meanwhile.
 */
async function readHot(subject, { warmUp, seconds }) {
  const { cache, keys } = subject;
  if (warmUp) {
    await readInTurns(cache.get, keys);
    subject.before = (await cache.nearHits?.()) ?? 0;
    await readInTurns(cache.get, keys);
    subject.expected = keys.length;
  }
  const started = startMeter();
  const end = performance.now() + seconds * 1000;
  const reads = { calls: 0, failed: 0, at: 0 };
  while (performance.now() < end) await read(cache, keys, READS_PER_LOOK, reads);
  const cost = stopMeter(started);
  return finish(subject, warmUp, reads, cost);
}

/**
 * Reads keys that are not hot, each once, since a second read might be of a hot value; to warm up, a quarter of them,
 * then the others.
 */
async function readOnce(subject, { warmUp }) {
  const { cache, keys, crowd } = subject;
  const quarter = keys.length / 4;
  if (warmUp) {
    await cache.crowdOut(crowd);
    subject.expected = crowd.length;
    subject.before = 0;
  }
  const part = warmUp ? keys.slice(0, quarter) : keys.slice(quarter);
  const started = startMeter();
  const reads = { calls: 0, failed: 0, at: 0 };
  await read(cache, part, part.length, reads);
  return finish(subject, warmUp, reads, stopMeter(started));
}

async function read({ get }, keys, calls, reads) {
  let { failed, at } = reads;
  for (let i = 0; i < calls; i += 1) {
    const value = await get(keys[at]);
    if (value?.period !== 'week') failed += 1;
    at = (at + STRIDE) % keys.length;
  }
  reads.calls += calls;
  reads.failed = failed;
  reads.at = at;
}

/** A cache that answered fast but wrong must not win, nor holdfast by what it does not count as a near hit. */
async function finish(subject, warmUp, { calls, failed }, cost) {
  const { cache, keys } = subject;
  subject.expected += calls;
  if (!warmUp) {
    assert.deepStrictEqual(await cache.get(keys[7]), valueFor(7));
    subject.expected += 1;
    // Where the event loop has the socket and was busy for 20 ms, a read asks Redis instead.
    if (cache.nearHits) assert.ok(((await cache.nearHits()) - subject.before) / subject.expected > 0.995);
  }
  return { calls, failed, ...cost, parseMicros: parseMicros() };
}

/**
 * What JSON.parse of one value costs in this process, now: the speed of the machine, by which to judge the absolute
 * figures.
 */
function parseMicros() {
  const passes = 20;
  const began = performance.now();
  let weeks = 0;
  for (let i = 0; i < passes; i += 1) for (const text of texts) if (JSON.parse(text).period === 'week') weeks += 1;
  assert.strictEqual(weeks, passes * texts.length);
  return ((performance.now() - began) * 1000) / weeks;
}

serve(main);
