// A Nitro application over Holdfast: `/report` is a cached handler, `/notes/NAME` keeps notes in a storage. Both go on
// while Redis is stopped. `npm start` builds and runs it; `REDIS_URL` names the Redis, without it all is in memory.

import { lstatSync } from 'node:fs';
import { defineNitroConfig } from 'nitropack/config';

// In this clone the package is a link, which Nitro takes for the application's own code, and would bundle. One that is
// installed needs no such line: Nitro copies it to the output, with its native part.
const isLink = lstatSync(new URL('node_modules/holdfast', import.meta.url)).isSymbolicLink();

export default defineNitroConfig({
  compatibilityDate: '2026-11-01',
  storage: {
    // Where Nitro keeps what its cached handlers and functions made. These have no end of their own: `maxTtl` is one.
    cache: { driver: 'holdfast/unstorage', base: 'nitro-cache', maxTtl: 86_400 },
    notes: { driver: 'holdfast/unstorage', base: 'nitro-notes', maxTtl: 3_600 },
  },
  ...(isLink && { rollupConfig: { external: [/^holdfast\//] } }),
});
