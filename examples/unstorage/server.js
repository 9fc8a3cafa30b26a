// Notes in a storage of unstorage: `/notes/NAME` appends to a note and shows it, `/notes` lists all. Both go on while
// Redis is stopped. `REDIS_URL` names the Redis; without it all is in memory.
'use strict';

const { createServer } = require('node:http');
const { createStorage } = require('unstorage');
const { holdfastDriver } = require('holdfast/unstorage');

const driver = holdfastDriver({ base: 'notes', maxTtl: 3_600 });
const storage = createStorage({ driver });

async function answer(path) {
  if (path === '/health') return driver.getInstance().health();
  if (path === '/notes') return storage.getKeys();
  const name = path.slice('/notes/'.length);
  const lines = [...((await storage.getItem(name)) ?? []), new Date().toISOString()].slice(-5);
  await storage.setItem(name, lines);
  return lines;
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
