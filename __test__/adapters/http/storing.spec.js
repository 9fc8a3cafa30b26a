// Which responses are stored, as RFC 9111 has it: each rule in each framework, over a real Redis.
'use strict';

const { openCache, closeCaches } = require('../../support/holdfast');
const { serverForAll } = require('../../support/redis-server');
const { APPS, closeApps } = require('./support/apps');
const { ask, counting, how } = require('./support/ask');

const redis = serverForAll();
afterEach(closeApps);
afterEach(closeCaches);

const rawCache = () => openCache({ url: redis.url(), codec: 'raw' });

/** Whether the second of two requests is answered by what the first one left. */
async function isStored(app, headers, { options = {}, request = {}, more = {} } = {}) {
  const url = await app.start(counting(headers, more), { cache: await rawCache(), ...options });
  const first = await ask(url, request);
  const second = await ask(url, request);
  expect([first.headers['x-cache'], second.status]).toEqual(['MISS', first.status]);
  return second.headers['x-cache'] === 'HIT';
}

const PLAIN = { 'cache-control': 'max-age=60' };
const HOUR_MS = 3_600_000;
const inMs = (ms) => new Date(Date.now() + ms).toUTCString();

describe.each(APPS)('$name', (app) => {
  test.each([
    ['3', 'max-age', PLAIN, true],
    ['3', 'nothing that says how long', {}, false],
    ['4.2.1', 's-maxage in front of max-age', { 'cache-control': 'max-age=0, s-maxage=60' }, true],
    ['4.2.1', 's-maxage=0 in front of max-age', { 'cache-control': 's-maxage=0, max-age=60' }, false],
    ['4.2.1', 'the first of two max-age', { 'cache-control': 'max-age=0, max-age=60' }, false],
    ['4.2.1', 'an age that is no number', { 'cache-control': 'max-age=soon' }, false],
    ['4.2.3', 'an Age beyond the lifetime', { ...PLAIN, age: '61' }, false],
    [
      '5.2',
      'directives in capitals, and a comma within quotation marks',
      { 'cache-control': 'x="a, no-store", MAX-AGE=60' },
      true,
    ],
    ['5.2.2.4', 'no-cache', { 'cache-control': 'no-cache, max-age=60' }, false],
    ['5.2.2.5', 'no-store', { 'cache-control': 'no-store, max-age=60' }, false],
    ['5.2.2.7', 'private', { 'cache-control': 'private, max-age=60' }, false],
    ['5.3', 'Expires in an hour', { expires: inMs(HOUR_MS) }, true],
    ['5.3', 'Expires that is no date', { expires: '0' }, false],
    ['5.3', 'max-age=0 in front of Expires', { 'cache-control': 'max-age=0', expires: inMs(HOUR_MS) }, false],
    ['4.1', 'Vary: *', { ...PLAIN, vary: '*' }, false],
    ['7.3', 'Set-Cookie', { ...PLAIN, 'set-cookie': 'id=1' }, false],
  ])('%s: %s', async (_section, _what, headers, expected) => {
    expect(await isStored(app, headers)).toBe(expected);
  });

  test.each([
    [203, true],
    [404, true],
    [410, true],
    [206, false],
    [418, false],
    [500, false],
  ])('3: status %i that says how long', async (status, expected) => {
    expect(await isStored(app, PLAIN, { more: { status } })).toBe(expected);
  });

  test('the option ttl is for answers that say nothing, not for 404 nor for those that refuse', async () => {
    const options = { ttl: 60 };
    expect(await isStored(app, {}, { options })).toBe(true);
    expect(await isStored(app, {}, { options, more: { status: 404 } })).toBe(false);
    expect(await isStored(app, { 'cache-control': 'no-store' }, { options })).toBe(false);
    expect(await isStored(app, { 'cache-control': 'max-age=0' }, { options })).toBe(false);
  });

  test.each([
    ['max-age', PLAIN, false],
    ['must-revalidate', { 'cache-control': 'max-age=60, must-revalidate' }, false],
    ['public', { 'cache-control': 'public, max-age=60' }, true],
    ['s-maxage', { 'cache-control': 's-maxage=60' }, true],
  ])('3.5: what was made for somebody, with %s', async (_what, headers, expected) => {
    for (const request of [{ headers: { authorization: 'Bearer a' } }, { headers: { cookie: 'id=1' } }]) {
      expect(await isStored(app, headers, { request })).toBe(expected);
      expect(await isStored(app, {}, { request, options: { ttl: 60 } })).toBe(false);
    }
  });

  test('3.5: nobody with credentials gets what was made for those without, nor the other way round', async () => {
    const handler = ({ header }) => ({
      headers: { 'cache-control': 'max-age=60' },
      body: header('cookie') ?? 'nobody',
    });
    const url = await app.start(handler, { cache: await rawCache() });
    const texts = [];
    for (const cookie of [undefined, 'a', undefined, 'b']) {
      texts.push((await ask(url, { headers: cookie === undefined ? {} : { cookie } })).text);
    }
    expect(texts).toEqual(['nobody', 'a', 'nobody', 'b']);
  });

  test('a header is a credential where the option says so', async () => {
    const options = { credentials: ['X-Api-Key'] };
    expect(await isStored(app, PLAIN, { options, request: { headers: { 'x-api-key': 'a' } } })).toBe(false);
    expect(await isStored(app, PLAIN, { options, request: { headers: { cookie: 'a' } } })).toBe(true);
  });

  test('3.1: an answer that sets a cookie is stored without it where the option says so', async () => {
    const headers = { ...PLAIN, 'set-cookie': 'id=1' };
    const url = await app.start(counting(headers), { cache: await rawCache(), withoutSetCookie: true });
    expect((await ask(url)).headers['set-cookie']).toEqual(['id=1']);
    const second = await ask(url);
    expect([second.headers['x-cache'], second.headers['set-cookie']]).toEqual(['HIT', undefined]);
  });

  test('3.1: the fields of the handler come back, those of a connection do not', async () => {
    const headers = {
      ...PLAIN,
      'content-type': 'text/x-own; charset=utf-8',
      'x-own': 'a',
      connection: 'x-hop',
      'x-hop': 'b',
    };
    const url = await app.start(counting(headers), { cache: await rawCache() });
    await ask(url);
    const { headers: found, text } = await ask(url);
    expect(found).toMatchObject({ 'x-cache': 'HIT', 'content-type': 'text/x-own; charset=utf-8', 'x-own': 'a' });
    expect([text, found['x-hop'], found['content-length']]).toEqual(['run 1', undefined, '5']);
  });

  test('bytes come back as they were, and a 204 without any', async () => {
    const body = Buffer.from(Array.from({ length: 1024 }, (_, at) => at % 256));
    const handler = ({ path }) =>
      path === '/none' ? { status: 204, headers: PLAIN } : { headers: { ...PLAIN, 'content-type': 'image/x' }, body };
    const url = await app.start(handler, { cache: await rawCache() });
    for (const word of ['MISS', 'HIT']) {
      const [image, none] = [await ask(`${url}/image`), await ask(`${url}/none`)];
      expect([image.headers['x-cache'], none.headers['x-cache'], none.status]).toEqual([word, word, 204]);
      expect([image.bytes, none.bytes.length]).toEqual([body, 0]);
    }
  });

  test('a body beyond the bound reaches its client, and is not stored', async () => {
    const options = { maxBytes: 100 };
    expect(await isStored(app, PLAIN, { options, more: { body: 'x'.repeat(100) } })).toBe(true);
    expect(await isStored(app, PLAIN, { options, more: { body: 'x'.repeat(101) } })).toBe(false);
    const chunks = async function* () {
      for (let at = 0; at < 100; at++) yield Buffer.alloc(1000, 'x');
    };
    const handler = () => ({ headers: PLAIN, body: chunks() });
    const url = await app.start(handler, { cache: await rawCache(), ...options });
    for (let at = 0; at < 2; at++) {
      const { bytes, headers } = await ask(url);
      expect([bytes.length, headers['x-cache']]).toEqual([100_000, 'MISS']);
    }
  });

  test('2: what differs in host, path or query is stored apart', async () => {
    const handler = counting(PLAIN);
    const url = await app.start(handler, { cache: await rawCache() });
    for (const path of ['/a', '/a?b', '/a?c', '/b']) expect(await how(url + path)).toBe('MISS');
    expect(await how(`${url}/a`, { headers: { host: 'other.example' } })).toBe('MISS');
    expect(await how(`${url}/a`)).toBe('HIT');
  });

  test('the option key says which requests share a response', async () => {
    const key = (request) => new URL(request.url ?? request.req.url, 'http://a').pathname;
    const url = await app.start(counting(PLAIN), { cache: await rawCache(), key });
    await ask(`${url}/a?utm=1`);
    expect(await how(`${url}/a?utm=2`)).toBe('HIT');
    expect(await how(`${url}/b`)).toBe('MISS');
  });
});
