// Owns one in-process cache in a process of its own: fills it, then reads and writes it, and looks at heap, resident
// memory and stalls. Started by memory.js.
'use strict';

const assert = require('node:assert');
const { monitorEventLoopDelay, performance, PerformanceObserver } = require('node:perf_hooks');
const { setImmediate: turn } = require('node:timers/promises');
const v8 = require('node:v8');
const vm = require('node:vm');
const { serve, startMeter, stopMeter } = require('../lab/child');
const { STRIDE, keyFor, percentiles, valueFor } = require('../lab/workload');

/** Calls of one turn of the event loop. */
const PER_TURN = 100;
/** One call in so many writes. */
const READS_PER_WRITE = 4;

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc');

const caches = {
  async holdfast() {
    // The default bound, 64 MiB, would not hold them.
    return require('holdfast').createCache({ namespace: 'memory', url: '', maxMemory: '1gb', ttl: 3600 });
  },
  async 'lru-cache'(entries) {
    const { LRUCache } = require('lru-cache');
    const cache = new LRUCache({ max: entries, ttl: 3_600_000 });
    return { get: async (key) => cache.get(key), set: async (key, value) => void cache.set(key, value) };
  },
};

const shapes = {
  /** The object of the other parts: eight fields, of which one is a text. */
  flat: (i) => valueFor(i),
  /** What a chart is drawn from: as many bytes of JSON in more and smaller objects. */
  rows: (i) => ({
    tenant: 1000 + i,
    period: 'week',
    rows: [1, 2, 3, 4].map((day) => ({ day: `2026-11-0${day}`, trades: 10 + ((i + day) % 90), profit: i / 8 - day })),
  }),
};
const SHAPED = 1000;

serve(async ([name, shape, count]) => {
  const entries = Number(count);
  const texts = Array.from({ length: SHAPED }, (_, i) => JSON.stringify(shapes[shape](i)));
  const before = weigh();
  const cache = await caches[name](entries);
  /** As an application has it: parsed from a reply of a database, with nothing in common with any other. */
  const made = (i) => JSON.parse(texts[i % texts.length]);

  const answers = {
    async fill() {
      const started = startMeter();
      for (let i = 0; i < entries; i += PER_TURN) {
        await Promise.all(Array.from({ length: PER_TURN }, (_, n) => cache.set(keyFor(i + n), made(i + n))));
        await turn();
      }
      const { seconds } = stopMeter(started);
      const value = await cache.get(keyFor(7));
      assert.deepStrictEqual(value, made(7));
      return { bytes: texts.reduce((sum, text) => sum + text.length, 0) / SHAPED, fillSeconds: seconds, ...weigh() };
    },

    /** So many calls, of which four in five read, and what the longest turn of the event loop was. */
    async work(calls) {
      const turns = [];
      const pauses = [];
      const observer = new PerformanceObserver((list) => pauses.push(...list.getEntries().map((e) => e.duration)));
      observer.observe({ entryTypes: ['gc'] });
      const delay = monitorEventLoopDelay({ resolution: 1 });
      delay.enable();
      let misses = 0;
      const call = async (n) => {
        const i = (n * STRIDE) % entries;
        if (n % (READS_PER_WRITE + 1) === 0) return cache.set(keyFor(i), made(i));
        if ((await cache.get(keyFor(i))) == null) misses += 1;
      };
      const started = startMeter();
      for (let n = 0; n < calls; n += PER_TURN) {
        const began = performance.now();
        await Promise.all(Array.from({ length: PER_TURN }, (_, k) => call(n + k)));
        await turn();
        turns.push(performance.now() - began);
      }
      const cost = stopMeter(started);
      delay.disable();
      // The observer hears of the last collections a turn later.
      await turn();
      observer.disconnect();
      const { p50: turnP50, p99: turnP99 } = percentiles(turns);
      return {
        ...cost,
        calls,
        failed: misses,
        longestTurn: Math.max(...turns),
        turnP99,
        turnP50,
        longestGc: Math.max(0, ...pauses),
        gcMs: pauses.reduce((sum, ms) => sum + ms, 0),
        delayMax: delay.max / 1e6,
      };
    },
  };
  return async ({ kind, calls }) => ({ before, ...(await answers[kind](calls)) });
});

function weigh() {
  collect();
  collect();
  const { heapUsed, rss } = process.memoryUsage();
  return { heap: heapUsed, rss };
}
