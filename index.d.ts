/**
 * Holdfast: the cache service of a Node.js application.
 *
 * Every function below is exported twice: as a method of a {@link Cache} made by {@link createCache}, and as a named
 * export of this package. The named exports work on the default cache, which the environment configures (`REDIS_URL`
 * and the `HOLDFAST_*` variables). All functions are bound: `const { get, set } = require('holdfast')` works.
 *
 * A failure of Redis never rejects a call: the call falls back to the in-process tier. A call rejects only for a
 * mistake of the caller, for an error that the caller's own function threw, and with `ERR_CLOSED` after `close()`.
 */

/** The reason of an error, stable so that programs can rely on it. See `HoldfastError.code`. */
export type HoldfastErrorCode =
  /**
   * A key is not a string of 1 to 65,535 bytes of well-formed UTF-8, or it begins with `\0tag\0` or `\0refresh\0`, as
   * the cache's own keys do, which hold the tokens of tags and the locks of refreshes. Elsewhere in a key these bytes
   * are allowed.
   */
  | 'ERR_INVALID_KEY'
  /**
   * A TTL (also one that the function `ttl` returned, or that `setTtl` was given), or another time of `getOrCompute`,
   * is not a positive number of seconds (or `Infinity`), or lies beyond 9,007,199,254,740 seconds; `swr` and `grace`
   * may be 0. Or an `expiresAt` is neither a valid Date nor a number of milliseconds since 1970 (or `Infinity`), or
   * lies beyond ±9,007,199,254,740,991.
   */
  | 'ERR_INVALID_TTL'
  /**
   * The cache's codec cannot carry a value. `json`: `undefined`, a function, a symbol, a BigInt, a cycle. `structured`:
   * a function, a symbol, a proxy. `raw`: anything but bytes and well-formed strings. `text`: anything but well-formed
   * strings.
   */
  | 'ERR_UNSERIALIZABLE'
  /** A value has more than `maxValueBytes` bytes in its stored form, before compression. The stored value stays. */
  | 'ERR_VALUE_TOO_LARGE'
  /** `increment` was given an amount that is not a safe integer. */
  | 'ERR_INVALID_AMOUNT'
  /** `increment` met a value that is not an integer, or the sum would not fit 64 bits. */
  | 'ERR_NOT_AN_INTEGER'
  /**
   * The sum of `increment` is an integer, but too large for a JavaScript number to hold exactly (±(2^53 - 1)). The
   * counter stays as it was.
   */
  | 'ERR_UNSAFE_INTEGER'
  /**
   * Any other argument of the wrong type or size: a pattern, a list of keys, tags, a function, an unknown option,
   * options that are no plain object (a Map, an instance of a class), an unknown event; or the function of
   * `getOrComputeMany` did not return an array with one value for each key that it was given. Options are own
   * properties, each read once: a property of `Object.prototype` is no option.
   */
  | 'ERR_INVALID_ARGUMENT'
  /** `clear()` of a cache without a namespace while a Redis is configured. */
  | 'ERR_CLEAR_NEEDS_NAMESPACE'
  /**
   * The function given to `getOrCompute` did not settle within `hardTimeout`, and there was no old value within
   * `grace`.
   */
  | 'ERR_COMPUTE_TIMEOUT'
  /**
   * What the function given to `getOrCompute` returned does not pass `validate`; it is not stored. `cause` is what
   * `validate` threw, or the schema's issues.
   */
  | 'ERR_INVALID_VALUE'
  /** The function given to `getOrCompute` asked, before its first `await`, for the very key that it computes. */
  | 'ERR_COMPUTE_DEADLOCK'
  /**
   * `runExclusive`: another call ran under this name, for as long as this one was to `wait`. The function did not run.
   */
  | 'ERR_LEASE_HELD'
  /** `runExclusive`: the `reason` of the signal that the function was given, when the lease is lost. */
  | 'ERR_LEASE_LOST'
  /**
   * `increment`, `take`, `setIfAbsent` or `runExclusive` with `onOutage: 'reject'` while Redis is away, or when its
   * reply was lost. The increment counts once at most; the value may be gone, or stored; the function did not run.
   */
  | 'ERR_REDIS_UNAVAILABLE'
  /**
   * The reply could not be read (V8 had no room for its text); the call may have been carried out. Other calls are not
   * affected.
   */
  | 'ERR_REPLY_LOST'
  /** An option or an environment variable does not parse. Thrown by `createCache`, never by the default cache. */
  | 'ERR_CONFIG'
  /** The cache was closed. */
  | 'ERR_CLOSED'
  /** No native binary fits this platform. Thrown by `require('holdfast')`. */
  | 'ERR_NATIVE_BINARY';

/** The only error class of Holdfast. Its message says what to do; it never holds a value, a URL or a password. */
export class HoldfastError extends Error {
  constructor(code: HoldfastErrorCode, message: string, options?: { cause?: unknown });
  /** Always `HoldfastError`: tells it from other errors where there are two copies of the package. */
  readonly name: 'HoldfastError';
  /** What went wrong, for programs: it never changes for a kind of error, as messages may. */
  readonly code: HoldfastErrorCode;
}

/**
 * A time to live in seconds. Fractions are allowed and rounded to whole milliseconds, at least 1 ms. `Infinity` means
 * no expiry. NaN, zero, negative numbers, strings and BigInt reject with `ERR_INVALID_TTL`, and so does any other value
 * in the place of a TTL or of options that is neither a number nor a plain object (a Date, a boxed number). No such
 * value silently means "for ever" or the default.
 */
export type Ttl = number;

/**
 * A moment, in place of a {@link Ttl}: a valid Date, or milliseconds since 1970, as `Date.now()` gives them. `Infinity`
 * means no expiry. NaN, an invalid Date, a text, a BigInt and `-Infinity` reject with `ERR_INVALID_TTL`, and a `ttl`
 * beside it with `ERR_INVALID_ARGUMENT`.
 *
 * The call turns it into the time that is left, in whole milliseconds, by the clock of this machine; where the clocks
 * of processes differ, the entry ends so much earlier or later. Fake timers that a test installs behind the first
 * `require` of this package do not move that clock. A moment in the past is no error: each option says what it does
 * then. Mind that seconds since 1970, where milliseconds are meant, are such a moment.
 */
export type Moment = Date | number;

/**
 * Names of the things on which an entry depends, so that {@link Cache.invalidateTags} can end it: up to 128 non-empty,
 * well-formed texts of at most 1,024 bytes of UTF-8 each, else `ERR_INVALID_ARGUMENT`. Duplicates count once, and an
 * empty list means no tags. Tags belong to the cache's namespace.
 */
export type Tags = readonly string[];

/** Options of `set` and `setMany`; a number in their place is `ttl`. */
export interface SetOptions {
  /** Seconds until the entry expires. Default: the cache's `ttl` (300). */
  ttl?: Ttl;
  /**
   * When the entry expires, in place of `ttl`. In the past: the value is checked as ever, and the key is removed, so
   * that later reads miss.
   */
  expiresAt?: Moment;
  /** The entry's tags; they replace the tags that it had. Default: none. */
  tags?: Tags;
}

/** What the function of `getOrCompute` is given. Its functions may be taken out: `({ skip }) => …`. */
export interface ComputeContext {
  /**
   * The old value that is replaced, a copy of its own; undefined where there is none. It is there where the call has
   * `swr`, `grace` or `earlyRefresh` and an entry within them was found; with `forceFresh`, where a value was found
   * within its TTL; and it is the value that `validate` refused. Unknown, as an earlier version of the application may
   * have stored it.
   */
  readonly stale: unknown;
  /**
   * Aborted once every caller of this thread that waited has given up, by its own `signal` or by `hardTimeout`, and
   * when a refresh that runs behind an old value outlives `hardTimeout`. Callers of other threads and processes do not
   * count: they ask again. The next caller starts the function anew; a result that still comes may be stored, as after
   * a time-out. Made when it is read.
   */
  readonly signal: AbortSignal;
  /**
   * Seconds until this result expires, in place of `ttl`; the last call counts. Throws `ERR_INVALID_TTL`. Without
   * effect once the function has settled.
   */
  readonly setTtl: (seconds: Ttl) => void;
  /**
   * Tags of this result, beside those of the option `tags`: for what is known only once the source was read. The last
   * call counts. The result is not stored where one of them was invalidated after the function had begun (or so shortly
   * before that the two cannot be told apart, some milliseconds); the caller who ran the function has it all the same,
   * and the others ask again. Throws `ERR_INVALID_ARGUMENT` for what are no tags, or more than 128 with those of the
   * option. Without effect once the function has settled. Limits: docs/tags.md.
   */
  readonly setTags: (tags: Tags) => void;
  /**
   * The result is returned, but not stored; what is stored stays. The callers of this thread get it; those of other
   * threads and processes ask again. The codec must be able to carry it all the same. Without effect once the function
   * has settled.
   */
  readonly skip: () => void;
}

/** A schema of Standard Schema (Zod, Valibot, ArkType): only whether it finds issues is looked at. */
export interface ValueSchema {
  /** The schema, by the rules of Standard Schema. */
  readonly '~standard': { readonly validate: (value: unknown) => unknown };
}

