// The cluster of the tests does what is asked of it, and fails over by itself; all nodes are gone in the end.
'use strict';

const { ask, connect } = require('./client');
const { startCluster } = require('./cluster');
const { keysIn, slotOf } = require('./slots');

let cluster;
let clients = [];
beforeAll(async () => {
  cluster = await startCluster({ password: 'secret' });
});
beforeEach(() => cluster.settled());
afterEach(() => {
  for (const client of clients) client.close();
  clients = [];
});
afterAll(() => cluster?.stop());

async function connected(node) {
  const client = await connect(node);
  clients.push(client);
  return client;
}

const roleOf = async (node) => (await ask(node, 'ROLE'))[0];

/** The owner of a slot, another primary, and connections to both. */
async function movable(slot) {
  const from = await cluster.ownerOf(slot);
  const to = (await cluster.primaries()).find((node) => node !== from);
  return { from, to, source: await connected(from), target: await connected(to) };
}

const moved = (slot, node) => `MOVED ${slot} 127.0.0.1:${node.port}`;

test('slots of keys are those that the servers compute', async () => {
  const keys = ['', 'k', '123456789', '{}k', '{a}b', 'a}b', 'x{a}{b}', '{{a}b}', '{', 'é', '{é}1', 'k{', '}k{a}'];
  const told = await Promise.all(keys.map((key) => ask(cluster.nodes[0], 'CLUSTER', 'KEYSLOT', key)));
  expect(keys.map(slotOf)).toEqual(told);
  expect(keysIn(77, 3).map(slotOf)).toEqual([77, 77, 77]);
});

test('three primaries with a replica each; every key has its owner, and the others say MOVED', async () => {
  expect((await connected(cluster.nodes[0])).greeting).toMatchObject({ mode: 'cluster', proto: 3 });
  const primaries = await cluster.primaries();
  expect(primaries).toHaveLength(3);
  expect(cluster.nodes).toHaveLength(6);
  for (const node of primaries) expect(await cluster.replicasOf(node)).toHaveLength(1);
  const owner = await cluster.ownerOf('k');
  await ask(owner, 'SET', 'k', 'v');
  for (const node of cluster.nodes.filter((each) => each !== owner)) {
    await expect(ask(node, 'GET', 'k')).rejects.toThrow(moved(slotOf('k'), owner));
  }
  expect(cluster.url(owner)).toBe(`redis://:secret@127.0.0.1:${owner.port}/`);
});

test('a slot moves with its keys', async () => {
  const { from, to, source, target } = await movable(10);
  const keys = keysIn(10, 150);
  for (const key of keys) source.ask('SET', key, 'v');
  await cluster.moveSlot(10, to);
  expect(await cluster.ownerOf(keys[0])).toBe(to);
  expect(await target.ask('MGET', ...keys)).toEqual(keys.map(() => 'v'));
  await expect(source.ask('GET', keys[0])).rejects.toThrow(moved(10, to));
  await cluster.moveSlot(10, from);
  expect(await source.ask('GET', keys[149])).toBe('v');
});

test('a slot moves without its keys: they are gone', async () => {
  const { to, source, target } = await movable(11);
  const [key] = keysIn(11);
  await source.ask('SET', key, 'v');
  await cluster.moveSlot(11, to, { migrate: false });
  expect(await target.ask('GET', key)).toBeNull();
  await expect(source.ask('GET', key)).rejects.toThrow(moved(11, to));
});

test('in the middle of a move: ASK for a key that is gone, TRYAGAIN for a pair that is torn', async () => {
  const { to, source, target } = await movable(12);
  const [gone, here] = keysIn(12, 2);
  await source.ask('MSET', gone, 1, here, 2);
  await cluster.beginMove(12, to);
  expect(await source.ask('GET', gone)).toBe('1');
  await cluster.migrate(12, to, [gone]);
  await expect(source.ask('GET', gone)).rejects.toThrow(`ASK 12 127.0.0.1:${to.port}`);
  expect(await source.ask('GET', here)).toBe('2');
  // Without ASKING the target does not answer for a slot that is not its own yet.
  await expect(target.ask('GET', gone)).rejects.toThrow(/^MOVED 12 /);
  await target.ask('ASKING');
  expect(await target.ask('GET', gone)).toBe('1');
  await target.ask('ASKING');
  await expect(target.ask('MGET', gone, here)).rejects.toThrow(/^TRYAGAIN/);
  await cluster.migrate(12, to);
  await cluster.endMove(12, to);
  expect(await target.ask('MGET', gone, here)).toEqual(['1', '2']);
});

test('a move that is given up leaves the slot where it was', async () => {
  const { from, to, source } = await movable(13);
  await cluster.beginMove(13, to);
  await expect(source.ask('GET', keysIn(13)[0])).rejects.toThrow(/^ASK 13 /);
  await cluster.cancelMove(13, to);
  expect(await source.ask('GET', keysIn(13)[0])).toBeNull();
  expect(await cluster.ownerOf(13)).toBe(from);
});

test.each(['', 'FORCE', 'TAKEOVER'])('CLUSTER FAILOVER %s: the replica and its primary change places', async (mode) => {
  // Each in a shard of its own.
  const old = await cluster.ownerOf({ '': 1_000, FORCE: 8_000, TAKEOVER: 16_000 }[mode]);
  const [replica] = await cluster.replicasOf(old);
  expect(await cluster.failover(old, { mode })).toBe(replica);
  await cluster.settled();
  expect([await roleOf(old), await roleOf(replica)]).toEqual(['slave', 'master']);
});

test.each(['SIGKILL', 'SIGSTOP'])(
  'a primary that meets %s is replaced, and comes back as a replica',
  async (signal) => {
    const old = await cluster.ownerOf(5_000);
    await old.kill(signal);
    const primary = await cluster.primaryAfter(old);
    expect(primary.shard).toBe(old.shard);
    expect(await cluster.ownerOf(5_000)).toBe(primary);
    if (signal === 'SIGKILL') await old.restart();
    else await old.kill('SIGCONT');
    await cluster.settled();
    expect(await roleOf(old)).toBe('slave');
    expect(await cluster.replicasOf(primary)).toEqual([old]);
  },
);

test('a node leaves, and another joins at its address', async () => {
  const old = await cluster.ownerOf(5_000);
  const [replica] = await cluster.replicasOf(old);
  await replica.stop();
  await cluster.forget(replica);
  const node = await cluster.add({ port: replica.port, replicaOf: old });
  expect(await cluster.replicasOf(old)).toEqual([node]);
  expect(node.id).not.toBe(replica.id);
});

test('the least: one primary, no password; without a slot the cluster is down; nothing is left of it', async () => {
  const least = await startCluster({ primaries: 1, replicas: 0 });
  const [node] = least.nodes;
  await ask(node, 'CLUSTER', 'DELSLOTS', slotOf('k'));
  await least.waitFor('fail');
  await expect(ask(node, 'GET', 'k')).rejects.toThrow(/^CLUSTERDOWN/);
  await node.kill('SIGSTOP');
  await least.stop();
  expect(() => process.kill(node.pid, 0)).toThrow('ESRCH');
});
