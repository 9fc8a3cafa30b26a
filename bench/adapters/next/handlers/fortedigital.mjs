// @fortedigital/nextjs-cache-handler as its README sets it up: its Redis handler, behind one that keeps in process what
// has a tag for that.
import { CacheHandler } from '@fortedigital/nextjs-cache-handler';
import createCompositeHandler from '@fortedigital/nextjs-cache-handler/composite';
import createLruHandler from '@fortedigital/nextjs-cache-handler/local-lru';
import createRedisHandler from '@fortedigital/nextjs-cache-handler/redis-strings';
import { createClient } from '@redis/client';

let opened;

async function open() {
  const memory = createLruHandler();
  if (process.env.NEXT_PHASE === 'phase-production-build') return { handlers: [memory] };
  const client = createClient({ url: process.env.REDIS_URL, pingInterval: 10_000 });
  client.on('error', () => {});
  await client.connect();
  const shared = createRedisHandler({ client, keyPrefix: 'nextjs:' });
  const setStrategy = ({ tags }) => (tags.includes('memory-cache') ? 0 : 1);
  return { handlers: [createCompositeHandler({ handlers: [memory, shared], setStrategy })] };
}

CacheHandler.onCreation(() => {
  opened ??= open();
  return opened;
});

export default CacheHandler;
