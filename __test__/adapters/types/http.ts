// `holdfast/http` as applications write it, in each framework's own types.
import type { Request } from 'express';
import express from 'express';
import { fastify } from 'fastify';
import { createCache } from 'holdfast';
import * as http from 'holdfast/http';
import { type Context, Hono } from 'hono';

const cache = createCache({ namespace: 'pages', codec: 'raw' });

const app = express();
app.use(http.express());
app.use(http.express<Request>({ cache, ttl: 60, key: (req) => req.originalUrl, tags: (req) => [`path:${req.path}`] }));
app.get('/', http.express({ swr: 30, grace: 3600, maxStale: 7200, maxBytes: 1024, wait: 1 }), (_req, res) => {
  res.send('page');
});

const server = fastify();
server.register(http.fastify, { cache, ttl: 60, credentials: ['x-api-key'] });

const web = new Hono();
web.use(http.hono<Context>({ app: web, tags: (c) => [`path:${c.req.path}`], withoutSetCookie: true }));

// @ts-expect-error: the application is required
http.hono({ ttl: 60 });
// @ts-expect-error: seconds are a number
http.express({ ttl: '60' });
// @ts-expect-error: no such option
http.express({ maxAge: 60 });
