/**
 * holdfast/prometheus: what caches count, as metrics of prom-client (15 or newer).
 *
 * A scrape reads `getCounters()` and `health()` of each cache once, without I/O; nothing is added to the calls of a
 * cache. Labels are bounded: `cache` and `connection` as the application names them, `tier`, `result`, `kind` (of
 * `errors`), `mode`. docs/adapters/prometheus.md lists the metrics.
 */
import type { Cache } from '../../index';

/** What is used of prom-client's `Registry`. */
export interface MetricRegistry {
  registerMetric(metric: never): void;
  getSingleMetric(name: string): unknown;
  removeSingleMetric(name: string): void;
}

export interface PrometheusOptions {
  /** Whose counts are told. Default: the default cache. */
  cache?: Cache;
  /**
   * The label `cache` of what counts for this cache alone: 1 to 64 letters, digits and `. _ : -`. Each cache of a
   * registry has a name of its own. Default `default`.
   */
  name?: string;
  /**
   * The label `connection` of what caches of one URL share: the connection, and the memory in the process. Caches with
   * the same one are taken to share them, which are told once; so name one for each further URL. Default `default`.
   */
  connection?: string;
  /** Begins the names of the metrics. The dashboard and the rules of alerts expect the default, `holdfast_`. */
  prefix?: string;
  /** Where the metrics go. Default: prom-client's own, `register`. */
  registry?: MetricRegistry;
}

/** What {@link register} returns. */
export interface PrometheusRegistration {
  /** Takes the cache out of the metrics; with the last one they leave the registry. Call it when you close a cache. */
  unregister(): void;
}

/**
 * Adds a cache to the metrics of a registry. Throws `ERR_INVALID_ARGUMENT` for options that do not fit, for a name or a
 * cache that is registered there already, and where the registry has another metric of the same name.
 */
export function register(options?: PrometheusOptions): PrometheusRegistration;
