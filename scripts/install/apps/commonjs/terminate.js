// Worker threads that are terminated while they call, one after the other; the main thread goes on. Every second one is
// the only user of its database, and so may have the socket itself.
'use strict';

const { isMainThread, parentPort, Worker, workerData } = require('node:worker_threads');
const { createCache, get, getMode, set } = require('holdfast');

async function call({ get, set }) {
  for (let i = 0; ; i++) {
    await Promise.all([set(`k${i % 50}`, i), get(`k${i % 50}`)]);
    if (i === 10) parentPort.postMessage('busy');
  }
}

async function main() {
  for (let i = 0; i < 20; i++) {
    const url = i % 2 === 1 && process.env.REDIS_URL ? new URL('/1', process.env.REDIS_URL).href : undefined;
    const worker = new Worker(__filename, { workerData: { url } });
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    await worker.terminate();
    await Promise.all([set(`main:${i}`, i), get(`main:${i}`)]);
  }
  console.log(JSON.stringify([getMode(), await get('main:19')]));
}

if (isMainThread) main();
else call(createCache({ namespace: '', ...workerData }));
