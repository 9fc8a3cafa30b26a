/**
 * holdfast/nest: the cache of an application of NestJS, as a module.
 *
 * `@Inject(CACHE_MANAGER)` and `CacheInterceptor` of `@nestjs/cache-manager` find a manager of the same form, without
 * Keyv between; `HoldfastCache` is the whole cache.
 */
import type { DynamicModule, FactoryProvider, ModuleMetadata, Provider, Type } from '@nestjs/common';
import type { Cache, CacheEvents, CacheOptions, ComputeOptions, Health, Tags } from '../../index';

/** Options of the module: those of `createCache`, or a cache that the application opened. */
export type HoldfastModuleOptions =
  | (Partial<CacheOptions> & {
      /** Default `nest`, where the application names no other. */
      namespace?: string;
      cache?: undefined;
    })
  | {
      /** The application's own: it is not closed with the module. */
      cache: Cache;
    };

/** Makes the options, for `useClass` and `useExisting`. */
export interface HoldfastOptionsFactory {
  createHoldfastOptions(): HoldfastModuleOptions | Promise<HoldfastModuleOptions>;
}

export interface HoldfastModuleAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  /** Whether other modules see the cache without importing this one. Default false. */
  isGlobal?: boolean;
  /** One of the three is required, else `ERR_INVALID_ARGUMENT`. */
  useFactory?: (...args: never[]) => HoldfastModuleOptions | Promise<HoldfastModuleOptions>;
  useClass?: Type<HoldfastOptionsFactory>;
  useExisting?: Type<HoldfastOptionsFactory>;
  inject?: FactoryProvider['inject'];
  extraProviders?: Provider[];
}

/**
 * Opens a cache when the application starts, which does not wait for Redis, and closes it in `onApplicationShutdown`.
 * Options that do not parse fail the start with `ERR_CONFIG`. It provides and exports `HoldfastCache`, `CacheManager`
 * (as `CACHE_MANAGER` too) and `HoldfastHealthIndicator`.
 */
// biome-ignore lint/complexity/noStaticOnlyClass: a module of Nest is a class.
export class HoldfastModule {
  static register(options?: HoldfastModuleOptions & { isGlobal?: boolean }): DynamicModule;
  static registerAsync(options: HoldfastModuleAsyncOptions): DynamicModule;
}

/** The cache, as a token and as a type: `constructor(private readonly cache: HoldfastCache) {}`. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: a class, for Nest; what is injected has the functions.
export abstract class HoldfastCache {}
export interface HoldfastCache extends Cache {}

/** Options of `wrap`. All times are milliseconds. */
export interface WrapOptions<T = unknown> {
  /** Default: that of the cache; 0 is no expiry. */
  ttl?: number | ((value: T) => number);
  /** An entry with less time left is served, and made anew behind that. Needs a `ttl`. */
  refreshThreshold?: number;
  /** For so long after the TTL the old value serves while a new one is made. Default 0. */
  swr?: number;
  /** For so long after the TTL the old value serves where making a new one fails. Default 0. */
  grace?: number;
  /** For `invalidateTags` of the cache. */
  tags?: Tags;
}

/**
 * The cache in the form of cache-manager 7. Times are milliseconds; a TTL of 0 is no expiry; a miss is undefined, and
 * so is a stored null to `get` and `mget`. What it rejects with is what the cache rejects with.
 */
export class CacheManager {
  constructor(cache: Cache);
  get<T = unknown>(key: string): Promise<T | undefined>;
  mget<T = unknown>(keys: string[]): Promise<Array<T | undefined>>;
  /** Resolves to the value. Nothing is stored for undefined. */
  set<T>(key: string, value: T, ttl?: number): Promise<T>;
  mset<T>(
    entries: Array<{ key: string; value: T; ttl?: number }>,
  ): Promise<Array<{ key: string; value: T; ttl?: number }>>;
  /** Whether there was a value. */
  del(key: string): Promise<boolean>;
  mdel(keys: string[]): Promise<boolean>;
  /** The keys of this cache's namespace. Without one, and with a Redis, `ERR_CLEAR_NEEDS_NAMESPACE`. */
  clear(): Promise<boolean>;
  /** When the entry expires, in milliseconds since 1970; undefined where there is none, and without expiry. */
  ttl(key: string): Promise<number | undefined>;
  /** One run of `fn` for all callers, in all instances; `ERR_INVALID_ARGUMENT` for unknown options. */
  wrap<T>(
    key: string,
    fn: () => T | Promise<T>,
    ttl?: number | ((value: T) => number),
    refreshThreshold?: number,
  ): Promise<T>;
  wrap<T>(key: string, fn: () => T | Promise<T>, options: WrapOptions<T>): Promise<T>;
  on<E extends keyof CacheEvents>(event: E, listener: CacheEvents[E]): this;
  off<E extends keyof CacheEvents>(event: E, listener: CacheEvents[E]): this;
  /** Does nothing: the module closes the cache. */
  disconnect(): Promise<void>;
}

/** Options of {@link Cached}. All times are seconds, as in `getOrCompute`. */
export interface CachedOptions<Args extends unknown[] = never[]>
  extends Omit<ComputeOptions, 'tags' | 'forceFresh' | 'signal'> {
  /**
   * A function of the arguments that returns the key, or a text in front of the arguments as JSON: `memoize` in the
   * documentation of the package. Default: the names of the class and the method.
   */
  key?: string | ((...args: Args) => string);
  /** Tags, or a function of the arguments that returns them. */
  tags?: Tags | ((...args: Args) => Tags);
}

/**
 * Has the results of a method come from the cache: one run for all callers with the same arguments, in all instances.
 * The class must be a provider or a controller of Nest, in a module that sees {@link HoldfastModule}. The method
 * becomes async. `ERR_INVALID_ARGUMENT` where it stands in front of anything else, and for a call on an object that
 * Nest did not make.
 */
export function Cached<Args extends unknown[] = never[]>(options?: CachedOptions<Args>): MethodDecorator;

/** For `@nestjs/terminus`: `() => indicator.isHealthy('cache')`. */
export class HoldfastHealthIndicator {
  constructor(cache: HoldfastCache);
  /**
   * `up`, also while Redis is away, as the application serves: `state` then is `degraded` and `reason` the kind of
   * failure. With `strict` that is `down`. No I/O.
   */
  isHealthy<Key extends string = 'cache'>(
    key?: Key,
    options?: { strict?: boolean },
  ): Record<
    Key,
    { status: 'up' | 'down'; state: Health['status']; mode: Health['mode']; since: number; reason?: string }
  >;
}
