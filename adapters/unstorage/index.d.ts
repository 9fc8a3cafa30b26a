/**
 * `holdfast/unstorage`: the driver of unstorage 1, and with it of Nitro and Nuxt.
 *
 * ```ts
 * const storage = createStorage({ driver: holdfastDriver({ base: 'app' }) });
 * ```
 */

import type { Cache, Ttl } from '../../index';
import type { AdapterOptions } from '../shared/options';

/**
 * Throws `ERR_CONFIG` for options that do not parse. Connecting begins in the background. Functions reject for mistakes
 * of the caller (`HoldfastError`), and never because Redis is away.
 */
declare function holdfastDriver(options?: holdfastDriver.Options): holdfastDriver.Driver;

declare namespace holdfastDriver {
  export { holdfastDriver };

  /** Options of `createCache`, all of them optional; `namespace` is `''` by default. */
  export interface Options extends AdapterOptions {
    /** A prefix of all keys, `base:`. Default: none. */
    base?: string;
    /** Seconds for entries that are stored without a `ttl`. Default `Infinity`. */
    ttl?: Ttl;
    /** The most seconds for which any entry is kept. Default `Infinity`. */
    maxTtl?: Ttl;
    /** The name by which Nitro finds the driver: without effect here. */
    driver?: string;
  }

  /** What unstorage gives with an item. */
  export interface ItemOptions {
    /** Seconds; 0 and less stand for the driver's `ttl`. */
    ttl?: number;
    [option: string]: unknown;
  }

  export interface Driver {
    readonly name: string;
    /** Without the URL, which may hold a password. */
    readonly options: { base: string; ttl: Ttl; maxTtl: Ttl };
    /** The cache beneath: `health()`, `getStats()`, the events of outages. Its values are bytes. */
    getInstance(): Cache;
    hasItem(key: string): Promise<boolean>;
    getItem(key: string): Promise<string | null>;
    getItems(items: Array<{ key: string }>): Promise<Array<{ key: string; value: string | null }>>;
    /** A Buffer, or null. */
    getItemRaw(key: string): Promise<Uint8Array | null>;
    setItem(key: string, value: string, options?: ItemOptions): Promise<void>;
    setItems(items: Array<{ key: string; value: string; options?: ItemOptions }>): Promise<void>;
    /** Bytes, or a text as UTF-8; anything else rejects with `ERR_UNSERIALIZABLE`. */
    setItemRaw(key: string, value: unknown, options?: ItemOptions): Promise<void>;
    removeItem(key: string): Promise<void>;
    /** `ttl`: the seconds that are left. */
    getMeta(key: string): Promise<{ ttl?: number }>;
    getKeys(base?: string): Promise<string[]>;
    /** Rejects with `ERR_CLEAR_NEEDS_NAMESPACE` without any base and namespace while a Redis is configured. */
    clear(base?: string): Promise<void>;
    dispose(): Promise<void>;
  }
}

export = holdfastDriver;
