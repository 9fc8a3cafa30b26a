// runExclusive while Redis goes away and comes back: who runs, and who is told that he may not be alone.
'use strict';

const { computation } = require('../../support/computation');
const { expectCode, makeCache, openCache, openWatched } = require('../../support/holdfast');
const { outages } = require('../../support/outages');
const { until } = require('../../support/until');

const { at, connected, away, back } = outages();
/** Another process, which reaches Redis all the while. */
const elsewhere = () => openCache({ url: at.server.url(), namespace: 'n' });

async function holding(cache, options) {
  const held = computation();
  held.running = cache.runExclusive(
    'x',
    (context) => {
      held.signal = context.signal;
      return held.fn();
    },
    options,
  );
  await held.begun();
  return held;
}

const expectHeld = (cache) => expectCode(() => cache.runExclusive('x', () => 1), 'ERR_LEASE_HELD');

test('Redis away in the middle for longer than the ttl: the function is told, and another process may run', async () => {
  const one = await connected();
  const two = await elsewhere();
  const held = await holding(one.cache, { ttl: 4 });
  await away(one.cache);
  await expectHeld(one.cache);
  await expectHeld(two);
  expect(await two.runExclusive('x', () => held.signal.aborted, { wait: Infinity })).toBe(true);
  expect(held.signal.reason.code).toBe('ERR_LEASE_LOST');
  held.open(1);
  expect(await held.running).toBe(1);
});

test('a renewal without an answer: the function is told when the ttl is over, however long calls wait', async () => {
  const { cache } = await openWatched({ url: at.proxy.url(), namespace: 'n', timeoutMs: 20_000 });
  const two = await elsewhere();
  const held = await holding(cache, { ttl: 1 });
  at.proxy.inject({ hold: true });
  expect(await two.runExclusive('x', () => held.signal.aborted, { wait: Infinity })).toBe(true);
  at.proxy.inject({ hold: false });
  held.open(1);
  await held.running;
});

test('Redis away for less than the ttl: the lease is kept', async () => {
  const one = await connected();
  const two = await elsewhere();
  const held = await holding(one.cache, { ttl: 600 });
  await away(one.cache);
  await expectHeld(one.cache);
  await back(one);
  await expectHeld(two);
  expect(held.signal.aborted).toBe(false);
  held.open(1);
  await held.running;
  expect(await two.runExclusive('x', () => 'free')).toBe('free');
});

test('in an outage one call of this process runs at a time', async () => {
  const one = await connected();
  await away(one.cache);
  const held = await holding(one.cache);
  await expectHeld(one.cache);
  // Another cache of the connection, as in another thread.
  await expectHeld(makeCache({ url: at.proxy.url(), namespace: 'n' }));
  held.open('here');
  expect(await held.running).toBe('here');
  expect(await one.cache.runExclusive('x', () => 'next')).toBe('next');
});

test('with reject the function does not run, and a reply that never comes is an outage, too', async () => {
  const one = await connected();
  const fn = jest.fn();
  const options = { onOutage: 'reject' };
  at.proxy.inject({ hold: true });
  await expectCode(() => one.cache.runExclusive('x', fn, options), 'ERR_REDIS_UNAVAILABLE');
  at.proxy.inject({ hold: false });
  await away(one.cache);
  await expectCode(() => one.cache.runExclusive('x', fn, options), 'ERR_REDIS_UNAVAILABLE');
  expect(fn).not.toHaveBeenCalled();
  // Nothing of it is left in this process.
  expect(await one.cache.runExclusive('x', () => 'here')).toBe('here');
});

test('begun in an outage: when Redis is back it keeps other processes out', async () => {
  const one = await connected();
  await away(one.cache);
  const held = await holding(one.cache, { ttl: 3 });
  await back(one);
  const two = await elsewhere();
  // Not by asking for it, which would keep the first one out. Lua has escapes for what no argument may hold.
  const asked = "return redis.call('exists', 'n:\\0lease\\0x')";
  await until(async () => (await at.server.cli('eval', asked, '0')) === '1', 'the lease is in Redis');
  await expectHeld(two);
  expect(held.signal.aborted).toBe(false);
  held.open(1);
  await held.running;
  expect(await two.runExclusive('x', () => 'free')).toBe('free');
});

test('begun in an outage: where another process has the lease, the function is told when Redis is back', async () => {
  const one = await connected();
  const there = await holding(await elsewhere(), { ttl: 600 });
  await away(one.cache);
  const here = await holding(one.cache, { ttl: 3 });
  await back(one);
  await until(() => here.signal.aborted, 'the signal');
  expect(there.signal.aborted).toBe(false);
  here.open(1);
  await here.running;
  await expectHeld(one.cache);
  there.open(2);
  expect(await there.running).toBe(2);
});
