// Which requests a stored response answers, as RFC 9111 and RFC 5861 have it, and what makes it untrue: each rule in
// each framework, over a real Redis.
'use strict';

const { openCache, closeCaches } = require('../../support/holdfast');
const { serverForAll } = require('../../support/redis-server');
const { until } = require('../../support/until');
const { APPS, closeApps } = require('./support/apps');
const { ask, counting, gate, how, nextMoment } = require('./support/ask');

const redis = serverForAll();
afterEach(closeApps);
afterEach(closeCaches);

const rawCache = () => openCache({ url: redis.url(), codec: 'raw' });
const PLAIN = { 'cache-control': 'max-age=60' };
const withDemand = (value) => ({ headers: { 'cache-control': value } });

describe.each(APPS)('$name', (app) => {
  /** An application whose answers are `headers`, with one stored for `/`. */
  async function stored(headers = PLAIN, more = {}) {
    const handler = counting(headers, more);
    const cache = await rawCache();
    const url = await app.start(handler, { cache });
    const first = await ask(url);
    await nextMoment();
    return { url, first, handler, cache };
  }

  test('4 and 5.1: a hit has the Age and the Date of its making, and says what it is', async () => {
    const { url } = await stored({ ...PLAIN, age: '7' });
    const { headers, text } = await ask(url);
    expect([text, headers['x-cache']]).toEqual(['run 1', 'HIT']);
    expect(Number(headers.age)).toBeGreaterThanOrEqual(7);
    expect(headers['cache-status']).toMatch(/^holdfast; hit; ttl=\d+$/);
    expect(Date.parse(headers.date)).toBeLessThan(Date.now() - 5_000);
  });

  test('the fields that say so can be left out', async () => {
    const url = await app.start(counting(PLAIN), { cache: await rawCache(), statusHeaders: false });
    for (const text of ['run 1', 'run 1']) {
      const answer = await ask(url);
      expect([answer.text, answer.headers['x-cache'], answer.headers['cache-status']]).toEqual([
        text,
        undefined,
        undefined,
      ]);
    }
  });

  test('4: HEAD is answered by a stored GET, and stores nothing itself', async () => {
    const handler = counting(PLAIN);
    const url = await app.start(handler, { cache: await rawCache() });
    expect(await how(url, { method: 'HEAD' })).toBe('MISS');
    expect((await ask(url)).headers['x-cache']).toBe('MISS');
    const { headers, bytes } = await ask(url, { method: 'HEAD' });
    expect([headers['x-cache'], headers['content-length'], bytes.length]).toEqual(['HIT', '5', 0]);
  });

  test('4.1: a response is for requests with the same values of the fields in Vary', async () => {
    const handler = ({ header }) => ({
      headers: { ...PLAIN, vary: 'Accept-Language, X-Own' },
      body: `${header('accept-language')} ${header('x-own')}`,
    });
    const url = await app.start(handler, { cache: await rawCache() });
    const askIn = (language, own) =>
      ask(url, { headers: { ...(language && { 'accept-language': language }), ...(own && { 'x-own': own }) } });
    const requests = [['de'], ['en'], ['de', 'a'], [undefined, 'a']];
    for (const word of ['MISS', 'HIT']) {
      for (const [language, own] of requests) {
        const { text, headers } = await askIn(language, own);
        expect([text, headers['x-cache']]).toEqual([`${language} ${own}`, word]);
      }
    }
    expect((await askIn('de , en')).headers['x-cache']).toBe('MISS');
    expect((await askIn('de,en')).headers['x-cache']).toBe('HIT');
  });

  test('4.1: responses of one URL may vary by more fields later', async () => {
    let names = 'accept-language';
    const handler = ({ header }) => ({
      headers: { ...PLAIN, vary: names },
      body: `${header('accept-language')} ${header('x-own')}`,
    });
    const url = await app.start(handler, { cache: await rawCache() });
    const askFor = (language, own) => ask(url, { headers: { 'accept-language': language, 'x-own': own } });
    await askFor('de', 'a');
    names = 'accept-language, x-own';
    await askFor('en', 'a');
    for (const own of ['a', 'b', 'a', 'b']) expect((await askFor('en', own)).text).toBe(`en ${own}`);
    expect((await askFor('en', 'a')).headers['x-cache']).toBe('HIT');
  });

  test('4.3.2: a 304 for who has the response already, by its tag or its date', async () => {
    const dated = new Date(Date.now() - 60_000).toUTCString();
    const { url } = await stored({
      ...PLAIN,
      etag: '"a,b"',
      'last-modified': dated,
      'content-type': 'text/x-own',
    });
    const known = [
      { 'if-none-match': '"a,b"' },
      { 'if-none-match': '"c", W/"a,b"' },
      { 'if-none-match': '*' },
      { 'if-modified-since': dated },
    ];
    for (const headers of known) {
      const answer = await ask(url, { headers });
      expect([answer.status, answer.text, answer.headers['x-cache']]).toEqual([304, '', 'HIT']);
      expect(answer.headers).toMatchObject({ etag: '"a,b"', 'cache-control': 'max-age=60' });
      // A server may say one of its own.
      expect(answer.headers['content-type']).not.toBe('text/x-own');
    }
    const unknown = [
      { 'if-none-match': '"c"' },
      { 'if-none-match': '"a"' },
      // The list of tags counts alone (RFC 9110, 13.1.3).
      { 'if-none-match': '"c"', 'if-modified-since': dated },
      { 'if-modified-since': new Date(Date.now() - 90_000).toUTCString() },
      { 'if-modified-since': 'yesterday' },
    ];
    for (const headers of unknown) expect((await ask(url, { headers })).text).toBe('run 1');
  });

  test('4.3.2: who runs the handler gets a 304 too, and the others all of the response', async () => {
    const handler = counting({ ...PLAIN, etag: '"a"' });
    const url = await app.start(handler, { cache: await rawCache() });
    const first = await ask(url, { headers: { 'if-none-match': '"a"' } });
    expect([first.status, first.text, first.headers['x-cache']]).toEqual([304, '', 'MISS']);
    const second = await ask(url);
    expect([second.status, second.text, second.headers['x-cache']]).toEqual([200, 'run 1', 'HIT']);
  });

  test('a response without a tag gets one', async () => {
    const { url } = await stored(PLAIN, { body: Buffer.from('bytes') });
    const { etag } = (await ask(url)).headers;
    expect((await ask(url, { headers: { 'if-none-match': etag } })).status).toBe(304);
  });

  test.each([
    ['4.4', 'POST', 201, 'MISS'],
    ['4.4', 'PUT', 303, 'MISS'],
    ['4.4', 'DELETE', 204, 'MISS'],
    ['4.4', 'PATCH', 404, 'HIT'],
    ['4.4', 'POST', 500, 'HIT'],
  ])('%s: after %s with %i the next request is a %s', async (_section, method, status, word) => {
    const handler = (asked) => (asked.method === 'GET' ? { headers: PLAIN, body: 'a' } : { status, body: 'b' });
    const url = await app.start(handler, { cache: await rawCache() });
    const german = { headers: { 'accept-language': 'de' } };
    await ask(`${url}/a`, german);
    expect((await ask(`${url}/a`, { method })).status).toBe(status);
    expect(await how(`${url}/a`, german)).toBe(word);
  });

  test('4.4: all variants end, and what Location and Content-Location name at the same origin', async () => {
    const handler = ({ method, path }) => {
      if (method === 'GET') return { headers: { ...PLAIN, vary: 'accept-language' }, body: path };
      return { headers: { location: '/b', 'content-location': `http://elsewhere.example/c` }, body: 'done' };
    };
    const url = await app.start(handler, { cache: await rawCache() });
    const askAll = async () => {
      const words = [];
      for (const path of ['/a', '/b', '/c']) {
        for (const language of ['de', 'en'])
          words.push(await how(url + path, { headers: { 'accept-language': language } }));
      }
      return words;
    };
    await askAll();
    expect(await askAll()).toEqual(Array(6).fill('HIT'));
    await ask(`${url}/a`, { method: 'POST' });
    expect(await askAll()).toEqual(['MISS', 'MISS', 'MISS', 'MISS', 'HIT', 'HIT']);
  });

  test('5.2.1.4 and 5.4: no-cache has the response made anew, for all', async () => {
    const { url } = await stored();
    expect((await ask(url, withDemand('no-cache'))).text).toBe('run 2');
    expect((await ask(url, { headers: { pragma: 'no-cache' } })).text).toBe('run 3');
    // Cache-Control counts alone.
    expect((await ask(url, { headers: { pragma: 'no-cache', 'cache-control': 'max-age=9' } })).text).toBe('run 3');
    expect((await ask(url)).text).toBe('run 3');
  });

  test('5.2.1.1 and 5.2.1.3: how old it may be, and how long it must stay fresh', async () => {
    const { url } = await stored({ ...PLAIN, age: '20' });
    expect((await ask(url, withDemand('max-age=30'))).text).toBe('run 1');
    expect((await ask(url, withDemand('min-fresh=10'))).text).toBe('run 1');
    expect((await ask(url, withDemand('max-age=10'))).text).toBe('run 2');
    expect((await ask(url, withDemand('min-fresh=50'))).text).toBe('run 3');
  });

  test('5.2.1.5: nothing of a request with no-store is stored', async () => {
    const handler = counting(PLAIN);
    const url = await app.start(handler, { cache: await rawCache() });
    expect(await how(url, withDemand('no-store'))).toBe('BYPASS');
    expect(await how(url)).toBe('MISS');
  });

  test('5.2.1.7: only-if-cached never runs the handler', async () => {
    const handler = counting(PLAIN);
    const url = await app.start(handler, { cache: await rawCache() });
    expect((await ask(url, withDemand('only-if-cached'))).status).toBe(504);
    expect(handler.runs()).toBe(0);
    await ask(url);
    expect((await ask(url, withDemand('only-if-cached'))).text).toBe('run 1');
  });

  test('what clients ask of a cache can be ignored', async () => {
    const url = await app.start(counting(PLAIN), { cache: await rawCache(), requestDirectives: false });
    await ask(url);
    for (const demand of ['no-cache', 'no-store', 'max-age=0']) expect(await how(url, withDemand(demand))).toBe('HIT');
  });

  test('14.2 of RFC 9110: a request for a part goes to the handler, and harms nothing', async () => {
    const { url } = await stored();
    expect(await how(url, { headers: { range: 'bytes=0-1' } })).toBe('BYPASS');
    expect(await how(url)).toBe('HIT');
  });

  test('RFC 5861, 3: a stale response serves at once while one new one is made behind it', async () => {
    const { url, handler } = await stored({ 'cache-control': 'max-age=0, stale-while-revalidate=60' });
    const { text, headers } = await ask(url);
    expect([text, headers['x-cache']]).toEqual(['run 1', 'STALE']);
    expect(headers['cache-status']).toMatch(/^holdfast; hit; ttl=-?0$/);
    await until(async () => (await ask(url)).text !== 'run 1', 'a new response took the place of the old one');
    // Each is answered with what lies there, unless that is of this very millisecond.
    await until(async () => (await how(url)) === 'STALE', 'what lies there is served');
    expect(handler.runs()).toBeGreaterThan(1);
  });

  test.each(['must-revalidate', 'proxy-revalidate'])('4.2.4: %s forbids a stale answer', async (directive) => {
    const control = `max-age=0, stale-while-revalidate=60, stale-if-error=60, ${directive}`;
    const { url } = await stored({ 'cache-control': control });
    expect((await ask(url)).text).toBe('run 2');
  });

  test('RFC 5861, 4: a stale response stands in for a handler that throws, or answers 5xx', async () => {
    const control = { 'cache-control': 'max-age=1, stale-if-error=60' };
    let answer = () => ({ headers: control, body: 'good' });
    const url = await app.start(() => answer(), { cache: await rawCache() });
    await ask(url);
    const failures = [
      () => {
        throw new Error('refused');
      },
      () => ({ status: 503, headers: { 'cache-control': 'no-store' }, body: 'bad' }),
    ];
    for (const failure of failures) {
      answer = failure;
      const { status, text, headers } = await until(async () => {
        const found = await ask(url);
        return found.headers['x-cache'] === 'STALE' && found;
      }, 'the response is stale');
      expect([status, text, Number(headers.age) >= 1]).toEqual([200, 'good', true]);
    }
  });

  test('RFC 5861, 4: who demands a new response from a handler that fails takes the old one from nobody', async () => {
    let answer = () => ({ headers: { 'cache-control': 'max-age=60, stale-if-error=60' }, body: 'good' });
    const url = await app.start(() => answer(), { cache: await rawCache() });
    await ask(url);
    answer = () => ({ status: 503, body: 'bad' });
    expect((await ask(url, withDemand('no-cache'))).text).toBe('good');
    expect((await ask(url)).text).toBe('good');
  });

  test('5.2.1.4: what has no stale-if-error does not stand in for a handler that fails', async () => {
    let answer = () => ({ headers: PLAIN, body: 'good' });
    const url = await app.start(() => answer(), { cache: await rawCache() });
    await ask(url);
    answer = () => ({ status: 503, body: 'bad' });
    expect((await ask(url, withDemand('no-cache'))).status).toBe(503);
  });

  test('a failing handler without an old response fails each of its requests itself', async () => {
    let count = 0;
    const handler = () => {
      count++;
      throw new Error('refused');
    };
    const url = await app.start(handler, { cache: await rawCache() });
    for (let at = 1; at <= 3; at++) expect([(await ask(url)).status, count]).toEqual([500, at]);
  });

  test('a tag ends the responses that were made with it', async () => {
    const cache = await rawCache();
    const tags = (request) => [`path:${new URL(request.url ?? request.req.url, 'http://a').pathname}`];
    const url = await app.start(counting(PLAIN), { cache, tags });
    for (const path of ['/a', '/b']) await ask(url + path);
    await cache.invalidateTags('path:/a');
    expect([await how(`${url}/a`), await how(`${url}/b`)]).toEqual(['MISS', 'HIT']);
  });

  test('the tags that a response names end it, also one that varies', async () => {
    const cache = await rawCache();
    const responseTags = ({ status, headers }) => [`status:${status}`, ...headers['x-tags'].split(',')];
    for (const [at, more] of [{}, { vary: 'accept-language' }].entries()) {
      const named = { ...PLAIN, ...more, 'x-tags': `t${at},all` };
      const url = await app.start(counting(named), { cache, responseTags, tags: [`given${at}`] });
      for (const tag of ['status:200', `t${at}`, 'all', `given${at}`]) {
        await until(async () => (await how(url)) === 'HIT', 'it is stored');
        await cache.invalidateTags(tag);
        expect(await how(url)).toBe('MISS');
      }
    }
  });

  test('a response that was made before its tag ended is served to nobody behind that', async () => {
    const cache = await rawCache();
    const { opened, open } = gate();
    let runs = 0;
    const handler = async () => {
      const body = `run ${++runs}`;
      if (body === 'run 1') await opened;
      return { headers: { ...PLAIN, 'x-tags': 'a' }, body };
    };
    const responseTags = async ({ headers }) => [headers['x-tags']];
    const url = await app.start(handler, { cache, responseTags });
    const first = ask(url);
    await until(() => runs === 1, 'its handler has read');
    await cache.invalidateTags('a');
    const second = ask(url);
    open();
    expect([(await first).text, (await second).text]).toEqual(['run 1', 'run 2']);
  });
});
