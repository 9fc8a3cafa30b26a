// Who runs the handler, and who waits: within an instance and across them, and what those who wait never suffer from.
'use strict';

const { fork } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const compression = require('compression');
const zlib = require('node:zlib');
const { closeCaches, freshNamespace, openCache } = require('../../support/holdfast');
const { serverForAll } = require('../../support/redis-server');
const { until } = require('../../support/until');
const { APPS, closeApps, express5 } = require('./support/apps');
const { ask, begin, counting, gate, how } = require('./support/ask');

const redis = serverForAll();
afterEach(closeApps);
afterEach(closeCaches);

const rawCache = () => openCache({ url: redis.url(), codec: 'raw' });
const PLAIN = { 'cache-control': 'max-age=60' };
const CALLERS = 5;
const many = (make) => Array.from({ length: CALLERS }, make);

describe.each(APPS)('$name', (app) => {
  test('requests at the same time share one run of the handler', async () => {
    const { opened, open } = gate();
    let runs = 0;
    const handler = async () => {
      runs++;
      await opened;
      return { headers: PLAIN, body: 'page' };
    };
    const url = await app.start(handler, { cache: await rawCache(), wait: 60 });
    const requests = many(() => begin(url));
    await until(() => runs === 1, 'the handler runs');
    open();
    const answers = await Promise.all(requests.map(({ answer }) => answer));
    expect(answers.map(({ text }) => text)).toEqual(Array(CALLERS).fill('page'));
    expect(runs).toBe(1);
    const collapsed = answers.filter(({ headers }) => headers['cache-status'].endsWith('collapsed'));
    expect(collapsed.length).toBeLessThan(CALLERS);
  });

  test('nobody gets what is for somebody else: each runs the handler, and none waits for another', async () => {
    const { opened, open } = gate();
    let runs = 0;
    const handler = async () => {
      const own = ++runs;
      // The first one to run does not end before all others have.
      if (own === 1) await opened;
      if (own === CALLERS) open();
      return { headers: { 'cache-control': 'private' }, body: `${own}` };
    };
    const url = await app.start(handler, { cache: await rawCache(), wait: 0.1 });
    const answers = await Promise.all(many(() => ask(url)));
    expect(answers.map(({ text }) => text).sort()).toEqual(['1', '2', '3', '4', '5']);
  });

  test('an answer that never ends is nobody else’s, and those who wait hear so with its head', async () => {
    const { opened, open } = gate();
    let runs = 0;
    const endless = async function* () {
      yield Buffer.from('tick');
      await opened;
    };
    const handler = () => {
      runs++;
      return { headers: { 'content-type': 'text/event-stream' }, body: endless() };
    };
    const url = await app.start(handler, { cache: await rawCache(), wait: 3600 });
    const requests = many(() => begin(url));
    await Promise.all(requests.map(({ response }) => response));
    expect(runs).toBe(CALLERS);
    open();
    await Promise.all(requests.map(({ answer }) => answer));
  });

  test('a handler that takes longer than the option wait keeps the others no longer', async () => {
    const { opened, open } = gate();
    let runs = 0;
    const handler = async () => {
      if (++runs === 1) await opened;
      return { headers: PLAIN, body: 'page' };
    };
    const url = await app.start(handler, { cache: await rawCache(), wait: 0.2 });
    const slow = begin(url);
    await until(() => runs === 1, 'the first request runs the handler');
    expect((await ask(url)).text).toBe('page');
    open();
    expect((await slow.answer).text).toBe('page');
  });

  test('a client that goes away before its answer has begun: who waits for it gets it', async () => {
    let runs = 0;
    const handler = async ({ gone }) => {
      runs++;
      await gone();
      return { headers: PLAIN, body: 'page' };
    };
    const url = await app.start(handler, { cache: await rawCache(), wait: 3600 });
    const first = begin(url);
    await until(() => runs === 1, 'the handler runs');
    const others = many(() => ask(url));
    first.stop();
    expect((await Promise.all(others)).map(({ text }) => text)).toEqual(Array(CALLERS).fill('page'));
    expect(runs).toBe(1);
  });

  test('a client that goes away in the middle of its answer: who waits gets a whole one', async () => {
    const { opened, open } = gate();
    let runs = 0;
    const stream = async function* () {
      yield Buffer.from('one ');
      // Those that are made for the others do not wait.
      if (runs === 1) await opened;
      yield Buffer.from('two');
    };
    const handler = () => {
      runs++;
      return { headers: PLAIN, body: stream() };
    };
    const url = await app.start(handler, { cache: await rawCache(), wait: 3600 });
    const first = begin(url);
    await first.response;
    const others = many(() => ask(url));
    first.stop();
    // Hono reads on for those who wait.
    if (app.readsOn) open();
    expect((await Promise.all(others)).map(({ text }) => text)).toEqual(Array(CALLERS).fill('one two'));
    expect((await ask(url)).text).toBe('one two');
    open();
  });

  test('a stream that breaks off is not stored', async () => {
    let runs = 0;
    const broken = async function* () {
      yield Buffer.from('one ');
      if (runs === 1) throw new Error('broken');
      yield Buffer.from('two');
    };
    const handler = () => {
      runs++;
      return { headers: PLAIN, body: broken() };
    };
    const url = await app.start(handler, { cache: await rawCache(), wait: 3600 });
    const first = begin(url);
    await first.response;
    await until(() => runs === 1, 'the first request runs the handler');
    expect((await ask(url)).text).toBe('one two');
    await expect(first.answer).rejects.toThrow(/aborted/);
  });

  test('a closed cache, a key and tags that are none: the handler answers', async () => {
    const cache = await rawCache();
    const url = await app.start(counting(PLAIN), { cache });
    await cache.close();
    expect(await how(url)).toBe('MISS');
    const thrower = () => {
      throw new Error('not a request that it knows');
    };
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    for (const wrong of [
      { key: () => 'k'.repeat(70_000) },
      { key: thrower },
      { tags: () => [''] },
      { tags: thrower },
      { responseTags: thrower },
      { responseTags: () => [''] },
    ]) {
      const other = await app.start(counting(PLAIN), { cache: await rawCache(), ...wrong });
      for (const text of ['run 1', 'run 2']) expect((await ask(other)).text).toBe(text);
    }
    for (const [message] of warn.mock.calls)
      expect(message).toMatch(/^holdfast\/http: the option (key|tags|responseTags)/);
    warn.mockRestore();
  });

  test('while Redis hangs, after it died, and once it is back: each request is answered', async () => {
    const cache = await openCache({ url: redis.url(), codec: 'raw', timeoutMs: 100, outageStale: 0 });
    const handler = ({ path: asked }) => ({ headers: PLAIN, body: asked });
    const url = await app.start(handler, { cache });
    const askAll = async () => {
      for (const asked of ['/a', '/b']) {
        expect((await ask(url + asked)).text).toBe(asked);
        expect((await ask(url + asked, { method: 'POST' })).text).toBe(asked);
      }
    };
    await askAll();
    await redis.kill('SIGSTOP');
    await askAll();
    await redis.kill('SIGCONT');
    await redis.kill('SIGKILL');
    await askAll();
    expect(cache.getMode()).toBe('memory');
    expect([await how(`${url}/c`), await how(`${url}/c`)]).toEqual(['MISS', 'HIT']);
    await redis.restart();
    await until(() => cache.getMode() === 'redis', 'redis mode');
    await askAll();
  });
});

