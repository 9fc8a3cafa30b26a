// An application of Nest over HTTP: the module, the interceptor, `wrap`, `@Cached()`, the health indicator, the end.
'use strict';

const { spawn } = require('node:child_process');
const path = require('node:path');
const { freshNamespace } = require('../../support/holdfast');
const { serverForAll } = require('../../support/redis-server');
const { until } = require('../../support/until');

const redis = serverForAll();
const open = [];
afterEach(() => {
  for (const child of open.splice(0)) child.kill('SIGKILL');
});

/** Starts the application; `how` is the way in which it imports the module. */
async function start(how = 'register', namespace = freshNamespace()) {
  const script = path.join(__dirname, 'support', 'app.js');
  // The adapter finds Nest among the packages of the tests, as it would where it is installed.
  const args = ['--preserve-symlinks', script, redis.url(), how, namespace];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  open.push(child);
  const exited = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  const port = await until(() => {
    if (child.exitCode !== null) throw new Error(`the application ended:\n${output}`);
    return /listening on (\d+)/.exec(output)?.[1];
  }, 'the application listens');
  const get = async (asked) => {
    const response = await fetch(`http://127.0.0.1:${port}/${asked}`);
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
  };
  const runs = async () => (await get('state')).body.runs;
  return { get, runs, exited, output: () => output };
}

test.each(['register', 'global', 'given', 'useFactory', 'useClass', 'useExisting'])('imported by %s', async (how) => {
  const { get, exited, output } = await start(how);
  expect((await get('state')).body).toMatchObject({ mode: 'redis', isSame: true });
  expect((await get('wrapped')).body).toEqual({ made: 1 });
  await get('quit');
  // What the application opened itself is its own to close.
  await until(() => output().includes('isClosed'), 'the application has closed');
  expect(output()).toContain(JSON.stringify({ isClosed: how !== 'given' }));
  expect(await exited).toBe(0);
});

test('CacheInterceptor stores what a route returns, and has nothing to store for a route without a result', async () => {
  const { get, runs } = await start();
  const answers = [await get('intercepted'), await get('intercepted')];
  expect(answers.map(({ body, headers }) => [body, headers.get('x-cache')])).toEqual([
    [{ made: 1 }, 'MISS'],
    [{ made: 1 }, 'HIT'],
  ]);
  for (let at = 0; at < 2; at++) expect((await get('nothing')).status).toBe(200);
  expect((await runs()).intercepted).toBe(3);
});

test('wrap and @Cached() make a value once in all instances, until one of them ends its tag', async () => {
  const namespace = freshNamespace();
  const instances = await Promise.all([start('register', namespace), start('useClass', namespace)]);
  const all = (asked) => Promise.all(instances.flatMap(({ get }) => [get(asked), get(asked), get(asked)]));
  const total = async () => {
    const [one, two] = await Promise.all(instances.map(({ runs }) => runs()));
    return { wrapped: one.wrapped + two.wrapped, cached: one.cached + two.cached };
  };
  const both = async () => [...(await all('wrapped')), ...(await all('cached/7'))];
  const bodies = (await both()).map(({ body }) => body);
  expect(bodies).toEqual([...Array(6).fill({ made: 1 }), ...Array(6).fill({ id: '7', by: 'Products', a: 1, b: [2] })]);
  expect(await total()).toEqual({ wrapped: 1, cached: 1 });
  await instances[0].get('cached/8');
  expect(await total()).toEqual({ wrapped: 1, cached: 2 });
  await instances[0].get('invalidate/product:7');
  await until(async () => (await both()) && (await total()).cached === 3, 'the product is made anew');
  await instances[0].get('cached/8');
  expect(await total()).toEqual({ wrapped: 1, cached: 3 });
});

test('@Cached() on a route keeps what its other decorators say', async () => {
  const { get, runs } = await start();
  for (let at = 0; at < 2; at++) {
    const { body, headers } = await get('guarded');
    expect([body, headers.get('x-own')]).toEqual([{ made: 1 }, 'a']);
  }
  expect((await runs()).guarded).toBe(1);
});

test('@Cached() says where it does not belong', async () => {
  const { get } = await start();
  const code = 'ERR_INVALID_ARGUMENT';
  expect((await get('mistakes')).body).toEqual({ lonely: code, property: code });
});

test('the health indicator: up while the application serves, and down without Redis where it is strict', async () => {
  const { get } = await start();
  const good = { status: 'up', state: 'ok', mode: 'redis', since: expect.any(Number) };
  expect((await get('check')).body).toMatchObject({ status: 'ok', info: { cache: good, second: good } });
  await redis.kill('SIGKILL');
  try {
    await until(async () => (await get('state')).body.mode === 'memory', 'memory mode');
    const bad = { state: 'degraded', mode: 'memory', reason: expect.any(String) };
    const { status, body } = await get('check');
    expect([status, body]).toMatchObject([200, { status: 'ok', info: { cache: { status: 'up', ...bad } } }]);
    const strict = await get('check/strictly');
    expect([strict.status, strict.body]).toMatchObject([503, { error: { cache: { status: 'down', ...bad } } }]);
    expect(JSON.stringify([body, strict.body])).not.toContain(`${redis.port}`);
    for (const asked of ['intercepted', 'wrapped', 'cached/7']) expect((await get(asked)).status).toBe(200);
  } finally {
    await redis.restart();
  }
  await until(async () => (await get('state')).body.mode === 'redis', 'redis mode');
  expect((await get('check/strictly')).status).toBe(200);
});
