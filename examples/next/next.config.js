// Both handlers: `cacheHandlers` for what says 'use cache', `cacheHandler` for pages, route handlers and fetches.
import { createRequire } from 'node:module';

const { resolve } = createRequire(import.meta.url);
const handler = resolve('holdfast/next-use-cache');

export default {
  cacheComponents: true,
  partialPrefetching: true,
  cacheHandlers: { default: handler, remote: handler },
  cacheHandler: resolve('holdfast/next'),
  cacheMaxMemorySize: 0,
  serverExternalPackages: ['holdfast'],
};
