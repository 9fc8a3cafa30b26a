// Faults 9, 15, 16, 21 and 25: servers that do not let anybody in, throw everybody out, or are not ready. One dial at a
// time, and no storm.
'use strict';

const { readdirSync } = require('node:fs');
const net = require('node:net');
const { closeCaches, makeCache, openCache, watch } = require('../../support/holdfast');
const { startProxy } = require('../../support/network/fault-proxy');
const { startRedis } = require('../../support/redis-server');
const { startScript } = require('../../support/run-script');
const { dialled } = require('../../support/network/sockets');
const { until, untilMode, sleep } = require('../../support/until');

const SILENT = { HOLDFAST_LOG: 'silent' };

const open = [];
afterEach(async () => {
  await closeCaches();
  for (const each of open.splice(0)) await each.stop();
});

async function opened(starting) {
  const each = await starting;
  open.push(each);
  return each;
}

// Calls that each waited for the deadline would need more than the time that Jest gives a test.
const CALLS_WITHOUT_WAITING = 600;

async function expectNoWaiting(cache) {
  for (let n = 0; n < CALLS_WITHOUT_WAITING; n++) {
    await cache.set('k', n);
    expect(await cache.get('k')).toBe(n);
  }
}

/** How many connections are made in a second, over one or, on a slow machine, more of them. */
async function dialsASecond(proxy) {
  const [before, began] = [proxy.connections, performance.now()];
  await sleep(1_000);
  return (proxy.connections - before) / ((performance.now() - began) / 1_000);
}

function startOpened(...script) {
  const child = startScript(...script);
  open.push({
    stop: () => {
      child.kill('SIGKILL');
      return child.result;
    },
  });
  return child;
}

/**
 * The highest number of a process's open files. A file gets the lowest number that is free, so this one tells how many
 * were open at once, however long it takes to look.
 */
function highestFile(pid) {
  return Math.max(...readdirSync(`/proc/${pid}/fd`).map(Number));
}

/** Looks at something every `ms` until the test ends; `most()` is the largest that it was. */
function watchMost(look, ms) {
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, look());
  }, ms);
  open.push({ stop: () => clearInterval(timer) });
  return () => most;
}

const dialsUnderWay = (port) => dialled(port, { states: ['SYN_SENT'], ours: true });

const SLEEPER = `
  const server = require('node:net').createServer((socket) => socket.resume());
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log('port ' + server.address().port + ';'));
`;

test('fault 9: a backlog that is full drops our SYNs: one dial at a time, and nobody waits for it', async () => {
  const sleeper = startOpened(SLEEPER, { boundMs: 110_000 });
  await sleeper.says(';');
  const port = Number(/port (\d+)/.exec(sleeper.stdout)[1]);
  sleeper.kill('SIGSTOP');
  // Until one of them is not let in, the backlog is not full.
  const fillers = [];
  open.push({ stop: () => fillers.forEach((socket) => void socket.destroy()) });
  while (dialsUnderWay(port) === 0) {
    fillers.push(net.connect(port, '127.0.0.1').on('error', () => {}));
    await sleep(20);
  }
  const others = dialsUnderWay(port);

  const cache = makeCache({ url: `redis://127.0.0.1:${port}`, timeoutMs: 250 });
  const { count } = watch(cache);
  await cache.set('first', 1);
  await untilMode(cache, 'memory');
  const most = watchMost(() => dialsUnderWay(port) - others, 2);
  await expectNoWaiting(cache);
  // A dial gives up by itself, and there is another one after it.
  await until(() => /accept|in time/.test(cache.health().lastError.message) && cache.health().breaker === 'open');
  await until(() => cache.health().breaker === 'half-open');
  await expectNoWaiting(cache);
  expect(most()).toBe(1);
  expect(count('fallback')).toBe(1);

  sleeper.kill('SIGKILL');
  await sleeper.result;
  fillers.forEach((socket) => void socket.destroy());
  await opened(startRedis({ port }));
  await untilMode(cache, 'redis');
});

const CROWD = `
  const { createCache } = require('holdfast');
  const [, , url, count] = process.argv;
  // A database each, so that each has a connection of its own.
  const caches = Array.from({ length: Number(count) }, (_, db) =>
    createCache({ url: url + db, namespace: 'crowd', maxMemory: '1mb', nearCache: { maxMemory: '1mb' }, timeoutMs: 30000 }));
  const errors = [];
  for (const cache of caches) cache.on('error', (error) => errors.push(error.message));
  process.on('uncaughtException', (error) => errors.push(String(error)));
  let said = '';
  setInterval(async () => {
    const state = 'redis ' + caches.filter((cache) => cache.getMode() === 'redis').length + ';';
    if (state !== said) console.log(said = state);
    const values = await Promise.all(caches.map((cache, i) => cache.getOrCompute('k', () => i)));
    if (values.some((value, i) => value !== i)) console.log('WRONG');
    if (errors.length > 0) console.log('ERRORS ' + errors.splice(0));
  }, 200);
`;

