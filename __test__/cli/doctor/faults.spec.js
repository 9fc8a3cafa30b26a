// The faults 19 to 30 of docs/faults.md, as the doctor sees them: each is named, with its mend.
'use strict';

const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { connect } = require('../../support/fleet/client');
const { startProxy } = require('../../support/network/fault-proxy');
const { startRedis } = require('../../support/redis-server');
const { until } = require('../../support/until');
const { examine, expectFinding } = require('../../support/command-line');

/** A server with which nothing is wrong. */
const WELL = ['maxmemory 64mb', 'maxmemory-policy allkeys-lru'];

const opened = [];
afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each.stop();
});

async function start(options = {}) {
  const server = await startRedis({ ...options, config: [...WELL, ...(options.config ?? [])] });
  opened.push(server);
  return server;
}

async function proxied(server) {
  const proxy = await startProxy(server);
  opened.push(proxy);
  return proxy;
}

const ids = ({ findings }, level) => findings.filter((each) => each.level === level).map(({ id }) => id);

test('a server with which nothing is wrong: nothing but ok, and nothing there has changed', async () => {
  const server = await start({ password: 'pass-word/7@' });
  await server.cli('set', 'app:k', '1', 'ex', '60');
  const changes = async () => /rdb_changes_since_last_save:(\d+)/.exec(await server.cli('info', 'persistence'))[1];
  const before = await changes();
  const report = await examine(null, { env: { REDIS_URL: server.url(), HOLDFAST_NAMESPACE: 'app' } });
  expect(report.findings.filter(({ level }) => level !== 'ok')).toEqual([]);
  expect(report.exitCode).toBe(0);
  expect(report.steps.map(({ outcome }) => outcome)).toEqual(report.steps.map(() => 'done'));
  expect(await changes()).toBe(before);
  expect(await server.cli('keys', '*')).toBe('app:k');
});

test('the write test sees its push, and leaves nothing', async () => {
  const server = await start();
  const report = await examine(server.url(), { args: ['--write-test', '-n', 'app'] });
  expectFinding(report, 'pushes.arrive', 'ok', /^$/);
  expect(report.exitCode).toBe(0);
  await until(async () => (await server.cli('dbsize')) === '0', 'the key has ended');
});

test('a proxy that swallows pushes is found by the write test, and by it alone', async () => {
  const server = await start();
  const proxy = await proxied(server);
  proxy.inject({ rewrite: (bytes) => (bytes.includes('invalidate') ? Buffer.alloc(0) : bytes) });
  expect((await examine(proxy.url())).exitCode).toBe(0);
  const report = await examine(proxy.url(), { args: ['--write-test'] });
  expectFinding(report, 'pushes.lost', 'problem', /^HOLDFAST_NEAR_CACHE=0/);
});

test('fault 19: writes that are paused', async () => {
  const server = await start();
  await server.cli('client', 'pause', '60000', 'write');
  const report = await examine(server.url());
  expectFinding(report, 'writes.paused', 'problem', /CLIENT UNPAUSE/);
  expect(report.ids).toContain('latency.short');
});

test('fault 20: a script that does not end, and a server that is stopped', async () => {
  const server = await start({ config: ['busy-reply-threshold 50'] });
  server.cli('eval', 'while true do end', '0').catch(() => {});
  await until(async () => /BUSY/.test(await server.cli('ping').catch(String)), 'it is busy');
  expectFinding(await examine(server.url()), 'server.busy', 'problem', /SCRIPT KILL/);
  await server.cli('script', 'kill');
  await server.kill('SIGSTOP');
  const report = await examine(server.url());
  const { measured } = expectFinding(report, 'access.late', 'problem', /--latency/);
  const { budgetMs } = report.steps.find(({ name }) => name === 'access');
  expect(measured).toContain(`within ${budgetMs} ms`);
  expect(report.steps.filter(({ outcome }) => outcome === 'skipped').length).toBeGreaterThan(3);
});

