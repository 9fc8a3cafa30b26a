// The sentinels of the tests do what is asked of them, and fail over by themselves; all are gone in the end.
'use strict';

const { until } = require('../until');
const { ask, connect } = require('./client');
const { startSentinels } = require('./sentinels');

let fleet;
let clients = [];
beforeAll(async () => {
  fleet = await startSentinels({ replicas: 1, name: 'main', password: 'data', sentinelPassword: 'watch' });
});
afterEach(() => {
  for (const client of clients) client.close();
  clients = [];
});
afterAll(() => fleet?.stop());

async function connected(server, options) {
  const client = await connect(server, options);
  clients.push(client);
  return client;
}

const roleOf = async (server) => (await ask(server, 'ROLE'))[0];

test('each sentinel knows the others and the replica, and names the primary', async () => {
  const primary = await fleet.settled();
  expect(primary).toBe(fleet.servers[0]);
  for (const sentinel of fleet.sentinels) {
    const client = await connected(sentinel);
    expect(client.greeting).toMatchObject({ mode: 'sentinel', proto: 3 });
    const about = await client.ask('SENTINEL', 'MASTER', fleet.name);
    expect(about).toMatchObject({ 'num-slaves': '1', 'num-other-sentinels': '2', quorum: '2' });
  }
  expect(await roleOf(primary)).toBe('master');
  expect(await roleOf(fleet.servers[1])).toBe('slave');
});

test('the sentinels have a password of their own', async () => {
  await expect(connected(fleet.sentinels[0], { password: null })).rejects.toThrow(/^NOAUTH/);
  await expect(connected(fleet.sentinels[0], { password: 'data' })).rejects.toThrow(/^WRONGPASS/);
});

test('a failover that was asked for: told to subscribers, and the old primary follows the new one', async () => {
  const old = await fleet.settled();
  // Sentinels promote a replica whether or not it has the last writes.
  const writer = await connected(old);
  await writer.ask('SET', 'k', 'v');
  expect(await writer.ask('WAIT', '1', '60000')).toBe(1);
  const listener = await connected(fleet.sentinels[2]);
  await listener.ask('SUBSCRIBE', '+switch-master');
  const primary = await fleet.failover();
  expect(primary).not.toBe(old);
  await until(() => listener.pushes.length > 0, 'the news');
  const news = `main 127.0.0.1 ${old.port} 127.0.0.1 ${primary.port}`;
  expect(listener.pushes).toEqual([['message', '+switch-master', news]]);
  await fleet.settled();
  expect([await roleOf(old), await roleOf(primary)]).toEqual(['slave', 'master']);
  expect(await ask(primary, 'GET', 'k')).toBe('v');
});

test.each(['SIGKILL', 'SIGSTOP'])(
  'a primary that meets %s is replaced, and comes back as a replica',
  async (signal) => {
    const old = await fleet.settled();
    await old.kill(signal);
    const primary = await fleet.primaryAfter(old);
    expect(await roleOf(primary)).toBe('master');
    if (signal === 'SIGKILL') await old.restart();
    else await old.kill('SIGCONT');
    expect(await fleet.settled()).toBe(primary);
    expect(await roleOf(old)).toBe('slave');
  },
);

test('a sentinel that is away is done without, and catches up when it is back', async () => {
  const [killed, stopped] = fleet.sentinels;
  await killed.kill('SIGKILL');
  const primary = await fleet.failover();
  await killed.restart();
  expect(await fleet.settled()).toBe(primary);
  await stopped.kill('SIGSTOP');
  expect(await fleet.primary()).toBe(primary);
  await stopped.kill('SIGCONT');
  expect(await fleet.settled()).toBe(primary);
});

test('the least: one sentinel, one primary, no password; nothing is left of it', async () => {
  const least = await startSentinels({ sentinels: 1, replicas: 0 });
  const [server] = least.servers;
  const pids = [server, ...least.sentinels].map(({ pid }) => pid);
  const address = await ask(least.sentinels[0], 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster');
  expect(address).toEqual(['127.0.0.1', `${server.port}`]);
  expect(await least.primary()).toBe(server);
  await server.kill('SIGSTOP');
  await least.stop();
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});