test('fault 15: 500 clients come back to a server that lets 100 in: one dial each, no storm, and all get in when there is room', async () => {
  const CLIENTS = 500;
  const server = await opened(startRedis({ config: [`databases ${CLIENTS}`] }));
  const proxy = await opened(startProxy(server));
  const crowd = startOpened(CROWD, { args: [proxy.url(), String(CLIENTS)], env: SILENT, boundMs: 230_000 });
  await crowd.says(`redis ${CLIENTS};`);
  // A connection from before: a new one would be refused.
  const admin = net.connect(server.socket);
  let stats = '';
  admin.on('data', (text) => {
    stats = `${stats}${text}`.slice(-10_000); // the last answer, and a part of the one before it
  });
  open.push({ stop: () => admin.destroy() });
  const refused = () => Number(/.*rejected_connections:(\d+)/s.exec(stats)?.[1] ?? 0);
  const before = highestFile(crowd.child.pid);
  const most = watchMost(() => highestFile(crowd.child.pid), 500);

  admin.write('CONFIG SET maxclients 100\r\nCLIENT KILL TYPE normal SKIPME yes\r\n');
  // Each of those who are not let in tries several times.
  await until(() => {
    admin.write('INFO stats\r\n');
    return refused() > 3 * (CLIENTS - 100);
  });
  // By now the pauses have grown: without them a dial takes a millisecond.
  const tries = (await dialsASecond(proxy)) / (CLIENTS - 100);
  crowd.stdout = '';
  admin.write('CONFIG SET maxclients 10000\r\n');
  await crowd.says(`redis ${CLIENTS};`);
  expect(tries).toBeLessThan(10);
  // A socket that is being closed has its number still; a storm would be hundreds.
  expect(most()).toBeLessThanOrEqual(before + 0.05 * CLIENTS);
  expect(crowd.stdout).not.toMatch(/WRONG|ERRORS/);
  expect(crowd.stderr).toBe('');
}, 240_000);

// Under load, then idle; says what it holds: listeners, handles, threads and file descriptors.
const HELD = `
  const fs = require('node:fs');
  const { createCache } = require('holdfast');
  const cache = createCache({ namespace: 'held', timeoutMs: 250 });
  const troubles = [];
  for (const event of ['uncaughtException', 'unhandledRejection', 'warning']) process.on(event, (error) => troubles.push(String(error)));
  let changes = 0;
  for (const event of ['fallback', 'recovered']) cache.on(event, () => changes++);
  let busy = true;
  const call = async (id) => {
    for (let n = 0; busy; n++) {
      await Promise.all([cache.set('k' + id, n), cache.get('k' + id), cache.getOrCompute('c' + n, () => n), cache.increment('n')]);
      await new Promise(setImmediate);
    }
  };
  const up = async () => { while (cache.getMode() !== 'redis') await new Promise((resolve) => setTimeout(resolve, 5)); };
  const holds = () => ({
    fds: fs.readdirSync('/proc/self/fd').length,
    threads: fs.readdirSync('/proc/self/task').length,
    handles: process.getActiveResourcesInfo().filter((name) => name !== 'Immediate' && name !== 'Timeout').sort().join(),
    listeners: ['exit', 'beforeExit', 'warning'].map((name) => process.listenerCount(name)).join(),
  });
  (async () => {
    await up();
    const callers = Array.from({ length: 10 }, (_, id) => call(id));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const told = new Promise((resolve) => process.stdin.once('data', resolve));
    console.log('up');
    const before = holds();
    await told;
    await up();
    // What is just being closed is not gone yet; what leaks stays.
    const settled = Date.now() + 20_000;
    let after = holds();
    while ((after.threads > before.threads || after.fds > before.fds || after.handles !== before.handles) && Date.now() < settled) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      after = holds();
    }
    busy = false;
    await Promise.all(callers);
    const { reconnects } = (await cache.getStats()).redis;
    // Events come behind what they tell of.
    while (changes < 2 * reconnects) await new Promise((resolve) => setTimeout(resolve, 5));
    console.log(JSON.stringify({ before, after, troubles, reconnects }));
    process.stdin.once('data', async () => {
      // The server may end the connection at any moment, between the two calls, too.
      let value = null;
      while (value !== 'idle') {
        await up();
        await cache.set('k', 'idle');
        value = await cache.get('k');
      }
      console.log(JSON.stringify({ troubles, value }));
      process.exit();
    });
  })();
`;

