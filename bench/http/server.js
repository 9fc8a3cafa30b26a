// Owns the HTTP servers that a page puts under load, each in a process of its own: Express and Fastify with a route
// that awaits three cache reads, one after the other; and a plain server with a route of six reads, one after the other
// or three of them at once.
'use strict';

const http = require('node:http');
const { adapters } = require('../clients/adapters');
const { listen, serve } = require('../lab/child');
const { workloadOf } = require('../lab/workload');

const servers = {
  express(answer) {
    const app = require('express')();
    app.get('/', async (_request, response) => response.json(await answer()));
    return http.createServer(app);
  },

  async fastify(answer) {
    const made = {};
    const serverFactory = (handler) => {
      made.server = http.createServer(handler);
      return made.server;
    };
    const app = require('fastify')({ serverFactory });
    app.get('/', answer);
    await app.ready();
    return made.server;
  },

  plain(answer) {
    const respond = async (response) => {
      const body = JSON.stringify(await answer());
      response.setHeader('content-type', 'application/json');
      response.end(body);
    };
    return http.createServer((_request, response) => {
      respond(response).catch((error) => {
        response.statusCode = 500;
        response.end(error.message);
      });
    });
  },
};

/** What a request is answered with: `reads` of keys, `key(n)` the n-th from the one at which the request begins. */
const routes = {
  three: {
    reads: 3,
    async answer({ get, decode }, key) {
      const user = decode(await get(key(0)));
      const plan = decode(await get(key(1)));
      const rights = decode(await get(key(2)));
      return { user: user.tenant, plan: plan.period, trades: rights.trades };
    },
  },

  six: {
    reads: 6,
    async answer({ get, decode }, key) {
      const trades = [];
      for (let n = 0; n < 6; n += 1) trades.push(decode(await get(key(n))).trades);
      return { trades };
    },
  },

  mixed: {
    reads: 6,
    async answer({ get, decode }, key) {
      const user = decode(await get(key(0)));
      const plan = decode(await get(key(1)));
      const rights = decode(await get(key(2)));
      const rest = await Promise.all([get(key(3)), get(key(4)), get(key(5))]);
      return { trades: [user, plan, rights, ...rest.map((text) => decode(text))].map((value) => value.trades) };
    },
  },
};

serve(async ([framework, route, name, url]) => {
  const { keys, values } = workloadOf();
  // Without a cache: what the framework and the awaiting cost.
  const none = { get: async () => values[0], decode: (value) => value };
  const client = name === 'no cache' ? none : await adapters[name](url);
  const { reads, answer } = routes[route];
  let next = 0;

  return listen(
    await servers[framework](() => {
      const first = next;
      next = (next + reads) % keys.length;
      return answer(client, (n) => keys[(first + n) % keys.length]);
    }),
  );
});
