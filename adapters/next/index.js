// Owns `holdfast/next`: the handler that Next takes as `cacheHandler`, for ISR pages, route handlers, fetches and
// images. For 'use cache' there is `holdfast/next-use-cache`.
//
// Next makes one of these for each request, so the cache beneath belongs to the class and is opened by the first that
// needs it. Pages name files of their build, so each build has its own; what was fetched outlives builds.
'use strict';

const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { TaggedEntries } = require('../shared/next/entries.js');
const { nameOf } = require('../shared/next/names.js');
const { putTogether, takenApart } = require('./values.js');

/** Where Next keeps the tags of a page: its own, and those of its path. */
const TAGS_HEADER = 'x-next-cache-tags';
/** Kinds whose names are those of their content, not of a build. */
const KEPT_KINDS = new Set(['FETCH', 'IMAGE']);
/** Seconds for which one instance renders a page anew before another one may try. */
const REFRESH_S = 10;
/** Seconds for which the others take the old page for fresh meanwhile, and say so to whoever stands in front. */
const MEANWHILE_S = 2;

/** A class for the option `cacheHandler`. `buildId`: what keeps the pages of builds apart, in place of Next's own. */
function createCacheHandler(options = {}) {
  const { buildId, ...rest } = options;
  const builds = new Map();
  let opened;
  const open = () => {
    opened ??= new TaggedEntries(rest, 'next');
    return opened;
  };

  /** The build of a folder, by the file that Next writes there. */
  function buildOf(folder) {
    if (buildId !== undefined) return buildId;
    if (!builds.has(folder)) builds.set(folder, readBuildId(folder));
    return builds.get(folder);
  }

  return class HoldfastCacheHandler {
    #folder;
    /** When the making of what is stored began: when it was asked for. */
    #began = new Map();

    /** The cache beneath: `health()`, `getStats()`, the events of outages. */
    static get cache() {
      return open().cache;
    }

    constructor(context) {
      this.#folder = context?.serverDistDir;
    }

    async get(key, { kind, tags = [], softTags = [] } = {}) {
      const name = this.#nameOf(key, kind);
      this.#began.set(name, Date.now());
      const found = await open().read(name, [...tags, ...softTags]);
      if (found === undefined) return null;
      const value = putTogether(found.head.value, found.parts);
      if (KEPT_KINDS.has(kind)) return { value, ...timesOfKept(found) };
      return { value, ...(await timesOfPage(open(), name, found)) };
    }

    async set(key, value, context = {}) {
      const kind = value?.kind ?? (context.fetchCache ? 'FETCH' : undefined);
      const name = this.#nameOf(key, kind);
      const { head, parts } = takenApart(value);
      const control = context.cacheControl;
      const record = { value: head, at: Date.now(), control };
      const since = this.#began.get(name) ?? record.at;
      const ttl = control?.expire ?? Infinity;
      await open().write(name, record, parts, { tags: tagsOf(value, context), since, ttl });
      if (!KEPT_KINDS.has(kind)) await open().follow(name);
    }

    async revalidateTag(tags, durations) {
      await open().end(tags, durations);
    }

    resetRequestCache() {
      this.#began.clear();
    }

    #nameOf(key, kind) {
      return nameOf(KEPT_KINDS.has(kind) ? `${kind.toLowerCase()}:${key}` : `page:${buildOf(this.#folder)}:${key}`);
    }
  };
}

function readBuildId(folder) {
  try {
    return readFileSync(join(folder ?? '', '..', 'BUILD_ID'), 'utf8').trim();
  } catch {
    return '';
  }
}

/** The tags of a page stand in its headers, those of a fetch beside it. */
function tagsOf(value, { tags = [] }) {
  const header = value?.headers?.[TAGS_HEADER];
  const own = typeof header === 'string' ? header.split(',') : [];
  return [...new Set([...own, ...tags, ...(value?.tags ?? [])])];
}

const isTimed = (control) => typeof control?.revalidate === 'number';

/** A fetch or an image that was ended softly is older than any time that Next gives it. */
function timesOfKept({ head: { at, control }, isStale }) {
  return { lastModified: isStale ? 1 : at, ...(control && { cacheControl: control }) };
}

/**
 * When a page was made, and how long it is fresh, as Next shall see it. One that is due is given as it is to one
 * instance, which renders it anew behind it; to the others, for a moment, as fresh. A page stands in no other, so
 * nothing is made of it that would outlive that moment.
 */
async function timesOfPage(entries, name, { head: { at, control }, isStale }) {
  const now = Date.now();
  const revalidate = isTimed(control) ? control.revalidate : 1;
  const isDue = isStale || (isTimed(control) && now >= at + revalidate * 1_000);
  if (!isDue) return { lastModified: at, ...(control && { cacheControl: control }) };
  if (!(await entries.lead(name, REFRESH_S))) {
    return { lastModified: now, cacheControl: { ...control, revalidate: Math.min(revalidate, MEANWHILE_S) } };
  }
  return { lastModified: Math.min(at, now - (revalidate + 1) * 1_000), cacheControl: { ...control, revalidate } };
}

module.exports = createCacheHandler();
module.exports.createCacheHandler = createCacheHandler;
