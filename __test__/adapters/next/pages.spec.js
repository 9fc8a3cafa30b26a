// What Next demands of a class for `cacheHandler`, in memory mode and over a real Redis.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { makeFolder } = require('../../support/folder');
const { untilMode } = require('../../support/until');
const { describeModes } = require('../support/modes');
const { closeHandlers, makePages, nextMoment } = require('./support');

afterEach(closeHandlers);

const LONG = `<html>${'naïve ☃ '.repeat(400)}</html>`;
const bytes = (...list) => Buffer.from(list);
const page = (html, tags = '') => ({
  kind: 'APP_PAGE',
  html,
  rscData: Buffer.from(`rsc of ${html}`),
  segmentData: new Map([['/_tree', bytes(0, 255)]]),
  postponed: undefined,
  headers: { 'x-next-cache-tags': tags },
  status: 200,
});
const KINDS = {
  'an app page': {
    ...page(LONG, 'a,b'),
    segmentData: new Map([
      ['/_tree', bytes(0, 255)],
      ['/a', bytes()],
    ]),
  },
  'a short app page without segments': { ...page('<p>'), segmentData: undefined, postponed: 'p'.repeat(3_000) },
  'a route': {
    kind: 'APP_ROUTE',
    body: bytes(0xff, 0xfe, 0, 10),
    headers: { 'content-type': 'image/png' },
    status: 200,
  },
  'a page of the pages folder': { kind: 'PAGES', html: LONG, pageData: { pageProps: { n: [1, null] } }, status: 404 },
  'a redirect': { kind: 'REDIRECT', props: { pageProps: { __N_REDIRECT: '/' } } },
  'an image': {
    kind: 'IMAGE',
    buffer: bytes(0xff, 0xd8, 10),
    etag: 'e',
    upstreamEtag: 'u',
    extension: 'jpg',
    revalidate: 60,
  },
  'a fetch': {
    kind: 'FETCH',
    data: { headers: { a: 'b' }, body: 'eyJhIjoxfQ==', status: 200, url: 'http://localhost/' },
    tags: ['a'],
    revalidate: 60,
  },
  'no page': null,
};
/** What JSON has no word for. */
const defined = (value) =>
  value && Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined));
const inSeconds = (revalidate, expire) => ({ cacheControl: { revalidate, expire } });

