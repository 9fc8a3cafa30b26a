// What providers of Redis lack: named once when connecting, in words that say which command and what follows, and in
// health() as long as the connection lasts. Each provider's double is a real server without what that provider lacks.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { ROOT, closeCaches, makeCache, recorder, watch } = require('../../support/holdfast');
const { makeCertificates } = require('../../support/network/tls');
const { Double } = require('../../support/providers/double');
const { CONSEQUENCES, PROFILES } = require('../../support/providers/profiles');
const { until, untilMode } = require('../../support/until');

const certificates = makeCertificates();
afterAll(() => certificates.remove());

let server;
afterEach(async () => {
  await closeCaches();
  await server?.stop();
  server = null;
});

function connect({ options, selfSigned }, more = {}) {
  const logger = recorder();
  const tls = selfSigned ? { tls: { insecure: true } } : {};
  const cache = makeCache({ url: server.url(), logger, ...options, lazy: false, ...tls, ...more });
  return { cache, logger, told: watch(cache) };
}

const start = (profile) => new Double(profile, certificates.selfSigned).start();

/** The lines of the log that name it, with what follows. */
const naming = ({ lines }, name) => lines.filter(([, message]) => message.includes(`${name} (`));

async function endConnections() {
  const ours = (await server.cli('client', 'list')).split('\n').filter((line) => line.includes('user=app'));
  for (const line of ours) await server.cli('client', 'kill', 'id', /id=(\d+)/.exec(line)[1]);
}

const single = PROFILES.filter(({ cluster }) => !cluster);
const clusters = PROFILES.filter(({ cluster }) => cluster);

describe.each(single.filter(({ lacks }) => lacks.length > 0))('$name', (profile) => {
  test('names what is missing once, with what follows, and in health() on each connection', async () => {
    server = await start(profile);
    const { cache, logger, told } = connect(profile);
    await untilMode(cache, 'redis');
    await until(() => naming(logger, profile.lacks[0]).length > 0, 'it is said');
    for (let connection = 0; connection < 2; connection++) {
      const { lastError, status } = cache.health();
      expect({ status, kind: lastError?.kind }).toEqual({ status: 'ok', kind: 'denied' });
      for (const name of profile.lacks) {
        expect(lastError.message).toContain(`${name} (`);
        expect(lastError.message).toMatch(CONSEQUENCES[name]);
        expect(naming(logger, name)).toHaveLength(1);
      }
      // And nothing else.
      expect(lastError.message.match(/ \(/g)).toHaveLength(
        profile.lacks.length + (/does not know \(/.test(lastError.message) ? 1 : 0),
      );
      await cache.set('k', { connection });
      expect(await cache.get('k')).toEqual({ connection });
      if (connection === 0) {
        const { reconnects } = (await cache.getStats()).redis;
        await endConnections();
        await cache.get('k');
        await until(async () => (await cache.getStats()).redis?.reconnects > reconnects, 'another connection');
        await untilMode(cache, 'redis');
      }
    }
    expect(told.count('error')).toBe(1);
  });
});

test.each(single.filter(({ lacks }) => lacks.length === 0))('$name lacks nothing: nothing is said', async (profile) => {
  server = await start(profile);
  const { cache, logger, told } = connect(profile);
  await untilMode(cache, 'redis');
  await cache.set('k', 1, { ttl: 60, tags: ['t'] });
  expect(await cache.getOrCompute('c', () => 2)).toBe(2);
  expect(await cache.get('k')).toBe(1);
  expect(cache.health()).toMatchObject({ status: 'ok', lastError: null });
  expect([told.count('error'), (await cache.getStats()).errors]).toEqual([0, {}]);
  expect(logger.lines.filter(([level]) => level === 'error')).toEqual([]);
  const policy = (profile.config ?? []).find((line) => line.startsWith('maxmemory-policy'))?.split(' ')[1];
  await until(async () => (await cache.getStats()).redis.version !== null);
  if (policy) expect((await cache.getStats()).redis.maxMemoryPolicy).toBe(policy);
});

test.each(clusters)('$name, a cluster: what is missing is named', async (profile) => {
  server = await start(profile);
  const { cache, logger } = connect(profile);
  await untilMode(cache, 'redis');
  await cache.set('k', 1);
  expect(await cache.get('k')).toBe(1);
  for (const name of profile.lacks) {
    await until(() => naming(logger, name).length > 0, `${name} is named`);
    expect(naming(logger, name)[0][1]).toMatch(CONSEQUENCES[name]);
    expect(naming(logger, name)).toHaveLength(1);
  }
  if (profile.lacks.length === 0) expect(cache.health().lastError).toBeNull();
});

test.each(PROFILES.filter(({ name }) => !name.startsWith('a ')))('$name is in docs/providers.md', ({ name }) => {
  const page = fs.readFileSync(path.join(ROOT, 'docs', 'providers.md'), 'utf8');
  expect(page).toContain(`| ${name}`);
});