/** Options of `getOrCompute` and `getOrComputeMany`; a number in their place is `ttl`. */
export interface ComputeOptions<T = unknown> {
  /**
   * Seconds until the computed entry expires, or a function of what was computed that returns them. What that function
   * throws, and `ERR_INVALID_TTL` for what is no TTL, reach the callers as an error of `fn` does, and nothing is
   * stored; it is not called for `undefined`, nor after `setTtl` and `skip`. Default: the cache's `ttl` (300).
   */
  ttl?: Ttl | ((value: T) => Ttl);
  /**
   * When the computed entry expires, in place of `ttl`; turned into the time that is left when the function is done.
   * Already past then: the value is returned, and not stored. A value that is stored already is returned as ever.
   */
  expiresAt?: Moment;
  /**
   * Stale-while-revalidate, in seconds: for this time after the TTL a caller gets the old value at once, and the
   * function runs once in the background to replace it; an error of that run reaches nobody. 0 to `Infinity` (kept 31
   * years); default 0, which is off. The option of the call that computes a value decides how long the value is kept,
   * so give all calls of a key the same options.
   */
  swr?: number;
  /**
   * Seconds after the TTL in which a caller gets the old value if the function throws, or outlives `timeout` or
   * `hardTimeout`; a slow function goes on, and its result is stored. The age is judged when the call is made. 0 to
   * `Infinity` (kept 31 years); default 0, which is off. Counted from the TTL, as `swr` is: with both, `swr` goes
   * first. While another thread or process computes, its callers with `grace` get the old value at once.
   */
  grace?: number;
  /**
   * Seconds for which a caller with an old value within `grace` waits for the function, before it gets that value.
   * Default `Infinity`: until `hardTimeout`.
   */
  timeout?: number;
  /**
   * The most seconds for which a caller waits for the function; then the caller gets an old value within `grace`, or
   * its call rejects with `ERR_COMPUTE_TIMEOUT`. The function goes on, and its result is still stored, unless another
   * computation of the key has begun. After the time-out, the next caller of this process starts the function anew.
   * Functions that never settle do not pile up: of those that outlived `hardTimeout`, the newest 2 of a key and the
   * newest 1,000 of a thread may still store. A call that has rejected keeps neither the process alive nor `close()`
   * waiting. Default 30; `Infinity` turns it off.
   */
  hardTimeout?: number;
  /**
   * Spreads expiries, so that keys which were computed together do not expire together: each TTL is shortened at random
   * by up to this fraction, 0 to 1. Default 0.
   */
  jitter?: number;
  /**
   * Refreshes a popular entry before it expires (XFetch): the slower the function was and the nearer the end of the
   * TTL, the likelier a call refreshes the entry in the background. That call gets the value that is still fresh. The
   * number is the eagerness, `beta`: finite, 0 or more; 1 is customary. Default 0, which is off. The call that computes
   * a value stores the function's run time, so give all calls of a key the same options.
   */
  earlyRefresh?: number;
  /**
   * The computed entry's tags. A result whose tag was invalidated while the function ran is returned, but not stored.
   * Default: none.
   */
  tags?: Tags;
  /**
   * One computation across all processes that share the Redis, by a lease at the key. Default true; false: one per
   * process.
   */
  lock?: boolean;
  /**
   * Computes although there is a value: as a `del` and a call in one, so that no computation that began before this
   * call is the answer, nor stored behind it. Until the result is there the key is missing, to `get` too; where `fn`
   * throws, the old value is gone, and `swr` and `grace` have none to give. Callers without this option share the
   * computation. The answer may be that of another call which began after this one. Default false.
   */
  forceFresh?: boolean;
  /**
   * Which values are taken: a function that returns or resolves to something truthy for them, or a schema of Standard
   * Schema, of which only the issues count: the value is given as it is stored. What throws or rejects refuses. It gets
   * the caller's own copy.
   *
   * A stored value that is refused is removed and computed anew, once a call; where what comes then is refused as well,
   * `fn` runs for this call alone, and its result is not stored. An old value that is refused serves neither `swr` nor
   * `grace`. What `fn` returns is checked before it is stored, unless it is undefined; where it is refused, the callers
   * reject with `ERR_INVALID_VALUE`, or fall back on `grace`, as for an error of `fn`. Default: all are taken.
   */
  validate?: ((value: unknown) => boolean | Promise<boolean>) | ValueSchema;
  /**
   * Ends the waiting of this call alone: it rejects with the signal's reason, at once, whatever `grace` says; where the
   * signal is aborted already, before anything is asked. The function goes on, and its result is stored, unless it
   * heeds `context.signal`. Default: none.
   */
  signal?: AbortSignal;
}

/** The options of {@link Cache.memoize}: those of `getOrCompute` that are the same for all calls, and the key. */
export interface MemoizeOptions<T, Args extends unknown[], This = unknown>
  extends Omit<ComputeOptions<T>, 'forceFresh' | 'signal'> {
  /**
   * A function of the arguments that returns the key; it gets the same `this`. Or a text, which is not empty: the key
   * is then the text, a colon, and the arguments as JSON with the properties of objects in order. All arguments must be
   * plain JSON (null, booleans, finite numbers, texts, arrays without holes, plain objects, 64 levels);
   * others, `undefined` among them, reject with `ERR_INVALID_ARGUMENT`, as two of them could share a key.
   */
  key: string | ((this: This, ...args: Args) => string);
}

/** A function made by {@link Cache.memoize}. */
export interface Memoized<T, Args extends unknown[], This = unknown> {
  (this: This, ...args: Args): Promise<T>;
  /** The key of a call. Throws what the option `key` throws, `ERR_INVALID_KEY`, or `ERR_INVALID_ARGUMENT`. */
  readonly key: (this: unknown, ...args: Args) => string;
  /** Removes the value of these arguments; resolves to 1 where there was one, else to 0. */
  readonly del: (this: unknown, ...args: Args) => Promise<number>;
  /** Computes the value of these arguments anew, as a call with `forceFresh`. */
  readonly refresh: (this: unknown, ...args: Args) => Promise<T>;
}

/** What the function of `runExclusive` is given. */
export interface ExclusiveContext {
  /**
   * Aborted with `ERR_LEASE_LOST` when the lease is lost: it could not be renewed for `ttl`, as Redis was away or the
   * event loop was blocked, or it is gone from Redis. Another call may run from then on. Never aborted otherwise.
   */
  readonly signal: AbortSignal;
}

/** Options of `runExclusive`. */
export interface ExclusiveOptions {
  /**
   * Seconds for which the lease lives without a renewal, 1 to 86,400, else `ERR_INVALID_TTL`: how long the others wait
   * when a process dies. It is renewed three times in this time, for as long as the function runs. Default 10. Choose
   * more than the event loop is ever blocked, and more than a failover takes.
   */
  ttl?: number;
  /**
   * Seconds to wait while another call runs under the name; `Infinity` for as long as it takes. Then the call rejects
   * with `ERR_LEASE_HELD`. Default 0.
   */
  wait?: number;
  /**
   * While Redis is away, or refuses the lease: `local` runs the function once at a time in this process, so that each
   * process may run it; `reject` rejects with `ERR_REDIS_UNAVAILABLE`. Default `local`.
   */
  onOutage?: 'local' | 'reject';
}

/** Options of `increment`. */
export interface IncrementOptions {
  /**
   * Seconds until the counter expires, applied only when this call creates it. Default: no expiry, as Redis' INCRBY.
   */
  ttl?: Ttl;
  /**
   * When the counter expires, in place of `ttl`, and as it applied only when this call creates it. In the past: a
   * counter that this call creates ends after a millisecond, the shortest TTL.
   */
  expiresAt?: Moment;
  /**
   * While Redis is away: `local` counts in this process, apart from Redis' counter, which continues from its old number
   * when Redis is back; `reject` rejects with `ERR_REDIS_UNAVAILABLE`. Default `local`.
   */
  onOutage?: 'local' | 'reject';
}

/** What `incrementWithTtl` resolves to. */
export interface Counted {
  /** The sum. */
  value: number;
  /**
   * Seconds left of the counter's time (fractions, to the millisecond), `Infinity` without expiry; null where it ended,
   * or was deleted, between the two, and where the server does not tell (an ACL without GETRANGE or PTTL).
   */
  ttl: number | null;
}

/** Options of `setIfAbsent`; a number in their place is `ttl`. */
export interface SetIfAbsentOptions extends SetOptions {
  /**
   * While Redis is away: `local` looks at what this process holds, and stores there, as `set` does, so that another
   * process may do the same; `reject` rejects with `ERR_REDIS_UNAVAILABLE`. Default `local`.
   */
  onOutage?: 'local' | 'reject';
}

/** Options of `take`. */
export interface TakeOptions {
  /**
   * While Redis is away: `local` takes from what this process wrote meanwhile, and leaves what lies in Redis there;
   * `reject` rejects with `ERR_REDIS_UNAVAILABLE`. Default `local`.
   */
  onOutage?: 'local' | 'reject';
}

/** Options of `scan`. */
export interface ScanOptions {
  /**
   * About how many keys a page looks at, 1 to 10,000: Redis serves nobody else meanwhile. A page names those that
   * match, so it may be shorter; longer is it where several keys share a slot of Redis' table. Default 1,000, about a
   * millisecond of the server.
   */
  count?: number;
}

/** Options of `expire`: one of the two, else `ERR_INVALID_TTL`; a number in their place is `ttl`. */
export interface ExpireOptions {
  /** Seconds until the entry expires. */
  ttl?: Ttl;
  /** When the entry expires, in place of `ttl`. In the past: the key is removed. */
  expiresAt?: Moment;
}

