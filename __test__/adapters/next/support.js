// Entries and handlers for the tests of both handlers of Next: what Next would give them, and what it would see.
'use strict';

const { text } = require('node:stream/consumers');
const useCache = require('holdfast/next-use-cache');
const pages = require('holdfast/next');
const { silent } = require('../../support/holdfast');
const { until } = require('../../support/until');

const opened = [];

/** A handler of `cacheHandlers`, closed by `closeHandlers`; a miss that nothing follows has nobody wait. */
function makeUseCache(options) {
  const handler = useCache.createCacheHandler({ logger: silent(), wait: 0, ...options });
  opened.push(handler);
  return handler;
}

/** A class for `cacheHandler`; `request(build)` makes an instance as Next does for each request. */
function makePages(options) {
  const Handler = pages.createCacheHandler({ logger: silent(), buildId: 'b1', ...options });
  opened.push(Handler);
  return { Handler, request: () => new Handler({ serverDistDir: '/nowhere/.next/server' }) };
}

async function closeHandlers() {
  const caches = opened.splice(0).map(({ cache }) => cache);
  await Promise.all(
    caches.map(async (cache) => {
      if (cache.getMode() === 'memory') await cache.clear().catch(() => {});
      await cache.close();
    }),
  );
}

/** What Next stores for 'use cache'; `chunks` are its stream. */
function entry(chunks, meta = {}) {
  const list = [chunks].flat();
  const value = new ReadableStream({
    start(controller) {
      for (const chunk of list) controller.enqueue(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
      controller.close();
    },
  });
  return { value, tags: [], stale: 30, timestamp: Date.now(), expire: 3_600, revalidate: 900, ...meta };
}

const put = (handler, key, chunks, meta) => handler.set(key, Promise.resolve(entry(chunks, meta)));

/** What a read finds, its stream as a text; undefined on a miss. */
async function read(handler, key, softTags = []) {
  const found = await handler.get(key, softTags);
  return found && { ...found, value: await text(found.value) };
}

const textOf = async (...args) => (await read(...args))?.value;

/** Waits for the next millisecond: what is begun within that of an end counts as begun before it. */
async function nextMoment() {
  const now = Date.now();
  await until(() => Date.now() > now, 'the next millisecond');
}

module.exports = { makeUseCache, makePages, closeHandlers, entry, put, read, textOf, nextMoment };
