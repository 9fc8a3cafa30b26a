/**
 * `holdfast/rate-limit`: stores for express-rate-limit (7 or newer), hono-rate-limiter (0.4 or newer) and
 * @fastify/rate-limit (10 or newer). The limits hold across all processes that share the Redis; while it is away, each
 * process counts for itself, and no request fails or waits.
 */

import type { Cache } from '../../index';
import type { AdapterOptions } from '../shared/options';

/**
 * Options of `createCache`, all of them optional. `namespace`: `rl` by default; limiters that share it share their
 * counters, so give each its own. `outageTtl`: 86,400 by default, so that windows of up to a day last through an
 * outage.
 */
export type RateLimitOptions = AdapterOptions;

/** How often a client came within its window, and when that ends. */
export interface RateLimitInfo {
  totalHits: number;
  resetTime: Date;
}

/**
 * For express-rate-limit and hono-rate-limiter. A key that is empty, longer than 512 characters, or no well-formed text
 * lies at its SHA-256.
 */
export class RateLimitStore {
  /** Throws `ERR_CONFIG` for options that do not parse. Connecting begins in the background. */
  constructor(options?: RateLimitOptions);
  /** The cache beneath: `health()`, `getStats()`, the events of outages. */
  readonly cache: Cache;
  readonly localKeys: false;
  /** The namespace and a colon. */
  readonly prefix: string;
  /** Called by the limiter. Until then a window has a minute. */
  init(options: { windowMs: number }): void;
  get(key: string): Promise<RateLimitInfo | undefined>;
  increment(key: string): Promise<RateLimitInfo>;
  /** Without effect where the window has ended. */
  decrement(key: string): Promise<void>;
  resetKey(key: string): Promise<void>;
  /** Ends all windows of the namespace. */
  resetAll(): Promise<void>;
  /** Closes the cache. */
  shutdown(): Promise<void>;
}

/** What @fastify/rate-limit calls. Times are milliseconds. */
export interface FastifyStoreInstance {
  incr(
    key: string,
    callback: (error: Error | null, result?: { current: number; ttl: number }) => void,
    timeWindow: number,
    max: number,
  ): void;
  /** The count without counting. */
  read(key: string, callback: (error: Error | null, result?: { current: number; ttl: number }) => void): void;
  child(routeOptions: object): FastifyStoreInstance;
}

/**
 * The option `store` of @fastify/rate-limit: a class whose instances, one for each route with limits of its own, share
 * one cache. `continueExceeding` and `exponentialBackoff` are heeded; a penalty is a year at most.
 */
export function fastifyStore(options?: RateLimitOptions): {
  new (settings: object): FastifyStoreInstance;
  readonly cache: Cache;
};