/** Options of `del`. */
export interface DelOptions {
  /**
   * A soft end: seconds for which the value is still of use to `getOrCompute` with `swr` or `grace`, and to nobody
   * else; then it is gone. Never longer than the entry would have lived, at most 31 years. While Redis is away, and
   * where it runs no scripts, the value is deleted. Default 0: it is deleted.
   */
  stale?: number;
}

/** Options of `invalidateTags`. */
export interface InvalidateOptions {
  /**
   * A soft end: seconds for which entries with the tag are still of use to `getOrCompute` with `swr` or `grace`, and to
   * nobody else; at most 30 days. Where Redis runs no scripts they are of use to nobody. Default 0.
   */
  stale?: number;
}

/** Options of `clear`. */
export interface ClearOptions {
  /** Allow a cache without a namespace to empty the whole Redis database (FLUSHDB). Default false. */
  flushDb?: boolean;
}

/** `initializing` until the first connection is up or known to fail, `redis` while connected, else `memory`. */
export type Mode = 'initializing' | 'redis' | 'memory';

/** What `health()` returns: whether all is well, and what is wrong. For a `/health` route as it is. */
export interface Health {
  /**
   * `degraded`: the in-process tier answers calls although Redis is configured, or in production without a `REDIS_URL`;
   * or the server's ACL denies keys of this cache's namespace.
   */
  status: 'ok' | 'degraded';
  /** Who answers calls right now. */
  mode: Mode;
  /** When `mode` last changed, in milliseconds since 1970. */
  since: number;
  /** Why Redis, or a part of it, is not used; null if nothing is wrong. Never holds a URL or a password. */
  lastError: { kind: ErrorKind; message: string; at: number } | null;
  /**
   * `closed`: calls go to Redis (or there is none configured). `open`: Redis is away, calls do not wait for it.
   * `half-open`: a dial or a recovery is under way; calls do not wait for it either.
   */
  breaker: 'closed' | 'open' | 'half-open';
  /**
   * Number of keys and patterns that were deleted or written while Redis was away, and are still to be removed there.
   * Keys are removed before anything is read from Redis again. Patterns may be swept beside the calls; until then the
   * keys that they match read as misses, unless they were written since.
   */
  journal: number;
  /** Calls handed to the engine and not answered yet, including `delPattern`, `clear` and `getStats`. */
  inFlight: number;
  /**
   * The in-process contents of all caches of one URL in all threads: the near cache, the tier that answers without
   * Redis, and hot values in JavaScript, which are entries of the near cache too. Bytes count keys, values and
   * overhead, and stay within `maxBytes`; docs/memory.md.
   */
  memory: { entries: number; bytes: number; maxBytes: number };
  /**
   * The servers of a cluster that serve slots, and the replicas that are read; or the primary behind sentinels. Not
   * given where there is one server.
   */
  nodes?: NodeHealth[];
}

/** How one of several servers stands. */
export interface NodeHealth {
  /** `host:port`; null for the slots of a cluster that nobody serves, and for a primary that no sentinel has named. */
  address: string | null;
  /** null: nobody serves these slots. */
  role: 'primary' | 'replica' | null;
  /** A replica: `redis` while it is read; else its primary is read in its place, which degrades nothing. */
  mode: 'redis' | 'memory';
  /** When `mode` began, in milliseconds since 1970; 0 before the first attempt to connect is over. */
  since?: number;
  /** Why it, or a part of it, is not used; null if nothing is wrong. Not given for slots that nobody serves. */
  lastError?: { kind: ErrorKind; message: string; at: number } | null;
  /** Round trips of its last 1,024 pipelines, in milliseconds. */
  latencyMs?: { p50: number; p99: number };
  /** How many of the 16,384 slots it serves; a replica serves none; null behind sentinels. */
  slots: number | null;
  /** A replica's primary. */
  of?: string;
}

/** The kind of a failure of Redis, as counted in `getStats().errors`. */
export type ErrorKind =
  | 'config'
  | 'dns'
  | 'connect'
  | 'tls'
  | 'auth'
  | 'timeout'
  | 'connection'
  | 'protocol'
  | 'readonly'
  | 'loading'
  | 'denied'
  | 'oom'
  | 'wrongtype'
  | 'server'
  /**
   * A server of a cluster refuses a command for the sake of its slot, which nobody serves or which is on its way; or
   * what was named as a cluster is none: memory mode.
   */
  | 'cluster'
  /** The address is that of a Sentinel, or, where sentinels were given, of something else: memory mode. */
  | 'sentinel'
  /** The server takes no writes for now (MISCONF, NOREPLICAS); reads go on. */
  | 'refused'
  /** The journal of an outage was full, and the cache has no namespace that could be cleared instead. */
  | 'journal';

/** Reads that found a value, by place. `total` is the sum of `near`, `redis` and `memory`. */
export interface Hits {
  /** `near`, `redis` and `memory` together. */
  total: number;
  /** In this process, while Redis vouched for it. */
  near: number;
  /** Those of `near` that JavaScript answered without a call into Rust. */
  hot: number;
  /** In Redis. */
  redis: number;
  /** In the in-process tier: in memory mode, and while Redis is away. */
  memory: number;
}

/**
 * How long things took: `buckets[i]` took `bounds[i]` seconds or less. So each bucket holds those before it, as
 * Prometheus wants them; its bucket `+Inf` is `count`. The bounds of a version of this package never change.
 */
export interface Histogram {
  /** Seconds, ascending. */
  bounds: number[];
  /** How many took `bounds[i]` seconds or less. */
  buckets: number[];
  /** How many there were. */
  count: number;
  /** Seconds in all. */
  sum: number;
}

/**
 * What {@link Cache.getCounters} returns: numbers that never go down, so that telemetry can take the difference of two
 * looks. The first part is this cache's own, since it was made. The second part, from `errors` on, is that of the
 * connection and of the memory in the process, since the first of the caches that share them was made: caches of one
 * URL, in all threads, name the same numbers, and all caches in memory mode do. Add these up over processes, and not
 * over caches. A cluster's are those of all its servers, also of those that have left it.
 */
export interface Counters {
  /** As in {@link Stats}. */
  hits: Hits;
  /**
   * Reads that found no value, by who was asked last: Redis, or the in-process tier without it. A read that the near
   * cache could not answer is a hit or a miss of Redis.
   */
  misses: { total: number; redis: number; memory: number };
  /** Values stored. */
  sets: number;
  /** Keys removed, or named to be. */
  deletes: number;
  /** Functions run by `getOrCompute`; those of `getOrComputeMany` count once a key. */
  computes: number;
  /** Callers of `getOrCompute` that shared another caller's computation in this process. */
  coalesced: number;
  /** Values that `getOrCompute` gave after their TTL, for `swr` or `grace`. */
  staleServed: number;
  /** Callers of `getOrCompute` whose `hardTimeout` passed, whether they then got an old value or not. */
  computeTimeouts: number;
  /** How long functions ran until they returned or threw; in `getOrComputeMany` once a key. */
  computeSeconds: Histogram;
  /** Keys for whose value this process waited while another process computed it under its lease. */
  leaseWaits: number;
  /**
   * Those of `leaseWaits` that brought no value, so that this process got the lease and computes: the other one failed,
   * gave up, had nothing to store, or its lease ran out.
   */
  leaseTakeovers: number;
  /** Reads that met stored bytes which are no value of this cache's codec; each is a miss, too. */
  decodeErrors: number;
  /** Failures by kind, of all kinds. */
  errors: Record<ErrorKind, number>;
  /** Entries pushed out of the in-process tier and the near cache by their memory bound. */
  evictions: number;
  /** Entries of these dropped because their TTL had passed. */
  expired: number;
  /**
   * How long Redis took to answer the calls of one turn, which are one pipeline to each server, from when it was handed
   * to the connection. Heartbeats do not count, nor what was not answered.
   */
  batchSeconds: Histogram;
  /** Outages: each server's own. One begins with the first failure, also if it was never connected. */
  outages: number;
  /** Seconds of these; an outage under way counts until now. Two servers that are away count twice. */
  outageSeconds: number;
  /** Connections made after the first. */
  reconnects: number;
  /**
   * What Redis told of changes to keys that were read here, by this process too: pushes that name keys, the keys in
   * them, and pushes that mean all keys (FLUSHALL).
   */
  invalidations: { pushes: number; keys: number; flushes: number };
  /**
   * How often the journal of an outage was full: a namespace is then swept in place of its keys or, without a
   * namespace, a key is lost, which `errors.journal` counts as well.
   */
  journalOverflows: number;
  /** Bytes to and from Redis and sentinels that say where it is, before TLS. */
  bytesSent: number;
  /** As `bytesSent`, in the other direction. */
  bytesReceived: number;
}

/** What {@link Cache.inspect} says of a key. */
export interface EntryInfo {
  /**
   * `fresh`: a value for every reader. `stale`: over, and of use to `swr` and `grace`. `ended`: one of its tags was
   * invalidated. `computing`: the marker of a computation under way. `foreign`: a list, a hash or the like, of somebody
   * else. `unreadable`: written by another version of this package, or damaged. All but the first are misses.
   */
  state: 'fresh' | 'stale' | 'ended' | 'computing' | 'foreign' | 'unreadable';
  /** Seconds for which it is a value yet; `Infinity` without expiry, 0 where it is none. */
  ttl: number;
  /** Seconds until nothing lies there any more; `Infinity` without expiry. */
  kept: number;
  /** Bytes in Redis, with what is stored beside the value; in process those of the value. */
  bytes: number;
  /** Of an entry with a header; null where plain JSON, text, bytes or a counter lie there, and in process. */
  codec: Codec | null;
  /** Whether the value is compressed in Redis. */
  compressed: boolean;
  /** The tags that it was stored with. */
  tags: string[];
  /** How long its function ran, in seconds, where that is known: for `earlyRefresh`. */
  computeSeconds: number | null;
}

