/** The options of an adapter: those of `createCache`, without the codec, which is the adapter's own. */
import type { CacheOptions } from '../../index';

export interface AdapterOptions extends Partial<Omit<CacheOptions, 'codec'>> {
  codec?: never;
}
