// A route over BentoCache whose second level is Holdfast; a first level and a bus are not needed. It goes on while
// Redis is stopped. `REDIS_URL` names the Redis; without it all is in memory.

import { createServer } from 'node:http';
import { BentoCache, bentostore } from 'bentocache';
import { createCache } from 'holdfast';
import { holdfastDriver } from 'holdfast/bentocache';

const bento = new BentoCache({
  default: 'main',
  stores: { main: bentostore().useL2Layer(holdfastDriver({ prefix: 'app' })) },
});
// Of the same URL as the driver's, so of the same connection.
const { health } = createCache({ namespace: 'health' });

async function userOf(id) {
  return { id, loaded: new Date().toISOString() };
}

const server = createServer(async (request, response) => {
  try {
    const id = request.url.slice('/user/'.length);
    const answer =
      request.url === '/health'
        ? health()
        : await bento.getOrSet({ key: `user:${id}`, factory: () => userOf(id), ttl: '10s', grace: '1h' });
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
  } catch (error) {
    console.error(error);
    response.writeHead(500).end();
  }
});
server.listen(process.env.PORT ?? 3000, () => console.log(`listening on ${server.address().port}`));
