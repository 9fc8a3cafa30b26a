// What is particular to a framework: where the cache stands among its middleware and hooks, and how it is set up.
'use strict';

const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const compress = require('@fastify/compress');
const express = require('express');
const { serve } = require('@hono/node-server');
const { RESPONSE_ALREADY_SENT } = require('@hono/node-server/utils/response');
const { fastify } = require('fastify');
const { Hono } = require('hono');
const { HoldfastError } = require('../../..');
const holdfast = require('../../../adapters/http');
const { closeCaches, expectThrows, openCache } = require('../../support/holdfast');
const { serverForAll } = require('../../support/redis-server');
const { until } = require('../../support/until');
const { ask, how } = require('./support/ask');

const redis = serverForAll();
const open = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((close) => close()));
  await closeCaches();
});

const rawCache = () => openCache({ url: redis.url(), codec: 'raw' });
const FRESH = 'max-age=60';

describe('Express', () => {
  async function serve(app) {
    const server = app.listen(0, '127.0.0.1');
    await once(server, 'listening');
    open.push(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    return `http://127.0.0.1:${server.address().port}`;
  }

  test('what stands in front adds its own fields to each answer, stored or not', async () => {
    let requests = 0;
    const app = express();
    app.use((_req, res, next) => {
      res.set({ 'x-request': `${++requests}`, vary: 'origin' });
      next();
    });
    app.use(holdfast.express({ cache: await rawCache() }));
    app.get('/', (_req, res) => res.set('cache-control', FRESH).vary('accept').send('page'));
    const url = await serve(app);
    const answers = [await ask(url), await ask(url)];
    expect(answers.map(({ headers }) => [headers['x-cache'], headers['x-request'], headers.vary])).toEqual([
      ['MISS', '1', 'origin, accept'],
      ['HIT', '2', 'origin, accept'],
    ]);
  });

  test('a cookie that middleware behind the cache sets with the head is seen', async () => {
    const app = express();
    app.use(holdfast.express({ cache: await rawCache(), ttl: 60 }));
    app.use((_req, res, next) => {
      const { writeHead } = res;
      res.writeHead = (...args) => {
        res.setHeader('set-cookie', 'id=1');
        return writeHead.apply(res, args);
      };
      next();
    });
    app.get('/', (_req, res) => res.send('page'));
    const url = await serve(app);
    for (let at = 0; at < 2; at++) {
      const { headers } = await ask(url);
      expect([headers['x-cache'], headers['set-cookie']]).toEqual(['MISS', ['id=1']]);
    }
  });

  test.each([
    ['an object', [200, 'Fine', { 'Cache-Control': FRESH, 'X-Own': ['a', 'b'] }]],
    ['names and values', [200, ['Cache-Control', FRESH, 'X-Own', 'a', 'X-Own', 'b']]],
  ])('a head that is written as %s is stored', async (_form, head) => {
    const app = express();
    app.use(holdfast.express({ cache: await rawCache() }));
    app.get('/', (_req, res) => {
      res.writeHead(...head);
      res.write(Buffer.from('one ').toString('hex'), 'hex');
      res.end('two');
    });
    const url = await serve(app);
    for (const word of ['MISS', 'HIT']) {
      const { headers, text } = await ask(url);
      expect([headers['x-cache'], headers['x-own'], text]).toEqual([word, 'a, b', 'one two']);
    }
  });

  test('on a route of a mounted application: the new response comes by way of all that is in front', async () => {
    const passed = [];
    const router = express();
    // A second cache on the way would wait for the first one, which waits for what is behind it.
    const cached = holdfast.express({ cache: await rawCache(), wait: 3600 });
    const later = (_req, _res, next) => setImmediate(next);
    router.get('/page', cached, later, cached, (req, res) => {
      res.set('cache-control', 'max-age=0, stale-while-revalidate=60').send(`${req.user} ${passed.length}`);
    });
    const app = express();
    app.use((req, _res, next) => {
      req.user = 'ada';
      passed.push(req.ip);
      next();
    });
    app.use('/shop', router);
    const url = `${await serve(app)}/shop/page`;
    expect((await ask(url)).text).toBe('ada 1');
    await until(async () => (await ask(url)).text !== 'ada 1', 'a new response took its place');
    expect(new Set(passed).size).toBe(1);
  });
});

describe('Fastify', () => {
  async function serve(build) {
    const app = fastify({ forceCloseConnections: true });
    await build(app);
    await app.listen({ port: 0, host: '127.0.0.1' });
    open.push(() => app.close());
    return `http://127.0.0.1:${app.server.address().port}`;
  }

  test('a route has options of its own, or no cache', async () => {
    const cache = await rawCache();
    const url = await serve(async (app) => {
      await app.register(holdfast.fastify, { cache, ttl: 60 });
      app.get('/usual', () => 'page');
      app.get('/never', { config: { holdfast: false } }, () => 'page');
      app.get('/own', { config: { holdfast: { ttl: 0 } } }, () => 'page');
    });
    const words = [];
    for (const path of ['/usual', '/never', '/own']) words.push(await how(url + path), await how(url + path));
    expect(words).toEqual(['MISS', 'HIT', undefined, undefined, 'MISS', 'MISS']);
  });

  test('a mistake in the options of a route is seen when the route is made', async () => {
    const app = fastify();
    await app.register(holdfast.fastify, { cache: await rawCache() });
    expectThrows(() => app.get('/', { config: { holdfast: { ttl: -1 } } }, () => 'page'), 'ERR_INVALID_ARGUMENT');
    await app.close();
  });

  test('who is turned away by a hook in front gets nothing stored', async () => {
    const cache = await rawCache();
    const url = await serve(async (app) => {
      app.addHook('onRequest', async (request, reply) => {
        if (request.headers['x-key'] !== 'a') return reply.code(401).send('who?');
      });
      await app.register(holdfast.fastify, { cache, ttl: 60 });
      app.get('/', () => 'page');
    });
    const known = { headers: { 'x-key': 'a' } };
    expect([await how(url, known), await how(url, known)]).toEqual(['MISS', 'HIT']);
    expect((await ask(url)).status).toBe(401);
  });

  test('@fastify/compress: each client gets the encoding that it takes', async () => {
    const cache = await rawCache();
    const url = await serve(async (app) => {
      await app.register(compress, { threshold: 0 });
      await app.register(holdfast.fastify, { cache, ttl: 60 });
      app.get('/', (_request, reply) => reply.type('text/plain').send('words '.repeat(1000)));
    });
    const seen = [];
    for (const encoding of ['gzip', 'identity', 'gzip', 'identity']) {
      const { headers } = await ask(url, { headers: { 'accept-encoding': encoding } });
      seen.push([headers['content-encoding'], headers['x-cache']]);
    }
    expect(seen).toEqual([
      ['gzip', 'MISS'],
      [undefined, 'MISS'],
      ['gzip', 'HIT'],
      [undefined, 'HIT'],
    ]);
  });

  test('a cache that the application gave is not closed with it', async () => {
    const cache = await rawCache();
    const app = fastify();
    await app.register(holdfast.fastify, { cache });
    await app.close();
    await expect(cache.get('key')).resolves.toBeNull();
  });
});

test('Hono: without the whole application nothing could be made anew', async () => {
  expectThrows(() => holdfast.hono({ ttl: 60 }), 'ERR_INVALID_ARGUMENT');
  const app = new Hono();
  app.use(async (c, next) => {
    await next();
    c.header('x-outer', 'b');
  });
  app.use((c, next) => {
    c.header('x-front', 'a');
    return next();
  });
  app.use(holdfast.hono({ app, cache: await rawCache(), ttl: 60 }));
  app.get('/', (c) => c.text('page'));
  const seen = new Set();
  await until(async () => {
    const { headers } = await app.request('http://app.example/');
    expect([headers.get('x-front'), headers.get('x-outer')]).toEqual(['a', 'b']);
    expect(headers.get('content-type')).toMatch(/text\/plain/);
    seen.add(headers.get('x-cache'));
    return seen.size === 2;
  }, 'there is a hit');
  expect([...seen]).toEqual(['MISS', 'HIT']);
});

test('Hono: what a handler writes to the response of Node itself is not stored', async () => {
  const app = new Hono();
  let runs = 0;
  app.use(holdfast.hono({ app, cache: await rawCache(), ttl: 60 }));
  app.get('/', (c) => {
    c.env.outgoing.end(`run ${++runs}`);
    return RESPONSE_ALREADY_SENT;
  });
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
  await once(server, 'listening');
  open.push(() => new Promise((resolve) => server.close(resolve)));
  for (const text of ['run 1', 'run 2']) {
    expect((await ask(`http://127.0.0.1:${server.address().port}`)).text).toBe(text);
  }
});

test('ES modules import the functions by their names', () => {
  const code = `import { express, fastify, hono } from 'holdfast/http'; console.log(typeof express, typeof fastify, typeof hono)`;
  const args = ['--input-type=module', '-e', code];
  const printed = execFileSync(process.execPath, args, { cwd: __dirname, encoding: 'utf8' });
  expect(printed).toBe('function function function\n');
});

test.each([
  [{ ttl: '60' }],
  [{ ttl: -1 }],
  [{ ttl: Number.POSITIVE_INFINITY }],
  [{ wait: 0 }],
  [{ tags: 'a' }],
  [{ tags: [7] }],
  [{ responseTags: ['a'] }],
  [{ key: 'url' }],
  [{ credentials: 'cookie' }],
  [{ statusHeaders: 1 }],
  [{ cache: {} }],
  [{ maxByte: 1 }],
  [[]],
])('options that do not fit are refused: %j', (options) => {
  const error = expectThrows(() => holdfast.express(options), 'ERR_INVALID_ARGUMENT');
  expect(error).toBeInstanceOf(HoldfastError);
});
