// Owns the Express application: its routes, and what a client sees of an error.
'use strict';

const express = require('express');
const health = require('./routes/health');
const performance = require('./routes/performance');

function createApp() {
  const app = express();
  app.disable('x-powered-by');
  // The demo measures the cache: 304 replies would leave the bodies out.
  app.disable('etag');
  app.use(health, performance);
  app.use((request, response) => {
    response.status(404).json({ error: `no route ${request.method} ${request.path}` });
  });
  app.use((error, _request, response, _next) => {
    const status = error.status ?? 500;
    if (status >= 500) console.error(error);
    response.status(status).json({ error: status < 500 ? error.message : 'internal error' });
  });
  return app;
}

module.exports = { createApp };
