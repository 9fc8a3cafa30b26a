// Nodes of a cluster that are replaced under their address, that leave, and that go on answering behind that.
'use strict';

const net = require('node:net');
const { closeCaches, freshNamespace, openCache, watch } = require('../../support/holdfast');
const { startCluster } = require('../../support/fleet/cluster');
const { slotOf } = require('../../support/fleet/slots');
const { until } = require('../../support/until');

let cluster;
beforeAll(async () => {
  // A primary whose last slot has gone stays one.
  const config = ['cluster-require-full-coverage no', 'cluster-allow-replica-migration no'];
  cluster = await startCluster({ config });
});
afterAll(() => cluster.stop());
afterEach(closeCaches);

const place = ({ host, port }) => `${host}:${port}`;
const keys = Array.from({ length: 60 }, (_, n) => `k${n}`);

test('fault 49: another process at the address of a dead primary is asked for no key until it has slots', async () => {
  const namespace = freshNamespace();
  const cache = await openCache({ url: cluster.url(), namespace, timeoutMs: 1_000 });
  await cache.setMany(keys.map((key) => [key, 'old']));
  await cache.getMany(keys);
  const stored = `${namespace}:k0`;
  const dead = await cluster.ownerOf(stored);
  await dead.kill('SIGKILL');
  const heir = await cluster.primaryAfter(dead);
  await until(() => cache.health().status === 'ok', 'its heir');
  await cluster.forget(dead);
  await dead.stop();
  const fresh = await cluster.add({ port: dead.port });
  await cluster.waitFor('ok');
  await Promise.all(keys.map((key) => cache.set(key, 'new')));
  expect(await cache.getMany(keys)).toEqual(keys.map(() => 'new'));
  expect(await fresh.cli('dbsize')).toBe('0');

  // With a slot: what is written from then on lies there.
  await cluster.moveSlot(slotOf(stored), fresh);
  await until(async () => {
    await cache.set('k0', 'newer');
    return cache.health().status === 'ok' && (await fresh.cli('get', stored)) === '"newer"';
  }, 'the slot is served there');
  expect(await cache.get('k0')).toBe('newer');

  // Once more another process, which knows its slots and has lost its keys: nothing older comes back.
  await fresh.restart();
  await until(async () => {
    await cache.set('k0', 'newest');
    return cache.health().status === 'ok' && (await fresh.cli('get', stored)) === '"newest"';
  }, 'it is served again');
  expect(await cache.get('k0')).toBe('newest');

  // It leaves, and goes on answering to whoever asks it.
  await cluster.moveSlot(slotOf(stored), heir);
  await cluster.forget(fresh);
  expect(await fresh.cli('ping')).toBe('PONG');
  await cache.set('k0', 'last');
  expect(await heir.cli('get', stored)).toBe('"last"');
  const other = await openCache({ url: cluster.url(fresh), namespace });
  expect(await other.get('k0')).toBe('last');
  await other.set('k0', 'of the other');
  await until(async () => (await cache.get('k0')) === 'of the other', 'one sees the other');
  expect(other.health().nodes.map(({ address }) => address)).not.toContain(place(fresh));
  await fresh.stop();
  await until(() => [cache, other].every((each) => each.health().status === 'ok'), 'nobody misses it');
  expect(await other.getMany(keys.slice(1))).toEqual(keys.slice(1).map(() => 'new'));
});

test('fault 49: a name that leads to another server from now on: it is dialled anew, and no call is made twice', async () => {
  const namespace = freshNamespace();
  const primaries = await cluster.primaries();
  const old = primaries.find(({ shard }) =>
    cluster.nodes.some((node) => node.shard === shard && !primaries.includes(node)),
  );
  const [heir] = await cluster.replicasOf(old);
  const name = await startName(old);
  try {
    const addressMap = { [place(old)]: name.address, [place(heir)]: name.address };
    const url = cluster.url(primaries.find((node) => node !== old));
    const cache = await openCache({ url, namespace, cluster: { addressMap }, timeoutMs: 500 });
    const told = watch(cache);
    expect(cache.health().nodes.map(({ address }) => address)).toContain(name.address);
    const owners = await cluster.ownersOf(keys.map((key) => `${namespace}:${key}`));
    const his = keys.filter((_, at) => owners[at] === old);
    await Promise.all(keys.map((key) => cache.increment(key, 1)));
    // The connection leads to the old one, which is a replica now: it says MOVED to its own name.
    await cluster.failover(old);
    name.leadTo(heir);
    await Promise.all(keys.map((key) => cache.increment(key, 1)));
    const probes = Array.from({ length: 60 }, (_, n) => `probe${n}`);
    const heirs = await cluster.ownersOf(probes.map((key) => `${namespace}:${key}`));
    const probe = probes.find((_, at) => heirs[at] === heir);
    await until(async () => {
      await cache.set(probe, 'here');
      return (await heir.cli('get', `${namespace}:${probe}`)) === '"here"';
    }, 'it was dialled anew');
    for (const key of his) {
      const sum = Number(await heir.cli('get', `${namespace}:${key}`));
      // The second call was counted in process while the name was looked up, or in Redis, but not in both.
      expect([1, 2]).toContain(sum);
      expect(await cache.increment(key, 1)).toBe(sum + 1);
      expect(await heir.cli('get', `${namespace}:${key}`)).toBe(`${sum + 1}`);
    }
    const others = keys.filter((key) => !his.includes(key));
    expect(await cache.getMany(others)).toEqual(others.map(() => 2));
    expect(told.events.filter(([event]) => event === 'fallback').length).toBeLessThanOrEqual(1);
  } finally {
    await closeCaches();
    name.stop();
  }
});

/** An address for a server, which can be made to lead to another one; connections stay where they are. */
async function startName(first) {
  let to = first;
  const ends = new Set();
  const server = net.createServer((near) => {
    const far = net.connect(to.port, to.host);
    near.pipe(far).pipe(near);
    for (const end of [near, far]) {
      ends.add(end);
      end.on('error', () => {}).on('close', () => [near, far].map((each) => each.destroy()));
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${server.address().port}`,
    leadTo(other) {
      to = other;
    },
    stop() {
      server.close();
      for (const end of ends) end.destroy();
    },
  };
}
