// Owns one instance of the application in a process of its own, and what it tells the demo that started it.
'use strict';

const { createApp } = require('../src/app');
const cache = require('../src/services/redis');
const trades = require('../src/services/trades');

/** What the demo may ask, by name. */
const answers = {
  async figures() {
    const { hits, misses, coalesced } = await cache.getStats();
    const { total, ...places } = hits;
    return { mode: cache.getMode(), hits: total, ...places, misses, coalesced, queries: trades.countQueries() };
  },
  health: () => cache.health(),
  clear: () => cache.clear(),
};

async function main() {
  for (const event of ['fallback', 'recovered']) {
    cache.on(event, () => process.send?.({ event, at: Date.now() }));
  }
  await trades.open(process.argv[2]);
  const server = createApp().listen(0, '127.0.0.1', (error) => {
    if (error) throw error;
    process.send({ event: 'listening', port: server.address().port });
  });
  // Longer than the demo lasts: the proxy must not meet a connection that is just being closed.
  server.keepAliveTimeout = 600_000;
  process.on('message', async ({ id, ask }) => {
    process.send({ id, answer: await answers[ask]() });
  });
}

// Ctrl-C reaches every process of the terminal. The demo decides when it is over: it ends, or closes the channel.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit());

main();
