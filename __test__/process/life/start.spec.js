// How the package starts: require and import, bad configuration, and no password in any output.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { ROOT } = require('../../support/holdfast');
const { freePort, serverForAll } = require('../../support/redis-server');
const { runForJson, runScript, startScript } = require('../../support/run-script');
const { until } = require('../../support/until');

const SECRET = 'hush-hush-7';

const server = serverForAll({ password: SECRET });

// Serves from the default cache until the first attempt to connect is over, then prints all that can be seen of the
// package.
const TELL_ALL = `
  const { inspect } = require('node:util');
  const holdfast = require('holdfast');
  const warnings = [];
  const events = [];
  process.on('warning', (warning) => warnings.push(warning));
  for (const name of ['ready', 'fallback', 'recovered', 'error']) holdfast.on(name, (event) => events.push([name, event]));
  const deep = { depth: 12, showHidden: true, getters: true };
  (async () => {
    await holdfast.set('k', 'served');
    while (holdfast.getMode() === 'initializing') await new Promise((resolve) => setTimeout(resolve, 5));
    await holdfast.set('k', 'served');
    const value = await holdfast.get('k');
    const errors = await Promise.allSettled([
      holdfast.set('k', 10n),
      holdfast.get(''),
      holdfast.getOrCompute('t', () => new Promise((resolve) => setTimeout(resolve, 200)), { hardTimeout: 0.01 }),
    ]);
    let config = null;
    try {
      holdfast.createCache({ namespace: 'n' });
    } catch (error) {
      config = error;
    }
    const health = holdfast.health();
    const everything = [holdfast, Object.entries(holdfast), errors, config, events, await holdfast.getStats(), health];
    console.error(inspect(everything, deep));
    console.error(JSON.stringify(everything, (_, each) => (typeof each === 'bigint' ? String(each) : each)));
    // Warnings are told in a later turn. Those that must come are waited for; more than those come by then.
    while (warnings.length < Number(process.argv[2])) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (const warning of warnings) console.error(inspect(warning, deep));
    console.log(JSON.stringify({ value, health, warnings: warnings.length, config: config?.code }));
  })();
`;

/** `warnings`: how many there must be at least. */
async function tellAll(env, warnings = 0) {
  const result = await runScript(TELL_ALL, { env: { HOLDFAST_TIMEOUT_MS: '5000', ...env }, args: [String(warnings)] });
  expect(result).toMatchObject({ code: 0, hung: false });
  const output = result.stdout + result.stderr;
  for (const form of [SECRET, encodeURIComponent(SECRET), Buffer.from(SECRET).toString('base64')]) {
    expect(output).not.toContain(form);
  }
  return { ...JSON.parse(result.stdout.trimEnd().split('\n').at(-1)), output };
}

test('a URL that does not parse: the application starts, serves from memory, and health says why', async () => {
  for (const url of [
    'redis//bad',
    `redis//user:${SECRET}@host`,
    `redis://u:${SECRET}@host:99999`,
    `http://u:${SECRET}@host`,
  ]) {
    const { value, health, warnings, config } = await tellAll({ REDIS_URL: url }, 1);
    expect(value).toBe('served');
    expect(health).toMatchObject({ status: 'degraded', mode: 'memory', lastError: { kind: 'config' } });
    expect(health.lastError.message).toMatch(/Redis URL|REDIS_URL/);
    expect(warnings).toBe(1);
    expect(config).toBe('ERR_CONFIG');
  }
});

test('a wrong password: the same', async () => {
  const { value, health, warnings } = await tellAll({ REDIS_URL: server.url({ password: `${SECRET}-wrong` }) }, 1);
  expect(value).toBe('served');
  expect(health).toMatchObject({ status: 'degraded', mode: 'memory', lastError: { kind: 'auth' } });
  expect(warnings).toBeGreaterThanOrEqual(1);
});

test('a refused port: the same', async () => {
  const port = await freePort('127.0.0.1');
  const { value, health } = await tellAll({ REDIS_URL: server.url({ port }) });
  expect(value).toBe('served');
  expect(health).toMatchObject({ status: 'degraded', mode: 'memory', lastError: { kind: 'connect' } });
});

test('a right password is in no output either', async () => {
  const { value, health, warnings } = await tellAll({ REDIS_URL: server.url() });
  expect(value).toBe('served');
  expect(health).toMatchObject({ status: 'ok', mode: 'redis', lastError: null });
  expect(warnings).toBe(0);
});

test.each([{}, { REDIS_URL: '' }])('without a REDIS_URL (%j) it is memory mode by choice', async (env) => {
  const { value, health, warnings } = await tellAll(env);
  expect(value).toBe('served');
  expect(health).toMatchObject({ status: 'ok', mode: 'memory', lastError: null });
  expect(warnings).toBe(0);
  const production = await tellAll({ ...env, NODE_ENV: 'production' });
  expect(production.health).toMatchObject({ status: 'degraded', mode: 'memory' });
});

