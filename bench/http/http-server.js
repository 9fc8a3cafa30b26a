// The HTTP server that http.js puts under load: a route of Express or Fastify that awaits three cache reads, one after
// the other.
'use strict';

const http = require('node:http');
const { adapters } = require('../clients/adapters');
const { listen, serve } = require('../lab/serve');
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
};

serve(async ([framework, name, url]) => {
  const { keys, values } = workloadOf();
  // Without a cache: what the framework and the awaiting cost.
  const none = { get: async () => values[0], decode: (value) => value };
  const { get, decode } = name === 'no cache' ? none : await adapters[name](url);
  let next = 0;

  async function answer() {
    const first = next;
    next = (next + 3) % keys.length;
    const user = decode(await get(keys[first]));
    const plan = decode(await get(keys[(first + 1) % keys.length]));
    const rights = decode(await get(keys[(first + 2) % keys.length]));
    return { user: user.tenant, plan: plan.period, trades: rights.trades };
  }

  return listen(await servers[framework](answer));
});
