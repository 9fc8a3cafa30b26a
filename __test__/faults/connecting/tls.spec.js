// Fault 29: TLS. Chain and host are checked; a refusal says why in health() and leaves memory mode.
'use strict';

const fs = require('node:fs');
const { closeCaches, expectThrows, makeCache, recorder, stateOf } = require('../../support/holdfast');
const { startRedis } = require('../../support/redis-server');
const { runForJson } = require('../../support/run-script');
const { makeCertificates } = require('../../support/network/tls');
const { until, untilMode } = require('../../support/until');

let certificates;
let ca;
const servers = {};
beforeAll(async () => {
  certificates = makeCertificates();
  ca = fs.readFileSync(certificates.ca, 'utf8');
  for (const kind of ['good', 'expired', 'wrongHost', 'selfSigned']) {
    servers[kind] = await startRedis({ tls: certificates[kind], password: 'pass' });
  }
  servers.plain = await startRedis();
});
afterAll(async () => {
  await Promise.all(Object.values(servers).map((server) => server.stop()));
  certificates.remove();
});
afterEach(closeCaches);

async function expectWorking(cache) {
  await untilMode(cache, 'redis');
  await cache.set('k', 1);
  expect(await cache.get('k')).toBe(1);
}

async function expectRefused(options, reason) {
  const cache = makeCache(options);
  await cache.set('k', 1);
  await untilMode(cache, 'memory');
  expect(await cache.get('k')).toBe(1);
  expect(cache.health()).toMatchObject({ status: 'degraded', lastError: { message: expect.stringMatching(reason) } });
  expect(cache.health().lastError.message).not.toContain('pass@');
  return cache.health().lastError.kind;
}

test.each(['localhost', '127.0.0.1'])(
  'fault 29: a certificate of a trusted authority is accepted for %s',
  async (host) => {
    await expectWorking(makeCache({ url: servers.good.url({ host }), tls: { ca } }));
  },
);

test('fault 29: the authority may be text, bytes or a list', async () => {
  for (const given of [ca, Buffer.from(ca), new Uint8Array(Buffer.from(ca)), [ca], [Buffer.from(ca), ca]]) {
    await expectWorking(makeCache({ url: servers.good.url(), tls: { ca: given } }));
  }
});

test('fault 29: TLS is the engine’s thread’s, also where the event loop is to have the socket', async () => {
  const cache = makeCache({ url: servers.good.url(), tls: { ca }, io: 'loop' });
  await expectWorking(cache);
  expect(stateOf(cache).channel.line).toBeNull();
});

test('fault 29: valkeys:// is TLS', async () => {
  const url = servers.good.url().replace('rediss', 'valkeys');
  await expectWorking(makeCache({ url, tls: { ca } }));
});

test('fault 29: an authority that nobody named is refused', async () => {
  expect(await expectRefused({ url: servers.good.url() }, /issuer|certificate|trust/i)).toBe('tls');
});

test('fault 29: a self-signed certificate is refused', async () => {
  expect(await expectRefused({ url: servers.selfSigned.url(), tls: { ca } }, /certificate/i)).toBe('tls');
});

test('fault 29: an expired certificate is refused', async () => {
  expect(await expectRefused({ url: servers.expired.url(), tls: { ca } }, /expired/i)).toBe('tls');
});

test('fault 29: a certificate of another host is refused', async () => {
  expect(await expectRefused({ url: servers.wrongHost.url(), tls: { ca } }, /name|host/i)).toBe('tls');
});

test('fault 29: the name that the certificate must carry can be given', async () => {
  await expectWorking(makeCache({ url: servers.wrongHost.url(), tls: { ca, servername: 'cache.example.com' } }));
  const wrong = { url: servers.good.url(), tls: { ca, servername: 'cache.example.com' } };
  expect(await expectRefused(wrong, /name|host/i)).toBe('tls');
});

test('fault 29: insecure accepts any certificate, and warns', async () => {
  for (const kind of ['selfSigned', 'expired', 'wrongHost']) {
    const logger = recorder();
    await expectWorking(makeCache({ url: servers[kind].url(), tls: { insecure: true }, logger }));
    await until(() =>
      logger.lines.some(([level, message]) => level === 'warn' && /insecure|certificate/i.test(message)),
    );
  }
});

