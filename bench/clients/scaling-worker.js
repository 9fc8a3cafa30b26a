// Owns a client in a process of its own, in one or more worker threads, which read as the parent asks. Started by
// scaling.js.
'use strict';

const { once } = require('node:events');
const { isMainThread, parentPort, workerData, Worker } = require('node:worker_threads');
const { adapters } = require('./adapters');
const { serve, startMeter, stopMeter } = require('../lab/child');
const { STRIDE, keysFrom, readInTurns, runCallers } = require('../lab/workload');

if (isMainThread) {
  serve(async ([name, url, threads]) => {
    const workers = Array.from(
      { length: Number(threads) },
      () => new Worker(__filename, { workerData: { name, url } }),
    );
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    const all = (request) =>
      Promise.all(
        workers.map(async (worker) => {
          worker.postMessage(request);
          const [answer] = await once(worker, 'message');
          if (answer.error) throw new Error(answer.error);
          return answer;
        }),
      );
    return async ({ warmUp, ...request }) => {
      if (warmUp) await all({ ...request, readAll: true });
      const started = startMeter();
      const results = await all(request);
      const { seconds, cpuMicros } = stopMeter(started);
      const sum = (field) => results.reduce((total, result) => total + result[field], 0);
      return { seconds, cpuMicros, calls: sum('calls'), failed: sum('failed') };
    };
  });
} else {
  work();
}

/** A thread: answers what the main thread asks. */
async function work() {
  const connected = adapters[workerData.name](workerData.url);
  let known = { first: -1 };
  parentPort.on('message', async ({ readAll, first, count, bytes, callers, seconds }) => {
    try {
      const client = await connected;
      if (known.first !== first) known = { first, keys: scattered(keysFrom(first, count)) };
      const { keys } = known;
      if (readAll) {
        await readInTurns(client.get, keys);
        parentPort.postMessage({});
      } else {
        const { calls, failed } = await runCallers(client, { op: 'get', callers, seconds }, { keys, bytes });
        parentPort.postMessage({ calls, failed });
      }
    } catch (error) {
      parentPort.postMessage({ error: error.stack });
    }
  });
  // Not before there is a listener: a cache that connects does not keep its thread alive.
  await connected;
  parentPort.postMessage({});
}

/** In an order in which neighbours lie apart in memory. */
function scattered(keys) {
  return keys.map((_, i) => keys[(i * STRIDE) % keys.length]);
}
