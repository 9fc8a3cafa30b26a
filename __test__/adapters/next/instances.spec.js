// Both handlers of Next in several instances, and while Redis is away: each instance has a connection of its own, one
// of them through a proxy that takes Redis away from it.
'use strict';

const { watch } = require('../../support/holdfast');
const { outages } = require('../../support/outages');
const { freePort } = require('../../support/redis-server');
const { until, untilMode } = require('../../support/until');
const { closeHandlers, makePages, makeUseCache, put, read, textOf } = require('./support');

const { at, away, back } = outages();
afterEach(closeHandlers);

const TIMEOUT_MS = 250;
/** An instance behind the proxy, and one that has Redis all the time. */
async function openBoth(make = makeUseCache, options = {}) {
  const one = make({ url: at.proxy.url(), namespace: 'n', timeoutMs: TIMEOUT_MS, ...options });
  const two = make({ url: at.server.url(), namespace: 'n', timeoutMs: 5_000 });
  for (const made of [one, two]) await untilMode((made.Handler ?? made).cache, 'redis');
  return { one, two, told: watch((one.Handler ?? one).cache) };
}
const untilGone = (handler, key, soft) =>
  until(async () => (await read(handler, key, soft)) === undefined, `${key} is gone`);

test('one stores, the other reads; ends of tags reach it, softly or not', async () => {
  const { one, two } = await openBoth();
  await put(one, 'page', 'first', { tags: ['a'] });
  expect(await textOf(two, 'page', ['_N_T_/x'])).toBe('first');
  await one.updateTags(['a'], { expire: 3_600 });
  await until(async () => (await read(two, 'page')).revalidate === -1, 'stale in the other one');
  await put(two, 'page', 'second', { tags: ['a'], timestamp: Date.now() + 1 });
  await until(async () => (await textOf(one, 'page')) === 'second', 'the new one');
  await one.updateTags(['a']);
  await untilGone(two, 'page');
  await put(two, 'page', 'third');
  await one.updateTags(['_N_T_/x']);
  await untilGone(two, 'page', ['_N_T_/x']);
  expect(await textOf(two, 'page', ['_N_T_/y'])).toBe('third');
});

/** One has asked, and is to render; the other one waits for it, for a minute at most. */
async function whileRendering() {
  const { one, two } = await openBoth(makeUseCache, { wait: 60 });
  const waiting = makeUseCache({ url: at.server.url(), namespace: 'n', wait: 60 });
  expect(await read(one, 'page')).toBeUndefined();
  return { one, two, early: read(waiting, 'page'), waiting };
}

test('a read waits while another instance renders, unless it is not to', async () => {
  const { one, two, early, waiting } = await whileRendering();
  expect(await read(two, 'page')).toBeUndefined();
  await put(one, 'page', 'rendered');
  expect((await early).value).toBe('rendered');
  expect(await textOf(waiting, 'page')).toBe('rendered');
});

test('where a render fails, one of those that wait is the next', async () => {
  const { one, early, waiting } = await whileRendering();
  await one.set('page', Promise.reject(new Error('on purpose')));
  expect(await early).toBeUndefined();
  const next = read(one, 'page');
  await put(waiting, 'page', 'rendered');
  expect((await next).value).toBe('rendered');
});

test('a render that is never stored has nobody wait for longer than it said', async () => {
  const { two } = await openBoth();
  const one = makeUseCache({ url: at.proxy.url(), namespace: 'n', wait: 0.1 });
  expect(await read(one, 'page')).toBeUndefined();
  const waiting = makeUseCache({ url: at.server.url(), namespace: 'n', wait: 60 });
  expect(await read(waiting, 'page')).toBeUndefined();
  await put(waiting, 'page', 'rendered');
  expect(await textOf(two, 'page')).toBe('rendered');
});

test('in an outage an instance serves what it renders itself, whatever paths ask for it', async () => {
  const { one } = await openBoth();
  await away(one.cache);
  const soft = Array.from({ length: 200 }, (_, nth) => `_N_T_/${nth}`);
  expect(await read(one, 'page', soft)).toBeUndefined();
  await put(one, 'page', 'here', { tags: ['a'] });
  expect(await textOf(one, 'page', soft)).toBe('here');
  await one.updateTags(['_N_T_/7'], { expire: 3_600 });
  expect(await read(one, 'page', soft)).toBeUndefined();
  expect(await textOf(one, 'page', soft.slice(8))).toBe('here');
  await one.updateTags(['a']);
  expect(await read(one, 'page', soft.slice(8))).toBeUndefined();
});

