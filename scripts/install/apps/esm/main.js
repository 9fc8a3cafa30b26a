// An application of ES modules: main thread and a worker thread on one cache; it ends by itself, without close().
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { get, getMode, getOrCompute, increment, set } from 'holdfast';

async function serve(key) {
  await set(key, { from: key }, 60);
  const computed = await getOrCompute(`computed:${key}`, async () => [1, 'zwei', null]);
  return { mode: getMode(), value: await get(key), computed, count: await increment('count') };
}

if (isMainThread) {
  const here = await serve('main');
  const there = await new Promise((resolve, reject) => {
    new Worker(new URL(import.meta.url)).once('message', resolve).once('error', reject);
  });
  console.log(JSON.stringify([here, there]));
} else {
  parentPort.postMessage(await serve('worker'));
}
