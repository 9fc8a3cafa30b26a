// The site of the kit. `KIT_CACHE_HANDLER` and `KIT_USE_CACHE_HANDLER` name the handlers under test by their paths; an
// empty one leaves Next its own.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const { resolve } = createRequire(import.meta.url);
const root = fileURLToPath(new URL('../../..', import.meta.url));

function handler(variable, standard) {
  const path = process.env[variable] ?? resolve(standard);
  return path === '' ? undefined : path;
}

const cacheHandler = handler('KIT_CACHE_HANDLER', 'holdfast/next');
const useCacheHandler = handler('KIT_USE_CACHE_HANDLER', 'holdfast/next-use-cache');

export default {
  cacheHandler,
  cacheHandlers: useCacheHandler && { default: useCacheHandler, remote: useCacheHandler },
  cacheMaxMemorySize: 0,
  experimental: { useCache: true },
  output: 'standalone',
  outputFileTracingRoot: root,
  turbopack: { root },
};