test('fault 29: plain text to a TLS port ends in memory mode, and the scheme to take is said', async () => {
  await expectRefused({ url: servers.good.url().replace('rediss', 'redis') }, /TLS.*rediss:\/\//);
});

test('fault 29: TLS to a plain port ends in memory mode, and the scheme to take is said', async () => {
  const options = { url: servers.plain.url().replace('redis', 'rediss'), tls: { ca } };
  expect(await expectRefused(options, /TLS.*redis:\/\//)).toBe('tls');
});

test.each([
  ['TLS 1.3', 'TLSv1.3'],
  ['TLS 1.2', 'TLSv1.2'],
])('fault 29: a server that wants a client certificate says so over %s', async (_, protocol) => {
  const config = ['tls-auth-clients yes', `tls-protocols "${protocol}"`];
  servers[protocol] = await startRedis({ tls: certificates.good, config });
  for (const tls of [{ ca }, { insecure: true }]) {
    expect(await expectRefused({ url: servers[protocol].url(), tls }, /client certificate/)).toBe('tls');
  }
});

test('a server that wants a client certificate is given one', async () => {
  const config = ['tls-auth-clients yes'];
  const { good, expired } = certificates;
  servers.wants = await startRedis({ tls: good, config });
  const url = servers.wants.url();
  const read = (file) => fs.readFileSync(file);
  await expectWorking(makeCache({ url, tls: { ca, cert: read(good.cert), key: read(good.key) } }));
  await expectWorking(
    makeCache({ url, tls: { insecure: true, cert: `${read(good.cert)}`, key: `${read(good.key)}` } }),
  );
  const refused = { url, tls: { ca, cert: read(expired.cert), key: read(expired.key) } };
  expect(await expectRefused(refused, /TLS handshake|certificate/)).toBe('tls');
  for (const tls of [
    { ca, cert: read(good.cert) },
    { ca, key: read(good.key) },
    { ca, cert: read(good.cert), key: read(expired.key) },
    { ca, cert: read(good.key), key: read(good.cert) },
    { ca, cert: 'hunter2', key: read(good.key) },
    { ca, cert: 7, key: read(good.key) },
  ]) {
    const { message } = expectThrows(() => makeCache({ url, tls }), 'ERR_CONFIG');
    expect(message).not.toContain('hunter2');
  }
  const script = `
    const { set, get } = require('holdfast');
    set('k', 1).then(() => get('k')).then((value) => console.log(JSON.stringify({ value })));`;
  const env = { REDIS_URL: url, HOLDFAST_TLS_CA: certificates.ca, HOLDFAST_TIMEOUT_MS: '10000' };
  const own = { HOLDFAST_TLS_CERT: good.cert, HOLDFAST_TLS_KEY: read(good.key).toString().replaceAll('\n', '\\n') };
  expect(await runForJson(script, { env: { ...env, ...own } })).toEqual({ value: 1 });
});

test('fault 29: a server that would like a client certificate, and needs none, is used', async () => {
  servers.optional = await startRedis({ tls: certificates.good, config: ['tls-auth-clients optional'] });
  await expectWorking(makeCache({ url: servers.optional.url(), tls: { ca } }));
});

test('fault 29: a server that speaks only older versions of TLS is refused', async () => {
  servers.old = await startRedis({ tls: certificates.good, config: ['tls-protocols "TLSv1.1"'] });
  expect(await expectRefused({ url: servers.old.url(), tls: { ca } }, /TLS/)).toBe('tls');
});

test('fault 29: the default cache takes the authority, or none, from its environment', async () => {
  const script = `
    const { set, get, health } = require('holdfast');
    set('k', 1).then(() => get('k')).then(() => console.log(JSON.stringify(health())));`;
  const env = {
    REDIS_URL: servers.good.url({ host: 'localhost' }),
    HOLDFAST_TIMEOUT_MS: '10000',
    HOLDFAST_LOG: 'silent',
  };
  expect(await runForJson(script, { env })).toMatchObject({ mode: 'memory', lastError: { kind: 'tls' } });
  expect(await runForJson(script, { env: { ...env, HOLDFAST_TLS_CA: certificates.ca } })).toMatchObject({
    mode: 'redis',
  });
  expect(await runForJson(script, { env: { ...env, HOLDFAST_TLS_INSECURE: '1' } })).toMatchObject({ mode: 'redis' });
});
