// Next takes the handlers of both kinds, by the types that it has for them itself.

import Handler, { createCacheHandler } from 'holdfast/next';
import useCache, { createCacheHandler as createUseCache } from 'holdfast/next-use-cache';
import type { CacheHandler as UseCacheHandler } from 'next/dist/server/lib/cache-handlers/types.js';
import type { CacheHandler } from 'next/dist/server/lib/incremental-cache/index.js';

export const classes: Array<typeof CacheHandler> = [Handler, createCacheHandler({ namespace: 'shop' })];
export const handlers: UseCacheHandler[] = [useCache, createUseCache({ wait: 0 })];