test('a variable that does not parse: memory mode, one warning, and health says which', async () => {
  const bad = [
    ['HOLDFAST_TTL', 'soon', /ttl/i],
    ['HOLDFAST_MAX_MEMORY', 'a lot', /max.?memory/i],
    ['HOLDFAST_TIMEOUT_MS', '0', /timeout.?ms/i],
    ['HOLDFAST_NAMESPACE', 'a:b', /namespace/i],
    ['HOLDFAST_TLS_CA', '/nowhere/ca.pem', /tls.?ca/i],
  ];
  for (const [name, value, which] of bad) {
    const told = await tellAll({ REDIS_URL: server.url(), [name]: value }, 1);
    expect(told.value).toBe('served');
    expect(told.health).toMatchObject({
      mode: 'memory',
      lastError: { kind: 'config', message: expect.stringMatching(which) },
    });
    expect(told.warnings).toBe(1);
  }
});

test('HOLDFAST_NAMESPACE and HOLDFAST_TTL configure the default cache', async () => {
  const script = `
    const { set, ttl } = require('holdfast');
    set('k', 1).then(() => ttl('k')).then((left) => console.log(JSON.stringify(left)));`;
  const env = {
    REDIS_URL: server.url(),
    HOLDFAST_NAMESPACE: 'shop',
    HOLDFAST_TTL: '1000',
    HOLDFAST_TIMEOUT_MS: '5000',
  };
  const left = await runForJson(script, { env });
  expect(left).toBeGreaterThan(900);
  expect(left).toBeLessThanOrEqual(1_000);
  expect(await server.cli('get', 'shop:k')).toBe('1');
});

test('HOLDFAST_LOG says where state changes go', async () => {
  // Runs until it is killed. Which of both has come is printed by then; in silence, 200 ms after the trouble is known.
  const script = `
    const { set, health } = require('holdfast');
    process.on('warning', (warning) => console.log('warned: ' + warning.message));
    const timer = setInterval(() => {
      if (health().lastError === null) return;
      clearInterval(timer);
      setTimeout(() => console.log('known'), 200);
      setTimeout(() => {}, 60_000);
    }, 5);
    set('k', 1);`;
  const said = async (log, told) => {
    const env = { REDIS_URL: server.url({ password: 'wrong' }), ...log };
    const running = startScript(script, { env });
    const output = () => running.stdout + running.stderr;
    await until(() => told.test(output()), `${told}`);
    running.kill('SIGKILL');
    await running.result;
    return output();
  };
  await said({}, /warned: /);
  expect(await said({ HOLDFAST_LOG: 'silent' }, /known/)).toBe('known\n');
  expect(await said({ HOLDFAST_LOG: 'console' }, /password[\s\S]*known|known[\s\S]*password/)).not.toContain(
    'warned: ',
  );
});

test('import gives the named exports, and the same cache as require', async () => {
  const script = `
    import holdfast, { createCache, get, getOrCompute, HoldfastError, set } from 'holdfast';
    import { createRequire } from 'node:module';
    await set('k', { n: 1 });
    const required = createRequire(import.meta.url)('holdfast');
    console.log(JSON.stringify([
      await get('k'), await required.get('k'), await holdfast.get('k'), await getOrCompute('k', () => 2),
      typeof createCache, new HoldfastError('ERR_CLOSED', 'x').code,
    ]));`;
  const value = { n: 1 };
  expect(await runForJson(script, { esm: true })).toEqual([value, value, value, value, 'function', 'ERR_CLOSED']);
});

test('import offers every name that index.d.ts declares', async () => {
  const types = fs.readFileSync(path.join(ROOT, 'index.d.ts'), 'utf8');
  const names = [...types.matchAll(/^export (?:const|function|class) (\w+)/gm)].map(([, name]) => name);
  expect(names).toContain('getOrCompute');
  const script = `
    import * as holdfast from 'holdfast';
    console.log(JSON.stringify(Object.keys(holdfast)));`;
  expect(await runForJson(script, { esm: true })).toEqual(expect.arrayContaining(names));
});

test('functions taken out of the default cache work, events included', async () => {
  const script = `
    const { set, get, del, on, off, getMode, health } = require('holdfast');
    const listener = () => {};
    on('ready', listener);
    off('ready', listener);
    set('k', 1).then(() => get('k')).then(async (value) => {
      console.log(JSON.stringify([value, await del('k'), getMode(), health().mode]));
    });`;
  expect(await runForJson(script)).toEqual([1, 1, 'memory', 'memory']);
});

test('module.exports = require("holdfast") is the whole migration', async () => {
  const script = `
    const fs = require('node:fs');
    fs.writeFileSync('redis.js', "module.exports = require('holdfast');");
    const { get, set } = require('./redis');
    set('k', 1).then(() => get('k')).then((value) => console.log(JSON.stringify(value)));`;
  expect(await runForJson(script, { env: { REDIS_URL: server.url() } })).toBe(1);
});
