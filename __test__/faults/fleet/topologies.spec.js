// What the nodes of a cluster say of themselves and of each other: no host, `?`, names only; and seeds that lead
// nowhere, or elsewhere.
'use strict';

const { closeCaches, freshNamespace, makeCache, openCache } = require('../../support/holdfast');
const { ask } = require('../../support/fleet/client');
const { startCluster } = require('../../support/fleet/cluster');
const { freePort, startRedis } = require('../../support/redis-server');
const { until, untilMode } = require('../../support/until');

let cluster;
beforeAll(async () => {
  cluster = await startCluster({ replicas: 0, config: ['cluster-require-full-coverage no'] });
});
afterAll(() => cluster.stop());
afterEach(closeCaches);

const place = ({ host, port }) => `${host}:${port}`;
const keys = Array.from({ length: 40 }, (_, n) => `k${n}`);
const addresses = (cache) => (cache.health().nodes ?? []).map(({ address }) => address).sort();

/** Sets what all nodes say of themselves, and waits until each has heard it of each other. */
async function announce(settings, nodes = cluster.nodes) {
  for (const [name, value] of Object.entries(settings)) {
    await Promise.all(nodes.map((node) => ask(node, 'CONFIG', 'SET', name, value)));
  }
  const preferred = await ask(cluster.nodes[0], 'CONFIG', 'GET', 'cluster-preferred-endpoint-type');
  if (preferred['cluster-preferred-endpoint-type'] !== 'hostname') return;
  const expected = await Promise.all(
    cluster.nodes.map(async (node) => {
      const { 'cluster-announce-hostname': name } = await ask(node, 'CONFIG', 'GET', 'cluster-announce-hostname');
      return `${name || '?'}:${node.port}`;
    }),
  );
  await until(async () => {
    const answers = await Promise.all(cluster.nodes.map((node) => ask(node, 'CLUSTER', 'SLOTS')));
    const said = answers.map((ranges) => ranges.map(([, , [host, port]]) => `${host}:${port}`));
    return said.every((places) => expected.every((each) => places.includes(each)));
  }, 'all nodes say what they are to say');
}

/** That all keys are served by the servers that have them, and each call was done once. */
async function expectServed(cache, namespace, served = keys) {
  expect(await Promise.all(served.map((key) => cache.increment(key, 1)))).toEqual(served.map(() => 1));
  const owners = await cluster.ownersOf(served.map((key) => `${namespace}:${key}`));
  const stored = served.map((key, at) => owners[at].cli('get', `${namespace}:${key}`));
  expect(await Promise.all(stored)).toEqual(served.map(() => '1'));
}

describe('fault 50: a topology that lists', () => {
  afterEach(async () => {
    await announce({ 'cluster-preferred-endpoint-type': 'ip', 'cluster-announce-hostname': '' });
  });

  test('no hosts at all: each node is at the host that answered', async () => {
    await announce({ 'cluster-preferred-endpoint-type': 'unknown-endpoint' });
    const [[, , [host]]] = await ask(cluster.nodes[0], 'CLUSTER', 'SLOTS');
    expect(host).toBeNull();
    const namespace = freshNamespace();
    const cache = await openCache({ url: cluster.url(), namespace });
    expect(addresses(cache)).toEqual(cluster.nodes.map(place).sort());
    await expectServed(cache, namespace);
    // MOVED says no host either.
    const slot = Number(await cluster.nodes[0].cli('cluster', 'keyslot', `${namespace}:k0`));
    const owner = await cluster.ownerOf(slot);
    await cluster.moveSlot(
      slot,
      cluster.nodes.find((node) => node !== owner),
    );
    expect(await cache.increment('k0', 1)).toBe(2);
    expect(cache.health().status).toBe('ok');
  });

  test('names only: they are resolved', async () => {
    await announce({ 'cluster-preferred-endpoint-type': 'hostname', 'cluster-announce-hostname': 'localhost' });
    const namespace = freshNamespace();
    const cache = await openCache({ url: cluster.url(), namespace });
    expect(addresses(cache)).toEqual(cluster.nodes.map(({ port }) => `localhost:${port}`).sort());
    await expectServed(cache, namespace);
  });

  test('names that mean nothing here: an outage of all, or none with a map of addresses', async () => {
    const name = 'no-such-host.invalid';
    await announce({ 'cluster-preferred-endpoint-type': 'hostname', 'cluster-announce-hostname': name });
    const lost = makeCache({ url: cluster.url(), timeoutMs: 250 });
    await until(() => lost.health().nodes?.length === 3 && lost.getMode() === 'memory', 'an outage of all');
    expect(lost.health().lastError.kind).toBe('dns');
    await lost.set('k', 1);
    expect(await lost.get('k')).toBe(1);
    const namespace = freshNamespace();
    const addressMap = Object.fromEntries(cluster.nodes.map((node) => [`${name}:${node.port}`, place(node)]));
    const mapped = await openCache({ url: cluster.url(), namespace, cluster: { addressMap } });
    await expectServed(mapped, namespace);
  });

  test('`?` in place of one: its keys alone are served in process, until it has a name', async () => {
    await announce({ 'cluster-preferred-endpoint-type': 'hostname', 'cluster-announce-hostname': 'localhost' });
    const [first, unnamed] = cluster.nodes;
    await announce({ 'cluster-announce-hostname': '' }, [unnamed]);
    const namespace = freshNamespace();
    const cache = await openCache({ url: cluster.url(first), namespace, timeoutMs: 1_000 });
    expect(cache.health()).toMatchObject({ status: 'degraded', mode: 'redis' });
    expect(cache.health().nodes.find(({ address }) => address === null).mode).toBe('memory');
    const owners = await cluster.ownersOf(keys.map((key) => `${namespace}:${key}`));
    await expectServed(
      cache,
      namespace,
      keys.filter((_, at) => owners[at] !== unnamed),
    );
    const his = keys.filter((_, at) => owners[at] === unnamed);
    await Promise.all(his.map((key) => cache.set(key, 'in process')));
    expect(await cache.getMany(his)).toEqual(his.map(() => 'in process'));
    await announce({ 'cluster-announce-hostname': 'localhost' }, [unnamed]);
    await until(() => cache.health().status === 'ok', 'it has a name');
    await Promise.all(his.map((key) => cache.set(key, 'in Redis')));
    expect(await unnamed.cli('get', `${namespace}:${his[0]}`)).toBe('"in Redis"');
  });

  test('`?` in place of all: memory mode, with the reason', async () => {
    await announce({ 'cluster-preferred-endpoint-type': 'hostname' });
    const cache = makeCache({ url: cluster.url(), timeoutMs: 250 });
    await untilMode(cache, 'memory');
    expect(cache.health().lastError).toMatchObject({ kind: 'cluster', message: expect.stringContaining('address') });
    await announce({ 'cluster-preferred-endpoint-type': 'ip' });
    await untilMode(cache, 'redis');
  });
});

