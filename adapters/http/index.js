// holdfast/http: responses from the cache, for Express, Fastify and Hono. The documentation is in index.d.ts.
'use strict';

const { express } = require('./skins/express.js');
const { fastify } = require('./skins/fastify.js');
const { hono } = require('./skins/hono.js');

module.exports = { express, fastify, hono };
