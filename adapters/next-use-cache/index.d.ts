/**
 * `holdfast/next-use-cache`: a handler for `cacheHandlers` of Next.js 16, for 'use cache' and its kinds.
 *
 * ```js
 * const handler = require.resolve('holdfast/next-use-cache');
 * module.exports = { cacheComponents: true, cacheHandlers: { default: handler, remote: handler } }; // next.config.js
 * ```
 *
 * With options, a file of your own: `module.exports = createCacheHandler({ namespace: 'shop' })`.
 */

import type { Cache } from '../../index';
import type { Durations, NextOptions } from '../shared/next/options';

/**
 * A handler as Next takes it; its cache is opened by the first call. Functions reject for mistakes of the caller
 * (`HoldfastError`), and never because Redis is away, unless `onOutage` says so.
 */
declare namespace handler {
  /** `namespace`: `next-use-cache` by default. */
  export interface Options extends NextOptions {
    /**
     * The most seconds for which a read that finds nothing waits while another process renders the same, and for which
     * this process has others wait. 0: none. Default 3.
     */
    wait?: number;
  }

  /** As Next has it: times in seconds, `timestamp` in milliseconds since 1970. */
  export interface CacheEntry {
    value: ReadableStream<Uint8Array>;
    tags: string[];
    stale: number;
    timestamp: number;
    expire: number;
    /** -1: to be served, and rendered anew behind that. */
    revalidate: number;
  }

  export interface CacheHandler {
    get(cacheKey: string, softTags: string[]): Promise<CacheEntry | undefined>;
    set(cacheKey: string, pendingEntry: Promise<CacheEntry>): Promise<void>;
    refreshTags(): Promise<void>;
    /** When the last of these tags ended, in milliseconds since 1970; 0: none ever did. */
    getExpiration(tags: string[]): Promise<number>;
    updateTags(tags: string[], durations?: Durations): Promise<void>;
    /** The cache beneath: `health()`, `getStats()`, the events of outages. Its values are bytes. */
    readonly cache: Cache;
  }

  export function get(cacheKey: string, softTags: string[]): Promise<CacheEntry | undefined>;
  export function set(cacheKey: string, pendingEntry: Promise<CacheEntry>): Promise<void>;
  export function refreshTags(): Promise<void>;
  export function getExpiration(tags: string[]): Promise<number>;
  export function updateTags(tags: string[], durations?: Durations): Promise<void>;
  export const cache: Cache;

  /** Throws nothing; options that do not parse reject the first call with `ERR_CONFIG`. */
  export function createCacheHandler(options?: Options): CacheHandler;
}

export = handler;
