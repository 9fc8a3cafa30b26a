// Two routes over Keyv 5: `/user/ID` reads and writes a Keyv, `/report` is wrapped by cache-manager. Both go on while
// Redis is stopped. `REDIS_URL` names the Redis; without it all is in memory.
'use strict';

const { createServer } = require('node:http');
const { createCache } = require('cache-manager');
const { Keyv } = require('keyv');
const { KeyvHoldfast } = require('holdfast/keyv');

const users = new Keyv({ store: new KeyvHoldfast(), namespace: 'users', ttl: 60_000 });
const reports = new Keyv({ store: new KeyvHoldfast(), namespace: 'reports' });
const manager = createCache({ stores: [reports], ttl: 10_000 });

async function answer(path) {
  if (path === '/report') return manager.wrap('report', async () => ({ made: new Date().toISOString() }));
  if (path === '/health') return reports.store.cache.health();
  const id = path.slice('/user/'.length);
  const user = (await users.get(id)) ?? { id, visits: 0 };
  user.visits++;
  await users.set(id, user);
  return user;
}

const server = createServer(async (request, response) => {
  try {
    response.setHeader('content-type', 'application/json').end(JSON.stringify(await answer(request.url)));
  } catch (error) {
    console.error(error);
    response.writeHead(500).end();
  }
});
server.listen(process.env.PORT ?? 3000, () => console.log(`listening on ${server.address().port}`));
