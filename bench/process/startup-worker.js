// Owns a fresh process that requires one package, or connects with it and then does nothing.
'use strict';

const fs = require('node:fs');
const { performance } = require('node:perf_hooks');
const { setTimeout: sleep } = require('node:timers/promises');
const { adapters } = require('../clients/adapters');
const { serve } = require('../lab/child');

const answers = {
  /** Milliseconds that it took, and the bytes of the native addons that came with it. */
  require([name]) {
    const began = performance.now();
    if (name) require(name);
    const ms = performance.now() - began;
    const native = Object.keys(require.cache).filter((file) => file.endsWith('.node'));
    return { ms, nativeBytes: native.reduce((sum, file) => sum + fs.statSync(file).size, 0) };
  },

  /** What a process costs that is connected and idle: resident memory, and CPU in so many seconds. */
  async idle([name, url, seconds]) {
    const client = name ? await adapters[name](url) : null;
    await client?.get('idle');
    // What connecting left to be done is not idling.
    await sleep(500);
    const before = process.cpuUsage();
    await sleep(seconds * 1000);
    const { user, system } = process.cpuUsage(before);
    return { rss: process.memoryUsage().rss, cpuMicros: user + system, seconds };
  },
};

serve(
  async ([kind, ...rest]) =>
    (seconds) =>
      answers[kind]([...rest, seconds]),
);
