// Owns the runtimes of the install test, and what is run on each of them: the applications, worker threads that are
// ended, an outage; with the engine's thread at the socket, and with the event loop (`io`).

import { join } from 'node:path';
import { root } from '../command.mjs';

const tool = (path) => join(root, 'scripts/install/node_modules', path);

const runtimes = {
  'Node 20.3': [tool('node-20.3/bin/node')],
  'Node 22': [tool('node-22/bin/node')],
  'Node 24': [tool('node-24/bin/node')],
  'Node 26': [tool('node-26/bin/node')],
  Bun: [tool('bun/bin/bun')],
  Deno: [tool('deno/deno'), 'run', '--allow-all', '--no-lock'],
};
/** Whose event loop cannot have the socket, as docs/installing.md says. One that has learned it fails the test. */
const THREAD_ONLY = ['Bun'];

export async function checkRuntimes({ check, install, serves, expectRun, applications }, lab) {
  for (const [application, main] of Object.entries(applications)) {
    const folder = await install('npm', application, lab);
    for (const [runtime, command] of Object.entries(runtimes)) {
      await check(`${runtime}, ${application}`, () => serves([...command, main], folder, lab));
    }
  }
  const folder = await install('npm', 'commonjs', lab);
  for (const [runtime, command] of Object.entries(runtimes)) {
    await check(`${runtime}, workers terminated in memory mode`, () =>
      expectRun([...command, 'terminate.js'], folder, lab, ['memory', 19], {}),
    );
    for (const io of ['thread', 'loop']) {
      const driven = { ...lab, env: { ...lab.env, HOLDFAST_IO: io } };
      const redis = { REDIS_URL: lab.redis.url(), REDIS_PID: `${lab.redis.pid}` };
      await check(`${runtime}, io: ${io}, commonjs`, () => serves([...command, 'main.js'], folder, driven));
      await check(`${runtime}, io: ${io}, workers terminated`, () =>
        expectRun([...command, 'terminate.js'], folder, driven, ['redis', 19], redis),
      );
      await check(`${runtime}, io: ${io}, an outage`, async () => {
        await lab.redis.cli('flushall');
        const seen = outageSeen(THREAD_ONLY.includes(runtime) ? 'thread' : io);
        await expectRun([...command, 'outage.js'], folder, driven, seen, redis);
      });
    }
  }
}

/** What outage.js prints where all is well. */
function outageSeen(io) {
  const away = [200, 'memory', 7, true];
  const seen = { ready: 'redis', computed: 'computed', large: true, near: true, invalidated: true };
  return { io, ...seen, away, back: true, written: true };
}