test('an instance that has never seen Redis serves what it renders', async () => {
  const port = await freePort('127.0.0.1');
  const one = makeUseCache({ url: `redis://127.0.0.1:${port}`, timeoutMs: TIMEOUT_MS });
  expect(await read(one, 'page', ['_N_T_/x'])).toBeUndefined();
  await put(one, 'page', 'here', { tags: ['a'], timestamp: Date.now() + 1 });
  expect(await textOf(one, 'page', ['_N_T_/x'])).toBe('here');
});

test.each([undefined, { expire: 3_600 }])(
  'what ends in an outage (%p) has ended everywhere behind it',
  async (durations) => {
    const { one, two, told } = await openBoth();
    const timestamp = Date.now() - 1_000;
    await put(one, 'tagged', 'old', { tags: ['a'], timestamp });
    await put(one, 'asked', 'old', { timestamp });
    expect([await textOf(two, 'tagged'), await textOf(two, 'asked', ['_N_T_/x'])]).toEqual(['old', 'old']);
    expect([await textOf(one, 'tagged'), await textOf(one, 'asked', ['_N_T_/x'])]).toEqual(['old', 'old']);
    await away(one.cache);
    await one.updateTags(['a', '_N_T_/x'], durations);
    expect((await read(one, 'tagged'))?.revalidate).toBe(durations && -1);
    expect(await read(one, 'asked', ['_N_T_/x'])).toBeUndefined();
    expect([await textOf(two, 'tagged'), await textOf(two, 'asked', ['_N_T_/x'])]).toEqual(['old', 'old']);
    await back({ told });
    await untilGone(two, 'tagged');
    await untilGone(two, 'asked', ['_N_T_/x']);
    await untilGone(one, 'tagged');
    await untilGone(one, 'asked', ['_N_T_/x']);
  },
);

test('of more tags than are remembered, all entries end behind the outage', async () => {
  const { one, two, told } = await openBoth();
  await put(one, 'page', 'old');
  expect(await textOf(two, 'page')).toBe('old');
  await away(one.cache);
  await one.updateTags(Array.from({ length: 10_001 }, (_, nth) => `tag ${nth}`));
  await back({ told });
  await untilGone(two, 'page');
});

test('with onOutage reject, an end in an outage fails, and ends what it can', async () => {
  const { one, two, told } = await openBoth(makeUseCache, { onOutage: 'reject' });
  await put(one, 'page', 'old', { tags: ['a'] });
  await one.updateTags(['other']);
  await away(one.cache);
  const failed = one.updateTags(['a']);
  await expect(failed).rejects.toMatchObject({ code: 'ERR_REDIS_UNAVAILABLE' });
  expect(await read(one, 'page')).toBeUndefined();
  await back({ told });
  await untilGone(two, 'page');
});

test('without any Redis there is nothing to fail for', async () => {
  const one = makeUseCache({ url: '', onOutage: 'reject' });
  await put(one, 'page', 'old', { tags: ['a'] });
  await one.updateTags(['a']);
  expect(await read(one, 'page')).toBeUndefined();
});

test('pages: the other instance has them, and of those that are due one instance makes one anew', async () => {
  const { one, two } = await openBoth(makePages);
  const page = { kind: 'APP_PAGE', html: '<p>', headers: { 'x-next-cache-tags': 'a' }, status: 200 };
  await one.request().set('/a', page, { cacheControl: { revalidate: 60, expire: 3_600 } });
  expect((await two.request().get('/a', { kind: 'APP_PAGE' })).value).toEqual(page);
  await two.request().revalidateTag('a', { expire: 3_600 });
  const isDue = async ({ request }) => {
    const { lastModified, cacheControl } = await request().get('/a', { kind: 'APP_PAGE' });
    return lastModified + cacheControl.revalidate * 1_000 < Date.now();
  };
  await until(async () => isDue(one), 'one sees it, and makes it anew');
  expect(await isDue(two)).toBe(false);
  await away(one.Handler.cache);
  await one.request().set('/b', page, { cacheControl: { revalidate: 60, expire: 3_600 } });
  expect((await one.request().get('/b', { kind: 'APP_PAGE' })).value).toEqual(page);
});
