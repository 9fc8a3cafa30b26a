// BentoCache takes the driver.

import { BentoCache, bentostore } from 'bentocache';
import type { Cache } from 'holdfast';
import { type HoldfastDriverOptions, holdfastDriver } from 'holdfast/bentocache';

const options: HoldfastDriverOptions = { prefix: 'app', timeoutMs: 100 };
const main = bentostore().useL2Layer(holdfastDriver(options));
export const bento = new BentoCache({ default: 'main', stores: { main } });
export const cache: Cache = holdfastDriver().factory({}).cache;
// @ts-expect-error the codec is the adapter's own
holdfastDriver({ codec: 'json' });
