/**
 * `holdfast/bentocache`: the second-level driver of BentoCache 1.
 *
 * ```ts
 * const bento = new BentoCache({
 *   default: 'main',
 *   stores: { main: bentostore().useL2Layer(holdfastDriver()) },
 * });
 * ```
 */

import type { Cache } from '../../index';
import type { AdapterOptions } from '../shared/options';

/** Options of `createCache`, all of them optional; `namespace` is `''` by default. */
export interface HoldfastDriverOptions extends AdapterOptions {
  /** In place of BentoCache's own prefix, `bentocache`. */
  prefix?: string;
}

/** Functions reject for mistakes of the caller (`HoldfastError`), and never because Redis is away. */
export interface HoldfastDriver {
  readonly type: 'l2';
  /** The cache beneath: `health()`, `getStats()`, the events of outages. Its values are texts. */
  readonly cache: Cache;
  /** A driver of the same cache; its keys stand behind this one's prefix and the name. */
  namespace(name: string): HoldfastDriver;
  get(key: string): Promise<string | undefined>;
  /** Reads and removes in one step. */
  pull(key: string): Promise<string | undefined>;
  /** `ttl`: milliseconds; without one the entry does not expire. */
  set(key: string, value: string, ttl?: number): Promise<boolean>;
  /** Whether the key existed. */
  delete(key: string): Promise<boolean>;
  deleteMany(keys: string[]): Promise<boolean>;
  /** The keys of the prefix; without one and without a namespace it rejects with `ERR_CLEAR_NEEDS_NAMESPACE`. */
  clear(): Promise<void>;
  /** Closes the cache. */
  disconnect(): Promise<void>;
}

/** The factory throws `ERR_CONFIG` for options that do not parse. Connecting begins when BentoCache calls it. */
export function holdfastDriver(options?: HoldfastDriverOptions): {
  options: { prefix?: string };
  factory: (config: { prefix?: string }) => HoldfastDriver;
};
