// Process 39 and guarantee G10: how a process that uses the cache ends.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { ROOT } = require('../../support/holdfast');
const { freePort, startRedis } = require('../../support/redis-server');
const { cleanEnv, makeProject, runScript, startScript } = require('../../support/run-script');
const { spawn } = require('node:child_process');

let server;
let stopped;
let nobody;
beforeAll(async () => {
  server = await startRedis();
  stopped = await startRedis();
  await stopped.kill('SIGSTOP');
  nobody = `redis://127.0.0.1:${await freePort('127.0.0.1')}`;
});
afterAll(() => Promise.all([server.stop(), stopped.stop()]));

const PLACES = [
  ['memory mode', () => ''],
  ['Redis', () => server.url()],
  ['a refused port', () => nobody],
  ['a stopped Redis', () => stopped.url()],
];

function envOf(url) {
  return { REDIS_URL: url(), HOLDFAST_LOG: 'silent' };
}

describe.each(PLACES)('fault 39: with %s', (_, url) => {
  test('a script that only sets a value ends by itself', async () => {
    const result = await runScript(`require('holdfast').set('a', 1)`, { env: envOf(url) });
    expect(result).toMatchObject({ code: 0, signal: null, hung: false, stdout: '', stderr: '' });
  });

  test('a script that only loads the package ends by itself', async () => {
    const result = await runScript(`require('holdfast')`, { env: envOf(url) });
    expect(result).toMatchObject({ code: 0, hung: false, stderr: '' });
  });

  test('calls in flight keep the process until they settle', async () => {
    const script = `
      const { set, get, getOrCompute } = require('holdfast');
      Promise.all(Array.from({ length: 500 }, (_, i) => set('k' + i, i)))
        .then(() => Promise.all([get('k1'), getOrCompute('c', () => 2)]))
        .then(() => console.log('settled'));`;
    const result = await runScript(script, { env: envOf(url) });
    expect(result).toMatchObject({ code: 0, hung: false, stdout: 'settled\n' });
  });

  test('process.exit in flight ends with its code', async () => {
    const script = `
      const { set } = require('holdfast');
      for (let i = 0; i < 2000; i++) set('k' + i, 'x'.repeat(1000));
      setImmediate(() => setImmediate(() => process.exit(7)));`;
    expect(await runScript(script, { env: envOf(url) })).toMatchObject({
      code: 7,
      signal: null,
      hung: false,
      stderr: '',
    });
  });

  test('an uncaught exception in flight ends with code 1', async () => {
    const script = `
      const { set } = require('holdfast');
      for (let i = 0; i < 2000; i++) set('k' + i, 'x'.repeat(1000));
      setImmediate(() => { throw new Error('of the application'); });`;
    const result = await runScript(script, { env: envOf(url) });
    expect(result).toMatchObject({ code: 1, signal: null, hung: false });
    expect(result.stderr).toContain('of the application');
  });

  test('SIGTERM in flight ends the process', async () => {
    const script = startScript(
      `const { set } = require('holdfast');
      console.log('begun');
      const again = () => Promise.all(Array.from({ length: 100 }, (_, i) => set('k' + i, i))).then(again);
      again();`,
      { env: envOf(url) },
    );
    await script.says('begun');
    script.kill('SIGTERM');
    expect(await script.result).toMatchObject({ code: null, signal: 'SIGTERM', hung: false });
  });
});

test('fault 39: process.exit at any moment after the start ends with its code', async () => {
  const exits = ['process.exit(7)', 'process.nextTick(() => process.exit(7))', 'setTimeout(() => process.exit(7), 1)'];
  for (const exit of exits) {
    const script = `require('holdfast').set('a', 1); ${exit}`;
    for (const url of [server.url(), nobody]) {
      const result = await runScript(script, { env: { REDIS_URL: url, HOLDFAST_LOG: 'silent' } });
      expect(result).toMatchObject({ code: 7, signal: null, hung: false });
    }
  }
});

test('a function that never settles keeps the process until hardTimeout has told its caller', async () => {
  const script = `
    const { getOrCompute } = require('holdfast');
    getOrCompute('k', () => new Promise(() => {}), { hardTimeout: 0.2 }).catch((error) => console.log(error.code));`;
  const result = await runScript(script, { env: { REDIS_URL: server.url() } });
  expect(result).toMatchObject({ code: 0, hung: false, stdout: 'ERR_COMPUTE_TIMEOUT\n' });
});

test('a closed cache does not keep the process', async () => {
  const script = `
    const cache = require('holdfast');
    cache.set('a', 1).then(() => cache.close()).then(() => console.log('closed'));`;
  const result = await runScript(script, { env: { REDIS_URL: server.url() } });
  expect(result).toMatchObject({ code: 0, hung: false, stdout: 'closed\n' });
});

test('Jest ends without --forceExit', async () => {
  const spec = `
    const { set, get } = require('holdfast');
    test('set, then get', async () => {
      await set('jest', 1);
      expect(await get('jest')).toBe(1);
    });`;
  const project = makeProject({ 'package.json': '{}', 'tiny.spec.js': spec });
  const jest = path.join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js');
  expect(fs.existsSync(jest)).toBe(true);
  for (const url of ['', server.url(), nobody]) {
    const args = [jest, '--rootDir', project.dir, '--runInBand', '--testMatch', '**/tiny.spec.js'];
    const child = spawn(process.execPath, args, {
      cwd: project.dir,
      env: cleanEnv({ REDIS_URL: url, HOLDFAST_LOG: 'silent' }),
      timeout: 50_000, // a Jest that does not end is killed, and has a signal
      killSignal: 'SIGKILL',
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
    const [code, signal] = await new Promise((resolve) => child.once('close', (...end) => resolve(end)));
    expect({ code, signal, output }).toMatchObject({ code: 0, signal: null });
    expect(output).toContain('1 passed');
    expect(output).not.toContain('did not exit');
  }
  project.remove();
});
