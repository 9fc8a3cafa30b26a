// A child process of lab.js: sets itself up, then answers one message of the parent after another.
'use strict';

const meter = require('./meter');

/** `setUp` is given the arguments of the process and resolves to a function that answers a request. */
async function serve(setUp) {
  // The parent ends this process by closing the channel; then nothing is left to measure and nothing worth a farewell.
  process.on('disconnect', () => process.exit(0));
  try {
    const answer = await setUp(process.argv.slice(2));
    process.on('message', async (request) => {
      try {
        process.send({ result: await answer(request) });
      } catch (error) {
        process.send({ error: error.stack });
      }
    });
    process.send({ result: 'ready' });
  } catch (error) {
    process.send({ error: error.stack });
  }
}

/** Lets a server listen on a free port of loopback; resolves to what the child answers to `shoot` of load.js. */
async function listen(server) {
  // The default backlog is shorter than the burst of connections, and a connection that does not fit waits for a
  // second.
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
  return (request) => answers[request]();
}

module.exports = { serve, listen };
