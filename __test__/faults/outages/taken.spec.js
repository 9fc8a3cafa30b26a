// take and setIfAbsent while Redis goes away: at most one caller has the value, what nobody took is not lost, and what
// is locked so stays it where `reject` asks for that.
'use strict';

const { expectCode, openWatched } = require('../../support/holdfast');
const { outages } = require('../../support/outages');

const { at, connected, away, back } = outages();

test('what lies in Redis is nobody’s in an outage, and is still there behind it', async () => {
  const one = await connected();
  await one.cache.set('k', 'v');
  for (let n = 0; n < 4; n++) expect(await one.cache.get('k')).toBe('v');
  await away(one.cache);
  expect(await one.cache.take('k')).toBeNull();
  await back(one);
  expect(await one.cache.take('k')).toBe('v');
  expect(await one.cache.take('k')).toBeNull();
});

test('what was written in the outage is taken once, and does not come back', async () => {
  const one = await connected();
  await one.cache.set('k', 'old');
  await away(one.cache);
  await one.cache.set('k', 'new');
  expect(await Promise.all([one.cache.take('k'), one.cache.take('k')])).toEqual(['new', null]);
  expect(await one.cache.get('k')).toBeNull();
  await back(one);
  expect(await one.cache.get('k')).toBeNull();
  expect(await at.server.cli('exists', 'n:k')).toBe('0');
});

test('an outage between take and its reply: nobody has the value twice', async () => {
  const one = await connected();
  const two = await openWatched({ url: at.server.url(), namespace: 'n' });
  await one.cache.set('k', 'v');
  at.proxy.inject({ hold: true });
  expect(await one.cache.take('k')).toBeNull();
  at.proxy.inject({ hold: false });
  const taken = await Promise.all([one.cache.take('k'), two.cache.take('k'), one.cache.take('k')]);
  expect(taken.filter((value) => value !== null).length).toBeLessThanOrEqual(1);
});

test('with reject the caller is told', async () => {
  const one = await connected();
  await one.cache.set('k', 'v');
  await away(one.cache);
  await expectCode(() => one.cache.take('k', { onOutage: 'reject' }), 'ERR_REDIS_UNAVAILABLE');
  await back(one);
  expect(await one.cache.take('k', { onOutage: 'reject' })).toBe('v');
});

test('a reply that is late is told as an outage, too', async () => {
  const one = await connected();
  await one.cache.set('k', 'v');
  at.proxy.inject({ hold: true });
  await expectCode(() => one.cache.take('k', { onOutage: 'reject' }), 'ERR_REDIS_UNAVAILABLE');
  at.proxy.inject({ hold: false });
});

describe('setIfAbsent', () => {
  test('in an outage what this process holds counts, and it is gone behind it', async () => {
    const one = await connected();
    await one.cache.set('held', 1);
    for (let n = 0; n < 4; n++) await one.cache.get('held');
    await away(one.cache);
    expect(await one.cache.setIfAbsent('held', 2)).toBe(false);
    expect(await Promise.all([one.cache.setIfAbsent('k', 1), one.cache.setIfAbsent('k', 2)])).toEqual([true, false]);
    expect(await one.cache.get('k')).toBe(1);
    await back(one);
    expect(await one.cache.getMany(['held', 'k'])).toEqual([1, null]);
    expect(await one.cache.setIfAbsent('k', 3)).toBe(true);
  });

  test('with reject a lock is nobody’s in an outage, and its holder’s behind it', async () => {
    const one = await connected();
    const options = { ttl: 100, onOutage: 'reject' };
    expect(await one.cache.setIfAbsent('lock', 'mine', options)).toBe(true);
    await away(one.cache);
    await expectCode(() => one.cache.setIfAbsent('lock', 'other', options), 'ERR_REDIS_UNAVAILABLE');
    await expectCode(() => one.cache.setIfAbsent('free', 'other', options), 'ERR_REDIS_UNAVAILABLE');
    await back(one);
    expect(await one.cache.get('lock')).toBe('mine');
    expect(await one.cache.setIfAbsent('lock', 'other', options)).toBe(false);
    expect(await one.cache.setIfAbsent('free', 'other', options)).toBe(true);
  });

  test('a reply that never comes: it is told, and nothing of it is left in process', async () => {
    const one = await connected();
    at.proxy.inject({ hold: true });
    await expectCode(() => one.cache.setIfAbsent('k', 1, { onOutage: 'reject' }), 'ERR_REDIS_UNAVAILABLE');
    expect(await one.cache.get('k')).toBeNull();
    at.proxy.inject({ hold: false });
  });
});