test('fault 21: a server that loads its data', async () => {
  const config = ['loading-process-events-interval-bytes 1024', 'key-load-delay 10000', 'rdbcompression no'];
  const server = await start({ config });
  await server.cli('eval', 'for i = 1, 2000 do redis.call("SET", "k" .. i, string.rep("x", 1000)) end', '0');
  await server.cli('save');
  await server.restart();
  expect(await server.cli('ping').catch(String)).toMatch(/LOADING/);
  expectFinding(await examine(server.url()), 'server.loading', 'problem', /loading_eta/);
});

test('fault 22: a replica, with the primary to take', async () => {
  const primary = await start();
  const replica = await start({ config: [`replicaof 127.0.0.1 ${primary.port}`] });
  const report = await examine(replica.url());
  expectFinding(report, 'server.replica', 'problem', new RegExp(`@127.0.0.1:${primary.port} `));
  const orphan = await start({ config: ['replica-serve-stale-data no'] });
  await orphan.cli('replicaof', '127.0.0.1', '1');
  expectFinding(await examine(orphan.url()), 'server.masterdown', 'problem', /INFO replication/);
});

test('fault 23: snapshots that fail, and too few replicas', async () => {
  const server = await start({ config: ['save 3600 1000000'] });
  fs.mkdirSync(path.join(server.dir, 'dump.rdb')); // no snapshot can be put there
  await server.cli('bgsave');
  await until(async () => /rdb_last_bgsave_status:err/.test(await server.cli('info', 'persistence')));
  const report = await examine(server.url());
  expectFinding(report, 'writes.misconf', 'problem', /stop-writes-on-bgsave-error no/);
  expectFinding(report, 'persistence.fails', 'warning', /CONFIG GET dir/);
  const lonely = await start({ config: ['min-replicas-to-write 1'] });
  expectFinding(await examine(lonely.url()), 'writes.noreplicas', 'problem', /min-replicas-to-write 0/);
});

test('fault 24: noeviction, before and after the server is full; and no bound', async () => {
  const server = await start({ config: ['maxmemory-policy noeviction'] });
  expectFinding(await examine(server.url()), 'memory.noeviction', 'warning', /CONFIG SET maxmemory-policy allkeys-lru/);
  await server.cli('config', 'set', 'maxmemory', '900kb');
  const report = await examine(server.url());
  expectFinding(report, 'memory.full', 'problem', /allkeys-lru/);
  expectFinding(report, 'writes.oom', 'problem', /maxmemory/);
  await server.cli('config', 'set', 'maxmemory', '0');
  expectFinding(await examine(server.url()), 'memory.unbounded', 'warning', /CONFIG SET maxmemory \d+mb/);
  await server.cli('config', 'set', 'maxmemory', '64mb', 'maxmemory-policy', 'volatile-lru');
  expectFinding(await examine(server.url()), 'memory.volatile', 'note', /allkeys-lru/);
});

test('fault 25: passwords: a wrong one, none, a user that is off, one too many', async () => {
  const acl = ['user off off >secret-of-off ~* &* +@all'];
  const server = await start({ password: 'secret-of-server', acl });
  const wrong = await examine(server.url({ password: 'guessed-secret' }), { secrets: ['secret-of-server'] });
  expectFinding(wrong, 'access.wrong-password', 'problem', /ACL LIST/);
  const none = await examine(server.url({ password: null }));
  expectFinding(none, 'access.no-password', 'problem', /^REDIS_URL=redis:\/\/USER:PASSWORD@/);
  const off = await examine(server.url({ user: 'off', password: 'secret-of-off' }));
  expectFinding(off, 'access.wrong-password', 'problem', /and on\?/);
  expectFinding(off, 'url.on-command-line', 'note', /read -rs/);
  const older = await start({ config: ['rename-command HELLO ""'] });
  const surplus = await examine(older.url({ password: 'surplus-secret' }));
  expectFinding(surplus, 'access.surplus-password', 'problem', /^REDIS_URL=redis:\/\/HOST/);
  const closed = await start({ password: 'secret-of-server', config: ['rename-command HELLO ""'] });
  expectFinding(await examine(closed.url({ password: null })), 'access.no-password', 'problem');
  expectFinding(await examine(closed.url({ password: 'nonsense' })), 'access.wrong-password', 'problem');
});