/** What `getStats()` resolves to: this cache's counts since it was made, and the server's own report. */
export interface Stats {
  /** Who answers calls right now. */
  mode: Mode;
  /** Whether that is Redis. */
  connected: boolean;
  /** Keys of this cache in memory mode; in redis mode the keys of the whole database (DBSIZE). */
  keys: number;
  /** Reads that found a value, by place: as in {@link Counters}. */
  hits: Hits;
  /** Reads that found none; `misses.total` of {@link Counters}. */
  misses: number;
  /** hits / (hits + misses), 0 before the first read. */
  hitRate: number;
  /** Values stored. */
  sets: number;
  /** Keys removed, or named to be. */
  deletes: number;
  /** Functions run by `getOrCompute`. */
  computes: number;
  /** Callers of `getOrCompute` that shared another caller's computation. */
  coalesced: number;
  /** Values that `getOrCompute` gave after their TTL, for `swr` or `grace`. */
  staleServed: number;
  /** Failures by kind since the cache was made. */
  errors: Partial<Record<ErrorKind, number>>;
  /** Reads that met stored bytes which are no value of this cache's codec; each such read is a miss. */
  decodeErrors: number;
  /** Entries pushed out of the in-process tier by its memory bound. */
  evictions: number;
  /** As in {@link Health}. */
  memory: { entries: number; bytes: number; maxBytes: number };
  /** The server's own report; null while it is not connected. */
  redis: {
    version: string | null;
    usedMemory: number | null;
    maxMemory: number | null;
    maxMemoryPolicy: string | null;
    keys: number | null;
    /** Round trips of the last 1,024 pipelines, in milliseconds. */
    latencyMs: { p50: number; p99: number };
    /** Connections made after the first. */
    reconnects: number;
    /** As in `health()`: null where there is one server. */
    nodes: NodeHealth[] | null;
  } | null;
  /** `memory.bytes`, under the name of the older service. */
  memoryUsed: number;
  /** Entries of the in-process tier dropped because their TTL had passed. */
  expired: number;
  /** `memory.bytes`, under another name of the older service. */
  sizeBytes: number;
  /** `sizeBytes` / 1,024, rounded. */
  sizeKB: number;
}

/** Where state changes are told. What a logger throws is ignored, and keeps no call from settling. */
export interface Logger {
  /** Redis is in use, again or for the first time. */
  info(message: string): void;
  /** Redis is away, or a part of the configuration is not used. */
  warn(message: string): void;
  /** A fact that an operator should know: what the event `error` tells. */
  error(message: string): void;
}

/** The near cache: how values that were read stay in process while Redis vouches for them; see docs/near-cache.md. */
export interface NearCacheOptions {
  /**
   * Bound of the entries in Rust: bytes, or a text such as `'64mb'`. Caches of one URL share it; the largest stated
   * bound applies. Default: the part of `maxMemory` that the other tiers leave.
   */
  maxMemory?: number | string;
  /**
   * Seconds: the greatest age of an entry that this cache takes without asking Redis again, whichever cache put it
   * there; up to 86,400. Default 60.
   */
  maxAge?: number;
  /**
   * `copied`: each read gives a fresh copy. `frozen`: all hits give the same, deeply frozen object; needs codec `json`,
   * else `ERR_CONFIG`. Default `HOLDFAST_VALUES`, which other codecs ignore, else `copied`. The types of frozen values
   * are as readonly as the caller, or the schema of the {@link Cache}, says.
   */
  values?: 'copied' | 'frozen';
}

/**
 * How values are stored.
 *
 * - `json`: as their plain JSON text, which `redis-cli` and other clients read and write. Values come back as JSON
 *   carries them.
 * - `structured`: by V8's structured clone, which also carries Date, Map, Set, BigInt, RegExp, Error, typed arrays,
 *   Buffer, cycles and `undefined`. A value written by a later version of Node may not be readable by an earlier one:
 *   it is a miss there, and a decode error.
 * - `raw`: bytes as they are. Takes Buffer, any other view of an ArrayBuffer, and strings (as UTF-8); always gives a
 *   Buffer.
 * - `text`: strings as their plain UTF-8. Takes well-formed strings and gives the same. Stored bytes that are no valid
 *   UTF-8 are a miss, and a decode error.
 *
 * A counter of `increment` is an integer with every codec: `json` and `structured` give the number, `raw` and `text`
 * its decimal digits.
 */
export type Codec = 'json' | 'structured' | 'raw' | 'text';

/** Options of compression, in place of `'zstd'`. */
export interface CompressionOptions {
  /** Bytes of a value above which it is compressed, 0 to 268,435,456. Default 1,024. */
  threshold?: number;
}

/** How TLS is spoken with servers of `rediss://`, and with sentinels that speak it. */
export interface TlsOptions {
  /**
   * PEM text of one or more certificates to trust besides the system's roots. Line breaks may be written as `\n`, as in
   * a variable of one line. The certificates of `NODE_EXTRA_CA_CERTS` are trusted as well.
   */
  ca?: string | Uint8Array | Array<string | Uint8Array>;
  /** PEM text of our own certificate and its chain, for servers that ask who we are. Default `HOLDFAST_TLS_CERT`. */
  cert?: string | Uint8Array;
  /** PEM text of the key that belongs to it, without a passphrase. Default `HOLDFAST_TLS_KEY`. */
  key?: string | Uint8Array;
  /** Accept any certificate. For tests, and for providers with self-signed certificates; warns once. Default false. */
  insecure?: boolean;
  /** The name the certificate must carry. Default: the host of the URL. */
  servername?: string;
}

/** Where one server listens: `host`, `host:port`, `[v6]:port`, or an object. */
export type NodeAddress = string | { host: string; port?: number };

/** Where the sentinels are, and who they are asked for; docs/sentinel.md. */
export interface SentinelOptions {
  /** 1 to 64 sentinels, port 26379 where none is said. Those that they name are asked as well. */
  nodes: NodeAddress[];
  /** The name by which they know the primary, as `mymaster`. */
  name: string;
  /** The sentinels' own user. The servers' are `username` and `password` of {@link CacheOptions}. */
  username?: string;
  /** The sentinels' own password. Default: none. */
  password?: string;
  /** Whether the sentinels speak TLS. Default: as the servers do, which is where the option `tls` is given. */
  tls?: boolean;
  /**
   * Where an address that a sentinel gives is reached from here, each as `host:port`: for NAT, and for containers
   * whose addresses are their own. Default: as it is given.
   */
  addressMap?: Record<string, string>;
}

/** Where the nodes of a cluster are; docs/cluster.md. */
export interface ClusterOptions {
  /** 1 to 64 nodes, port 6379 where none is said; each leads to all. Default: those of `url`. */
  nodes?: NodeAddress[];
  /**
   * Where an address that the cluster names is reached from here, each as `host:port`: for NAT, and for containers
   * whose addresses are their own. Default: as it is named.
   */
  addressMap?: Record<string, string>;
}

/**
 * Options of {@link createCache}. An option that is not given comes from the same environment variable as for the
 * default cache.
 */
