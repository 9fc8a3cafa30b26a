// Owns the process of one writer or reader of coherence.js.
'use strict';

const { setTimeout: sleep, setImmediate: turn } = require('node:timers/promises');
const { openHoldfast } = require('../clients/adapters');
const { serve } = require('../lab/child');
const { now } = require('../lab/workload');

const KEYS = Array.from({ length: 100 }, (_, i) => `k${i}`);
/** A reader that has not seen the last version by then never will. */
const GIVE_UP_MS = 20_000;

let cache;
const reader = { seen: new Map(), last: null, backwards: 0, reads: 0, done: null };

const answers = {
  /** Writes for so many seconds. */
  async write(seconds) {
    const end = now() + seconds * 1000;
    let version = Date.now();
    do {
      version += 1;
      // A part of the keys at a time, so that readers also meet keys that rest for a while.
      for (let at = 0; at < KEYS.length; at += 10) {
        await Promise.all(KEYS.slice(at, at + 10).map((key) => cache.set(key, version)));
      }
    } while (now() < end);
    return { version, at: now() };
  },
  /** Begins to read. */
  async begin(pause) {
    reader.done = read(pause);
    return true;
  },
  /** The last version; resolves when all keys have it. */
  async last(last) {
    reader.last = last;
    const seenAt = await reader.done;
    const { near } = (await cache.getStats()).hits;
    return { delay: seenAt - last.at, backwards: reader.backwards, reads: reader.reads, near };
  },
};

async function read(pause) {
  const { seen } = reader;
  for (;;) {
    const versions = await Promise.all(KEYS.map((key) => cache.get(key)));
    for (const [i, key] of KEYS.entries()) {
      const version = versions[i] ?? 0;
      reader.reads += 1;
      if (version < (seen.get(key) ?? 0)) reader.backwards += 1;
      seen.set(key, version);
    }
    if (reader.last !== null) {
      if ([...seen.values()].every((version) => version === reader.last.version)) return now();
      if (now() - reader.last.at > GIVE_UP_MS) throw new Error('a reader did not see the last version');
    }
    await (pause > 0 ? sleep(pause) : turn());
  }
}

serve(async ([url]) => {
  cache = await openHoldfast(url, { namespace: 'coherence' });
  return (request) => {
    const [[name, value]] = Object.entries(request);
    return answers[name](value);
  };
});
