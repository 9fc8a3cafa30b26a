/**
 * `holdfast/keyv`: the storage adapter for Keyv 5, and with it for cache-manager 7 and cacheable 2. For Keyv 6 take
 * `holdfast/keyv6`.
 *
 * ```ts
 * const keyv = new Keyv({ store: new KeyvHoldfast(), namespace: 'users', ttl: 60_000 });
 * ```
 */

import { EventEmitter } from 'node:events';
import type { Cache } from '../../index';
import type { AdapterOptions } from '../shared/options';

/** Options of `createCache`, all of them optional; `namespace` is `''` by default: keys as Keyv names them. */
export type KeyvHoldfastOptions = AdapterOptions;

/**
 * One for each Keyv, which assigns its namespace. Functions reject for mistakes of the caller (`HoldfastError`), which
 * Keyv turns into its `error` event, and never because Redis is away. What Keyv is not to serialise itself
 * (`serialize: undefined`) is refused with `ERR_UNSERIALIZABLE`, unless it is a text.
 */
export class KeyvHoldfast extends EventEmitter {
  /** Throws `ERR_CONFIG` for options that do not parse. Connecting begins in the background. */
  constructor(options?: KeyvHoldfastOptions);
  /** The cache beneath: `health()`, `getStats()`, the events of outages. Its values are Keyv's texts. */
  readonly cache: Cache;
  namespace: string | undefined;
  readonly opts: { dialect: string };
  get<Value>(key: string): Promise<Value | undefined>;
  getMany<Value>(keys: string[]): Promise<Array<Value | undefined>>;
  /** `ttl`: milliseconds; without one the entry does not expire. */
  set(key: string, value: unknown, ttl?: number): Promise<boolean>;
  has(key: string): Promise<boolean>;
  hasMany(keys: string[]): Promise<boolean[]>;
  /** Whether the key existed. */
  delete(key: string): Promise<boolean>;
  /** Whether all of the keys existed. */
  deleteMany(keys: string[]): Promise<boolean>;
  /**
   * Removes the keys of Keyv's namespace; without one those of the cache's; without either it rejects with
   * `ERR_CLEAR_NEEDS_NAMESPACE` while a Redis is configured.
   */
  clear(): Promise<void>;
  iterator<Value>(namespace?: string): AsyncGenerator<Array<string | Awaited<Value> | undefined>, void>;
  /** Closes the cache. */
  disconnect(): Promise<void>;
}
