/**
 * holdfast/otel: what caches count, as metrics of OpenTelemetry (@opentelemetry/api 1.3 or newer), and what they do, as
 * spans.
 *
 * A collection reads `getCounters()` and `health()` of each cache, and once more for histograms; nothing is added to
 * the calls of a cache, and nothing here does I/O. Attributes are bounded: `cache.name` and `holdfast.connection` as
 * the application names them, `cache.tier`, `cache.result`, `cache.mode`, `error.type`. docs/adapters/otel.md lists the
 * metrics.
 */
import type { Cache } from '../../index';

/** What is used of a `MeterProvider` of OpenTelemetry. */
export interface MeterSource {
  getMeter(name: string, version?: string): object;
}

export interface OtelOptions {
  /** Whose counts are told. Default: the default cache. */
  cache?: Cache;
  /**
   * The attribute `cache.name` of what counts for this cache alone: 1 to 64 letters, digits and `. _ : -`. Each cache
   * of a provider has a name of its own. Default `default`.
   */
  name?: string;
  /**
   * The attribute `holdfast.connection` of what caches of one URL share: the connection, and the memory in the process.
   * Caches with the same one are taken to share them, which are told once; so name one for each further URL. Default
   * `default`.
   */
  connection?: string;
  /** Default: the global one, as it is now: start the SDK first. */
  meterProvider?: MeterSource;
}

/** What {@link register} returns. */
export interface OtelRegistration {
  /**
   * The cache is looked at no more. Call it when you close a cache. The SDK goes on naming the sums that it collected
   * last.
   */
  unregister(): void;
}

/**
 * Adds a cache to the metrics of a provider. Throws `ERR_INVALID_ARGUMENT` for options that do not fit, and for a name
 * or a cache that is registered there already.
 */
export function register(options?: OtelOptions): OtelRegistration;

/**
 * The histograms of all registered caches, `db.client.operation.duration` and `holdfast.cache.compute.duration`, for
 * the option `metricProducers` of a reader of `@opentelemetry/sdk-metrics`, which says of it that it is experimental.
 * Cumulative, whatever the reader prefers.
 */
export const metricProducer: {
  // biome-ignore lint/suspicious/noExplicitAny: the types of the SDK, which need not be installed.
  collect(): Promise<any>;
};

/** What is used of a `TracerProvider` of OpenTelemetry. */
export interface TracerSource {
  getTracer(name: string, version?: string): object;
}

export interface TraceOptions {
  /** Default: the global one, also where it is set later. */
  tracerProvider?: TracerSource;
  /** A span for each call as well: `get`, `getOrCompute`, … Default false. */
  operations?: boolean;
  /** Whether spans have keys, as `holdfast.keys`. Keys may be personal data, and are without bounds. Default false. */
  keys?: boolean;
}

/** What {@link trace} returns. */
export interface Tracing {
  /** No more spans, and none of what is under way. */
  stop(): void;
}

/**
 * Makes spans of what all caches of this thread do from now on: one for each run of a function of `getOrCompute`, which
 * is active while it runs, and one for each batch that Redis is asked. Start the SDK first: the context manager is
 * taken as it is now. Until this is called nothing is subscribed to.
 *
 * Throws `ERR_INVALID_ARGUMENT` for options that do not fit, and while the caches are traced already.
 */
export function trace(options?: TraceOptions): Tracing;
