// The handlers of Next by their public names. That Next takes them is tested where Next is installed: __test__/next.

import type { Cache } from 'holdfast';
import byDefault, { createCacheHandler, type Options } from 'holdfast/next';
import useCache, { type CacheEntry, createCacheHandler as createUseCache } from 'holdfast/next-use-cache';

const options: Options = { namespace: 'shop', buildId: 'b1', maxTtl: 3_600, onOutage: 'reject' };
export const Handler = createCacheHandler(options);
export const found = new Handler({}).get('/', { kind: 'APP_PAGE' });
export const caches: Cache[] = [byDefault.cache, Handler.cache, useCache.cache];
export const read: Promise<CacheEntry | undefined> = createUseCache({ wait: 0 }).get('key', ['_N_T_/layout']);
export const ended: Promise<void> = useCache.updateTags(['a'], { expire: 60 });
// @ts-expect-error the codec is the adapter's own
createCacheHandler({ codec: 'json' });
// @ts-expect-error in an outage an end is local, or fails
createUseCache({ onOutage: 'wait' });
