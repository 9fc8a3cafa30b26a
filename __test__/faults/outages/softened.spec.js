// Soft ends and tagTimes while Redis goes away: what was ended is a miss in the outage and behind it, and nothing that
// was ended for good is of use to anybody.
'use strict';

const { openWatched } = require('../../support/holdfast');
const { outages } = require('../../support/outages');
const { until } = require('../../support/until');

const { at, connected, away, back } = outages();

const failing = async () => {
  throw new Error('on purpose');
};
/** What is left of `k` for a caller who takes a stale value where the function fails. */
const left = (cache) => cache.getOrCompute('k', failing, { grace: 60 }).catch(() => null);

test('what is softly deleted in an outage is a miss, and is removed behind it', async () => {
  const one = await connected();
  await one.cache.set('k', 'v', 600);
  expect(await one.cache.get('k')).toBe('v');
  await away(one.cache);
  await one.cache.del('k', { stale: 60 });
  expect(await one.cache.get('k')).toBeNull();
  expect(await left(one.cache)).toBeNull();
  await back(one);
  expect(await left(one.cache)).toBeNull();
  expect(await at.server.cli('exists', 'n:k')).toBe('0');
});

test('a tag that is softly ended in an outage: misses in it and behind it', async () => {
  const one = await connected();
  const two = await openWatched({ url: at.server.url(), namespace: 'n' });
  await one.cache.set('k', 'v', { ttl: 600, tags: ['t'] });
  expect(await two.cache.get('k')).toBe('v');
  await away(one.cache);
  await one.cache.set('here', 'w', { ttl: 600, tags: ['t'] });
  const before = Date.now();
  await one.cache.invalidateTags('t', { stale: 60 });
  expect(await one.cache.getMany(['k', 'here'])).toEqual([null, null]);
  // What it stored itself in the outage is of use.
  expect(await one.cache.getOrCompute('here', failing, { grace: 60 })).toBe('w');
  expect((await one.cache.tagTimes(['t']))[0]).toBeGreaterThanOrEqual(before);
  await back(one);
  await until(async () => (await two.cache.get('k')) === null, 'the other one misses it');
  expect([await left(one.cache), await left(two.cache)]).toEqual([null, null]);
  // Ended once more, and this time by the server's clock.
  expect((await two.cache.tagTimes(['t']))[0]).toBeGreaterThanOrEqual(before);
  expect(await one.cache.get('here')).toBeNull();
});

test('a tag that nobody can be asked about may have been ended just now', async () => {
  const one = await connected();
  expect(await one.cache.tagTimes(['t'])).toEqual([0]);
  await away(one.cache);
  const before = Date.now();
  expect((await one.cache.tagTimes(['other']))[0]).toBeGreaterThanOrEqual(before);
  await back(one);
  expect(await one.cache.tagTimes(['other'])).toEqual([0]);
});

test('an outage between a soft end and its reply: it may have been done, and is a miss in any case', async () => {
  const one = await connected();
  await one.cache.set('k', 'v', { ttl: 600, tags: ['t'] });
  at.proxy.inject({ hold: true });
  await one.cache.invalidateTags('t', { stale: 60 });
  expect(await one.cache.get('k')).toBeNull();
  at.proxy.inject({ hold: false });
  await until(() => one.cache.getMode() === 'redis', 'Redis is back');
  expect(await one.cache.get('k')).toBeNull();
});