export interface CacheOptions {
  /** Prefix `namespace:` of every key: `[A-Za-z0-9_.-]{1,64}`, or an explicit `''` for raw keys. Required. */
  namespace: string;
  /**
   * `redis://`, `rediss://`, `valkey://`, `valkeys://`, `unix:` or `redis+unix:`; user and password percent-encoded,
   * the database number as the path. With sentinels: `redis+sentinel://user:password@host1:26379,host2/name/0`, or
   * `rediss+sentinel://` for TLS; user and password are those of the servers, the sentinels' own stand in the query as
   * `sentinel_username` and `sentinel_password`. A cluster: any of its nodes, or several, as
   * `redis://host1:7000,host2:7000`. `''` or null: memory mode. Default: `REDIS_URL`.
   */
  url?: string | null;
  /** The sentinels that know which server is the primary, in place of a URL: both are refused with `ERR_CONFIG`. */
  sentinel?: SentinelOptions;
  /** The user of the servers, in place of the one in the URL. */
  username?: string;
  /**
   * The password of the servers, in place of the one in the URL. A function is called before each dial, and never for a
   * connection that works: for tokens that expire. It has three seconds; what it throws is not shown, and fails that
   * dial alone. Caches with the same function may share a connection; each thread has functions of its own.
   */
  password?: string | (() => string | Promise<string>);
  /** The number of the database, 0 to 65,535, beside `sentinel`; a URL names its own. Default 0. */
  database?: number;
  /** Seconds for calls without a `ttl`. Default `HOLDFAST_TTL`, else 300. */
  ttl?: Ttl;
  /**
   * Bound of the in-process tier: bytes, or a text such as `'64mb'`. Caches of one URL share it. Default
   * `HOLDFAST_MAX_MEMORY`, else 64 MiB.
   */
  maxMemory?: number | string;
  /**
   * The most bytes of a value in its stored form, before compression: 1,024 to 268,435,456, else `ERR_CONFIG`. Default
   * 33,554,432 (32 MiB). A call that stores a larger value rejects with `ERR_VALUE_TOO_LARGE`. A compressed value that
   * would expand to more is a miss; a larger plain value that another client wrote is read.
   */
  maxValueBytes?: number;
  /** How values are stored. Caches that share keys must have the same codec. Default `json`. */
  codec?: Codec;
  /**
   * `'zstd'` compresses values of more than 1,024 bytes; an object sets another threshold. Every
   * cache of the same codec reads compressed values; `redis-cli` and other clients do not. Default false.
   */
  compression?: false | 'zstd' | CompressionOptions;
  /** The most milliseconds for which a call waits for Redis, 1 to 60,000. Default `HOLDFAST_TIMEOUT_MS`, else 250. */
  timeoutMs?: number;
  /**
   * Seconds for which entries that were held in process when Redis went away are still served, within their TTL; up to
   * 86,400; 0: not at all. Default 30.
   */
  outageStale?: number;
  /**
   * The most seconds for which values that are written while Redis is away live in process, up to 86,400. Default 60.
   */
  outageTtl?: number;
  /**
   * Keeps values that were read in process, coherent by client tracking; false turns this off. Default
   * `HOLDFAST_NEAR_CACHE`, else true.
   */
  nearCache?: boolean | NearCacheOptions;
  /**
   * How many seconds an idle connection is left alone before Redis is asked whether it lives, 0.1 to 86,400; false:
   * never. For servers that bill each command. An instance whose connection dies in silence serves what it holds for so
   * long, and `timeoutMs`. With false the next call finds out, and the near cache serves what it holds for a second or
   * two behind the last reply. Default `HOLDFAST_HEARTBEAT` (0 for never), else 1.
   */
  heartbeat?: number | false;
  /**
   * Whether each pipeline ends with `ECHO` and a number, by which a reply too many or too few is noticed at once.
   * Without it, only replies of a type that does not fit are. For servers that bill each command. Default
   * `HOLDFAST_MARKS`, else true.
   */
  marks?: boolean;
  /**
   * No connection before the first call, which waits for it, for `timeoutMs` at most; and none after 60 s without a
   * call. For servers that sleep while nobody is connected. Default `HOLDFAST_LAZY`, else false.
   */
  lazy?: boolean;
  /**
   * The nodes of a cluster, where no `url` names one, or where they are reached from here: docs/cluster.md. A `url`
   * that names a node leads to its cluster without this. What is named here has to be a cluster, else memory mode.
   */
  cluster?: ClusterOptions;
  /**
   * `'replica'`: `get`, `getMany`, `exists` and `ttl` ask the replicas of a cluster, which takes these reads off its
   * primaries. What other processes write or delete is then read up to two seconds, and the time of the call, late, and
   * a read may give an older value than the one before it. What this process writes, and tags that end, are read at
   * once, as before; computations, leases, counters and the tokens of tags never ask a replica: docs/cluster.md. There
   * is no near cache then: `nearCache: true` beside it is `ERR_CONFIG`, and so are sentinels and `lazy`. Where there is
   * one server, it is read. Default `HOLDFAST_READ_FROM`, else `'primary'`.
   */
  readFrom?: 'primary' | 'replica';
  /**
   * Who reads and writes the socket: this event `loop` itself, which saves a wake-up of a processor for each call, or
   * the engine's `thread`, which takes work off the event loop. With the loop, an event loop that is blocked hears
   * nothing of Redis meanwhile. Its leases are renewed all the same, as long as the connection lasts, so what
   * `getOrCompute` computes without a break is stored.
   * `auto` and `loop` are the loop wherever it can be: TLS, Windows, runtimes that take no socket by its descriptor,
   * and an engine that several threads of this process use, or a cache with `thread`, are the thread's. Default
   * `HOLDFAST_IO`, else `auto`.
   */
  io?: 'auto' | 'loop' | 'thread';
  /**
   * Microseconds, 0 to 1,000, for which the event loop does not sleep behind a call while at most 8 batches are under
   * way; each `getOrCompute` that waits counts as one. Redis mostly answers within; a processor that sleeps takes
   * longer to wake. The price: a processor that works all the while, and an event loop that counts as busy. Of no use
   * where Redis runs on the same processor, or the thread has the socket. Default `HOLDFAST_SPIN`, else 0: the event
   * loop sleeps.
   */
  spin?: number;
  /** How TLS is spoken, where the URL says that it is (`rediss://`). Without effect for servers without TLS. */
  tls?: TlsOptions;
  /**
   * Receives state changes. Default: one `process.emitWarning` for each change; with `HOLDFAST_LOG=silent` none, with
   * `HOLDFAST_LOG=console` the console.
   */
  logger?: Logger | null;
}

/** Given to a listener of `fallback`. */
export interface FallbackEvent {
  /** On a cluster: which of its servers. */
  node?: string;
  /** What failed. */
  kind: ErrorKind;
  /** The same in words. Never holds a URL or a password. */
  message: string;
}

/** Given to a listener of `recovered`. */
export interface RecoveredEvent {
  /** On a cluster: which of its servers. */
  node?: string;
  /** How long the outage was, in milliseconds. */
  outageMs: number;
  /** Entries of the fallback tier that were dropped. */
  dropped: number;
  /**
   * Keys that were unlinked in Redis before anything was read, because they were deleted or written during the outage.
   */
  replayed: number;
}

/** The events of a cache, and what their listeners are given. */
export interface CacheEvents {
  /**
   * Emitted once: when the first connection is up or, without a configured Redis, in the tick after the cache was
   * opened. Never emitted while a configured Redis has not been reached. A listener that is added later is called in
   * the next tick. As `ready()` does, a listener keeps the process alive until the first attempt to connect has ended.
   */
  ready: () => void;
  /** Redis is away: the in-process tier answers calls. */
  fallback: (event: FallbackEvent) => void;
  /** Redis is back. */
  recovered: (event: RecoveredEvent) => void;
  /**
   * Others changed keys of this cache: wrote, removed or let expire what this process had read, as far as Redis tells.
   * `keys` are named without the namespace; `tags` are those that were invalidated. Both are null where anything may
   * have changed: behind a FLUSHALL or FLUSHDB (one's own, too), when a connection is lost and when it is back, when
   * slots of a cluster move, and where more than 10,000 names, or 1 MiB of them, came before the event loop got to
   * them. What came until then is one event, its names sorted; at least one of the lists is not empty.
   *
   * Nothing is gathered while nobody listens. Never emitted in memory mode, nor where Redis cannot push: RESP2, an ACL
   * without `CLIENT TRACKING`, `readFrom: 'replica'` for what replicas read. What this process writes itself, in any
   * cache and thread that shares the connection, is not named. A key may be named although its value is the same: Redis
   * forgets whom to tell of a key that it names (docs/near-cache.md).
   */
  invalidate: (keys: string[] | null, tags: string[] | null) => void;
  /** A fact that an operator should know. Without a listener it never throws. */
  error: (error: Error) => void;
}

/**
 * The message of the TracingChannel `holdfast:operation` of `node:diagnostics_channel`: one call that the application
 * made, of a function that gives a promise. One object for all events of a call; docs/monitoring.md.
 */
export interface OperationMessage {
  /** The name of the function: `get`, `getOrCompute`, … */
  operation: string;
  /** The namespace; empty for none. */
  cache: string;
  /** Where the first argument is a key. */
  key?: string;
  /** Where it is an array of keys or entries: how many. */
  keys?: number;
  /** At the end of a `get`, `take` or `getMany`: for how many keys there was a value. */
  hits?: number;
  /** At the end: milliseconds from the call until its promise settles. */
  durationMs?: number;
  /** What the promise rejects with, if it does. */
  error?: unknown;
}

/** The message of the TracingChannel `holdfast:batch`: what one cache handed over at once, as a rule a turn's calls. */
export interface BatchMessage {
  /** The namespace; empty for none. */
  cache: string;
  /** How many operations; each key of `getMany` is one, and a part of a `getOrCompute` is. */
  size: number;
  /** Those that were answered at once, from the process's own memory. If all were, the batch ends with its begin. */
  atOnce: number;
  /** At the end: milliseconds from when it was handed over until the last reply. */
  durationMs?: number;
  /** Its replies could not be read, which is a bug of this package. */
  error?: unknown;
}

/** The message of the TracingChannel `holdfast:compute`: one run of a function that computes values. */
export interface ComputeMessage {
  /** The namespace; empty for none. */
  cache: string;
  /** The keys that it computes; one, but for `getOrComputeMany`. */
  keys: string[];
  /** At the end: milliseconds until it returned or threw, or its promise settled. */
  durationMs?: number;
  /** What it threw. */
  error?: unknown;
}

/** The message of the channel `holdfast:state`: what happened to a connection, once for all caches that share it. */
export type StateMessage = (
  | { event: 'ready' }
  | ({ event: 'fallback' | 'error' } & FallbackEvent)
  | ({ event: 'recovered' } & RecoveredEvent)
) & {
  /** The namespaces of the caches of this thread that use it. */
  caches: string[];
};

/** The message of the channel `holdfast:invalidation`: what a listener of `invalidate` is given, for one cache. */
export interface InvalidationMessage {
  /** The namespace; empty for none. */
  cache: string;
  /** null: any key may have changed. */
  keys: string[] | null;
  /** null: any tag may have been ended. */
  tags: string[] | null;
}

/** The message of the channel `holdfast:eviction`: the memory bound pushed entries out since the last message. */
export interface EvictionMessage {
  /** The namespace of a cache that was in use meanwhile; the entries may be another's of the same URL. */
  cache: string;
  /** How many. */
  count: number;
}

