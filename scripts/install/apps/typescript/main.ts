// A TypeScript application, compiled as node16 and as bundlers resolve: main thread and a worker thread on one cache.
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { get, getMode, getOrCompute, increment, type Mode, set } from 'holdfast';

interface Served {
  mode: Mode;
  value: { from: string } | null;
  computed: (number | string | null)[];
  count: number;
}

async function serve(key: string): Promise<Served> {
  await set(key, { from: key }, 60);
  const computed = await getOrCompute(`computed:${key}`, async () => [1, 'zwei', null]);
  return { mode: getMode(), value: await get<{ from: string }>(key), computed, count: await increment('count') };
}

if (isMainThread) {
  const here = await serve('main');
  const there = await new Promise<Served>((resolve, reject) => {
    new Worker(new URL(import.meta.url)).once('message', resolve).once('error', reject);
  });
  console.log(JSON.stringify([here, there]));
} else {
  parentPort?.postMessage(await serve('worker'));
}
