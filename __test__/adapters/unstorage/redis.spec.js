// The driver over a real Redis: what lies there, what `clear` must not touch, and what an outage does.
'use strict';

const { createStorage } = require('unstorage');
const holdfastDriver = require('holdfast/unstorage');
const { serverForAll } = require('../../support/redis-server');
const { silent } = require('../../support/holdfast');
const { untilMode } = require('../../support/until');
const { connected } = require('../support/modes');
const { servesThroughOutage } = require('../support/example');

const server = serverForAll();
const storages = [];
const makeStorage = async (options = {}) => {
  const driver = holdfastDriver({ url: server.url(), timeoutMs: 5_000, logger: silent(), ...options });
  const storage = createStorage({ driver });
  storages.push(storage);
  await connected(driver.getInstance());
  return { storage, cache: driver.getInstance() };
};
beforeEach(() => server.cli('flushall'));
afterEach(async () => {
  await Promise.all(storages.splice(0).map((storage) => storage.dispose()));
});

test("an item lies in Redis as unstorage's own driver leaves it, behind the base, once", async () => {
  const { storage } = await makeStorage({ base: 'app:' });
  await storage.setItem('users:7', { name: 'Ada' });
  expect(await server.cli('keys', '*')).toBe('app:users:7');
  expect(await server.cli('get', 'app:users:7')).toBe('{"name":"Ada"}');
  expect(await server.cli('ttl', 'app:users:7')).toBe('-1');
});

test('clear without base and namespace removes nothing, and says why; with one of them, what is its own', async () => {
  await server.cli('set', 'bull:queue', 'kept');
  const { storage: raw } = await makeStorage();
  await expect(raw.clear()).rejects.toMatchObject({ code: 'ERR_CLEAR_NEEDS_NAMESPACE' });
  const { storage: named } = await makeStorage({ namespace: 'named' });
  const { storage: based } = await makeStorage({ base: 'bull' });
  await named.setItem('a', 1);
  await named.clear();
  expect(await server.cli('keys', '*')).toBe('bull:queue');
  await based.clear();
  expect(await server.cli('dbsize')).toBe('0');
});

test('while Redis is away nothing fails or hangs, and what was removed meanwhile stays removed', async () => {
  const { storage, cache } = await makeStorage({ base: 'out', timeoutMs: 250 });
  await storage.setItem('old', 1);
  await server.kill('SIGSTOP');
  await storage.setItem('new', 2);
  expect(await storage.getItem('new')).toBe(2);
  await storage.removeItem('old');
  expect(await storage.getKeys()).toEqual(['new']);
  await untilMode(cache, 'memory');
  await server.kill('SIGCONT');
  await untilMode(cache, 'redis');
  expect(await storage.getItem('old')).toBeNull();
  expect(await server.cli('exists', 'out:old')).toBe('0');
});

test('examples/unstorage serves through an outage', async () => {
  await servesThroughOutage('unstorage', ['/notes/a', '/notes/b', '/notes']);
});
