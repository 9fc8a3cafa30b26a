// Owns the applications side by side whose framework has a store for something: NestJS for its cache, Express for its
// limits and its sessions; each with the store that its users mostly have, and with Holdfast's.
'use strict';

const { workloadOf } = require('../lab/workload');
const { connected, TTL_MS } = require('./stores');

const NAMESPACE = 'bench';
/** Clients whose requests are counted, and sessions: more than one, fewer than would never come twice. */
const CLIENTS = 100;
/** Longer than a run, and more requests than it has: nobody is turned away. */
const WINDOW_MS = 3_600_000;
const LIMIT = 1_000_000_000;

/**
 * `family`: those that are compared with each other. `open(url, options)` resolves to `{ server }`, which answers `/`,
 * with 401 where it misses what it once stored; with `wrap` where the framework has a function that computes what is
 * missing; and with `prepare(url)`, to await once the server listens. `options`: of `createCache`, for ours. All load
 * their packages when asked.
 */
const apps = {
  '@nestjs/cache-manager': {
    family: 'NestJS',
    async open(url) {
      const { CacheModule } = require('@nestjs/cache-manager');
      const { default: KeyvRedis } = require('@keyv/redis');
      const { Keyv } = require('keyv');
      const keyv = new Keyv({ store: new KeyvRedis(url), namespace: `${NAMESPACE}-theirs` });
      return nest(CacheModule.register({ stores: [keyv], ttl: TTL_MS }));
    },
  },

  'holdfast/nest': {
    family: 'NestJS',
    async open(url, options) {
      const { HoldfastCache, HoldfastModule } = require('holdfast/nest');
      const module = HoldfastModule.register({ url, namespace: `${NAMESPACE}-near`, ...options });
      return nest(module, (app) => connected(app.get(HoldfastCache, { strict: false })));
    },
  },

  'rate-limit-redis': {
    family: 'express-rate-limit',
    async open(url) {
      const { RedisStore } = require('rate-limit-redis');
      const client = await nodeRedis(url);
      const sendCommand = (...args) => client.sendCommand(args);
      return limited(new RedisStore({ sendCommand, prefix: `${NAMESPACE}-theirs:` }));
    },
  },

  'holdfast/rate-limit': {
    family: 'express-rate-limit',
    async open(url, options) {
      const { RateLimitStore } = require('holdfast/rate-limit');
      const store = new RateLimitStore({ url, namespace: `${NAMESPACE}-rl`, ...options });
      await connected(store.cache);
      return limited(store);
    },
  },

  'connect-redis': {
    family: 'express-session',
    async open(url) {
      const { RedisStore } = require('connect-redis');
      return remembering(new RedisStore({ client: await nodeRedis(url), prefix: `${NAMESPACE}-theirs:` }));
    },
  },

  'holdfast/session': {
    family: 'express-session',
    async open(url, options) {
      const { sessionStore } = require('holdfast/session');
      const store = sessionStore(require('express-session'), { url, namespace: `${NAMESPACE}-sess`, ...options });
      await connected(store.cache);
      return remembering(store);
    },
  },
};

/** A connected client, as the stores' documentation shows it. What fails is seen by the requests. */
async function nodeRedis(url) {
  const client = require('redis').createClient({ url });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** A route that `wrap`s one of 1,000 keys, by the cache that the module provides. */
async function nest(module, opened = () => {}) {
  require('reflect-metadata');
  const { CACHE_MANAGER } = require('@nestjs/cache-manager');
  const { Controller, Get, Inject, Module } = require('@nestjs/common');
  const { NestFactory } = require('@nestjs/core');
  const { keys, values } = workloadOf();
  let next = 0;

  class Shop {
    constructor(manager) {
      this.manager = manager;
    }

    product() {
      const at = next++ % keys.length;
      return this.manager.wrap(keys[at], async () => values[at], TTL_MS);
    }
  }
  // There is no build step: the decorators are called by hand.
  Controller()(Shop);
  Inject(CACHE_MANAGER)(Shop, undefined, 0);
  Get()(Shop.prototype, 'product', Object.getOwnPropertyDescriptor(Shop.prototype, 'product'));
  class Application {}
  Module({ imports: [module], controllers: [Shop] })(Application);

  const app = await NestFactory.create(Application, { logger: false });
  await app.init();
  await opened(app);
  const manager = app.get(CACHE_MANAGER, { strict: false });
  return {
    server: app.getHttpServer(),
    wrap: (key, fn) => manager.wrap(key, fn, TTL_MS),
    // All keys are there before the first window.
    prepare: (url) => askInTurn(url, keys.length),
  };
}

/** A route behind a limit that nobody reaches; its requests come from so many clients by turns. */
async function limited(store) {
  const { rateLimit } = require('express-rate-limit');
  const app = require('express')();
  let next = 0;
  const keyGenerator = () => `client-${next++ % CLIENTS}`;
  app.use(rateLimit({ store, windowMs: WINDOW_MS, limit: LIMIT, keyGenerator, standardHeaders: 'draft-8' }));
  app.get('/', (_request, response) => response.json({ hello: 'world' }));
  return { server: serverOf(app) };
}

/** A route that reads the session of its request; these belong to so many users by turns, who have logged in before. */
async function remembering(store) {
  const session = require('express-session');
  const app = require('express')();
  const cookies = [];
  let next = 0;
  app.get('/', (request, _response, goOn) => {
    if (cookies.length > 0) request.headers.cookie = cookies[next++ % cookies.length];
    goOn();
  });
  app.use(session({ store, secret: NAMESPACE, resave: false, saveUninitialized: false }));
  app.get('/login', (request, response) => {
    [request.session.user] = workloadOf().values;
    response.json({});
  });
  app.get('/', ({ session: { user } }, response) => {
    if (user === undefined) response.sendStatus(401);
    else response.json({ period: user.period });
  });
  const prepare = async (url) => {
    while (cookies.length < CLIENTS) {
      const response = await fetch(`${url}login`);
      cookies.push(response.headers.get('set-cookie').split(';')[0]);
      await response.arrayBuffer();
    }
    await askInTurn(url, CLIENTS);
  };
  return { server: serverOf(app), prepare };
}

const serverOf = (app) => require('node:http').createServer(app);

async function askInTurn(url, times) {
  for (let n = 0; n < times; n += 1) await (await fetch(url)).arrayBuffer();
}

module.exports = { apps };
