// Behind sentinels: the primary is found, followed through failovers, and believed only by its own word.
'use strict';

const { randomUUID } = require('node:crypto');
const {
  closeCaches,
  expectThrows,
  freshNamespace,
  makeCache,
  openCache,
  openWatched,
  watch,
} = require('../../support/holdfast');
const { startSentinels } = require('../../support/fleet/sentinels');
const { startRedis } = require('../../support/redis-server');
const { runForJson } = require('../../support/run-script');
const { until, untilMode } = require('../../support/until');

const place = ({ host, port }) => `${host}:${port}`;
/** Where the caches of a fleet find it. */
const optionsOf = (fleet, more = {}) => ({
  sentinel: { nodes: fleet.sentinels.map(place), name: fleet.name, ...more },
  timeoutMs: 1_000,
});
const urlOf = (fleet) => `redis+sentinel://${fleet.sentinels.map(place).join(',')}/${fleet.name}`;
/**
 * Whether a cache writes to a server: not to another one whose replica this one is, as the new primary has just been.
 */
async function writesTo(cache, server) {
  if (!(await server.cli('role')).startsWith('master')) return false;
  const key = `where-${randomUUID()}`;
  await cache.set(key, 'here');
  return cache.getMode() === 'redis' && (await server.cli('keys', `*${key}`)) !== '';
}

afterEach(closeCaches);

describe('a primary, two replicas and three sentinels', () => {
  let fleet;
  beforeAll(async () => {
    fleet = await startSentinels({ replicas: 2 });
  });
  afterAll(() => fleet.stop());
  beforeEach(() => fleet.settled());

  test.each(['loop', 'thread'])('the primary is found by URL and by options (%s)', async (io) => {
    const primary = await fleet.primary();
    for (const options of [{ url: urlOf(fleet) }, optionsOf(fleet)]) {
      const cache = await openCache({ ...options, io });
      expect(await writesTo(cache, primary)).toBe(true);
      expect(cache.health()).toMatchObject({ status: 'ok', mode: 'redis', lastError: null });
    }
    const env = { REDIS_URL: urlOf(fleet), HOLDFAST_NAMESPACE: 'env' };
    const script = `
      const { set, get, getMode } = require('holdfast');
      set('k', 1).then(() => get('k')).then((value) => console.log(JSON.stringify({ value, mode: getMode() })));`;
    expect(await runForJson(script, { env })).toEqual({ value: 1, mode: 'redis' });
  });

  test.each([
    ['asked for', 'loop', (_primary, all) => all.failover()],
    ['by the death of the primary', 'thread', (primary) => primary.kill('SIGKILL')],
    ['by a primary that stops', 'loop', (primary) => primary.kill('SIGSTOP')],
  ])('fault 53: a failover %s is followed (%s)', async (_, io, fail) => {
    const options = { ...optionsOf(fleet), namespace: freshNamespace(), io };
    const { cache, told } = await openWatched({ ...options, timeoutMs: 250 });
    const other = await openCache(options);
    await cache.set('before', 1);
    const old = await fleet.primary();
    const failed = fail(old, fleet);
    const heir = await fleet.primaryAfter(old);
    await failed;
    // What the old one took while it was being replaced may be lost: so `k` is written behind that.
    await until(() => writesTo(cache, heir), 'writes go to the new primary');
    await cache.set('k', 'new');
    await until(async () => (await other.get('k')) === 'new', 'the other instance follows');
    expect(told.count('fallback')).toBe(told.count('recovered'));
    if (old.running) await old.kill('SIGCONT');
    else await old.restart();
    await fleet.settled();
    expect(await cache.get('k')).toBe('new');
  });

  test('fault 53: what was deleted while no primary was there is not read from the new one', async () => {
    const namespace = freshNamespace();
    const cache = await openCache({ ...optionsOf(fleet), namespace, timeoutMs: 250 });
    await cache.set('k', 'old');
    const old = await fleet.primary();
    await old.cli('wait', '2', '5000');
    await old.kill('SIGKILL');
    await untilMode(cache, 'memory');
    await cache.del('k');
    const heir = await fleet.primaryAfter(old);
    await untilMode(cache, 'redis');
    expect(await cache.get('k')).toBeNull();
    expect(await heir.cli('keys', `${namespace}:k`)).toBe('');
    await old.restart();
  });

  test('sentinels that are dead, stopped, or no sentinels are passed over', async () => {
    const [first, second, third] = fleet.sentinels;
    await first.kill('SIGSTOP');
    await second.kill('SIGKILL');
    const server = await startRedis();
    try {
      const nodes = [first, second, server, third].map(place);
      const cache = await openCache({ sentinel: { nodes, name: fleet.name }, timeoutMs: 5_000 });
      await cache.set('k', 1);
      expect(await cache.get('k')).toBe(1);
    } finally {
      await server.stop();
      await first.kill('SIGCONT');
      await second.restart();
    }
  });

  test('one sentinel is enough: it names the others', async () => {
    const [first, ...others] = fleet.sentinels;
    const cache = await openCache({ ...optionsOf({ ...fleet, sentinels: [first], name: fleet.name }) });
    await first.kill('SIGKILL');
    const old = await fleet.primary();
    try {
      await old.kill('SIGKILL');
      await fleet.primaryAfter(old);
      await until(async () => {
        await cache.set('k', 2);
        return cache.getMode() === 'redis' && (await cache.get('k')) === 2;
      }, 'the new primary');
      expect(others.length).toBe(2);
    } finally {
      await first.restart();
      await old.restart();
    }
  });

  test('a name that they do not know, and no sentinels at all, are said', async () => {
    const nodes = fleet.sentinels.map(place);
    const lost = makeCache({ sentinel: { nodes, name: 'nobody' } });
    await untilMode(lost, 'memory');
    expect(lost.health().lastError).toMatchObject({ kind: 'config', message: expect.stringContaining('name') });
    const server = await startRedis();
    const none = makeCache({ sentinel: { nodes: [place(server)], name: 'mymaster' } });
    await untilMode(none, 'memory');
    expect(none.health().lastError).toMatchObject({ kind: 'sentinel', message: expect.stringContaining('sentinels') });
    await server.stop();
    const direct = makeCache({ url: `redis://${nodes[0]}` });
    await untilMode(direct, 'memory');
    expect(direct.health().lastError).toMatchObject({
      kind: 'sentinel',
      message: expect.stringContaining('redis+sentinel://'),
    });
  });

  test('an address that the sentinels give is mapped to where it is from here', async () => {
    const primary = await fleet.primary();
    const elsewhere = await startRedis();
    const addressMap = Object.fromEntries(fleet.servers.map((each) => [place(each), place(elsewhere)]));
    const namespace = freshNamespace();
    const cache = await openCache({ ...optionsOf(fleet, { addressMap }), namespace });
    await cache.set('k', 1);
    expect(await elsewhere.cli('keys', `${namespace}:k`)).not.toBe('');
    expect(await primary.cli('keys', `${namespace}:k`)).toBe('');
    await cache.close();
    await elsewhere.stop();
  });
});

