/**
 * `holdfast/next`: the `cacheHandler` of Next.js 16, for ISR pages, route handlers, fetches and images.
 *
 * ```js
 * module.exports = { cacheHandler: require.resolve('holdfast/next'), cacheMaxMemorySize: 0 }; // next.config.js
 * ```
 *
 * With options, a file of your own: `module.exports = createCacheHandler({ namespace: 'shop' })`.
 */

import type { Cache } from '../../index';
import type { Durations, NextOptions } from '../shared/next/options';

// biome-ignore lint/suspicious/noExplicitAny: the types of values are Next's, and change with it.
type Theirs = any;

/**
 * A class as Next takes it; its cache is opened by the first call, and shared by all its instances. Functions reject
 * for mistakes of the caller (`HoldfastError`), and never because Redis is away, unless `onOutage` says so.
 */
declare class HoldfastCacheHandler implements HoldfastCacheHandler.CacheHandler {
  constructor(context: Theirs);
  /** The cache beneath: `health()`, `getStats()`, the events of outages. Its values are bytes. */
  static readonly cache: Cache;
  get(key: string, context?: HoldfastCacheHandler.ReadContext): Promise<HoldfastCacheHandler.Found | null>;
  set(key: string, value: Theirs, context?: HoldfastCacheHandler.WriteContext): Promise<void>;
  revalidateTag(tags: string | string[], durations?: Durations): Promise<void>;
  resetRequestCache(): void;
}

declare namespace HoldfastCacheHandler {
  /** `namespace`: `next` by default. */
  export interface Options extends NextOptions {
    /** What keeps the pages of two builds apart. Default: Next's own build id. Fetches and images outlive builds. */
    buildId?: string;
  }

  /** What Next gives with a key. */
  export interface ReadContext {
    kind?: string | undefined;
    tags?: string[] | undefined;
    softTags?: string[] | undefined;
  }

  /** What Next gives with a value. */
  export interface WriteContext {
    fetchCache?: boolean | undefined;
    tags?: string[] | undefined;
    cacheControl?: { revalidate?: number | false | undefined; expire?: number | undefined } | undefined;
  }

  export interface Found {
    /** A value of Next's, or null where there is no page. */
    value: Theirs;
    /** Milliseconds since 1970. What was ended softly, and is to be made anew by this instance, seems older. */
    lastModified: number;
    cacheControl?: Theirs;
  }

  export interface CacheHandler {
    get(key: string, context?: ReadContext): Promise<Found | null>;
    set(key: string, value: Theirs, context?: WriteContext): Promise<void>;
    revalidateTag(tags: string | string[], durations?: Durations): Promise<void>;
    resetRequestCache(): void;
  }

  export interface CacheHandlerClass {
    new (context: Theirs): CacheHandler;
    /** The cache beneath: `health()`, `getStats()`, the events of outages. Its values are bytes. */
    readonly cache: Cache;
  }

  /** Throws nothing; options that do not parse reject the first call with `ERR_CONFIG`. */
  export function createCacheHandler(options?: Options): CacheHandlerClass;
}

export = HoldfastCacheHandler;
