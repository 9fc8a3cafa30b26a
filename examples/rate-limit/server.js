// An Express application with a limit of ten requests a minute for each address, over all its instances. `REDIS_URL`
// names the Redis; while it is stopped each instance counts for itself.
'use strict';

const express = require('express');
const { rateLimit } = require('express-rate-limit');
const { RateLimitStore } = require('holdfast/rate-limit');

const app = express();
const store = new RateLimitStore({ namespace: 'rl-example' });

app.get('/health', (_, response) => response.json(store.cache.health()));
app.use(rateLimit({ store, windowMs: 60_000, limit: 10, standardHeaders: 'draft-8', legacyHeaders: false }));
app.get('/', (_, response) => response.json({ hello: 'world' }));

const server = app.listen(process.env.PORT ?? 3000, () => console.log(`listening on ${server.address().port}`));