test('sentinels and servers have passwords of their own', async () => {
  const fleet = await startSentinels({ replicas: 1, password: 'servers', sentinelPassword: 'hunter2' });
  try {
    const nodes = fleet.sentinels.map(place);
    const own = { nodes, name: fleet.name, password: 'hunter2' };
    const cache = await openCache({ sentinel: own, password: 'servers', timeoutMs: 5_000 });
    await cache.set('k', 1);
    expect(await cache.get('k')).toBe(1);
    const query = 'sentinel_password=hunter2';
    const url = `redis+sentinel://:servers@${nodes.join(',')}/${fleet.name}/0?${query}`;
    expect(await (await openCache({ url, timeoutMs: 5_000 })).get('k')).toBeNull();
    for (const [sentinel, says] of [
      [{ nodes, name: fleet.name }, 'want a password of their own'],
      [{ ...own, password: 'wrong' }, 'refused their own'],
    ]) {
      const refused = makeCache({ sentinel, password: 'servers' });
      const told = watch(refused);
      await untilMode(refused, 'memory');
      await until(() => refused.health().lastError.kind === 'auth', 'why');
      const said = JSON.stringify([refused.health(), told.events]);
      expect(said).toContain(says);
      expect(said).not.toMatch(/hunter2|wrong"/);
    }
  } finally {
    await closeCaches();
    await fleet.stop();
  }
});

test('nonsense is refused', () => {
  const nodes = ['h'];
  for (const options of [
    { sentinel: null },
    { sentinel: { nodes } },
    { sentinel: { nodes, name: '' } },
    { sentinel: { nodes: [], name: 'm' } },
    { sentinel: { nodes: 'h', name: 'm' } },
    { sentinel: { nodes: ['h:0'], name: 'm' } },
    { sentinel: { nodes: [{ port: 1 }], name: 'm' } },
    { sentinel: { nodes: [{ host: 'h', port: '1' }], name: 'm' } },
    { sentinel: { nodes, name: 'm', tls: {} } },
    { sentinel: { nodes, name: 'm', addressMap: { a: 1 } } },
    { sentinel: { nodes, name: 'm', addressMap: ['a'] } },
    { sentinel: { nodes, name: 'm', master: 'm' } },
    { sentinel: { nodes, name: 'm' }, url: 'redis://h' },
    { sentinel: { nodes, name: 'm' }, database: -1 },
    { url: 'redis+sentinel://h' },
    { username: 7 },
  ]) {
    expectThrows(() => makeCache({ url: undefined, ...options }), 'ERR_CONFIG');
  }
});
