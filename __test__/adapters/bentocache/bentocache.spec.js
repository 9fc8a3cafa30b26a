// BentoCache over the driver: its own suite, what lies in Redis, what an outage does, and that instances without a bus
// agree.
'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { holdfastDriver } = require('holdfast/bentocache');
const { serverForAll } = require('../../support/redis-server');
const { silent } = require('../../support/holdfast');
const { until, untilMode } = require('../../support/until');
const { connected } = require('../support/modes');
const { servesThroughOutage } = require('../support/example');

const server = serverForAll();
const opened = [];

/** A BentoCache over the driver alone: no first level, no bus. */
async function makeBento({ name = 'main', ...options } = {}) {
  const { BentoCache, bentostore } = await import('bentocache');
  let driver;
  const { options: config, factory } = holdfastDriver({
    url: server.url(),
    timeoutMs: 5_000,
    logger: silent(),
    ...options,
  });
  const kept = (given) => {
    driver = factory(given);
    return driver;
  };
  const stores = { [name]: bentostore().useL2Layer({ options: config, factory: kept }) };
  const bento = new BentoCache({ default: name, stores });
  opened.push(bento);
  await bento.has({ key: 'opens the driver' });
  await connected(driver.cache);
  return { bento, driver };
}

beforeEach(() => server.cli('flushall'));
afterEach(async () => {
  await Promise.all(opened.splice(0).map((bento) => bento.disconnectAll()));
});

test.each(['in memory mode', 'over Redis'])("BentoCache's suite passes %s", (mode) => {
  const env = { PATH: process.env.PATH, HOLDFAST_SUITE_URL: mode === 'over Redis' ? server.url() : '' };
  const { stdout, stderr } = spawnSync(process.execPath, [path.join(__dirname, 'run.mjs')], { env, encoding: 'utf8' });
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
  const summary = lines.map((line) => JSON.parse(line)).find(({ aggregates }) => aggregates);
  if (summary === undefined) throw new Error(`the suite did not run:\n${stdout}${stderr}`);
  expect(summary.failedTestsTitles).toEqual([]);
  expect(summary.aggregates).toMatchObject({ failed: 0, skipped: 0, todo: 0 });
  expect(summary.aggregates.passed).toBeGreaterThanOrEqual(21);
});

test('an entry lies in Redis behind the prefix, once, and namespaces nest behind it', async () => {
  const { bento } = await makeBento({ prefix: 'app' });
  await bento.set({ key: 'a', value: { b: 1 }, ttl: '1h' });
  await bento.namespace('users').set({ key: '7', value: 'ada', ttl: null });
  expect((await server.cli('keys', '*')).split('\n').sort()).toEqual(['app:a', 'app:users:7']);
  expect(JSON.parse(await server.cli('get', 'app:a'))).toMatchObject({ value: { b: 1 } });
  expect(Number(await server.cli('ttl', 'app:a'))).toBeGreaterThan(3_000);
  expect(await server.cli('ttl', 'app:users:7')).toBe('-1');
});

test('the default prefix is that of BentoCache, and clear removes what is behind it alone', async () => {
  const { bento } = await makeBento();
  await bento.set({ key: 'a', value: 1 });
  expect(await server.cli('keys', '*')).toBe('bentocache:a');
  await server.cli('set', 'bentocachex:a', 'kept');
  await bento.clear();
  expect(await server.cli('keys', '*')).toBe('bentocachex:a');
});

test('a driver without prefix and namespace clears nothing, and says why', async () => {
  await server.cli('set', 'bull:queue', 'kept');
  const driver = holdfastDriver({ url: server.url(), logger: silent() }).factory({ prefix: '' });
  await expect(driver.clear()).rejects.toMatchObject({ code: 'ERR_CLEAR_NEEDS_NAMESPACE' });
  expect(await server.cli('keys', '*')).toBe('bull:queue');
  await driver.disconnect();
});

test('the options that BentoCache holds name no URL', () => {
  expect(holdfastDriver({ url: 'redis://:secret@127.0.0.1', prefix: 'p' }).options).toEqual({ prefix: 'p' });
});

test('instances without a bus agree: what one sets, deletes or ends by a tag, the other does not serve', async () => {
  // Two addresses of one Redis: nothing is shared in the process.
  const [one, two] = [await makeBento(), await makeBento({ url: `unix:${server.socket}` })];
  const [a, b] = [one.bento, two.bento];
  await a.set({ key: 'k', value: 1 });
  expect(await b.get({ key: 'k' })).toBe(1);
  expect(await b.get({ key: 'k' })).toBe(1); // near by now
  await a.set({ key: 'k', value: 2 });
  await until(async () => (await b.get({ key: 'k' })) === 2, 'the new value is read');
  await a.delete({ key: 'k' });
  await until(async () => (await b.get({ key: 'k' })) === undefined, 'the deletion is seen');
  await a.set({ key: 't', value: 1, tags: ['x'] });
  expect(await b.get({ key: 't' })).toBe(1);
  await a.deleteByTag({ tags: ['x'] });
  await until(async () => (await b.get({ key: 't' })) === undefined, 'the end of the tag is seen');
});

test('pull of the driver gives a value to one of two instances', async () => {
  const [one, two] = [await makeBento(), await makeBento({ url: `unix:${server.socket}` })];
  await one.driver.set('token', 'once');
  const pulled = await Promise.all([one, two].map(({ driver }) => driver.pull('token')));
  expect(pulled.filter((value) => value === 'once')).toHaveLength(1);
});

test('while Redis is away nothing fails or hangs, and what was deleted meanwhile stays deleted', async () => {
  const { bento, driver } = await makeBento({ timeoutMs: 250 });
  await bento.set({ key: 'old', value: 1 });
  await server.kill('SIGSTOP');
  expect(await bento.getOrSet({ key: 'new', factory: () => 2 })).toBe(2);
  expect(await bento.get({ key: 'new' })).toBe(2);
  await bento.delete({ key: 'old' });
  await untilMode(driver.cache, 'memory');
  await server.kill('SIGCONT');
  await untilMode(driver.cache, 'redis');
  expect(await bento.get({ key: 'old' })).toBeUndefined();
  expect(await server.cli('exists', 'bentocache:old')).toBe('0');
});

test('examples/bentocache serves through an outage', async () => {
  await servesThroughOutage('bentocache', ['/user/7', '/user/8']);
});
