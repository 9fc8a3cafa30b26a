// Owns a child process of lab.js: it sets itself up, then answers one message of the parent after another, and measures
// what its work cost: wall time, CPU of all threads, event-loop time, CPU of the main thread.
'use strict';

const fs = require('node:fs');
const { performance } = require('node:perf_hooks');

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

/** Lets a server listen on a free port of loopback; resolves to what the child answers, see `metered`. */
async function listen(server) {
  // The default backlog is shorter than the burst of connections, and a connection that does not fit waits for a
  // second.
  await new Promise((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 2048 }, resolve));
  return metered(`http://127.0.0.1:${server.address().port}/`);
}

/** What a child whose server is at `url` answers to `shoot` of http/load.js. */
function metered(url) {
  let started = null;
  const answers = {
    url: () => url,
    start: () => {
      started = startMeter();
      return 'started';
    },
    stop: () => stopMeter(started),
  };
  return (request) => answers[request]();
}

function startMeter() {
  return {
    at: performance.now(),
    loop: performance.eventLoopUtilization(),
    cpu: process.cpuUsage(),
    main: mainThreadMicros(),
  };
}

/** The cost since `started`, everything but `seconds` in microseconds; `mainMicros` is null where there is no /proc. */
function stopMeter(started) {
  const cpu = process.cpuUsage(started.cpu);
  const main = mainThreadMicros();
  return {
    seconds: (performance.now() - started.at) / 1000,
    cpuMicros: cpu.user + cpu.system,
    loopMicros: performance.eventLoopUtilization(started.loop).active * 1000,
    mainMicros: main === null ? null : main - started.main,
  };
}

/**
 * Event-loop time is wall time outside the poll, so a preempted loop looks busy; the kernel's own account of the main
 * thread (whose id is the process id) does not have this flaw. The first field of schedstat is nanoseconds on a CPU.
 */
function mainThreadMicros() {
  try {
    return Number(fs.readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ')[0]) / 1000;
  } catch {
    return null;
  }
}

module.exports = { listen, metered, serve, startMeter, stopMeter };
