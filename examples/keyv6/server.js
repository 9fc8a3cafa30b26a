// Two routes over Keyv 6: `/user/ID` counts visits, `/users` lists who was there. Both go on while Redis is stopped.
// `REDIS_URL` names the Redis; without it all is in memory.
'use strict';

const { createServer } = require('node:http');
const { Keyv } = require('keyv');
const { KeyvHoldfast } = require('holdfast/keyv6');

const store = new KeyvHoldfast();
const users = new Keyv({ store, namespace: 'users', ttl: 60_000 });
users.on('error', (error) => console.error(error));

async function answer(path) {
  if (path === '/health') return store.cache.health();
  if (path === '/users') {
    const found = {};
    for await (const [id, user] of users.iterator()) found[id] = user;
    return found;
  }
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
