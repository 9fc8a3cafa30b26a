// The same application in each framework, behind the response cache: what a handler does is written once.
//
// A handler is given `{ method, path, header(name), gone() }`, and returns `{ status, headers, body }` or throws; a
// body that is neither text nor bytes is an async iterable of chunks, which are streamed. `options.front` and
// `options.behind` are Express middleware on either side of the cache.
'use strict';

const { once } = require('node:events');
const { Readable, pipeline } = require('node:stream');
const { serve } = require('@hono/node-server');
const { fastify } = require('fastify');
const { Hono } = require('hono');
const holdfast = require('../../../../adapters/http');

const isStream = (body) => body !== undefined && typeof body !== 'string' && !Buffer.isBuffer(body);
const isTexts = (value) => (Array.isArray(value) ? value : [value]);
const urlOf = (server) => `http://127.0.0.1:${server.address().port}`;

/** What is open: each test closes it. */
const open = [];

async function closeApps() {
  await Promise.all(open.splice(0).map((close) => close()));
}

function onExpress(name, packageName) {
  const express = require(packageName);
  return {
    name,
    async start(handler, { front = [], behind = [], ...options } = {}) {
      const app = express();
      // A failed request is a test's own doing: nothing is printed.
      app.set('env', 'test');
      for (const middleware of front) app.use(middleware);
      app.use(holdfast.express(options));
      for (const middleware of behind) app.use(middleware);
      app.use(async (req, res, next) => {
        try {
          const asked = {
            method: req.method,
            path: req.originalUrl,
            header: (field) => req.headers[field],
            gone: () => once(res, 'close'),
          };
          const { status = 200, headers = {}, body } = await handler(asked);
          res.status(status);
          for (const [field, value] of Object.entries(headers)) res.append(field, value);
          if (isStream(body)) pipeline(Readable.from(body), res, () => {});
          else res.send(body);
        } catch (error) {
          next(error);
        }
      });
      const server = app.listen(0, '127.0.0.1');
      await once(server, 'listening');
      open.push(() => {
        server.closeAllConnections();
        return new Promise((resolve) => server.close(resolve));
      });
      return urlOf(server);
    },
  };
}

const onFastify = {
  name: 'Fastify 5',
  async start(handler, options = {}) {
    const app = fastify({ forceCloseConnections: true });
    app.register(holdfast.fastify, options);
    app.register(async (scope) => {
      scope.all('/*', async (request, reply) => {
        const asked = {
          method: request.method,
          path: request.url,
          header: (field) => request.headers[field],
          gone: () => once(reply.raw, 'close'),
        };
        const { status = 200, headers = {}, body } = await handler(asked);
        reply.code(status);
        for (const [field, value] of Object.entries(headers)) reply.header(field, value);
        return reply.send(isStream(body) ? Readable.from(body) : body);
      });
    });
    await app.listen({ port: 0, host: '127.0.0.1' });
    open.push(() => app.close());
    return urlOf(app.server);
  },
};

const onHono = {
  name: 'Hono 4',
  /** A stream goes on for those who wait when its client has gone. */
  readsOn: true,
  async start(handler, options = {}) {
    const app = new Hono();
    app.use(holdfast.hono({ app, ...options }));
    app.onError(() => new Response('failed', { status: 500 }));
    app.all('*', async (c) => {
      const { pathname, search } = new URL(c.req.url);
      const asked = {
        method: c.req.method,
        path: pathname + search,
        header: (field) => c.req.header(field),
        gone: () => once(c.req.raw.signal, 'abort'),
      };
      const { status = 200, headers = {}, body } = await handler(asked);
      const fields = Object.entries(headers).flatMap(([field, value]) => isTexts(value).map((text) => [field, text]));
      const bare = status === 204 || status === 304;
      return new Response(bare ? null : isStream(body) ? Readable.toWeb(Readable.from(body)) : body, {
        status,
        headers: fields,
      });
    });
    const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
    await once(server, 'listening');
    open.push(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    return urlOf(server);
  },
};

const APPS = [onExpress('Express 5', 'express'), onExpress('Express 4', 'express4'), onFastify, onHono];
const [express5] = APPS;

module.exports = { APPS, closeApps, express5 };