test('fault 26: commands that the ACL denies, each with the line that grants it', async () => {
  const acl = ['user app on >pass-of-app ~* &* +@all -evalsha -scan -unlink -client'];
  const server = await start({ acl });
  const report = await examine(server.url({ user: 'app', password: 'pass-of-app' }));
  const { data, mend, why } = expectFinding(report, 'acl.denied', 'warning', /^ACL SETUSER app( \+[a-z|]+)+$/);
  for (const name of ['UNLINK', 'SCAN', 'EVALSHA', 'CLIENT ID', 'CLIENT KILL', 'CLIENT SETNAME', 'CLIENT TRACKING']) {
    expect(data.commands).toContain(name);
  }
  expect(why).toMatch(/SCAN: delPattern and clear remove nothing/);
  expectFinding(report, 'pushes.tracking', 'warning', /^ACL SETUSER app \+client\|tracking$/);
  expectFinding(report, 'keys.unseen', 'note', /\+scan/);
  // The line is the mend.
  await server.cli(...mend[0].split(' '));
  const mended = await examine(server.url({ user: 'app', password: 'pass-of-app' }));
  expect(ids(mended, 'warning')).toEqual([]);
  expect(mended.ids).toContain('commands.allowed');
  // What only an administrator's call needs is worth a note.
  await server.cli('acl', 'setuser', 'app', '-flushdb', '+acl');
  expectFinding(
    await examine(server.url({ user: 'app', password: 'pass-of-app' })),
    'acl.denied',
    'note',
    /\+flushdb$/,
  );
});

test('fault 26: commands that are renamed away', async () => {
  const server = await start({ config: ['rename-command GETDEL ""', 'rename-command SCAN "hidden"'] });
  const { data } = expectFinding(
    await examine(server.url()),
    'commands.unknown',
    'warning',
    /rename-command \(SCAN\|GETDEL\) /,
  );
  expect(data.commands.sort()).toEqual(['GETDEL', 'SCAN']);
  // The mend, on the server's own file.
  const file = path.join(server.dir, 'redis.conf');
  const without = fs.readFileSync(file, 'utf8').replace(/^rename-command (GETDEL|SCAN) .*\n/gm, '');
  fs.writeFileSync(file, without);
  await server.restart();
  expect((await examine(server.url())).ids).toContain('commands.allowed');
});

test('fault 27: a foreign hash at a key of the namespace', async () => {
  const server = await start();
  await server.cli('hset', 'app:h', 'f', 'v');
  const report = await examine(server.url(), { args: ['--namespace', 'app'] });
  expectFinding(report, 'keys.foreign-type', 'warning', /--pattern 'app:\*'/);
  // Without a namespace the others' keys are theirs.
  expectFinding(await examine(server.url()), 'keys.foreign-type', 'note');
});

test('fault 28: a server without HELLO', async () => {
  const server = await start({ password: 'secret-of-server', config: ['rename-command HELLO ""'] });
  const report = await examine(server.url());
  expectFinding(report, 'pushes.resp2', 'warning', /rename-command HELLO/);
  expect(expectFinding(report, 'commands.unknown', 'warning').data.commands).toEqual(['HELLO']);
});

test('fault 30: a database that is not there, a user of other keys, one who may only read, one who may not SELECT', async () => {
  const acl = [
    'user other on >pass-of-other ~other:* &* +@all',
    'user reader on >pass-of-reader %R~app:* &* +@all',
    'user bound on >pass-of-bound ~* &* +@all -select',
  ];
  const server = await start({ acl });
  const as = (user, parts = {}) => server.url({ user, password: `pass-of-${user}`, ...parts });
  expectFinding(await examine(server.url({ db: '99' })), 'database.missing', 'problem', /databases 100/);
  expectFinding(await examine(as('bound', { db: '3' })), 'database.denied', 'problem', /ACL SETUSER bound \+select/);
  const args = ['-n', 'app'];
  const other = await examine(as('other'), { args });
  expectFinding(other, 'acl.keys', 'problem', /^ACL SETUSER other ~app:\*$/);
  expect((await examine(as('other'), { args: ['-n', 'other'] })).exitCode).toBe(0);
  const reader = await examine(as('reader'), { args });
  expect(expectFinding(reader, 'acl.keys', 'problem').measured).toMatch(/only read/);
  expectFinding(await examine(as('other')), 'acl.keys-of-its-own', 'warning', /^HOLDFAST_NAMESPACE=NAME/);
  expect((await examine(server.url({ db: '3' }))).exitCode).toBe(0);
});