/** The events that every emitter of Node has. */
export interface EmitterEvents {
  /** A listener is about to be added. */
  newListener: (event: string | symbol, listener: (...args: never[]) => void) => void;
  /** A listener was taken away. */
  removeListener: (event: string | symbol, listener: (...args: never[]) => void) => void;
}

/** All events that a listener can be added for. */
type ListenedEvents = CacheEvents & EmitterEvents;

/**
 * The listener functions of Node's EventEmitter, for `events.once(cache, 'recovered')` and `events.on(cache, 'error')`
 * too. As with every emitter, these two reject when an `error` event comes first. Every function refuses an event that
 * is neither in {@link CacheEvents} nor in {@link EmitterEvents} with `ERR_INVALID_ARGUMENT`; the only symbol that is
 * an event is `events.errorMonitor`. An error that a listener throws is an uncaught exception, and keeps no call from
 * settling.
 */
export interface CacheEmitter {
  /** Adds a listener. */
  on<E extends keyof ListenedEvents>(event: E, listener: ListenedEvents[E]): this;
  /** Adds a listener: of `events.errorMonitor`, for what `error` is given. */
  on(errorMonitor: symbol, listener: CacheEvents['error']): this;
  /** Adds a listener for the next event alone. */
  once<E extends keyof ListenedEvents>(event: E, listener: ListenedEvents[E]): this;
  /** Adds a listener for the next event alone: of `events.errorMonitor`, for what `error` is given. */
  once(errorMonitor: symbol, listener: CacheEvents['error']): this;
  /** Takes a listener away. */
  off<E extends keyof ListenedEvents>(event: E, listener: ListenedEvents[E]): this;
  /** Takes a listener away: of `events.errorMonitor`, for what `error` is given. */
  off(errorMonitor: symbol, listener: CacheEvents['error']): this;
  /** As `on`. */
  addListener<E extends keyof ListenedEvents>(event: E, listener: ListenedEvents[E]): this;
  /** As `on`: of `events.errorMonitor`, for what `error` is given. */
  addListener(errorMonitor: symbol, listener: CacheEvents['error']): this;
  /** As `off`. */
  removeListener<E extends keyof ListenedEvents>(event: E, listener: ListenedEvents[E]): this;
  /** As `off`: of `events.errorMonitor`, for what `error` is given. */
  removeListener(errorMonitor: symbol, listener: CacheEvents['error']): this;
  /** As `on`, in front of the others. */
  prependListener<E extends keyof ListenedEvents>(event: E, listener: ListenedEvents[E]): this;
  /** As `on`, in front of the others: of `events.errorMonitor`, for what `error` is given. */
  prependListener(errorMonitor: symbol, listener: CacheEvents['error']): this;
  /** As `once`, in front of the others. */
  prependOnceListener<E extends keyof ListenedEvents>(event: E, listener: ListenedEvents[E]): this;
  /** As `once`, in front of the others: of `events.errorMonitor`, for what `error` is given. */
  prependOnceListener(errorMonitor: symbol, listener: CacheEvents['error']): this;
  /** Removes the listeners of one event, or of all events. The cache's own waits go on. */
  removeAllListeners(event?: keyof ListenedEvents | symbol): this;
  /** How many listeners an event has; or how often it has this one. */
  listenerCount(event: keyof ListenedEvents | symbol, listener?: (...args: never[]) => void): number;
  /** The listeners of an event. */
  listeners<E extends keyof ListenedEvents>(event: E): Array<ListenedEvents[E]>;
  /** Those of `events.errorMonitor`. */
  listeners(errorMonitor: symbol): Array<CacheEvents['error']>;
  /** As `listeners`, with the wrappers of `once`. */
  rawListeners(event: keyof ListenedEvents | symbol): Array<(...args: never[]) => void>;
  /** The events that have listeners. */
  eventNames(): Array<keyof ListenedEvents | symbol>;
  /** A number of 0 or more; 0 and `Infinity` turn off Node's warning of many listeners. */
  setMaxListeners(most: number): this;
  /** The number of `setMaxListeners`. */
  getMaxListeners(): number;
  /** Throws `ERR_INVALID_ARGUMENT`: the events of a cache are its own. */
  emit(event: string | symbol, ...args: unknown[]): never;
}

// What a schema makes of the functions of a cache. The schema's author writes none of these types.

/** No schema: any key, and any value. `any`, so that a cache with a schema is a `Cache`, too. */
// biome-ignore lint/suspicious/noExplicitAny: no other type takes every schema, and is taken for each.
export type NoSchema = any;

/** The keys of a schema. */
export type KeyOf<Schema> = keyof Schema & string;

/** The type of the values at a key of a schema. `key?: T` stands for T: any key may be missing. */
export type ValueOf<Schema, Key extends KeyOf<Schema>> = Required<Schema>[Key];

/** The keys of a schema whose values are numbers: those that `increment` takes. */
export type CounterOf<Schema, Key extends KeyOf<Schema> = KeyOf<Schema>> =
  Key extends KeyOf<Schema> ? (ValueOf<Schema, Key> extends number ? Key : never) : never;

/** The entries of a schema, as the pairs that `setMany` takes. */
export type EntryOf<Schema, Key extends KeyOf<Schema> = KeyOf<Schema>> =
  Key extends KeyOf<Schema> ? readonly [Key, ValueOf<Schema, Key>] : never;

/** The values at a list of keys, each of them or `Miss`: a tuple for a tuple, an array for an array. */
export type ValuesOf<Schema, Keys extends readonly KeyOf<Schema>[], Miss = never> = {
  -readonly [At in keyof Keys]: ValueOf<Schema, Keys[At]> | Miss;
};

/** The functions of keys as a cache without a schema has them; what they do stands at {@link Cache}. */
export interface UntypedFunctions {
  /** {@link Cache.get} */
  get<T = unknown>(key: string): Promise<T | null>;
  /** {@link Cache.set} */
  set(key: string, value: unknown, ttl?: Ttl | SetOptions): Promise<void>;
  /** {@link Cache.del} */
  del(key: string | readonly string[], options?: DelOptions): Promise<number>;
  /** {@link Cache.delMany} */
  delMany(keys: readonly string[]): Promise<boolean[]>;
  /** {@link Cache.scan} */
  scan(pattern?: string, options?: ScanOptions): AsyncGenerator<string[], void, undefined>;
  /** {@link Cache.setIfAbsent} */
  setIfAbsent(key: string, value: unknown, ttl?: Ttl | SetIfAbsentOptions): Promise<boolean>;
  /** {@link Cache.take} */
  take<T = unknown>(key: string, options?: TakeOptions): Promise<T | null>;
  /** {@link Cache.getOrCompute} */
  getOrCompute<T>(
    key: string,
    fn: (context: ComputeContext) => T | Promise<T>,
    ttl?: Ttl | ComputeOptions<T>,
  ): Promise<T>;
  /** {@link Cache.getOrComputeMany} */
  getOrComputeMany<T>(
    keys: readonly string[],
    fn: (missing: string[]) => readonly T[] | Promise<readonly T[]>,
    ttl?: Ttl | ComputeOptions<T>,
  ): Promise<T[]>;
  /** {@link Cache.increment} */
  increment(key: string, amount?: number, options?: IncrementOptions): Promise<number>;
  /** {@link Cache.incrementWithTtl} */
  incrementWithTtl(key: string, amount?: number, options?: IncrementOptions): Promise<Counted>;
  /** {@link Cache.exists} */
  exists(key: string): Promise<boolean>;
  /** {@link Cache.existsMany} */
  existsMany(keys: readonly string[]): Promise<boolean[]>;
  /** {@link Cache.ttl} */
  ttl(key: string): Promise<number | null>;
  inspect(key: string): Promise<EntryInfo | null>;
  /** {@link Cache.expire} */
  expire(key: string, ttl: Ttl | ExpireOptions): Promise<boolean>;
  /** {@link Cache.getMany} */
  getMany<T = unknown>(keys: readonly string[]): Promise<Array<T | null>>;
  /** {@link Cache.setMany} */
  setMany(
    entries: Iterable<readonly [string, unknown]> | Record<string, unknown>,
    ttl?: Ttl | SetOptions,
  ): Promise<void>;
}

