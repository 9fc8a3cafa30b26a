// What lies between this machine and the server, as the doctor sees it: names, clocks, and long ways.
'use strict';

const { makeMachine, makeResolver } = require('../../support/machine/machine');
const { startProxy } = require('../../support/network/fault-proxy');
const { serverForAll } = require('../../support/redis-server');
const { examine, expectFinding } = require('../../support/command-line');

const server = serverForAll({ config: ['maxmemory 64mb', 'maxmemory-policy allkeys-lru'] });

describe('names', () => {
  let resolver;
  beforeAll(() => {
    resolver = makeResolver();
  });
  afterAll(() => resolver.remove());

  const named = (answer) => {
    resolver.answer({ 'cache.test': answer });
    return examine(server.url({ host: 'cache.test' }), { env: resolver.env });
  };

  test('one that does not exist', async () => {
    resolver.answer({});
    const report = await examine(server.url({ host: 'cache.test' }), { env: resolver.env });
    expectFinding(report, 'dns.fails', 'problem', /^getent hosts HOST/);
  });

  test('one with two addresses, of which one accepts', async () => {
    const { data } = expectFinding(await named('127.0.0.1 ::1'), 'tcp.partly', 'warning', /getent ahosts/);
    expect(data).toMatchObject({ accepted: 1, tried: 2 });
  });

  test('one of a resolver that says nothing: the report does not wait for it, nor does the process', async () => {
    // Longer than the bound of the run: a process that waited would be killed, and have no report.
    const report = await named('slow=90 127.0.0.1');
    expectFinding(report, 'dns.late', 'problem', /resolv\.conf/);
  });

  test('one of a slow resolver', async () => {
    const env = { ...resolver.env, HOLDFAST_TIMEOUT_MS: '1' };
    resolver.answer({ 'cache.test': '127.0.0.1' });
    expectFinding(await examine(server.url({ host: 'cache.test' }), { env }), 'dns.slow', 'warning', /resolv\.conf/);
  });
});

test('a clock that is wrong, here', async () => {
  const machine = makeMachine();
  try {
    machine.moveClock(3_600);
    const report = await examine(server.url(), { env: machine.env });
    const { measured, data } = expectFinding(report, 'clock.apart', 'warning', /^timedatectl set-ntp true/);
    expect(measured).toMatch(/^the server's clock is 3\d{3}\.\d s behind this one$/);
    expect(Math.round(data.apartMs / 60_000)).toBe(-60);
    machine.moveClock(0);
    expect((await examine(server.url(), { env: machine.env })).ids).toContain('clock.agrees');
  } finally {
    machine.remove();
  }
});

test('a way that takes a large part of the deadline of a call, and one that takes more', async () => {
  const proxy = await startProxy(server);
  try {
    proxy.inject({ replyDelayMs: 20 });
    const long = await examine(proxy.url(), { env: { HOLDFAST_TIMEOUT_MS: '36' } });
    const beyond = await examine(proxy.url(), { env: { HOLDFAST_TIMEOUT_MS: '15' } });
    expectFinding(beyond, 'latency.beyond', 'problem', /^HOLDFAST_TIMEOUT_MS=\d+ /);
    // A busy machine makes it longer still.
    expect(['latency.long', 'latency.beyond']).toContain(long.ids.find((id) => id.startsWith('latency.')));
    const { data } = long.findings.find(({ step, id }) => step === 'latency' && id.startsWith('latency.'));
    expect(data.pings).toBeLessThan(200);
  } finally {
    await proxy.stop();
  }
});

test('idle connections that the server ends', async () => {
  await server.cli('config', 'set', 'timeout', '300');
  expectFinding(await examine(server.url()), 'clients.timeout-harmless', 'note', /timeout 0/);
  const env = { HOLDFAST_HEARTBEAT: '0' };
  expectFinding(await examine(server.url(), { env }), 'clients.timeout', 'warning', /CONFIG SET timeout 0/);
  await server.cli('config', 'set', 'timeout', '1');
  expectFinding(await examine(server.url()), 'clients.timeout', 'warning');
  await server.cli('config', 'set', 'timeout', '0');
});

test('a unix socket', async () => {
  const report = await examine(`unix:${server.socket}`);
  expect(report.exitCode).toBe(0);
  expect(report.steps.map(({ name }) => name)).not.toContain('dns');
});
