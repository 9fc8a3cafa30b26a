// Type tests of index.d.ts: what an application writes compiles, and each `@ts-expect-error` is a mistake that must
// not. Nothing here runs.

import { errorMonitor, on as eventsOn, once as eventsOnce } from 'node:events';
import {
  type Cache,
  type CacheEvents,
  type CacheOptions,
  type Codec,
  type ComputeContext,
  type ComputeOptions,
  type Counters,
  createCache,
  del,
  delMany,
  type ErrorKind,
  type ExclusiveOptions,
  existsMany,
  expire,
  type FallbackEvent,
  get,
  getCounters,
  getMany,
  type getMode,
  getOrCompute,
  getOrComputeMany,
  getStats,
  type Health,
  type Histogram,
  HoldfastError,
  type HoldfastErrorCode,
  health,
  increment,
  incrementWithTtl,
  invalidateTags,
  type listenerCount,
  type Memoized,
  type Mode,
  type Moment,
  memoize,
  on,
  type ready,
  runExclusive,
  type Stats,
  scan,
  set,
  setIfAbsent,
  setMany,
  type Tags,
  type Ttl,
  type tagTimes,
  take,
  type ttl,
  type ValueSchema,
} from 'holdfast';

interface Price {
  symbol: string;
  cents: number;
}