test('instances share one run of the handler, and an unsafe request of one ends what all have', async () => {
  const namespace = freshNamespace();
  const instances = Array.from({ length: 3 }, () =>
    fork(path.join(__dirname, 'support', 'instance.js'), [redis.url(), namespace], { silent: true }),
  );
  try {
    const ports = await Promise.all(instances.map(async ({ stdout }) => Number((await once(stdout, 'data')).join(''))));
    const urls = ports.map((port) => `http://127.0.0.1:${port}`);
    const runs = async () => {
      const counts = await Promise.all(urls.map(async (url) => Number((await ask(`${url}/runs`)).text)));
      return counts.reduce((all, one) => all + one, 0);
    };
    // The name under which clients know all of them: a response is that of a whole URL.
    const headers = { host: 'app.example' };
    const requests = urls.flatMap((url) => many(() => ask(`${url}/page`, { headers })));
    await until(async () => (await runs()) === 1, 'one handler runs');
    await Promise.all(urls.map((url) => ask(`${url}/go`)));
    expect(new Set((await Promise.all(requests)).map(({ text }) => text))).toEqual(new Set(['the page']));
    expect(await runs()).toBe(1);
    await ask(`${urls[0]}/page`, { method: 'POST', headers });
    const askAll = () => Promise.all(urls.map((url) => ask(`${url}/page`, { headers })));
    await until(async () => (await askAll()) && (await runs()) > 1, 'one handler runs again');
    await askAll();
    expect(await runs()).toBe(2);
  } finally {
    for (const instance of instances) instance.kill('SIGKILL');
  }
});

describe('compression', () => {
  const body = 'words and words '.repeat(500);
  const handler = () => ({ headers: { ...PLAIN, 'content-type': 'text/plain' }, body });
  const zip = { headers: { 'accept-encoding': 'gzip' } };
  const read = ({ bytes, headers }) => String(headers['content-encoding'] === 'gzip' ? zlib.gunzipSync(bytes) : bytes);

  test.each([
    ['in front of the cache', { front: [compression()] }, 'HIT'],
    ['behind it', { behind: [compression()] }, 'MISS'],
  ])('%s: each client gets the encoding that it takes', async (_place, options, plain) => {
    const url = await express5.start(handler, { cache: await rawCache(), ...options });
    const words = [];
    for (const request of [zip, {}, zip, {}]) {
      const answer = await ask(url, request);
      expect([read(answer), answer.headers['content-encoding']]).toEqual([body, request === zip ? 'gzip' : undefined]);
      words.push(answer.headers['x-cache']);
    }
    expect(words).toEqual(['MISS', plain, 'HIT', 'HIT']);
  });
});

test('a cache of another codec is warned of, and serves nothing', async () => {
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const cache = await openCache({ url: redis.url() });
  const url = await express5.start(counting(PLAIN), { cache });
  for (const text of ['run 1', 'run 2']) expect((await ask(url)).text).toBe(text);
  expect(warn.mock.calls).toEqual([[expect.stringContaining("codec 'raw'")]]);
  warn.mockRestore();
});
