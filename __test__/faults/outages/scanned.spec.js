// scan while Redis goes away and comes back: it ends, and names what answers calls then.
'use strict';

const { closeCaches } = require('../../support/holdfast');
const { startRedis } = require('../../support/redis-server');
const { outages } = require('../../support/outages');
const { untilMode, until } = require('../../support/until');

const KEYS = Array.from({ length: 2_000 }, (_, n) => `k${n}`);

const { at, connected, away, back } = outages();

async function rest(pages) {
  const names = [];
  for await (const page of pages) names.push(...page);
  return [...new Set(names)].sort();
}

test('Redis goes away in the middle: what this process has is named, and what it wrote meanwhile', async () => {
  const { cache } = await connected();
  await cache.setMany(KEYS.map((key) => [key, key]));
  const held = KEYS.slice(0, 100);
  await cache.getMany(held);
  const pages = cache.scan('*', { count: 50 });
  expect((await pages.next()).value.length).toBeGreaterThan(0);
  await away(cache);
  await cache.set('new', 1);
  await cache.del('k0');
  const named = await rest(pages);
  expect(named).toContain('new');
  expect(named).not.toContain('k0');
  for (const name of named) expect(await cache.exists(name)).toBe(true);
});

test('Redis goes away in the middle of a page: it ends all the same', async () => {
  const { cache } = await connected();
  await cache.setMany(KEYS.map((key) => [key, key]));
  const pages = cache.scan('*', { count: 50 });
  await pages.next();
  at.proxy.inject({ hold: true });
  const named = rest(pages);
  await untilMode(cache, 'memory');
  expect(Array.isArray(await named)).toBe(true);
  at.proxy.inject({ hold: false });
});

test('Redis is back in the middle: all of its keys are named', async () => {
  const one = await connected();
  await one.cache.setMany(KEYS.map((key) => [key, key]));
  await away(one.cache);
  await one.cache.setMany(Array.from({ length: 300 }, (_, n) => [`outage${n}`, n]));
  const pages = one.cache.scan('k*', { count: 1 });
  const first = pages.next();
  await back(one);
  const { value, done } = await first;
  const named = new Set([...(done ? [] : value), ...(await rest(pages))]);
  if (!done) expect([...named].sort()).toEqual([...KEYS].sort());
  expect(await rest(one.cache.scan('k*'))).toEqual([...KEYS].sort());
});

test('a server that does not say who it is: it ends, and every key is named', async () => {
  await at.server.cli('acl', 'setuser', 'default', '-info');
  const { cache } = await connected();
  await cache.setMany(KEYS.map((key) => [key, key]));
  expect(await rest(cache.scan('*', { count: 100 }))).toEqual([...KEYS].sort());
});

test('another server behind the address in the middle: its keys are named from the first on', async () => {
  const one = await connected();
  await one.cache.setMany(KEYS.map((key) => [key, key]));
  const pages = one.cache.scan('*', { count: 50 });
  await pages.next();
  await away(one.cache);
  const other = await startRedis({ port: at.proxy.port });
  try {
    for (const key of ['a', 'b', 'c']) await other.cli('set', `n:${key}`, '1');
    await until(() => one.told.count('recovered') === 1, 'recovered');
    expect(await rest(pages)).toEqual(expect.arrayContaining(['a', 'b', 'c']));
  } finally {
    await closeCaches();
    await other.stop();
  }
});
