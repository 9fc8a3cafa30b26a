// What is rare, as the doctor sees it: servers that say odd things of themselves, and a package without its binary.
'use strict';

const { execFile } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { productOf } = require('../../../cli/doctor/steps/server.js');
const { ROOT } = require('../../support/holdfast');
const { makeFolder } = require('../../support/folder');
const { makeMachine } = require('../../support/machine/machine');
const { startProxy } = require('../../support/network/fault-proxy');
const { makeCertificates } = require('../../support/network/tls');
const { startRedis, serverForAll } = require('../../support/redis-server');
const { cleanEnv } = require('../../support/run-script');
const { examine, expectFinding } = require('../../support/command-line');

const server = serverForAll({ config: ['maxmemory 64mb', 'maxmemory-policy allkeys-lru'] });

/** Examines it through a proxy that rewrites what it says; the lengths must stay. */
async function examineRewritten(from, to) {
  expect(from).toHaveLength(to.length);
  const proxy = await startProxy(server);
  try {
    const rewrite = (bytes) => Buffer.from(bytes.toString('latin1').replaceAll(from, to), 'latin1');
    proxy.inject({ rewrite });
    return await examine(proxy.url());
  } finally {
    await proxy.stop();
  }
}

test('a server from before RESP3', async () => {
  const version = /redis_version:(\d+\.)/.exec(await server.cli('info', 'server'))[1];
  const old = await examineRewritten(`redis_version:${version}`, `redis_version:${version.replace(/\d/, '5')}`);
  expectFinding(old, 'server.old', 'warning', /valkey/);
});

test('the product is known by what it says of itself', () => {
  const of = (info, hello = {}) => productOf(new Map(Object.entries(hello)), new Map(Object.entries(info)));
  expect(of({ redis_version: '7.0.15' })).toEqual({ product: 'Redis', version: '7.0.15' });
  expect(of({ redis_version: '7.2.4', valkey_version: '8.1.0' })).toEqual({ product: 'Valkey', version: '8.1.0' });
  expect(of({}, { server: 'valkey', version: '9.0.0' })).toEqual({ product: 'Valkey', version: '9.0.0' });
  expect(of({ redis_version: '7.4.0', dragonfly_version: 'df-v1.30.0' }).product).toBe('Dragonfly');
  expect(of({ garnet_version: '1.0.60' })).toEqual({ product: 'Garnet', version: '1.0.60' });
  expect(of({ redis_version: '6.3.4', executable: '/usr/bin/keydb-server' }).product).toBe('KeyDB');
  expect(of({}, { server: 'redis', version: '7.2.0' })).toEqual({ product: 'Redis', version: '7.2.0' });
  expect(of({})).toEqual({ product: 'Redis', version: 'of an unknown version' });
});

test('a server that has evicted', async () => {
  await server.cli('config', 'set', 'maxmemory', '2mb');
  await server.cli('eval', 'for i = 1, 4000 do redis.call("SET", "k" .. i, string.rep("1", 1000)) end', '0');
  const { data } = expectFinding(await examine(server.url()), 'memory.evictions', 'note', /maxmemory/);
  expect(data.evicted).toBeGreaterThan(0);
  await server.cli('config', 'set', 'maxmemory', '64mb');
  await server.cli('flushall');
});

test('a user who may not ask what the server is set to', async () => {
  await server.cli('acl', 'setuser', 'app', 'reset', 'on', '>pass-of-app', '~*', '+@all', '-info', '-config');
  const report = await examine(server.url({ user: 'app', password: 'pass-of-app' }));
  expectFinding(report, 'server.info-denied', 'note', /^ACL SETUSER app \+info$/);
  expect(expectFinding(report, 'acl.denied', 'note').data.commands).toEqual(['INFO']);
  expect(report.steps.map(({ name }) => name)).not.toContain('limits');
});

test('a server in protected mode', async () => {
  const words = '-DENIED Redis is running in protected mode because protected mode is enabled\r\n';
  const door = net.createServer((socket) =>
    socket
      .on('error', () => {})
      .resume()
      .end(words),
  );
  await new Promise((resolve) => door.listen(0, '127.0.0.1', resolve));
  try {
    const report = await examine(`redis://127.0.0.1:${door.address().port}`);
    expectFinding(report, 'access.protected-mode', 'problem', /requirepass/);
  } finally {
    await new Promise((resolve) => door.close(resolve));
  }
});

test('TLS of older versions alone, and a certificate that has not begun', async () => {
  const certificates = makeCertificates();
  const machine = makeMachine();
  const older = await startRedis({ tls: certificates.good, config: ['tls-protocols "TLSv1.1"'] });
  const good = await startRedis({ tls: certificates.good });
  try {
    const env = { HOLDFAST_TLS_CA: certificates.ca };
    expectFinding(await examine(older.url(), { env }), 'tls.version', 'problem', /tls-protocols/);
    machine.moveClock(-24 * 3600);
    const early = await examine(good.url(), { env: { ...env, ...machine.env } });
    expectFinding(early, 'tls.not-yet-valid', 'problem', /timedatectl/);
  } finally {
    await Promise.all([older.stop(), good.stop()]);
    machine.remove();
    certificates.remove();
  }
});

test('a package whose binary is not there: that is said, and the server is examined all the same', async () => {
  const { dir, remove } = makeFolder('without-binary');
  try {
    for (const part of ['cli', 'src/js', 'package.json']) {
      fs.cpSync(path.join(ROOT, part), path.join(dir, part), { recursive: true });
    }
    const args = [path.join(dir, 'cli', 'holdfast.js'), 'doctor', server.url(), '--json'];
    const { code, stdout } = await new Promise((resolve) => {
      execFile(process.execPath, args, { env: cleanEnv({}) }, (error, out) =>
        resolve({ code: error?.code, stdout: out }),
      );
    });
    const { findings } = JSON.parse(stdout);
    const ids = findings.map(({ id }) => id);
    expect(code).toBe(2);
    expect(ids).toEqual(expect.arrayContaining(['binary.missing', 'access.granted', 'commands.allowed']));
    expect(findings.find(({ id }) => id === 'binary.missing').mend.join()).toMatch(/^npm install --include=optional/);
  } finally {
    remove();
  }
});