/** Compiles only where both types are the same one. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_proof: Same<A, B>): void {}

export async function values(): Promise<void> {
  const untyped = await get('price');
  same<typeof untyped, unknown>(true);
  const typed = await get<Price>('price');
  same<typeof typed, Price | null>(true);
  // @ts-expect-error a miss is null
  typed.cents;
  // @ts-expect-error a key is a string
  await get(1);
  // @ts-expect-error get takes one key
  await get(['a', 'b']);

  same<ReturnType<typeof set>, Promise<void>>(true);
  await set('price', { symbol: 'AAPL', cents: 1 });
  await set('price', null, 0.5);
  await set('price', [1, 2], Number.POSITIVE_INFINITY);
  await set('price', 'text', { ttl: 60 });
  await set('price', 1, { expiresAt: new Date() });
  await set('price', 1, { expiresAt: Date.now() + 1_000, tags: ['prices'] });
  // @ts-expect-error a moment is no text
  await set('price', 1, { expiresAt: '2030-01-01' });
  // @ts-expect-error a Date is given as an option
  await set('price', 1, new Date());
  const tags = ['prices', 'AAPL'] as const;
  await set('price', 1, { ttl: 60, tags });
  await set('price', 1, { tags: ['prices'] });
  // @ts-expect-error tags are a list
  await set('price', 1, { tags: 'prices' });
  // @ts-expect-error a TTL is a number of seconds
  await set('price', 1, '60');
  // @ts-expect-error not a BigInt
  await set('price', 1, 60n);
  // @ts-expect-error the option is called ttl
  await set('price', 1, { ttlMs: 60 });
  // @ts-expect-error a value is needed
  await set('price');
}

export async function computations(): Promise<void> {
  const inferred = await getOrCompute('price', () => ({ symbol: 'AAPL', cents: 1 }));
  same<typeof inferred, { symbol: string; cents: number }>(true);
  const asynchronous = await getOrCompute('price', async (): Promise<Price> => ({ symbol: 'AAPL', cents: 1 }), 60);
  same<typeof asynchronous, Price>(true);
  const options: ComputeOptions = { ttl: 60, hardTimeout: Number.POSITIVE_INFINITY };
  const nullable = await getOrCompute<Price | null>('price', () => null, options);
  same<typeof nullable, Price | null>(true);
  await getOrCompute('price', () => 1, { ttl: 60, hardTimeout: 5, jitter: 0.1, lock: false });
  const all: Required<ComputeOptions> = {
    ttl: 60,
    expiresAt: new Date(),
    swr: 30,
    grace: Number.POSITIVE_INFINITY,
    timeout: 0.5,
    hardTimeout: 5,
    jitter: 0.1,
    earlyRefresh: 1,
    tags: ['prices'],
    lock: true,
    forceFresh: true,
    validate: (value) => value !== null,
    signal: AbortSignal.timeout(1_000),
  };
  await getOrCompute('price', () => 1, all);
  // @ts-expect-error seconds are a number
  await getOrCompute('price', () => 1, { grace: '1h' });
  // @ts-expect-error eagerness is a number
  await getOrCompute('price', () => 1, { earlyRefresh: true });
  // @ts-expect-error the function comes second
  await getOrCompute('price', 60, () => 1);
  // @ts-expect-error the function is no value
  await getOrCompute('price', 1);
  // @ts-expect-error what the function makes is what the caller asked for
  await getOrCompute<Price>('price', () => 'text');
  // @ts-expect-error an option that does not exist
  await getOrCompute('price', () => 1, { expires: 1 });
}

export async function contexts(): Promise<void> {
  const inferred = await getOrCompute('price', async (context) => {
    same<typeof context, ComputeContext>(true);
    same<typeof context.stale, unknown>(true);
    const old = context.stale as Price | undefined;
    context.setTtl(60);
    context.setTags(['prices'] as const);
    // @ts-expect-error: a list of them
    context.setTags('prices');
    context.skip();
    return { cents: old?.cents ?? 1, aborted: context.signal.aborted };
  });
  same<typeof inferred, { cents: number; aborted: boolean }>(true);
  const both = await getOrCompute('price', (context) => ({ cents: context.stale ? 1 : 2 }), {
    ttl: ({ cents }) => cents,
  });
  same<typeof both, { cents: number }>(true);
  const options: ComputeOptions<Price> = { ttl: ({ cents }) => cents };
  await getOrCompute<Price>('price', ({ skip }) => skip() ?? { symbol: 'AAPL', cents: 1 }, options);
  await getOrComputeMany(['a'], () => [{ cents: 1 }], { ttl: ({ cents }) => cents, validate: (value) => value !== 1 });
  // @ts-expect-error the function of many keys has no context
  await getOrComputeMany(['a'], (_keys, context) => [context]);
  // @ts-expect-error what is old may be of an earlier version
  await getOrCompute('price', ({ stale }) => stale.cents);
  // @ts-expect-error a TTL is a number
  await getOrCompute('price', () => 1, { ttl: () => '60' });
  // @ts-expect-error the value is a number
  await getOrCompute('price', () => 1, { ttl: (value: string) => value.length });
  // @ts-expect-error a controller is no signal
  await getOrCompute('price', () => 1, { signal: new AbortController() });
}

export async function validated(
  fetched: unknown,
  isPrice: (value: unknown) => value is Price,
  schema: ValueSchema,
): Promise<void> {
  const parsed = await getOrCompute('price', (context) => fetched ?? context.stale, { validate: schema });
  same<typeof parsed, unknown>(true);
  const known = await getOrCompute('price', async (): Promise<Price> => ({ symbol: 'AAPL', cents: 1 }), {
    validate: isPrice,
    ttl: ({ cents }) => cents,
  });
  same<typeof known, Price>(true);
  const checked = await getOrCompute('price', () => 1, { validate: async (value) => value === 1 });
  same<typeof checked, number>(true);
  // @ts-expect-error a pattern is no validator
  await getOrCompute('price', () => 1, { validate: /1/ });
}

export async function memoized(isPrice: (value: unknown) => value is Price): Promise<void> {
  const load = memoize(async (symbol: string, day?: number): Promise<Price> => ({ symbol, cents: day ?? 1 }), {
    key: (symbol, day) => `price:${symbol.length}:${day}`,
    ttl: ({ cents }) => cents,
    validate: isPrice,
    grace: 60,
  });
  load satisfies (symbol: string, day?: number) => Promise<Price>;
  same<ReturnType<typeof load>, Promise<Price>>(true);
  load satisfies Memoized<Price, [string, number?]>;
  same<ReturnType<typeof load.key>, string>(true);
  same<ReturnType<typeof load.del>, Promise<number>>(true);
  same<ReturnType<typeof load.refresh>, Promise<Price>>(true);
  await load('AAPL');
  await load.refresh('AAPL', 1);
  const own = memoize(
    function (this: { tenant: string }, id: number) {
      return `${this.tenant}:${id}`;
    },
    {
      key(id) {
        return `${this.tenant}:${id}`;
      },
    },
  );
  await own.call({ tenant: 'a' }, 1);
  memoize(() => 1, { key: 'one' });
  // @ts-expect-error the arguments are those of the function
  await load(1);
  // @ts-expect-error as for the key
  load.key(1);
  // @ts-expect-error it needs its tenant
  await own(1);
  // @ts-expect-error a key is needed
  memoize(() => 1, { ttl: 60 });
  // @ts-expect-error a signal is that of one call
  memoize(() => 1, { key: 'one', signal: AbortSignal.timeout(1) });
}

export async function exclusive(): Promise<void> {
  const inferred = await runExclusive('nightly', ({ signal }) => signal.aborted);
  same<typeof inferred, boolean>(true);
  const options: Required<ExclusiveOptions> = { ttl: 30, wait: Number.POSITIVE_INFINITY, onOutage: 'reject' };
  const asynchronous = await runExclusive('nightly', async (): Promise<Price> => ({ symbol: 'A', cents: 1 }), options);
  same<typeof asynchronous, Price>(true);
  // @ts-expect-error options have names: a bare number could be either time
  await runExclusive('nightly', () => 1, 30);
  // @ts-expect-error a name comes first
  await runExclusive(() => 1);
  // @ts-expect-error there is no such way
  await runExclusive('nightly', () => 1, { onOutage: 'wait' });
}

export async function computationsOfMany(): Promise<void> {
  const keys = ['a', 'b'] as const;
  const inferred = await getOrComputeMany(keys, (missing) => missing.map((key) => key.length));
  same<typeof inferred, number[]>(true);
  const asynchronous = await getOrComputeMany(
    ['a'],
    async (missing): Promise<Price[]> => missing.map((symbol) => ({ symbol, cents: 1 })),
    { ttl: 60, grace: 60, tags: ['prices'] },
  );
  same<typeof asynchronous, Price[]>(true);
  const some = await getOrComputeMany<number | undefined>(['a'], () => [undefined], 60);
  same<typeof some, Array<number | undefined>>(true);
  // @ts-expect-error the function is given many keys
  await getOrComputeMany(['a'], (key: string) => [key]);
  // @ts-expect-error the function makes many values
  await getOrComputeMany(['a'], async () => 1);
  // @ts-expect-error keys are a list
  await getOrComputeMany('a', () => [1]);
}

export async function tagged(): Promise<void> {
  const tags: Tags = ['prices', 'AAPL'];
  same<ReturnType<typeof invalidateTags>, Promise<void>>(true);
  await invalidateTags('prices');
  await invalidateTags(tags);
  await invalidateTags(tags, { stale: 60 });
  same<ReturnType<typeof tagTimes>, Promise<number[]>>(true);
  await del('k', { stale: 60 });
  // @ts-expect-error a tag is a string
  await invalidateTags(1);
  // @ts-expect-error tags are needed
  await invalidateTags();
}

export async function keysAndCounters(): Promise<void> {
  const frozenKeys = ['a', 'b'] as const;
  same<Awaited<ReturnType<typeof del>>, number>(true);
  await del('a');
  await del(frozenKeys);
  // @ts-expect-error keys are strings
  await del([1]);
  const taken = await take<{ id: number }>('user:7', { onOutage: 'reject' });
  same<typeof taken, { id: number } | null>(true);
  const stored = await setIfAbsent('lock', 1, { ttl: 60, tags: ['t'], onOutage: 'local' });
  same<typeof stored, boolean>(true);
  for await (const page of scan('user:*', { count: 100 })) same<typeof page, string[]>(true);
  // @ts-expect-error no such option
  scan('user:*', { limit: 5 });
  const counted = await incrementWithTtl('hits', 1, { ttl: 60 });
  same<typeof counted.ttl, number | null>(true);
  same<Awaited<ReturnType<typeof delMany>>, boolean[]>(true);
  same<Awaited<ReturnType<typeof existsMany>>, boolean[]>(true);
  await delMany(frozenKeys);
  await existsMany(frozenKeys);
  // @ts-expect-error keys are a list
  await delMany('a');
  // @ts-expect-error keys are a list
  await existsMany('a');

  same<Awaited<ReturnType<typeof increment>>, number>(true);
  await increment('hits');
  await increment('hits', -2, { ttl: 60 });
  await increment('hits', 1, { expiresAt: new Date(), onOutage: 'reject' });
  // @ts-expect-error an amount is a number
  await increment('hits', 1n);
  // @ts-expect-error the TTL of a counter is an option
  await increment('hits', 1, 60);

  same<Awaited<ReturnType<typeof ttl>>, number | null>(true);
  same<Awaited<ReturnType<typeof expire>>, boolean>(true);
  const moment: Moment = new Date();
  await expire('a', 60);
  await expire('a', { ttl: 60 });
  await expire('a', { expiresAt: moment });
  // @ts-expect-error a TTL is needed
  await expire('a');
  // @ts-expect-error expire stores no tags
  await expire('a', { ttl: 60, tags: [] });
}

export async function many(): Promise<void> {
  const prices = await getMany<Price>(['a', 'b'] as const);
  same<typeof prices, Array<Price | null>>(true);
  await setMany(new Map([['a', 1]]));
  await setMany([['a', 1] as const, ['b', 'text'] as const], 60);
  await setMany({ a: 1, b: null }, { ttl: 60, tags: ['prices'] });
  // @ts-expect-error a list of values has no keys
  await setMany([1, 2]);
  // @ts-expect-error a key is a string
  await setMany(new Map([[1, 'a']]));
}

export function states(): void {
  same<Mode, 'initializing' | 'redis' | 'memory'>(true);
  same<ReturnType<typeof getMode>, Mode>(true);
  same<ReturnType<typeof health>, Health>(true);
  same<Health['status'], 'ok' | 'degraded'>(true);
  same<Awaited<ReturnType<typeof getStats>>, Stats>(true);
  same<ReturnType<typeof getCounters>, Counters>(true);
  same<Counters['hits'], Stats['hits']>(true);
  same<Counters['errors'][ErrorKind], number>(true);
  const { bounds, buckets }: Histogram = getCounters().batchSeconds;
  void [...bounds, ...buckets].map((n) => n.toFixed());
  const kind: ErrorKind | undefined = health().lastError?.kind;
  // @ts-expect-error Redis may be away
  void getStats().then((stats) => stats.redis.version);
  // @ts-expect-error health is synchronous
  health().then();
  void kind;
}

export function caches(): Cache {
  const ttlOfAll: Ttl = 60;
  const options: CacheOptions = { namespace: 'prices', url: null, ttl: ttlOfAll, maxMemory: '64mb', timeoutMs: 100 };
  const cache = createCache(options);
  same<typeof cache, Cache>(true);
  createCache({ namespace: '', url: 'rediss://localhost', tls: { ca: [new Uint8Array()], servername: 'redis' } });
  createCache({ namespace: 'a', logger: console });
  createCache({ namespace: 'a', logger: null });
  createCache({ namespace: 'a', nearCache: false });
  createCache({ namespace: 'a', nearCache: { maxMemory: '16mb', maxAge: 10, values: 'frozen' } });
  same<Codec, 'json' | 'structured' | 'raw' | 'text'>(true);
  createCache({ namespace: 'a', codec: 'structured', compression: 'zstd', maxValueBytes: 1_048_576 });
  createCache({ namespace: 'a', codec: 'raw', compression: { threshold: 4096 } });
  createCache({ namespace: 'a', codec: 'json', compression: false });
  createCache<{ page: string }>({ namespace: 'a', codec: 'text' });
  // @ts-expect-error a codec that does not exist
  createCache({ namespace: 'a', codec: 'msgpack' });
  // @ts-expect-error an algorithm that does not exist
  createCache({ namespace: 'a', compression: 'gzip' });
  // @ts-expect-error which algorithm is to be said
  createCache({ namespace: 'a', compression: true });
  // @ts-expect-error values are copied or frozen
  createCache({ namespace: 'a', nearCache: { values: 'shared' } });
  // @ts-expect-error options are needed
  createCache();
  // @ts-expect-error a namespace is needed, if only ''
  createCache({ url: 'redis://localhost' });
  // @ts-expect-error an option that does not exist
  createCache({ namespace: 'a', timeout: 1 });
  // @ts-expect-error a logger has three functions
  createCache({ namespace: 'a', logger: { info() {} } });
  return cache.on('ready', () => {}).once('fallback', (event) => event.message satisfies string);
}

export function events(cache: Cache): void {
  same<keyof CacheEvents, 'ready' | 'fallback' | 'recovered' | 'invalidate' | 'error'>(true);
  on('fallback', ({ kind }) => same<typeof kind, ErrorKind>(true));
  on('recovered', ({ outageMs, dropped }) => same<typeof outageMs, typeof dropped>(true));
  on('error', (error) => same<typeof error, Error>(true));
  on('invalidate', (keys, tags) => same<typeof keys, typeof tags>(true));
  // @ts-expect-error anything may have changed
  on('invalidate', (keys) => keys.length);
  // @ts-expect-error an event that does not exist
  cache.on('connect', () => {});
  // @ts-expect-error `ready` brings nothing
  cache.off('ready', (event: string) => event);
}

export async function emitter(cache: Cache): Promise<void> {
  // What Node's own helpers take for an emitter.
  const [recovered] = await eventsOnce(cache, 'recovered');
  for await (const [error] of eventsOn(cache, 'error')) console.log(recovered, error);
  cache satisfies NodeJS.EventEmitter;
  same<Awaited<ReturnType<typeof ready>>, 'redis' | 'memory'>(true);
  same<ReturnType<Cache['ready']>, Promise<'redis' | 'memory'>>(true);
  cache.addListener('ready', () => {}).prependListener('fallback', ({ kind }) => kind satisfies ErrorKind);
  cache.prependOnceListener('recovered', ({ replayed }) => replayed satisfies number).setMaxListeners(20);
  cache.on(errorMonitor, (error) => error.message).removeListener('error', (error) => error.message);
  cache
    .on('newListener', (event) => event satisfies string | symbol)
    .removeAllListeners('ready')
    .removeAllListeners();
  same<ReturnType<typeof listenerCount>, number>(true);
  const [listener] = cache.listeners('fallback');
  listener satisfies ((event: FallbackEvent) => void) | undefined;
  cache.rawListeners('ready').length + cache.getMaxListeners() + cache.eventNames().length;
  // @ts-expect-error an event that does not exist
  cache.prependListener('connect', () => {});
  // @ts-expect-error an event that does not exist
  cache.listenerCount('connect');
  // Nothing is behind it: it throws.
  cache.emit('ready');
}

export function stubs(cache: Cache): void {
  const { get } = cache;
  // A test replaces a function, and restores it.
  cache.get = async () => null;
  cache.get = get;
}

export function doubles(): Cache['get'][] {
  // Of methods: with fewer keys, or types, than the cache has.
  const double: Pick<Cache, 'get' | 'set' | 'getOrCompute'> = {
    async get(_key: 'price') {
      return null;
    },
    async set(_key: string, _value: Price) {},
    async getOrCompute(_key, fn) {
      return fn({ stale: undefined, signal: new AbortController().signal, setTags() {}, setTtl() {}, skip() {} });
    },
  };
  class Prices implements Pick<Cache, 'getMany' | 'del'> {
    async getMany<T>(keys: readonly string[]): Promise<Array<T | null>> {
      return keys.map(() => null);
    }
    async del(key: string | readonly string[]): Promise<number> {
      return key.length;
    }
  }
  void new Prices().getMany<Price>(['a']);
  return [double.get];
}

/** An application adds to what it has. */
export interface Wrapped extends Cache {
  getPrice(symbol: string): Promise<Price | null>;
}

export function errors(error: unknown): string {
  if (!(error instanceof HoldfastError)) return '';
  same<typeof error.name, 'HoldfastError'>(true);
  const code: HoldfastErrorCode = error.code;
  if (code === 'ERR_VALUE_TOO_LARGE') return 'store less';
  // @ts-expect-error a code that does not exist
  const wrong = error.code === 'ERR_TIMEOUT';
  // @ts-expect-error a code stays what it is
  error.code = 'ERR_CLOSED';
  return wrong ? code : new HoldfastError('ERR_CLOSED', 'closed', { cause: error }).message;
}