describe('what is not a fault of Redis', () => {
  const listening = (onConnection) =>
    new Promise((resolve) => {
      const server = net.createServer(onConnection).listen(0, '127.0.0.1', () => {
        opened.push({ stop: () => new Promise((done) => server.close(done)) });
        resolve(`redis://:secret@127.0.0.1:${server.address().port}`);
      });
    });

  test('nobody listens', async () => {
    const report = await examine('redis://127.0.0.1:1');
    expectFinding(report, 'tcp.refused', 'problem', /^ss -ltn/);
    expect(report.exitCode).toBe(2);
    expectFinding(await examine('unix:/no/such/socket'), 'tcp.refused', 'problem', /unixsocket/);
  });

  test('another program has the port, and is told no password', async () => {
    const heard = [];
    const url = await listening((socket) => {
      socket.on('error', () => {});
      socket.on('data', (bytes) => heard.push(bytes.toString('latin1')));
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    });
    expectFinding(await examine(url), 'access.no-redis', 'problem', /which program/);
    expect(heard.join()).not.toContain('secret');
  });

  test('a port that hangs up, as a balancer without a server does', async () => {
    const url = await listening((socket) => socket.destroy());
    expectFinding(await examine(url), 'access.hung-up', 'problem', /PING/);
  });

  test('a port that accepts and says nothing', async () => {
    const url = await listening((socket) => socket.on('error', () => {}).resume());
    expectFinding(await examine(url), 'access.late', 'problem');
    const tls = await examine(url.replace('redis:', 'rediss:'));
    expectFinding(tls, 'tls.late', 'problem', /openssl s_client/);
  });

  test('no URL, and URLs that do not parse', async () => {
    expectFinding(await examine(null), 'url.none', 'warning', /^REDIS_URL=/);
    expectFinding(await examine('https://:secret@h.example'), 'url.scheme', 'problem', /rediss:/);
    const secrets = ['pa/ss', 'pa#ss'];
    expectFinding(
      await examine('redis://u:pa/ss@h', { secrets }),
      'url.password-encoding',
      'problem',
      /encodeURIComponent/,
    );
    expectFinding(await examine('redis://u:pa#ss@h', { secrets }), 'url.password-encoding', 'problem');
    expectFinding(await examine('redis://h#insecure'), 'url.hash', 'problem', /HOLDFAST_TLS_INSECURE/);
    expectFinding(await examine('redis://h:x'), 'url.invalid', 'problem');
  });

  test('an environment that does not configure', async () => {
    const report = await examine('redis://127.0.0.1:1', { env: { HOLDFAST_TIMEOUT_MS: 'soon' } });
    expectFinding(report, 'config.invalid', 'problem', /HOLDFAST/);
    expectFinding(await examine('redis://127.0.0.1:1', { args: ['-n', 'a:b'] }), 'config.invalid', 'problem');
  });

  test('a server that lets nobody in', async () => {
    const server = await start({ config: ['maxclients 1'] });
    const only = await connect(server);
    expectFinding(await examine(server.url()), 'access.maxclients', 'problem', /maxclients/);
    only.close();
    await until(async () => (await server.cli('config', 'set', 'maxclients', '10').catch(String)) === 'OK');
    const many = await Promise.all(Array.from({ length: 8 }, () => connect(server)));
    expectFinding(await examine(server.url()), 'clients.many', 'warning', /maxclients/);
    for (const client of many) client.close();
  });
});