test('fault 16: connections killed again and again, and a server that ends idle ones: nothing leaks, no error is unhandled', async () => {
  const server = await opened(startRedis());
  const script = startOpened(HELD, { env: { REDIS_URL: server.url(), ...SILENT }, input: true, boundMs: 110_000 });
  await script.says('up');
  const seen = new Set();
  const RECONNECTS = 4;
  await until(async () => {
    const [, id] = /^id=(\d+) .*name=holdfast/m.exec(await server.cli('client', 'list')) ?? [];
    if (id) seen.add(id);
    await server.cli('client', 'kill', 'type', 'normal');
    await sleep(90);
    return seen.size > RECONNECTS;
  }, 'it is back again and again');
  script.child.stdin.write('enough');
  await script.says('"reconnects"');
  const { before, after, troubles, reconnects } = JSON.parse(script.stdout.trimEnd().split('\n').at(-1));
  expect(troubles).toEqual([]);
  expect(after).toEqual({ ...before, threads: expect.any(Number), fds: expect.any(Number) });
  expect(after.threads).toBeLessThanOrEqual(before.threads);
  expect(after.fds).toBeLessThanOrEqual(before.fds);
  expect(reconnects).toBeGreaterThanOrEqual(RECONNECTS);

  await server.cli('config', 'set', 'timeout', '1');
  await sleep(2_500);
  script.child.stdin.write('enough');
  const { stdout } = await script.result;
  expect(JSON.parse(stdout.trimEnd().split('\n').at(-1))).toEqual({ troubles: [], value: 'idle' });
});

test('fault 16: a connection that is lost as soon as it is there, again and again: the pauses between two of them grow', async () => {
  const server = await opened(startRedis());
  const proxy = await opened(startProxy(server));
  const cache = makeCache({ url: proxy.url(), timeoutMs: 250 });
  cache.on('ready', () => proxy.reset());
  cache.on('recovered', () => proxy.reset());
  await until(() => proxy.connections > 2);
  // Without pauses it is hundreds; seven of up to 0.1 to 3 seconds fill the time, and few of them are that short.
  const rates = [await dialsASecond(proxy), await dialsASecond(proxy), await dialsASecond(proxy)];
  expect(rates[0] + rates[1] + rates[2]).toBeLessThan(40);
  // What meets one of the connections loses its reply with it, so its value may be gone: at most one a connection.
  const before = proxy.connections;
  let lost = 0;
  for (let n = 0; n < CALLS_WITHOUT_WAITING; n++) {
    await cache.set('k', n);
    const value = await cache.get('k');
    if (value !== n) lost++;
    expect([n, null]).toContain(value);
  }
  expect(lost).toBeLessThanOrEqual(proxy.connections - before + 1);
});

test('fault 25: a refused password is tried again slowly, however much is called', async () => {
  const server = await opened(startRedis({ password: 'right' }));
  const proxy = await opened(startProxy(server));
  const cache = makeCache({ url: proxy.url().replace('//', '//:wrong@'), timeoutMs: 250 });
  await untilMode(cache, 'memory');
  expect(cache.health().lastError.kind).toBe('auth');
  await expectNoWaiting(cache);
  // Up to three seconds between two tries, at random: more than this within one is a chance of one in a million.
  expect(await dialsASecond(proxy)).toBeLessThanOrEqual(8);
  await server.cli('config', 'set', 'requirepass', 'wrong');
  await untilMode(cache, 'redis');
});

test('fault 21: a server that loads its data: memory mode, few dials, and its values when it is ready', async () => {
  // Ten milliseconds a key, until told otherwise; and it answers after each kilobyte, which is each key.
  const config = ['loading-process-events-interval-bytes 1024', 'key-load-delay 10000', 'rdbcompression no'];
  const value = 'x'.repeat(1_000);
  const server = await opened(startRedis({ config }));
  const proxy = await opened(startProxy(server));
  const cache = await openCache({ url: proxy.url(), namespace: '' });
  await cache.setMany(Array.from({ length: 3_000 }, (_, i) => [`k${i}`, value]));
  await cache.set('deleted', 'before');
  await server.cli('save');
  await server.restart();
  await untilMode(cache, 'memory');
  await until(() => cache.health().lastError.kind === 'loading');
  await cache.del('deleted');
  const { connections } = proxy;
  await expectNoWaiting(cache);
  await expectNoWaiting(cache);
  const dials = proxy.connections - connections;
  expect(await server.cli('ping').catch((error) => error.message)).toMatch(/LOADING/);
  expect(cache.getMode()).toBe('memory');
  await server.cli('config', 'set', 'key-load-delay', '0');
  await untilMode(cache, 'redis');
  expect(dials).toBeLessThan(30); // of 2,400 calls
  expect(await cache.get('k2999')).toBe(value);
  expect(await cache.get('deleted')).toBeNull();
});
