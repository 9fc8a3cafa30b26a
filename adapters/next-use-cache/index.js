// Owns `holdfast/next-use-cache`: the handler that Next takes in `cacheHandlers`, for 'use cache' and its kinds. For
// pages, route handlers and fetches there is `holdfast/next`.
//
// Next reads and stores on its own, so no function of it runs under a lease of the cache. But whoever finds nothing
// renders, and stores what comes of it, also where that is an error. So a read that finds nothing takes a lease, which
// `set` ends; other processes wait for it. Next may render and never store (what turns out to depend on the request):
// the lease ends by itself then.
'use strict';

const { HoldfastError } = require('../../src/js/index.js');
const { isBuild, TaggedEntries } = require('../shared/next/entries.js');
const { nameOf } = require('../shared/next/names.js');

/** Seconds for which a read waits for a render elsewhere, and for which a render has others wait. */
const WAIT_S = 3;

/** A handler for `cacheHandlers`. `wait`: the most seconds for which a read waits for a render elsewhere; 0: none. */
function createCacheHandler(options = {}) {
  const { wait: asked = WAIT_S, ...rest } = options;
  /** The processes of a build share nothing. */
  const wait = isBuild() ? 0 : asked;
  /** What this process stores, by name. */
  const pending = new Map();
  /** The leases of what this process renders, by name: each the function that ends it. */
  const leases = new Map();
  let opened;
  const open = () => {
    opened ??= new TaggedEntries(rest, 'next-use-cache');
    return opened;
  };

  /** Waits while others render this, then has them wait; resolves in any case once `wait` is over. */
  function lead(name) {
    return new Promise((resolve, reject) => {
      const run = () =>
        new Promise((finish) => {
          const end = () => {
            clearTimeout(timer);
            if (leases.get(name) === end) leases.delete(name);
            finish();
          };
          const timer = setTimeout(end, wait * 1_000).unref();
          leases.set(name, end);
          resolve();
        });
      open()
        .cache.runExclusive(nameOf(`render:${name}`), run, { wait })
        .catch((error) => (error.code === 'ERR_LEASE_HELD' ? resolve() : reject(error)));
    });
  }

  /** What there is once this process is the one to render it, or has waited for long enough. */
  async function awaited(name, softTags, here) {
    if (here !== undefined) {
      await here;
      const found = await open().read(name, softTags);
      if (found !== undefined) return found;
    }
    if (wait === 0) return undefined;
    await lead(name);
    const found = await open().read(name, softTags);
    if (found !== undefined) leases.get(name)?.();
    return found;
  }

  return {
    /** The cache beneath: `health()`, `getStats()`, the events of outages. */
    get cache() {
      return open().cache;
    },

    async get(cacheKey, softTags) {
      const name = nameOf(cacheKey);
      const here = pending.get(name);
      return unlessClosed(async () => {
        const found = (await open().read(name, softTags)) ?? (await awaited(name, softTags, here ?? pending.get(name)));
        return found && entryOf(found);
      });
    },

    async set(cacheKey, pendingEntry) {
      const name = nameOf(cacheKey);
      const done = unlessClosed(() => stored(open(), name, pendingEntry));
      pending.set(name, done);
      try {
        await done;
      } finally {
        if (pending.get(name) === done) pending.delete(name);
        leases.get(name)?.();
      }
    },

    /** Redis says by itself which tags have ended. */
    async refreshTags() {},

    async getExpiration(tags) {
      return (await unlessClosed(() => open().lastEnd(tags))) ?? 0;
    },

    async updateTags(tags, durations) {
      await open().end(tags, durations);
    },
  };
}

/** An error of a handler would be one of the page: a cache that was closed has nothing, and keeps nothing. */
async function unlessClosed(fn) {
  try {
    return await fn();
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code !== 'ERR_CLOSED') throw error;
    return undefined;
  }
}

/** Stores an entry once its render is over. One that failed, or whose stream does, is not stored, and is no error. */
async function stored(entries, name, pendingEntry) {
  const made = await collected(pendingEntry).catch(() => undefined);
  if (made === undefined) return;
  const { tags, stale, timestamp, expire, revalidate } = made.meta;
  const left = expire - (Date.now() - timestamp) / 1_000;
  const head = { stale, timestamp, expire: finite(expire), revalidate: finite(revalidate) };
  await entries.write(name, head, [Buffer.concat(made.chunks)], { tags, since: timestamp, ttl: left });
}

/** An entry with its bytes in place of its stream, which nothing here holds on to. */
async function collected(pendingEntry) {
  const { value, ...meta } = await pendingEntry;
  const chunks = [];
  for await (const chunk of value) chunks.push(chunk);
  return { meta, chunks };
}

/** What Next gets: a stream of its own. What was ended softly is to be served, and rendered anew behind that. */
function entryOf({ head: { tags, stale, timestamp, expire, revalidate }, parts: [bytes], isStale }) {
  return {
    value: streamOf(bytes),
    tags,
    stale,
    timestamp,
    expire: expire ?? Infinity,
    revalidate: isStale ? -1 : (revalidate ?? Infinity),
  };
}

function streamOf(bytes) {
  return new ReadableStream({
    start(controller) {
      if (bytes.byteLength > 0) controller.enqueue(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      controller.close();
    },
  });
}

/** JSON has no infinity. */
const finite = (seconds) => (Number.isFinite(seconds) ? seconds : null);

module.exports = createCacheHandler();
module.exports.createCacheHandler = createCacheHandler;
