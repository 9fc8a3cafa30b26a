// A shop: `/products/ID` comes from the cache, whose metrics and spans are printed every five seconds. `REDIS_URL`
// names the Redis; stop it, and see `holdfast.cache.mode` and `holdfast.outage.duration`.
'use strict';

require('./telemetry.js');
const express = require('express');
const { getOrCompute, health } = require('holdfast');

const app = express();

app.get('/health', (_, response) => response.json(health()));

app.get('/products/:id', async (request, response) => {
  const { id } = request.params;
  response.json(await getOrCompute(`product:${id}`, () => findProduct(id), { ttl: 10, swr: 60, grace: 3600 }));
});

/** Stands for a database. */
async function findProduct(id) {
  await new Promise((resolve) => setTimeout(resolve, 50));
  return { id, price: 10, made: new Date().toISOString() };
}

const server = app.listen(process.env.PORT ?? 3000, () => console.log(`listening on ${server.address().port}`));
