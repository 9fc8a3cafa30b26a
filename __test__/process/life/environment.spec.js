// The environment as applications load it: too late, with escapes, and with what Node itself is given.
'use strict';

const fs = require('node:fs');
const { startRedis } = require('../../support/redis-server');
const { runForJson } = require('../../support/run-script');
const { makeCertificates } = require('../../support/network/tls');

let certificates;
let secured;
let server;
beforeAll(async () => {
  certificates = makeCertificates();
  secured = await startRedis({ tls: certificates.good });
  server = await startRedis();
});
afterAll(async () => {
  await Promise.all([secured.stop(), server.stop()]);
  certificates.remove();
});

/** Runs a script whose last expression of `body` is printed with the warnings of the package. */
async function tell(body, env = {}) {
  const script = `
    const holdfast = require('holdfast');
    const warnings = [];
    process.on('warning', ({ name, message }) => name === 'HoldfastWarning' && warnings.push(message));
    const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
    (async () => {
      const told = await (async () => { ${body} })();
      await nextTurn();
      console.log(JSON.stringify({ told, warnings }));
    })();`;
  return runForJson(script, { env: { HOLDFAST_TIMEOUT_MS: '10000', ...env } });
}

describe('variables that come after the first call', () => {
  const LATE = `
    await holdfast.get('k');
    process.env.REDIS_URL = 'redis://user:hush-hush@127.0.0.1:1';
    for (let i = 0; i < 100; i++) await holdfast.get('k');
    return holdfast.health();`;

  test('a REDIS_URL: one warning that says so, and health() says it, too', async () => {
    const { told, warnings } = await tell(LATE);
    expect(warnings).toEqual([expect.stringMatching(/REDIS_URL came after .*dotenv/)]);
    expect(told).toMatchObject({ status: 'degraded', mode: 'memory', lastError: { kind: 'config' } });
    expect(told.lastError.message).toMatch(/REDIS_URL came after/);
    expect(JSON.stringify([told, warnings])).not.toContain('hush-hush');
  });

  test('after very many calls it is noticed still', async () => {
    const { warnings } = await tell(`
      for (let i = 0; i < 3_000; i++) holdfast.get('k');
      process.env.REDIS_URL = 'redis://127.0.0.1:1';
      for (let i = 0; i < 3_000; i++) holdfast.get('k');
      await holdfast.get('k');`);
    expect(warnings).toHaveLength(1);
  });

  test('any other variable, in redis mode as well', async () => {
    const { told, warnings } = await tell(
      `await holdfast.set('k', 1);
       Object.assign(process.env, { HOLDFAST_NAMESPACE: 'late', HOLDFAST_TTL: '5' });
       await holdfast.get('k');
       return holdfast.health();`,
      { REDIS_URL: server.url() },
    );
    expect(warnings).toEqual([expect.stringContaining('HOLDFAST_NAMESPACE, HOLDFAST_TTL came after')]);
    expect(told).toMatchObject({ status: 'ok', mode: 'redis' });
  });

  test('HOLDFAST_LOG=silent: no warning', async () => {
    expect((await tell(LATE, { HOLDFAST_LOG: 'silent' })).warnings).toEqual([]);
  });

  test('what is loaded in the turn of the require is in time, and what goes is no matter', async () => {
    const inTime = await tell("await holdfast.set('k', 1); delete process.env.REDIS_URL; return holdfast.getMode();", {
      REDIS_URL: server.url(),
    });
    expect(inTime).toEqual({ told: 'redis', warnings: [] });
    const script = `
      const { ready, getMode } = require('holdfast');
      process.env.REDIS_URL = ${JSON.stringify(server.url())};
      ready().then((mode) => console.log(JSON.stringify(mode)));`;
    expect(await runForJson(script)).toBe('redis');
  });
});

describe('TLS', () => {
  const MODE = 'return holdfast.ready();';

  test.each([
    ['in capital letters', (url) => url.replace('rediss', 'REDISS')],
    ['with spaces around it', (url) => ` ${url} `],
    ['as valkeys', (url) => url.replace('rediss', 'Valkeys')],
  ])('HOLDFAST_TLS_INSECURE warns, whatever the form of the URL: %s', async (_, form) => {
    const env = { REDIS_URL: form(secured.url()), HOLDFAST_TLS_INSECURE: '1' };
    expect(await tell(MODE, env)).toEqual({
      told: 'redis',
      warnings: [expect.stringContaining('any TLS certificate')],
    });
  });

  test('HOLDFAST_TLS_INSECURE without TLS: nothing to warn of', async () => {
    const env = { REDIS_URL: server.url(), HOLDFAST_TLS_INSECURE: '1' };
    expect(await tell(MODE, env)).toEqual({ told: 'redis', warnings: [] });
  });

  test('a certificate whose line breaks were written as \\n', async () => {
    const pem = fs.readFileSync(certificates.ca, 'utf8');
    for (const escaped of [
      pem.replaceAll('\n', '\\n'),
      pem.replaceAll('\n', '\\r\\n'),
      pem.replaceAll('\n', '\\\\n'),
    ]) {
      const env = { REDIS_URL: secured.url(), HOLDFAST_TLS_CA: escaped };
      expect(await tell(MODE, env)).toEqual({ told: 'redis', warnings: [] });
      const byOption = `
        const url = process.env.REDIS_URL;
        return holdfast.createCache({ namespace: 'a', url, tls: { ca: [${JSON.stringify(escaped)}] } }).ready();`;
      expect((await tell(byOption, { ...env, HOLDFAST_TLS_CA: '' })).told).toBe('redis');
    }
  });

  test('NODE_EXTRA_CA_CERTS is trusted, beside tls.ca', async () => {
    const env = { REDIS_URL: secured.url(), NODE_EXTRA_CA_CERTS: certificates.ca };
    expect(await tell(MODE, env)).toEqual({ told: 'redis', warnings: [] });
    const other = { ...env, HOLDFAST_TLS_CA: certificates.selfSigned.cert };
    expect(await tell(MODE, other)).toEqual({ told: 'redis', warnings: [] });
  });

  test('a NODE_EXTRA_CA_CERTS that cannot be read, or holds none, is one warning and no failure', async () => {
    const twice = `
      const { REDIS_URL: url } = process.env;
      const further = holdfast.createCache({ namespace: 'a', url });
      return [await holdfast.ready(), await further.ready()];`;
    for (const [file, problem] of [
      ['/nowhere/ca.pem', /NODE_EXTRA_CA_CERTS cannot be read \(ENOENT\)/],
      [certificates.good.key, /NODE_EXTRA_CA_CERTS holds no certificate/],
    ]) {
      const env = { REDIS_URL: secured.url(), HOLDFAST_TLS_CA: certificates.ca, NODE_EXTRA_CA_CERTS: file };
      expect(await tell(twice, env)).toEqual({
        told: ['redis', 'redis'],
        warnings: [expect.stringMatching(problem)],
      });
    }
    expect(await tell(MODE, { REDIS_URL: server.url(), NODE_EXTRA_CA_CERTS: '/nowhere/ca.pem' })).toEqual({
      told: 'redis',
      warnings: [],
    });
  });

  test('a broken certificate among those of NODE_EXTRA_CA_CERTS leaves the others', async () => {
    const file = `${certificates.ca}.extra`;
    const broken = '-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n';
    fs.writeFileSync(file, broken + fs.readFileSync(certificates.ca, 'utf8'));
    expect((await tell(MODE, { REDIS_URL: secured.url(), NODE_EXTRA_CA_CERTS: file })).told).toBe('redis');
  });
});
