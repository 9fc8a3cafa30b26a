// Fault 29: TLS, as the doctor sees it: what is wrong with the certificate, and TLS and plain text at the wrong port.
'use strict';

const { makeCertificates } = require('../../support/network/tls');
const { startRedis } = require('../../support/redis-server');
const { examine, expectFinding } = require('../../support/command-line');

let certificates;
const servers = {};
beforeAll(async () => {
  certificates = makeCertificates();
  for (const kind of ['good', 'expired', 'wrongHost', 'selfSigned']) {
    servers[kind] = await startRedis({ tls: certificates[kind], password: 'secret-of-tls' });
  }
  servers.client = await startRedis({ tls: certificates.good, config: ['tls-auth-clients yes'] });
  servers.plain = await startRedis({ password: 'secret-of-tls' });
});
afterAll(async () => {
  await Promise.all(Object.values(servers).map((server) => server.stop()));
  certificates.remove();
});

const withCa = () => ({ env: { HOLDFAST_TLS_CA: certificates.ca } });

test('a certificate of an authority that is named', async () => {
  const report = await examine(servers.good.url(), withCa());
  expectFinding(report, 'tls.verified', 'ok', /^$/);
  expect(report.ids).toContain('access.granted');
});

test('an authority that nobody named', async () => {
  const report = await examine(servers.good.url());
  expectFinding(report, 'tls.untrusted', 'problem', /^HOLDFAST_TLS_CA=/);
  // No password goes to whom nobody vouches for.
  expect(report.ids).not.toContain('access.granted');
  expect(report.steps.find(({ name }) => name === 'access').outcome).toBe('skipped');
});

test('a self-signed certificate, refused, named as the authority, and accepted unseen', async () => {
  const url = servers.selfSigned.url();
  expectFinding(await examine(url), 'tls.self-signed', 'problem', /openssl s_client .*\nHOLDFAST_TLS_CA=/);
  const trusted = await examine(url, { env: { HOLDFAST_TLS_CA: certificates.selfSigned.cert } });
  expectFinding(trusted, 'tls.verified', 'ok', /^$/);
  const insecure = await examine(url, { env: { HOLDFAST_TLS_INSECURE: '1' } });
  expectFinding(insecure, 'tls.insecure', 'warning', /HOLDFAST_TLS_CA/);
  expect(insecure.ids).toContain('access.granted');
});

test('a certificate that has expired', async () => {
  const { data } = expectFinding(await examine(servers.expired.url(), withCa()), 'tls.expired', 'problem', /renew/);
  expect(data.daysLeft).toBeLessThan(-365);
});

test('a certificate of another host, and the name that it carries', async () => {
  const url = servers.wrongHost.url();
  const refused = await examine(url, withCa());
  expectFinding(refused, 'tls.wrong-host', 'problem', /servername: 'cache\.example\.com'/);
  const named = await examine(url, { ...withCa(), args: ['--servername', 'cache.example.com'] });
  expectFinding(named, 'tls.verified', 'ok', /^$/);
});

test('TLS at a plain port, and plain text at a TLS port', async () => {
  const toPlain = servers.plain.url().replace('redis:', 'rediss:');
  expectFinding(await examine(toPlain), 'tls.plain-port', 'problem', /^REDIS_URL=redis:/);
  const toTls = servers.good.url().replace('rediss:', 'redis:');
  expectFinding(await examine(toTls), 'tls.needed', 'problem', /^REDIS_URL=rediss:/);
  const wantsClient = servers.client.url().replace('rediss:', 'redis:');
  expectFinding(await examine(wantsClient), 'tls.needed', 'problem', /^REDIS_URL=rediss:/);
});

test('a server that wants a certificate of ours', async () => {
  const url = servers.client.url();
  expectFinding(await examine(url, withCa()), 'tls.client-certificate', 'problem', /HOLDFAST_TLS_CERT/);
  const { cert, key } = certificates.good;
  const env = { HOLDFAST_TLS_CA: certificates.ca, HOLDFAST_TLS_CERT: cert, HOLDFAST_TLS_KEY: key };
  expect((await examine(url, { env })).ids).toContain('access.granted');
});

test('a certificate and a key that cannot be used', async () => {
  const { cert } = certificates.good;
  const env = { HOLDFAST_TLS_CERT: cert, HOLDFAST_TLS_KEY: cert };
  expectFinding(await examine(servers.good.url(), { env }), 'config.certificates', 'problem', /openssl pkey/);
});

test('one with few days left is worth a warning', async () => {
  // All of them have 30 days; a clock that is 15 days ahead sees 15 of them.
  const { makeMachine } = require('../../support/machine/machine');
  const machine = makeMachine();
  try {
    machine.moveClock(15 * 24 * 3600);
    const report = await examine(servers.good.url(), { env: { ...withCa().env, ...machine.env } });
    expectFinding(report, 'tls.expires-soon', 'warning', /renew/);
    expectFinding(report, 'clock.apart', 'warning');
  } finally {
    machine.remove();
  }
});