describeModes('a class for cacheHandler', ({ options, isShared, place }) => {
  let count = 0;
  const open = async (more) => {
    const made = makePages({ ...options(), namespace: `pages-${++count}`, ...more });
    if (isShared) await untilMode(made.Handler.cache, 'redis');
    return made;
  };

  test.each(Object.entries(KINDS))('%s comes back as it was', async (_name, value) => {
    const { request } = await open();
    const before = Date.now();
    const context = value?.kind === 'FETCH' ? { fetchCache: true, tags: ['a'] } : inSeconds(60, 3_600);
    await request().set('/key', value, context);
    const found = await request().get('/key', { kind: value?.kind ?? 'APP_PAGE' });
    expect(found.value).toEqual(defined(value));
    expect(found.lastModified).toBeGreaterThanOrEqual(before);
    expect(found.lastModified).toBeLessThanOrEqual(Date.now());
    expect(found.cacheControl).toEqual(context.cacheControl);
    expect(await request().get('/other', { kind: value?.kind ?? 'APP_PAGE' })).toBeNull();
  });

  test('a fetch and a page of one name are two things', async () => {
    const { request } = await open();
    await request().set('same', KINDS['a fetch'], { fetchCache: true });
    await request().set('same', page('<p>'));
    expect((await request().get('same', { kind: 'FETCH' })).value.kind).toBe('FETCH');
    expect((await request().get('same', { kind: 'APP_PAGE' })).value.kind).toBe('APP_PAGE');
  });

  test('pages belong to their build, by the file that Next writes; fetches outlive it', async () => {
    const { dir, remove } = makeFolder('next');
    try {
      const { Handler } = await open({ buildId: undefined });
      const request = (build) => {
        fs.mkdirSync(path.join(dir, build, 'server'), { recursive: true });
        fs.writeFileSync(path.join(dir, build, 'BUILD_ID'), build);
        return new Handler({ serverDistDir: path.join(dir, build, 'server') });
      };
      await request('one').set('/', page('<p>'));
      await request('one').set('f', KINDS['a fetch'], { fetchCache: true });
      expect(await request('two').get('/', { kind: 'APP_PAGE' })).toBeNull();
      expect(await request('one').get('/', { kind: 'APP_PAGE' })).not.toBeNull();
      expect(await request('two').get('f', { kind: 'FETCH' })).not.toBeNull();
    } finally {
      remove();
    }
  });

  test('tags of a page stand in its headers; one or many end', async () => {
    const { request } = await open();
    await request().set('/a', page('<p>', 'x,_N_T_/a'), inSeconds(60));
    await request().set('/b', page('<p>', 'x,_N_T_/b'), inSeconds(60));
    await request().revalidateTag('_N_T_/a');
    expect(await request().get('/a', { kind: 'APP_PAGE' })).toBeNull();
    expect(await request().get('/b', { kind: 'APP_PAGE' })).not.toBeNull();
    await request().revalidateTag(['y', 'x']);
    expect(await request().get('/b', { kind: 'APP_PAGE' })).toBeNull();
  });

  test('a fetch ends with its own tags and with those of the reader', async () => {
    const { request } = await open();
    const put = () => request().set('f', KINDS['a fetch'], { fetchCache: true, tags: ['a'] });
    const has = async (context) => (await request().get('f', { kind: 'FETCH', ...context })) !== null;
    await put();
    await request().revalidateTag(['a']);
    expect(await has({ tags: ['a'] })).toBe(false);
    const { request: another } = await open();
    await another().set('f', KINDS['a fetch'], { fetchCache: true, tags: ['a'] });
    await another().revalidateTag('_N_T_/page');
    expect(await another().get('f', { kind: 'FETCH', softTags: ['_N_T_/page'] })).toBeNull();
    expect(await another().get('f', { kind: 'FETCH', softTags: ['_N_T_/other'] })).not.toBeNull();
  });

  test('a fetch that ended softly is older than any time that Next gives it', async () => {
    const { request } = await open();
    await request().set('f', KINDS['a fetch'], { fetchCache: true, tags: ['a'] });
    await request().revalidateTag(['a'], { expire: 3_600 });
    const found = await request().get('f', { kind: 'FETCH', tags: ['a'] });
    expect(found).toMatchObject({ value: KINDS['a fetch'], lastModified: 1 });
  });

  test.each([60, false])(
    'a page that ended softly, with revalidate %s: one renders it, the others serve',
    async (revalidate) => {
      const { request } = await open();
      await request().set('/a', page('<p>', 'x'), inSeconds(revalidate, 3_600));
      await request().revalidateTag('x', { expire: 3_600 });
      const isDue = async () => {
        const { lastModified, cacheControl } = await request().get('/a', { kind: 'APP_PAGE' });
        return lastModified + cacheControl.revalidate * 1_000 < Date.now();
      };
      expect([await isDue(), await isDue(), await isDue()]).toEqual([true, false, false]);
      await nextMoment();
      await request().set('/a', page('<p>new', 'x'), inSeconds(revalidate, 3_600));
      const found = await request().get('/a', { kind: 'APP_PAGE' });
      expect(found).toMatchObject({ value: { html: '<p>new' }, cacheControl: { revalidate, expire: 3_600 } });
      await request().revalidateTag('x', { expire: 3_600 });
      expect([await isDue(), await isDue()]).toEqual([true, false]);
    },
  );

  test('a page that is due by its time: one renders it, and the next one when it is due again', async () => {
    const { request } = await open();
    const { now } = Date;
    const clock = jest.spyOn(Date, 'now').mockImplementation(() => now() - 61_000);
    await request().set('/a', page('<p>'), inSeconds(60, 3_600));
    clock.mockRestore();
    const first = await request().get('/a', { kind: 'APP_PAGE' });
    expect(first.lastModified + 60_000).toBeLessThan(Date.now());
    const second = await request().get('/a', { kind: 'APP_PAGE' });
    expect(second.lastModified + second.cacheControl.revalidate * 1_000).toBeGreaterThan(Date.now());
    expect(second.cacheControl).toEqual({ revalidate: 2, expire: 3_600 });
    expect((await request().get('/a', { kind: 'APP_PAGE' })).value.html).toBe('<p>');
  });

  test('a page that was begun before its tag ended is not served', async () => {
    const { request } = await open();
    const one = request();
    expect(await one.get('/a', { kind: 'APP_PAGE' })).toBeNull();
    await request().revalidateTag('x');
    await nextMoment();
    await one.set('/a', page('<p>old', 'x'), inSeconds(60));
    expect(await request().get('/a', { kind: 'APP_PAGE' })).toBeNull();
  });

  if (!isShared) return;

  test('in Redis: a page ends with the time that Next gives it, and without one by maxTtl', async () => {
    const { request } = await open({ maxTtl: 600 });
    await request().set('/a', page('<p>'), inSeconds(10, 60));
    await request().set('/b', page('<p>'), inSeconds(false, undefined));
    const left = async (name) => Number(await place.server.cli('pttl', `pages-${count}:page:b1:${name}`));
    expect(await left('/a')).toBeGreaterThan(30_000);
    expect(await left('/a')).toBeLessThanOrEqual(60_000);
    expect(await left('/b')).toBeGreaterThan(300_000);
    expect(await left('/b')).toBeLessThanOrEqual(600_000);
  });

  test('any number of requests share one connection', async () => {
    const { request } = await open();
    const clients = async () => (await place.server.cli('client', 'list')).split('\n').length;
    await request().get('/a', { kind: 'APP_PAGE' });
    const before = await clients();
    await Promise.all(Array.from({ length: 200 }, (_, at) => request().set(`/${at}`, page('<p>'), inSeconds(60))));
    await Promise.all(Array.from({ length: 200 }, (_, at) => request().get(`/${at}`, { kind: 'APP_PAGE' })));
    expect(await clients()).toBe(before);
  });
});