/** The functions of keys as a cache with a schema has them; what they do stands at {@link Cache}. */
export interface TypedFunctions<Schema> {
  /** {@link Cache.get} */
  get<Key extends KeyOf<Schema>>(key: Key): Promise<ValueOf<Schema, Key> | null>;
  /** {@link Cache.set} */
  set<Key extends KeyOf<Schema>>(key: Key, value: ValueOf<Schema, Key>, ttl?: Ttl | SetOptions): Promise<void>;
  /** {@link Cache.del} */
  del(key: KeyOf<Schema> | readonly KeyOf<Schema>[], options?: DelOptions): Promise<number>;
  /** {@link Cache.delMany} */
  delMany(keys: readonly KeyOf<Schema>[]): Promise<boolean[]>;
  /** {@link Cache.scan} */
  scan(pattern?: string, options?: ScanOptions): AsyncGenerator<Array<KeyOf<Schema>>, void, undefined>;
  /** {@link Cache.setIfAbsent} */
  setIfAbsent<Key extends KeyOf<Schema>>(
    key: Key,
    value: ValueOf<Schema, Key>,
    ttl?: Ttl | SetIfAbsentOptions,
  ): Promise<boolean>;
  /** {@link Cache.take} */
  take<Key extends KeyOf<Schema>>(key: Key, options?: TakeOptions): Promise<ValueOf<Schema, Key> | null>;
  /** {@link Cache.getOrCompute} */
  getOrCompute<Key extends KeyOf<Schema>>(
    key: Key,
    fn: (context: ComputeContext) => ValueOf<Schema, Key> | Promise<ValueOf<Schema, Key>>,
    ttl?: Ttl | ComputeOptions<ValueOf<Schema, Key>>,
  ): Promise<ValueOf<Schema, Key>>;
  /** {@link Cache.getOrComputeMany} */
  getOrComputeMany<Keys extends readonly KeyOf<Schema>[] | []>(
    keys: Keys,
    fn: (
      missing: Array<Keys[number]>,
    ) => ReadonlyArray<ValueOf<Schema, Keys[number]>> | Promise<ReadonlyArray<ValueOf<Schema, Keys[number]>>>,
    ttl?: Ttl | ComputeOptions<ValueOf<Schema, Keys[number]>>,
  ): Promise<ValuesOf<Schema, Keys>>;
  /** {@link Cache.increment} */
  increment(key: CounterOf<Schema>, amount?: number, options?: IncrementOptions): Promise<number>;
  /** {@link Cache.incrementWithTtl} */
  incrementWithTtl(key: CounterOf<Schema>, amount?: number, options?: IncrementOptions): Promise<Counted>;
  /** {@link Cache.exists} */
  exists(key: KeyOf<Schema>): Promise<boolean>;
  /** {@link Cache.existsMany} */
  existsMany(keys: readonly KeyOf<Schema>[]): Promise<boolean[]>;
  /** {@link Cache.ttl} */
  ttl(key: KeyOf<Schema>): Promise<number | null>;
  inspect(key: KeyOf<Schema>): Promise<EntryInfo | null>;
  /** {@link Cache.expire} */
  expire(key: KeyOf<Schema>, ttl: Ttl | ExpireOptions): Promise<boolean>;
  /** {@link Cache.getMany} */
  getMany<Keys extends readonly KeyOf<Schema>[] | []>(keys: Keys): Promise<ValuesOf<Schema, Keys, null>>;
  /** {@link Cache.setMany} */
  setMany(entries: Iterable<EntryOf<Schema>> | Partial<Schema>, ttl?: Ttl | SetOptions): Promise<void>;
}

/** The functions of keys. Only {@link NoSchema} takes an `unknown`. */
export type FunctionsOf<Schema> = unknown extends Schema ? UntypedFunctions : TypedFunctions<Schema>;

/**
 * Its functions are bound, and are ordinary properties: a test may replace one (`jest.spyOn(cache, 'get')`) and restore
 * it. None of them calls another.
 *
 * A `Schema` names the keys and the types of their values, as an interface or a type; a template stands for many keys:
 *
 * ```ts
 * interface Schema {
 *   [user: `user:${number}`]: User;
 *   config: Config;
 *   visits: number;
 * }
 * const cache = createCache<Schema>({ namespace: 'app' });
 * await cache.get('user:7'); // User | null
 * ```
 *
 * A key that is not in the schema, and a value of another type, is then an error of the compiler. Nothing is checked
 * when the program runs: name the types that come out of the cache's codec (with `json` a Date comes back as a text),
 * and readonly ones with `nearCache.values: 'frozen'`. A key that fits two templates must have the values of both, so
 * let none fit into another. Computed keys of an object are any text to the compiler: give `setMany` pairs. A cache is
 * also a `Cache` of fewer keys, and a `Cache` without a schema, which takes every key: there, `get<User>('user:7')`
 * names the type at each call.
 */
export interface Cache<Schema extends object = NoSchema> extends CacheEmitter {
  /**
   * Resolves with the mode as soon as the first attempt to connect has ended: `redis`, or `memory` where Redis could
   * not be reached or none is configured. So a start-up that awaits it waits for Redis, but never longer than one
   * attempt; recovery goes on in the background. Rejects only with `ERR_CLOSED`. Like every call under way, it keeps
   * the process alive.
   */
  ready(): Promise<'redis' | 'memory'>;
  /**
   * The value stored at `key`, or null on a miss: a fresh copy each time, or a frozen object with
   * `nearCache.values: 'frozen'`.
   */
  get: FunctionsOf<Schema>['get'];
  /**
   * Stores `value` in the form of the cache's codec. Rejects with `ERR_UNSERIALIZABLE` if the codec cannot carry it,
   * and with `ERR_VALUE_TOO_LARGE` above `maxValueBytes`; the stored value then stays.
   */
  set: FunctionsOf<Schema>['set'];
  /**
   * Removes one key or many; resolves to the number of keys that existed. With `stale` it ends them softly: from now on
   * they are misses, but `getOrCompute` with `swr` or `grace` has the old value for so many seconds while a new one is
   * computed. Options that are no object are ignored, as in `keys.map(del)`.
   */
  del: FunctionsOf<Schema>['del'];
  /**
   * Removes many keys; resolves to which of them existed, in their order. Of duplicates the first is true, the others
   * are false. Any number of keys; all are checked before the first is removed.
   */
  delMany: FunctionsOf<Schema>['delMany'];
  /**
   * Removes the keys that match a Redis glob (`*`, `?`, `[a-c]`, `[^a]`, `\x`), by SCAN and UNLINK in batches. Resolves
   * to the number of removed keys. It takes effect when it is called: later reads in this process miss, and later
   * writes of this process stay. Keys that other processes write while it runs may or may not be removed.
   */
  delPattern(pattern: string): Promise<number>;
  /**
   * The names of this cache's keys that match a Redis glob (default `*`), page by page, in no order:
   * `for await (const keys of cache.scan('user:*')) await cache.getMany(keys)`. Nothing is kept between two pages, so
   * `break` ends it, whenever. A key that is there from beginning to end is named, once at least; within a page only
   * once; what is written or removed meanwhile may be named or not. If Redis goes away, or comes back, it goes on with
   * what answers calls then. A key that is named may read as a miss: its computation is under way, its TTL is over and
   * it is kept for `grace`, or one of its tags has ended. A cache without a namespace names all keys of the database.
   * On a cluster the primaries come one after the other; should slots change hands meanwhile, once more, up to three
   * times in all (docs/cluster.md has the limits). Where the server does not allow SCAN, no key is named.
   */
  scan: FunctionsOf<Schema>['scan'];
  /**
   * Stores `value` where a read would miss, and resolves to whether it did: of several callers, in all processes, one
   * gets `true`. An entry that is over and kept for `grace`, or that a tag ended, is no value, nor is a computation
   * under way, whose result is then not stored. (On a cluster an entry that a tag ended counts as a value until it is
   * over, and without scripts whatever lies there does.) `false` too where the server refuses it (no memory, an ACL).
   * As a lock it holds for as long as Redis keeps the key: an eviction, a failover, an outage without `reject`, or the
   * end of its TTL lets the next one in.
   */
  setIfAbsent: FunctionsOf<Schema>['setIfAbsent'];
  /**
   * Reads the value at `key` and removes it in one step: of several callers, in all processes, one gets it. null on a
   * miss. At most once: where Redis goes away before its answer is here, the value may be gone and nobody have it.
   */
  take: FunctionsOf<Schema>['take'];
  /**
   * The value at `key`; on a miss runs `fn`, resolves to its result, and stores it: in front of whatever this thread
   * calls then. All concurrent callers of one key
   * share one run, in all threads and, while Redis is up, in all processes; each gets its own copy. If `fn` returns
   * undefined, nothing is stored; an error of `fn` reaches every waiter of its thread unchanged. If any client writes
   * or deletes the key during the run, the result is returned, but not stored.
   */
  getOrCompute: FunctionsOf<Schema>['getOrCompute'];
  /**
   * The values at `keys`, in their order, duplicates allowed, any number; `fn` is called once with the distinct keys
   * that this caller is to compute, and must return one value for each of them, in their order (else
   * `ERR_INVALID_ARGUMENT`, and nothing is stored). Each value is stored behind the result; an element `undefined` is
   * returned, but not stored. The call waits for keys that other callers compute, in all threads and processes, and
   * single calls of `getOrCompute` share its computations. If such a computation elsewhere fails, `fn` is called again
   * with that key alone.
   *
   * The options are those of `getOrCompute`; `ttl` and `validate`, where they are functions, get one value each. `fn`
   * has no context. Old values within `swr` are returned, and one more call of `fn` in the
   * background replaces them all. Old values within `grace` stand in when `fn` throws or is slow; if any key has none,
   * the call waits (until `hardTimeout`) and rejects.
   */
  getOrComputeMany: FunctionsOf<Schema>['getOrComputeMany'];
  /**
   * A function with the same arguments whose calls are `getOrCompute(key(...args), () => fn(...args), options)`. `fn`
   * and `key` get the `this` of the call, and `fn` gets no context. Throws `ERR_INVALID_ARGUMENT` and `ERR_INVALID_TTL`
   * for options that do not fit, which are read once. A call rejects with what `key` throws.
   */
  memoize<Fn extends (this: never, ...args: never[]) => unknown>(
    fn: Fn,
    options: MemoizeOptions<Awaited<ReturnType<Fn>>, Parameters<Fn>, ThisParameterType<Fn>>,
  ): Memoized<Awaited<ReturnType<Fn>>, Parameters<Fn>, ThisParameterType<Fn>>;
  /**
   * Runs `fn` while no other call runs under `name`, in all threads and, while Redis is up, in all processes of the
   * namespace; resolves to its result. What `fn` throws reaches the caller, and frees the name. A call that finds the
   * name held waits for `wait`, then rejects with `ERR_LEASE_HELD`. `name`: a well-formed text of 1 to 1,024 bytes of
   * UTF-8, else `ERR_INVALID_KEY`; it is no key, and no value is ever stored there.
   *
   * A process that is paused for longer than `ttl` does not know that its lease is over until it goes on: for a moment
   * two calls may run. So may they after an eviction, `FLUSHALL`, an asynchronous failover, or in an outage without
   * `reject`. `fn` should heed `context.signal`, and what must never happen twice needs a check where it is written
   * (docs/computing-once.md). `close()` waits for `fn`; calls that wait then reject with `ERR_CLOSED`.
   */
  runExclusive<T>(
    name: string,
    fn: (context: ExclusiveContext) => T | Promise<T>,
    options?: ExclusiveOptions,
  ): Promise<T>;
  /**
   * Adds a safe integer (default 1, may be negative) to the integer at `key`, or to 0 if the key does not exist;
   * atomic. Resolves to the sum; rejects with `ERR_UNSAFE_INTEGER` if a JavaScript number cannot hold the sum exactly.
   */
  increment: FunctionsOf<Schema>['increment'];
  /**
   * As `increment`, in one trip with what is left of the counter's time: for a limit on requests, whose window begins
   * with the first one.
   */
  incrementWithTtl: FunctionsOf<Schema>['incrementWithTtl'];
  /** Whether there is a value at `key`. It does not count as a read in {@link Stats}. */
  exists: FunctionsOf<Schema>['exists'];
  /**
   * Which of the keys exist, in their order; duplicates allowed, any number. All are checked before the first is asked
   * for.
   */
  existsMany: FunctionsOf<Schema>['existsMany'];
  /** Seconds left (fractions, to the millisecond), `Infinity` without expiry, null if the key does not exist. */
  ttl: FunctionsOf<Schema>['ttl'];
  /**
   * What lies at `key`, but for its value: for people and tools. It asks Redis, does not count as a read, and changes
   * nothing. null where nothing lies there.
   */
  inspect: FunctionsOf<Schema>['inspect'];
  /**
   * Sets a new TTL (`Infinity` removes it), or a moment at which the entry expires; in the past, the key is removed.
   * False if the key does not exist.
   */
  expire: FunctionsOf<Schema>['expire'];
  /** The values in the order of the keys, null for a miss; duplicates allowed, any number. */
  getMany: FunctionsOf<Schema>['getMany'];
  /**
   * Stores many entries: a Map, pairs, or a plain object. The options apply to each entry. All entries are checked
   * before the first is stored.
   */
  setMany: FunctionsOf<Schema>['setMany'];
  /**
   * Makes every entry that was stored with one of these tags a miss, whichever process stored it. The work for each tag
   * is constant, however many entries carry it. Takes one tag or any number; each must be a tag that an entry may have.
   * A running computation with such a tag does not store its result.
   */
  invalidateTags(tags: string | Tags, options?: InvalidateOptions): Promise<void>;
  /**
   * When each tag was last invalidated, by any process: milliseconds since 1970 by the clock of the Redis server that
   * has the tag, in the order of `tags`; 0 for never. Tags that were asked for are held in the near cache, and need no
   * trip until they are invalidated. A record that Redis has lost reads as 0 too, and then no entry with the tag is
   * valid. What cannot be known, as in an outage, reads as now.
   */
  tagTimes(tags: Tags): Promise<number[]>;
  /**
   * Removes this cache's keys and no others; resolves to the number of removed keys. A cache without a namespace
   * rejects with `ERR_CLEAR_NEEDS_NAMESPACE` if a Redis is configured, unless it is given `{ flushDb: true }`.
   */
  clear(options?: ClearOptions): Promise<number>;
  /** Counts since the cache was made, and the server's own report, for which Redis is asked. */
  getStats(): Promise<Stats>;
  /**
   * The counts since the cache was made, for telemetry: synchronous, no I/O. Of a cache that was closed they stay what
   * they were then. In memory mode, what only Redis can cause is 0.
   */
  getCounters(): Counters;
  /** Who answers calls right now: synchronous, no I/O. `memory` after `close()`. */
  getMode(): Mode;
  /** For a `/health` route: synchronous, no I/O. */
  health(): Health;
  /**
   * Settles the calls in flight, then closes the cache. Idempotent; later calls reject with `ERR_CLOSED`. Never needed
   * for the process to exit.
   */
  close(): Promise<void>;
}

