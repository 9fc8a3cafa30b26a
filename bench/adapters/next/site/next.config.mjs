// The site that is built once with each handler. `BENCH_PAGES` and `BENCH_FUNCTIONS` name the handlers, as paths; an
// empty one leaves Next its own.
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../..', import.meta.url));
const { BENCH_PAGES: pages, BENCH_FUNCTIONS: functions } = process.env;

export default {
  // Next's own memory stands in front of its own files alone.
  ...(pages && { cacheHandler: pages, cacheMaxMemorySize: 0 }),
  ...(functions && { cacheHandlers: { default: functions } }),
  experimental: { useCache: true },
  outputFileTracingRoot: root,
  turbopack: { root },
};
