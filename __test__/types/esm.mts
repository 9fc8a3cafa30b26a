// An application of ES modules: named imports, the namespace, and the default that Node makes of a CommonJS package.

import * as everything from 'holdfast';
import holdfast, { type Cache, createCache, get, HoldfastError } from 'holdfast';

export const cache: Cache = createCache({ namespace: 'esm' });
export const value: number | null = await get<number>('key');
export const same: typeof get = everything.get;
export const byDefault: typeof get = holdfast.get;
export const isOurs = (error: unknown): error is HoldfastError => error instanceof HoldfastError;
// @ts-expect-error not exported
export const { flush } = everything;