/**
 * Makes a further cache. Throws `ERR_CONFIG` for options that do not parse: own properties of a plain object, each read
 * once. Connecting begins at once, in the background. `Schema`: the types of keys and values, see {@link Cache}.
 */
export function createCache<Schema extends object = NoSchema>(options: CacheOptions): Cache<Schema>;

/** {@link Cache.ready}, of the default cache. */
export const ready: Cache['ready'];
/** {@link Cache.get}, of the default cache. */
export const get: Cache['get'];
/** {@link Cache.set}, of the default cache. */
export const set: Cache['set'];
/** {@link Cache.del}, of the default cache. */
export const del: Cache['del'];
/** {@link Cache.delMany}, of the default cache. */
export const delMany: Cache['delMany'];
/** {@link Cache.delPattern}, of the default cache. */
export const delPattern: Cache['delPattern'];
/** {@link Cache.scan}, of the default cache. */
export const scan: Cache['scan'];
/** {@link Cache.take}, of the default cache. */
export const take: Cache['take'];
/** {@link Cache.setIfAbsent}, of the default cache. */
export const setIfAbsent: Cache['setIfAbsent'];
/** {@link Cache.getOrCompute}, of the default cache. */
export const getOrCompute: Cache['getOrCompute'];
/** {@link Cache.getOrComputeMany}, of the default cache. */
export const getOrComputeMany: Cache['getOrComputeMany'];
/** {@link Cache.memoize}, of the default cache. */
export const memoize: Cache['memoize'];
/** {@link Cache.runExclusive}, of the default cache. */
export const runExclusive: Cache['runExclusive'];
/** {@link Cache.increment}, of the default cache. */
export const increment: Cache['increment'];
/** {@link Cache.incrementWithTtl}, of the default cache. */
export const incrementWithTtl: Cache['incrementWithTtl'];
/** {@link Cache.exists}, of the default cache. */
export const exists: Cache['exists'];
/** {@link Cache.existsMany}, of the default cache. */
export const existsMany: Cache['existsMany'];
/** {@link Cache.ttl}, of the default cache. */
export const ttl: Cache['ttl'];
/** {@link Cache.inspect}, of the default cache. */
export const inspect: Cache['inspect'];
/** {@link Cache.expire}, of the default cache. */
export const expire: Cache['expire'];
/** {@link Cache.getMany}, of the default cache. */
export const getMany: Cache['getMany'];
/** {@link Cache.setMany}, of the default cache. */
export const setMany: Cache['setMany'];
/** {@link Cache.invalidateTags}, of the default cache. */
export const invalidateTags: Cache['invalidateTags'];
/** {@link Cache.tagTimes}, of the default cache. */
export const tagTimes: Cache['tagTimes'];
/** {@link Cache.clear}, of the default cache. */
export const clear: Cache['clear'];
/** {@link Cache.getStats}, of the default cache. */
export const getStats: Cache['getStats'];
/** {@link Cache.getCounters}, of the default cache. */
export const getCounters: Cache['getCounters'];
/** {@link Cache.getMode}, of the default cache. */
export const getMode: Cache['getMode'];
/** {@link Cache.health}, of the default cache. */
export const health: Cache['health'];
/** {@link Cache.close}, of the default cache. */
export const close: Cache['close'];
/** {@link CacheEmitter.on}, of the default cache. */
export const on: Cache['on'];
/** {@link CacheEmitter.once}, of the default cache. */
export const once: Cache['once'];
/** {@link CacheEmitter.off}, of the default cache. */
export const off: Cache['off'];
/** {@link CacheEmitter.addListener}, of the default cache. */
export const addListener: Cache['addListener'];
/** {@link CacheEmitter.removeListener}, of the default cache. */
export const removeListener: Cache['removeListener'];
/** {@link CacheEmitter.prependListener}, of the default cache. */
export const prependListener: Cache['prependListener'];
/** {@link CacheEmitter.prependOnceListener}, of the default cache. */
export const prependOnceListener: Cache['prependOnceListener'];
/** {@link CacheEmitter.removeAllListeners}, of the default cache. */
export const removeAllListeners: Cache['removeAllListeners'];
/** {@link CacheEmitter.listenerCount}, of the default cache. */
export const listenerCount: Cache['listenerCount'];
/** {@link CacheEmitter.listeners}, of the default cache. */
export const listeners: Cache['listeners'];
/** {@link CacheEmitter.rawListeners}, of the default cache. */
export const rawListeners: Cache['rawListeners'];
/** {@link CacheEmitter.eventNames}, of the default cache. */
export const eventNames: Cache['eventNames'];
/** {@link CacheEmitter.setMaxListeners}, of the default cache. */
export const setMaxListeners: Cache['setMaxListeners'];
/** {@link CacheEmitter.getMaxListeners}, of the default cache. */
export const getMaxListeners: Cache['getMaxListeners'];
/** {@link CacheEmitter.emit}, of the default cache. */
export const emit: Cache['emit'];
