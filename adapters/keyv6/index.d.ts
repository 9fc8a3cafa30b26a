/**
 * `holdfast/keyv6`: the storage adapter for Keyv 6. For Keyv 5, and for cache-manager 7 and cacheable 2, which stand on
 * it, take `holdfast/keyv`.
 *
 * ```ts
 * const keyv = new Keyv({ store: new KeyvHoldfast(), namespace: 'users', ttl: 60_000 });
 * ```
 */

import { EventEmitter } from 'node:events';
import type { Cache } from '../../index';
import type { AdapterOptions } from '../shared/options';

/** Options of `createCache`, all of them optional; `namespace` is `''` by default: keys as the adapter names them. */
export type KeyvHoldfastOptions = AdapterOptions;

/** What Keyv asks of an adapter before it uses it directly. */
export interface KeyvHoldfastCapabilities {
  compatible: boolean;
  store: 'keyvStorage';
  methods: Record<
    | 'get'
    | 'getMany'
    | 'has'
    | 'hasMany'
    | 'set'
    | 'setMany'
    | 'delete'
    | 'deleteMany'
    | 'clear'
    | 'disconnect'
    | 'iterator',
    { exists: boolean; methodType: 'sync' | 'async' | 'none' }
  >;
  expires: true;
}

/**
 * One for each Keyv, which assigns its namespace; a key lies at `namespace::key`. Functions reject for mistakes of the
 * caller (`HoldfastError`), which Keyv turns into its `error` event, and never because Redis is away. What Keyv does
 * not serialise (`serialization: false`) is refused with `ERR_UNSERIALIZABLE`, unless it is a text.
 */
export class KeyvHoldfast extends EventEmitter {
  /** Throws `ERR_CONFIG` for options that do not parse. Connecting begins in the background. */
  constructor(options?: KeyvHoldfastOptions);
  /** The cache beneath: `health()`, `getStats()`, the events of outages. Its values are Keyv's texts. */
  readonly cache: Cache;
  readonly capabilities: KeyvHoldfastCapabilities;
  namespace: string | undefined;
  get<Value>(key: string): Promise<Value | undefined>;
  getMany<Value>(keys: string[]): Promise<Array<Value | undefined>>;
  /** `expires`: milliseconds since 1970; without it the entry does not expire, and in the past the key is removed. */
  set(key: string, value: unknown, expires?: number): Promise<boolean>;
  /** Which of the entries were stored. What is wrong with the others is emitted as an `error`. */
  setMany(entries: Array<{ key: string; value: unknown; expires?: number }>): Promise<boolean[]>;
  has(key: string): Promise<boolean>;
  hasMany(keys: string[]): Promise<boolean[]>;
  /** Whether the key existed. */
  delete(key: string): Promise<boolean>;
  /** Which of the keys existed. */
  deleteMany(keys: string[]): Promise<boolean[]>;
  /**
   * Removes the keys of the namespace; without one, the cache's keys that have no `::`. Rejects with
   * `ERR_CLEAR_NEEDS_NAMESPACE` where the cache has no namespace either.
   */
  clear(): Promise<void>;
  /** Pairs of key, without the namespace, and text; without a namespace those of the keys that have no `::`. */
  iterator<Value>(): AsyncGenerator<Array<string | Awaited<Value> | undefined>, void>;
  /** Closes the cache. */
  disconnect(): Promise<void>;
}