describe('fault 52: seeds', () => {
  const open = (hosts, options) => makeCache({ url: `redis://${hosts.join(',')}`, ...options });

  test('all gone but one, wherever it stands', async () => {
    const dead = await Promise.all([1, 2].map(() => freePort('127.0.0.1')));
    const [first, second] = dead.map((port) => `127.0.0.1:${port}`);
    for (const hosts of [
      [first, second, place(cluster.nodes[2])],
      [place(cluster.nodes[2]), first, second],
    ]) {
      const namespace = freshNamespace();
      const cache = open(hosts, { namespace });
      await until(() => cache.health().status === 'ok' && cache.health().nodes?.length === 3, 'the one that lives');
      await expectServed(cache, namespace);
    }
  });

  test('all gone once the cluster is known: what it said of itself is enough', async () => {
    const relay = await startRelay(cluster.nodes[0]);
    const namespace = freshNamespace();
    const cache = await openCache({ url: `redis://127.0.0.1:${relay.port}`, namespace });
    relay.close();
    await expectServed(cache, namespace);
    const [node] = cluster.nodes;
    await ask(node, 'CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    // It may not have noticed yet that it was thrown out: what it answers until then, and until it is back, is its own.
    await until(async () => (await cache.getMany(keys)).every((value) => value === 1), 'it is dialled anew');
    expect(cache.health().status).toBe('ok');
  });

  test('one that is a node of another cluster, or no node: the first cluster that answers is the one', async () => {
    const other = await startCluster({ primaries: 1, replicas: 0 });
    const single = await startRedis();
    try {
      for (const hosts of [
        [place(cluster.nodes[1]), place(other.nodes[0])],
        [place(single), place(cluster.nodes[1])],
      ]) {
        const namespace = freshNamespace();
        const cache = open(hosts, { namespace });
        await until(() => cache.health().status === 'ok' && cache.health().nodes?.length === 3, 'the cluster');
        await expectServed(cache, namespace);
        expect(addresses(cache)).toEqual(cluster.nodes.map(place).sort());
        await cache.close();
      }
      expect(await other.nodes[0].cli('dbsize')).toBe('0');
      expect(await single.cli('dbsize')).toBe('0');
    } finally {
      await closeCaches();
      await Promise.all([other.stop(), single.stop()]);
    }
  });
});

/** An address that leads to a node until it is closed; connections through it go on. */
async function startRelay({ host, port }) {
  const net = require('node:net');
  const server = net.createServer((near) => {
    const far = net.connect(port, host);
    near.pipe(far).pipe(near);
    for (const end of [near, far])
      end.on('error', () => {}).on('close', () => [near, far].map((each) => each.destroy()));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: server.address().port, close: () => server.close() };
}
