// One instance of an application with a response cache, in a process of its own. Prints its port; `/runs` tells how
// often its handler has run, and each run waits until `/go` was asked for.
'use strict';

const express = require('express');
const { createCache } = require('../../../..');
const holdfast = require('../../../../adapters/http');

const [, , url, namespace] = process.argv;
const cache = createCache({ namespace, url, codec: 'raw', logger: null, timeoutMs: 5_000 });
let runs = 0;
let go;
const gone = new Promise((resolve) => {
  go = resolve;
});

const app = express();
app.get('/runs', (_req, res) => res.json(runs));
app.get('/go', (_req, res) => res.json(go()));
app.use(holdfast.express({ cache, ttl: 60, wait: 60 }));
app.get('/page', async (_req, res) => {
  runs++;
  await gone;
  res.send('the page');
});
app.post('/page', (_req, res) => res.send('changed'));

cache.ready().then(() => {
  const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port));
});
