// The sample of the namespace's keys: what the doctor says of what lies there, and that it shows nothing of it.
'use strict';

const { closeCaches, openCache, stored } = require('../../support/holdfast');
const { serverForAll } = require('../../support/redis-server');
const { examine, expectFinding } = require('../../support/command-line');

const server = serverForAll({ config: ['maxmemory 64mb', 'maxmemory-policy noeviction'] });
beforeEach(() => server.cli('flushall'));
afterEach(closeCaches);

const sampled = (more = {}) => examine(server.url(), { args: ['-n', 'shop'], ...more });
const found = ({ ids }) => ids.filter((id) => /^(keys|queue)\./.test(id) && id !== 'keys.sample');

test('what a cache stores is as it should be', async () => {
  const cache = await openCache({ url: server.url(), namespace: 'shop' });
  const packed = await openCache({ url: server.url(), namespace: 'shop', codec: 'structured', compression: 'zstd' });
  await cache.set('page:7', 'page', { ttl: 60, tags: ['product:7'] });
  await packed.set('set:1', new Set(['x'.repeat(5_000)]), 60);
  await cache.getOrCompute('page:8', () => 'computed', { ttl: 60, grace: 60 });
  await stored(cache);
  const report = await sampled({ secrets: ['computed', 'xxx'] });
  expect(found(report)).toEqual([]);
  const { measured, data } = expectFinding(report, 'keys.sample', 'ok', /^$/);
  expect(data).toMatchObject({ complete: true, keys: 4, entries: 3, tags: 1, orphanTags: 0 });
  expect(measured).toMatch(/most bytes: page: \d+ B, set: \d+ B$/);
});

test('while a function runs its marker is nothing odd', async () => {
  const cache = await openCache({ url: server.url(), namespace: 'shop' });
  let end;
  const running = new Promise((resolve) => {
    end = resolve;
  });
  const computed = cache.getOrCompute('slow', () => running, 60);
  try {
    await stored(cache);
    expect(found(await sampled())).toEqual([]);
  } finally {
    end('done');
    await computed;
  }
});

test.each([
  ['keys.no-expiry', 'warning', () => server.cli('set', 'shop:k', '1'), /TTL "\$k"/],
  ['keys.large', 'warning', () => server.setBytes('shop:k', Buffer.alloc(1 << 20, '1')), /STRLEN/],
  ['keys.foreign-type', 'warning', () => server.cli('rpush', 'shop:k', 'v'), /TYPE/],
  ['keys.undecodable', 'warning', () => server.setBytes('shop:k', Buffer.from([0xff, 9, 0, 0])), /npm ls holdfast/],
  ['keys.not-json', 'note', () => server.cli('set', 'shop:k', '{"half', 'ex', '60'), /codec/],
  ['keys.dead-markers', 'warning', () => server.setBytes('shop:k', Buffer.from('\xfeold', 'latin1')), /\\xfe/],
  ['keys.orphan-tags', 'note', () => server.cli('set', 'shop:\0tag\0gone', '"a"', 'ex', '60').catch(() => {}), /^$/],
])('%s is a %s', async (id, level, put, mend) => {
  if (id === 'keys.orphan-tags') {
    const cache = await openCache({ url: server.url(), namespace: 'shop' });
    await cache.invalidateTags('gone');
  } else await put();
  expectFinding(await sampled(), id, level, mend);
});

test('a line that lists the keys lists them', async () => {
  const { execFileSync } = require('node:child_process');
  await server.cli('set', 'shop:for-ever', '1');
  await server.cli('set', 'shop:for-a-while', '1', 'ex', '60');
  const { mend } = expectFinding(await sampled(), 'keys.no-expiry', 'warning');
  const line = mend[0].replaceAll('redis-cli', `redis-cli -s ${server.socket}`);
  expect(execFileSync('sh', ['-c', line], { encoding: 'utf8' })).toBe('shop:for-ever\n');
});

test('other namespaces, and keys without one, are not looked at', async () => {
  await server.cli('set', 'shopping:k', '1');
  await server.cli('set', 'k', '1');
  const { data } = expectFinding(await sampled(), 'keys.sample', 'ok', /^$/);
  expect(data.keys).toBe(0);
});

test('a queue beside it, which eviction would empty', async () => {
  await server.cli('hset', 'bull:mail:meta', 'opts', '1');
  expectFinding(await sampled(), 'queue.beside', 'note', /^REDIS_URL=/);
  await server.cli('config', 'set', 'maxmemory-policy', 'allkeys-lru');
  expectFinding(await sampled(), 'queue.evicted', 'problem', /^REDIS_URL=/);
  await server.cli('config', 'set', 'maxmemory-policy', 'noeviction');
});

test('of many keys a sample is taken', async () => {
  await server.cli('eval', 'for i = 1, 5000 do redis.call("SET", "shop:k" .. i, i, "EX", 60) end', '0');
  const { data, measured } = expectFinding(await sampled(), 'keys.sample', 'ok', /^$/);
  expect(data.complete).toBe(false);
  expect(data.keys).toBeLessThan(5_000);
  expect(measured).toMatch(/^a sample of \d+ keys of the namespace shop/);
});
