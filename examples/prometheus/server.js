// A shop: `/products/ID` comes from the cache, and `/metrics` tells Prometheus how it fares, beside what prom-client
// says of the process. `REDIS_URL` names the Redis; stop it, and see `holdfast_mode` and
// `holdfast_outage_seconds_total`.
'use strict';

const express = require('express');
const { getOrCompute, health } = require('holdfast');
const { register } = require('holdfast/prometheus');
const prometheus = require('prom-client');

prometheus.collectDefaultMetrics();
register({ name: 'shop' });

const app = express();

app.get('/health', (_, response) => response.json(health()));

app.get('/metrics', async (_, response) => {
  response.type(prometheus.register.contentType).send(await prometheus.register.metrics());
});

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
