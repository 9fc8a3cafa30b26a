// The HTTP server that flush.js puts under load: six cache reads a request, three in a row and three at once.
'use strict';

const http = require('node:http');
const { adapters } = require('../clients/adapters');
const { listen, serve } = require('../lab/serve');
const { workloadOf } = require('../lab/workload');

serve(async ([url]) => {
  const { keys } = workloadOf();
  const { get } = await adapters.holdfast(url);
  let next = 0;

  async function answer(response) {
    const first = next;
    next = (next + 6) % keys.length;
    const key = (n) => keys[(first + n) % keys.length];
    const user = await get(key(0));
    const plan = await get(key(1));
    const rights = await get(key(2));
    const [day, week, month] = await Promise.all([get(key(3)), get(key(4)), get(key(5))]);
    const trades = [user, plan, rights, day, week, month].map((value) => value.trades);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ trades }));
  }

  return listen(
    http.createServer((_request, response) => {
      answer(response).catch((error) => {
        response.statusCode = 500;
        response.end(error.message);
      });
    }),
  );
});
