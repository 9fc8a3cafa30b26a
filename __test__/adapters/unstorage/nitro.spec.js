// A real Nitro application over the driver, built as its reader would build it: it serves while Redis is away. Nitro
// and what it needs are dependencies of the example alone.
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { ROOT } = require('../../support/holdfast');
const { freePort } = require('../../support/redis-server');
const { until } = require('../../support/until');
const { EXAMPLES, servesThroughOutage, startProgram } = require('../support/example');

const APP = path.join(EXAMPLES, 'nitro');
const CACHED = 'nitro-cache:nitro:handlers:report';
/** What an installed package has, beside its native part. */
const INSTALLED = ['package.json', 'index.d.ts', 'adapters', 'src/js'];

const folders = [];
afterEach(() => {
  for (const folder of folders.splice(0)) fs.rmSync(folder, { recursive: true, force: true });
});
function makeFolder() {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-nitro-')));
  folders.push(folder);
  return folder;
}

/** The example beside a package that is no link to the clone. */
function withInstalled() {
  const app = makeFolder();
  for (const name of ['package.json', 'nitro.config.js', 'routes'])
    fs.cpSync(path.join(APP, name), path.join(app, name), { recursive: true });
  const [theirs, ours] = [path.join(APP, 'node_modules'), path.join(app, 'node_modules')];
  fs.mkdirSync(ours);
  for (const name of fs.readdirSync(theirs).filter((each) => each !== 'holdfast'))
    fs.symlinkSync(path.join(theirs, name), path.join(ours, name));
  const native = fs.readdirSync(ROOT).filter((name) => name.endsWith('.node'));
  for (const name of [...INSTALLED, ...native])
    fs.cpSync(path.join(ROOT, name), path.join(ours, 'holdfast', name), { recursive: true });
  return app;
}

/** Builds an application, and gives the folder with what was built. */
function build(app) {
  const output = path.join(app, '.output');
  fs.rmSync(output, { recursive: true, force: true });
  const built = spawnSync('npm', ['run', 'build'], { cwd: app, encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`Nitro did not build:\n${built.stdout}${built.stderr}`);
  return output;
}

/** A cached handler and a storage answer each request, and what Nitro caches has an end in Redis. */
async function serves(output) {
  let ends = 0;
  const check = async (answers, mode, redis) => {
    for (const [asked, , text] of answers) {
      if (asked === '/report') expect(JSON.parse(text)).toHaveProperty('made');
      else expect(JSON.parse(text).length).toBeGreaterThan(0);
    }
    if (mode !== 'redis') return;
    const name = await until(() => redis.cli('keys', `${CACHED}*`), 'the report is stored');
    const left = Number(await redis.cli('ttl', name));
    expect(left).toBeGreaterThan(80_000);
    expect(left).toBeLessThanOrEqual(86_400);
    ends++;
  };
  const launch = async (redisUrl) =>
    // To Nitro 0 is no port.
    startProgram(['server/index.mjs'], output, redisUrl, { port: await freePort('127.0.0.1') });
  await servesThroughOutage('nitro', ['/report', '/notes/a', '/notes/b'], { check, launch });
  expect(ends).toBe(2);
}

test('examples/nitro serves through an outage', async () => {
  await serves(build(APP));
});

test('with an installed package, the output has all that it needs, wherever it lies', async () => {
  const output = path.join(makeFolder(), 'output');
  const app = withInstalled();
  fs.renameSync(build(app), output);
  fs.rmSync(app, { recursive: true });
  await serves(output);
});
