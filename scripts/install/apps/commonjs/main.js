// A CommonJS application: main thread and a worker thread on one cache; it ends by itself, without close().
'use strict';

const { isMainThread, parentPort, Worker } = require('node:worker_threads');
const { get, getMode, getOrCompute, increment, set } = require('holdfast');

async function serve(key) {
  await set(key, { from: key }, 60);
  const computed = await getOrCompute(`computed:${key}`, async () => [1, 'zwei', null]);
  return { mode: getMode(), value: await get(key), computed, count: await increment('count') };
}

async function main() {
  const here = await serve('main');
  const there = await new Promise((resolve, reject) => {
    new Worker(__filename).once('message', resolve).once('error', reject);
  });
  console.log(JSON.stringify([here, there]));
}

if (isMainThread) main();
else serve('worker').then((result) => parentPort.postMessage(result));
