/** The options of both handlers of Next: those of `createCache` without the codec, and these. */
import type { AdapterOptions } from '../options';

export interface NextOptions extends AdapterOptions {
  /** The most seconds for which an entry is kept. Default 2,592,000 (30 days), as long as the records of tags live. */
  maxTtl?: number;
  /**
   * Tags that end while Redis is away end in this process, and in the others when Redis is back. With `reject`, the
   * call that ends them (`revalidateTag`, `updateTag`, `revalidatePath`) fails all the same, with
   * `ERR_REDIS_UNAVAILABLE`. Default `local`.
   */
  onOutage?: 'local' | 'reject';
}

/** How Next says that tags end softly: stale from now on, gone after `expire` seconds. */
export interface Durations {
  expire?: number;
}
