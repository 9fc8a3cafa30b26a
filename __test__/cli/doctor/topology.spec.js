// Clusters and sentinels, as the doctor sees them: what the URL takes for something else, and what to write in place.
'use strict';

const { startCluster } = require('../../support/fleet/cluster');
const { startSentinels } = require('../../support/fleet/sentinels');
const { startRedis } = require('../../support/redis-server');
const { examine, expectFinding } = require('../../support/command-line');

const config = ['maxmemory 64mb', 'maxmemory-policy allkeys-lru'];

describe('a cluster', () => {
  let cluster;
  beforeAll(async () => {
    cluster = await startCluster({ replicas: 0, password: 'secret-of-cluster', config });
  });
  afterAll(() => cluster.stop());

  test('behind redis:// with one host: the line names all primaries', async () => {
    const [first] = cluster.nodes;
    const report = await examine(first.url());
    const { mend } = expectFinding(report, 'cluster.one-seed', 'warning', /^REDIS_URL=redis:\/\/USER:PASSWORD@/);
    for (const { port } of cluster.nodes) expect(mend[0]).toContain(`127.0.0.1:${port}`);
    expect(report.ids).toContain('commands.allowed');
  });

  test('named as one: all is well', async () => {
    const hosts = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`).join(',');
    const report = await examine(`redis://:secret-of-cluster@${hosts}`);
    expect(report.ids).toContain('cluster.seeds');
    expect(report.findings.filter(({ level }) => level !== 'ok').map(({ id }) => id)).toEqual(['url.on-command-line']);
  });

  test('with a database number', async () => {
    const report = await examine(cluster.nodes[0].url({ db: '3' }));
    expectFinding(report, 'database.cluster', 'problem', /\/0$/);
  });

  test('that is down', async () => {
    const [first, second] = cluster.nodes;
    await second.kill('SIGKILL');
    await cluster.waitFor('fail', [first]);
    expectFinding(await examine(first.url()), 'cluster.down', 'problem', /--cluster check 127.0.0.1:/);
    await second.restart();
    await cluster.settled();
  });
});

test('a single server that is named as a cluster', async () => {
  const server = await startRedis({ config });
  try {
    const report = await examine(`redis+cluster://127.0.0.1:${server.port}`);
    expectFinding(report, 'cluster.none', 'problem', new RegExp(`127.0.0.1:${server.port}`));
  } finally {
    await server.stop();
  }
});

describe('sentinels', () => {
  let fleet;
  beforeAll(async () => {
    fleet = await startSentinels({ password: 'secret-of-servers', sentinelPassword: 'secret-of-sentinels', config });
  });
  afterAll(() => fleet.stop());

  const url = (name, ports) =>
    `redis+sentinel://:secret-of-servers@${ports.map((port) => `127.0.0.1:${port}`).join(',')}/${name}` +
    '?sentinel_password=secret-of-sentinels';
  const ports = () => fleet.sentinels.map(({ port }) => port);

  test('behind redis://: the line that names them, and the primary', async () => {
    const [sentinel] = fleet.sentinels;
    const report = await examine(sentinel.url());
    const line = new RegExp(`^REDIS_URL=redis\\+sentinel://USER:PASSWORD@127.0.0.1:${sentinel.port}/mymaster `);
    expectFinding(report, 'server.sentinel', 'problem', line);
  });

  test('lead to the primary, which is examined', async () => {
    const primary = await fleet.primary();
    const report = await examine(url('mymaster', ports()), { secrets: ['secret-of-sentinels'] });
    expect(expectFinding(report, 'sentinels.name', 'ok', /^$/).measured).toContain(`127.0.0.1:${primary.port}`);
    expect(report.ids).toEqual(expect.arrayContaining(['access.granted', 'commands.allowed']));
  });

  test('one that is away, all of them, and a name that they do not know', async () => {
    expectFinding(await examine(url('mymaster', [...ports(), 1])), 'sentinels.away', 'warning', /PING/);
    expectFinding(await examine(url('mymaster', [1])), 'sentinels.away', 'problem');
    expectFinding(await examine(url('another', ports())), 'sentinels.unknown-name', 'problem', /SENTINEL MASTERS/);
  });

  test('a replica of theirs names the primary', async () => {
    const primary = await fleet.primary();
    const replica = fleet.servers.find((server) => server !== primary);
    expectFinding(await examine(replica.url()), 'server.replica', 'problem', new RegExp(`:${primary.port} `));
  });
});
