// Process 45: no file descriptors left, no threads left, a panic in Rust. Calls fall back; nothing hangs, and the
// process is not ended for it.
'use strict';

const { startRedis } = require('../../support/redis-server');
const { makeMachine } = require('../../support/machine/machine');
const { startScript } = require('../../support/run-script');

let server;
let machine;
const scripts = [];
beforeAll(() => {
  machine = makeMachine();
});
afterAll(() => machine.remove());
beforeEach(async () => {
  machine.allowThreads(true);
  server = await startRedis();
});
afterEach(async () => {
  for (const script of scripts.splice(0)) {
    script.kill('SIGKILL');
    await script.result;
  }
  await server.stop();
});

function start(source, env) {
  const script = startScript(`${HELPERS}${source}`, { env: { HOLDFAST_LOG: 'silent', ...env }, input: true });
  scripts.push(script);
  return script;
}

const HELPERS = `
  const fs = require('node:fs');
  const holdfast = require('holdfast');
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const asked = require('node:readline').createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  /** Opens files until no more can be; returns what closes them. */
  const exhaust = () => {
    const files = [];
    try {
      for (;;) files.push(fs.openSync('/dev/null', 'r'));
    } catch (error) {
      if (error.code !== 'EMFILE') throw error;
    }
    return () => files.forEach((file) => fs.closeSync(file));
  };
  const untilMode = async (cache, mode) => { while (cache.getMode() !== mode) await sleep(5); };
  const work = async (cache) => {
    await cache.set('k', 1);
    return [await cache.get('k'), await cache.getOrCompute('c' + Math.random(), () => 2), await cache.increment('n' + Math.random()), await cache.del('k')];
  };
`;

const WORKED = '[1,2,1,1]';

test('fault 45: no file descriptor is left when Redis comes back: calls fall back until there is one', async () => {
  const script = start(
    `(async () => {
      const cache = holdfast.createCache({ namespace: 'fds', timeoutMs: 250 });
      await untilMode(cache, 'redis');
      console.log('up');
      await asked.next();
      await untilMode(cache, 'memory');
      // A dial that is under way gives its descriptor back when it is refused: they are taken until a dial has had none.
      const releases = [];
      const lacks = ({ kind, message }) => kind === 'connect' && !/refused/.test(message);
      do {
        releases.push(exhaust());
        await sleep(5);
      } while (!lacks(cache.health().lastError));
      console.log(cache.health().lastError.message);
      console.log('exhausted');
      await asked.next();
      for (let n = 0; n < 300; n++) await work(cache);
      console.log(cache.getMode() + JSON.stringify(await work(cache)));
      releases.forEach((release) => release());
      await untilMode(cache, 'redis');
      console.log(cache.getMode() + JSON.stringify(await work(cache)));
      process.exit();
    })();`,
    { REDIS_URL: server.url() },
  );
  await script.says('up');
  await server.kill('SIGKILL');
  script.child.stdin.write('killed\n');
  await script.says('exhausted');
  await server.restart();
  script.child.stdin.write('restarted\n');
  const { stdout, code } = await script.result;
  expect(stdout).toContain(`memory${WORKED}`);
  expect(stdout).toContain(`redis${WORKED}`);
  expect(code).toBe(0);
});

test('fault 45: none is left when the package is used first: no call of the default cache rejects, and Redis is used once there are some', async () => {
  const script = start(
    `(async () => {
      const release = exhaust();
      console.log('first ' + JSON.stringify(await work(holdfast)) + holdfast.getMode());
      for (let n = 0; n < 300; n++) await work(holdfast);
      release();
      await untilMode(holdfast, 'redis');
      console.log('later ' + JSON.stringify(await work(holdfast)) + holdfast.getMode());
      process.exit();
    })().catch((error) => {
      console.log('rejected ' + error.code);
      process.exit(3);
    });`,
    { REDIS_URL: server.url() },
  );
  const { stdout, code, hung } = await script.result;
  expect({ stdout, hung }).toEqual({
    stdout: expect.stringMatching(/^first \[1,2,1,1\]memory\nlater \[1,2,1,1\]redis\n/),
    hung: false,
  });
  expect(code).toBe(0);
});

test('fault 45: nor is another cache made then refused', async () => {
  const script = start(
    `(async () => {
      const release = exhaust();
      const early = holdfast.createCache({ namespace: 'early', timeoutMs: 250 });
      console.log('early ' + JSON.stringify(await work(early)) + early.health().lastError.kind);
      release();
      const later = holdfast.createCache({ namespace: 'later', timeoutMs: 250 });
      await untilMode(later, 'redis');
      console.log('later ' + JSON.stringify(await work(later)) + early.getMode());
      process.exit();
    })().catch((error) => {
      console.log('rejected ' + error.code);
      process.exit(3);
    });`,
    { REDIS_URL: server.url() },
  );
  const { stdout, code, hung } = await script.result;
  expect(stdout).toBe('early [1,2,1,1]connect\nlater [1,2,1,1]redis\n');
  expect({ code, hung }).toEqual({ code: 0, hung: false });
});

// The runtime under the engine panics where it cannot start a thread for the resolver: in the middle of the task that
// owns the connection, while calls wait.
test('fault 45: a panic in Rust: calls fall back, those that wait first, then Redis is back, and the process ends by itself', async () => {
  machine.allowThreads(false);
  const script = start(
    `(async () => {
      const cache = holdfast.createCache({ namespace: 'panic', timeoutMs: 250, nearCache: false });
      const calls = await Promise.all(Array.from({ length: 100 }, () => work(cache)));
      console.log('first ' + JSON.stringify(calls.map((answers) => answers[1])));
      await untilMode(cache, 'memory');
      for (let n = 0; n < 300; n++) await work(cache);
      console.log('then ' + JSON.stringify(await work(cache)) + cache.health().status);
      await asked.next();
      await untilMode(cache, 'redis');
      console.log('later ' + JSON.stringify(await work(cache)));
      await cache.close();
      console.log('closed');
      process.stdin.destroy();
    })();`,
    { REDIS_URL: `redis://localhost:${server.port}`, ...machine.env },
  );
  await script.says('degraded');
  machine.allowThreads(true);
  script.child.stdin.write('allowed\n');
  const { stdout, stderr, code, signal, hung } = await script.result;
  expect({ code, signal, hung }).toEqual({ code: 0, signal: null, hung: false });
  expect(stdout).toBe(`first ${JSON.stringify(Array(100).fill(2))}\nthen ${WORKED}degraded\nlater ${WORKED}\nclosed\n`);
  expect(stderr).toContain('panicked'); // or this tests nothing
});
