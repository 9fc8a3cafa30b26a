// examples/next, as its reader would build and start it: with cacheComponents, and Redis killed in the middle.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build, startInstance } from './site.mjs';

const require = createRequire(import.meta.url);
const { freePort, keptPort, startRedis } = require('../../support/redis-server.js');
const { until } = require('../../support/until.js');
const PACKAGE = fileURLToPath(new URL('../../..', import.meta.url));
const EXAMPLE = join(PACKAGE, 'examples/next');
/** Beside the site, so that what it requires is what is installed here. */
const PLACE = fileURLToPath(new URL('..', import.meta.url));
const NOT_COPIED = ['node_modules', '.next', 'package-lock.json'];
const ROUNDS = 20;

/** The package as it is installed: a link to its sources would be bundled, which a binary cannot be. */
function installInto(dir) {
  const { files } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
  const binaries = readdirSync(PACKAGE).filter((name) => name.endsWith('.node'));
  for (const name of ['package.json', ...files, ...binaries]) {
    cpSync(join(PACKAGE, name), join(dir, 'node_modules/holdfast', name), { recursive: true });
  }
}

test('examples/next is built without Redis, and serves through an outage', async () => {
  const dir = mkdtempSync(join(PLACE, '.example-'));
  let redis;
  let instance;
  try {
    for (const name of readdirSync(EXAMPLE).filter((each) => !NOT_COPIED.includes(each))) {
      cpSync(join(EXAMPLE, name), join(dir, name), { recursive: true });
    }
    installInto(dir);
    await build(`redis://127.0.0.1:${await freePort('127.0.0.1')}`, dir);
    redis = await startRedis({ pickPort: keptPort });
    instance = await startInstance({ redisUrl: redis.url(), dir, ready: '/health' });
    const textOf = async (path, init) => {
      const { status, bytes } = await instance.ask(path, init);
      assert.equal(status, 200, `${path}:\n${instance.output()}`);
      return bytes.toString();
    };
    const untilMode = (mode) => until(async () => JSON.parse(await textOf('/health')).mode === mode, `mode ${mode}`);
    const phase = async () => {
      for (let round = 0; round < ROUNDS; round++) {
        await Promise.all(['/', '/products/7', '/products/8'].map((path) => textOf(path)));
      }
    };
    const price = async () => /costs (\d+), as of [^<]*/.exec(await textOf('/products/7'))[0];
    await untilMode('redis');
    await phase();
    const before = await price();
    assert.equal(await price(), before);
    await redis.kill('SIGKILL');
    await phase();
    await untilMode('memory');
    await phase();
    await textOf('/products/7/change', { method: 'POST' });
    const during = await price();
    assert.notEqual(during, before);
    assert.equal(await price(), during);
    await redis.restart();
    await untilMode('redis');
    await phase();
    assert.notEqual(await price(), before);
  } finally {
    await instance?.stop();
    await redis?.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});
