// The HTTP server that flush.js puts under load: six cache reads a request, three in a row and three at once.
'use strict';

const http = require('node:http');
const { adapters } = require('./adapters');
const meter = require('./meter');
const { keys } = require('./workload');

async function main() {
  const { get } = await adapters.holdfast(process.argv[2]);
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

  const server = http.createServer((_request, response) => {
    answer(response).catch((error) => {
      response.statusCode = 500;
      response.end(error.message);
    });
  });
  // The default backlog is shorter than the burst of connections, and a connection that does not fit waits for a second.
  await new Promise((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 2048 }, resolve));

  let started = null;
  const answers = {
    url: () => `http://127.0.0.1:${server.address().port}/`,
    start: () => {
      started = meter.start();
      return 'started';
    },
    stop: () => meter.stop(started),
  };
  process.on('message', (request) => process.send({ result: answers[request]() }));
  process.send({ result: 'ready' });
}

process.on('disconnect', () => process.exit(0));
main().catch((error) => process.send({ error: error.stack }));
