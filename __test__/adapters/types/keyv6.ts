// Keyv 6 takes the adapter, and its options are those of createCache without the codec.

import type { Cache } from 'holdfast';
import { KeyvHoldfast, type KeyvHoldfastOptions } from 'holdfast/keyv6';
import { Keyv, type KeyvStorageAdapter } from 'keyv6';

const options: KeyvHoldfastOptions = { namespace: 'app', timeoutMs: 100, nearCache: false };
const store: KeyvStorageAdapter = new KeyvHoldfast(options);
export const keyv: Keyv = new Keyv({ store: new KeyvHoldfast(), namespace: 'users', ttl: 60_000 });
export const cache: Cache = new KeyvHoldfast().cache;
export const found: Promise<boolean[]> = new KeyvHoldfast().deleteMany(['a']);
// @ts-expect-error the codec is the adapter's own
new KeyvHoldfast({ codec: 'json' });

export { store };
