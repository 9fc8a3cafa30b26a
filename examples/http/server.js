// A shop whose pages come from the cache, and go on doing so while Redis is stopped. `REDIS_URL` names the Redis;
// without it all is in memory.
//
// `curl -i localhost:3000/products/7` twice: `X-Cache` says MISS, then HIT. `curl -X POST localhost:3000/products/7`
// changes the product: its page, and the list in which it stands, are made anew.
'use strict';

const express = require('express');
const { createCache } = require('holdfast');
const http = require('holdfast/http');

const cache = createCache({ namespace: 'shop-pages', codec: 'raw' });
const products = new Map(['7', '8'].map((id) => [id, { id, price: 10 }]));
const app = express();

app.get('/health', (_req, res) => res.json(cache.health()));

// Behind its 10 seconds a page serves for 60 more while a new one is made, and for an hour if that fails.
app.use(http.express({ cache, ttl: 10, swr: 60, grace: 3600, tags: (req) => [`at:${req.path}`] }));

app.get('/products', (_req, res) => res.json([...products.values()]));

app.get('/products/:id', (req, res) => {
  const product = products.get(req.params.id);
  if (product === undefined) return res.sendStatus(404);
  res.json({ ...product, made: new Date().toISOString() });
});

app.post('/products/:id', async (req, res) => {
  const product = products.get(req.params.id);
  if (product === undefined) return res.sendStatus(404);
  product.price++;
  // The page of this URL ends by itself; what else shows the product ends by its tag.
  await cache.invalidateTags('at:/products');
  res.json(product);
});

const server = app.listen(process.env.PORT ?? 3000, () => console.log(`listening on ${server.address().port}`));
