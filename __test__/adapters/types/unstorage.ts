// unstorage takes the driver, by its name and as the default that Nitro imports.

import type { Cache } from 'holdfast';
import byDefault, { holdfastDriver, type Options } from 'holdfast/unstorage';
import { createStorage } from 'unstorage';

const options: Options = { base: 'app', ttl: 60, maxTtl: 3_600 };
export const named = createStorage({ driver: holdfastDriver(options) });
export const standard = createStorage({ driver: byDefault() });
export const cache: Cache = holdfastDriver().getInstance();
// @ts-expect-error the codec is the adapter's own
holdfastDriver({ codec: 'json' });
