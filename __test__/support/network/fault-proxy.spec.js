// The fault proxy does what the fault tests take it for; a plain socket speaks through it to a real server.
'use strict';

const net = require('node:net');
const { startProxy } = require('./fault-proxy');
const { serverForAll } = require('../redis-server');
const { until } = require('../until');

const server = serverForAll();
let proxy;
beforeEach(async () => {
  proxy = await startProxy(server);
});
afterEach(() => proxy.stop());

function connect() {
  const socket = net.connect({ port: proxy.port, host: '127.0.0.1', noDelay: true });
  const client = { got: '', chunks: 0, closed: false, error: null, ping: () => socket.write('PING\r\n') };
  client.say = (text) => socket.write(text);
  client.hangUp = () => socket.end();
  socket.on('data', (bytes) => {
    client.got += bytes;
    client.chunks++;
  });
  socket.on('error', (error) => {
    client.error = error.code;
  });
  socket.on('close', () => {
    client.closed = true;
  });
  return client;
}

async function connected() {
  const client = connect();
  client.ping();
  await until(() => client.got === '+PONG\r\n');
  client.got = '';
  return client;
}

test('a blackhole accepts and forwards nothing; healed, what it held arrives', async () => {
  const old = await connected();
  const sent = proxy.bytesToServer;
  proxy.blackhole();
  old.ping();
  const fresh = connect();
  fresh.ping();
  await until(() => proxy.connections === 2);
  expect([old.got, fresh.got, proxy.bytesToServer]).toEqual(['', '', sent]);
  proxy.heal();
  await until(() => old.got === '+PONG\r\n' && fresh.got === '+PONG\r\n');
});

test('dropped replies: the server has done it, the client never hears of it', async () => {
  const client = await connected();
  proxy.inject({ dropReplies: true });
  client.say('SET dropped 1\r\n');
  await until(async () => (await server.cli('get', 'dropped')) === '1');
  proxy.heal();
  client.ping();
  await until(() => client.got !== '');
  expect(client.got).toBe('+PONG\r\n');
});

test('a cut gives exactly so many bytes, then the connection is gone', async () => {
  const client = await connected();
  proxy.inject({ cutAfter: 3 });
  client.ping();
  await until(() => client.closed);
  expect(client.got).toBe('+PO');
  const next = await connected();
  expect(next.closed).toBe(false);
});

test('a trickle sends one byte at a time', async () => {
  const client = await connected();
  const { chunks } = client;
  proxy.inject({ trickle: true });
  client.ping();
  await until(() => client.got === '+PONG\r\n');
  expect(client.chunks - chunks).toBeGreaterThan(1);
});

test('a delay comes before every chunk, and the order stays', async () => {
  const client = await connected();
  proxy.inject({ delayMs: 20 });
  client.say('SET delayed 1\r\n');
  client.say('GET delayed\r\n');
  await until(() => client.got === '+OK\r\n$1\r\n1\r\n');
});

test('a reply can be rewritten', async () => {
  const client = await connected();
  proxy.inject({ rewrite: () => Buffer.from('+WRONG\r\n') });
  client.ping();
  await until(() => client.got === '+WRONG\r\n');
});

test('a reset reaches the client as one, and the next connection works', async () => {
  const client = await connected();
  proxy.reset();
  await until(() => client.error === 'ECONNRESET');
  await connected();
});

test('a refused port refuses, live connections stay, and it accepts again', async () => {
  const client = await connected();
  proxy.refuse();
  const refused = connect();
  await until(() => refused.error === 'ECONNREFUSED');
  client.ping();
  await until(() => client.got === '+PONG\r\n');
  await proxy.accept();
  await connected();
});

test('one direction can be held alone', async () => {
  const client = await connected();
  proxy.inject({ hold: 'replies' });
  client.say('SET held 1\r\n');
  await until(async () => (await server.cli('get', 'held')) === '1');
  expect(client.got).toBe('');
  proxy.inject({ hold: 'requests' });
  await until(() => client.got === '+OK\r\n');
  client.say('SET held 2\r\n');
  expect(await server.cli('get', 'held')).toBe('1');
  proxy.heal();
  await until(async () => (await server.cli('get', 'held')) === '2');
});

test('one reply alone can be rewritten, and one said that nobody asked for', async () => {
  const client = await connected();
  proxy.inject({ rewriteOnce: (bytes) => Buffer.concat([bytes, bytes]) });
  client.ping();
  await until(() => client.got === '+PONG\r\n+PONG\r\n');
  proxy.say('+HELLO\r\n');
  await until(() => client.got.endsWith('+HELLO\r\n'));
  client.ping();
  await until(() => client.got.endsWith('+HELLO\r\n+PONG\r\n'));
});

test('what a stranded connection sent is delivered long after its client hung up; new connections are free', async () => {
  const client = await connected();
  proxy.strand();
  client.say('SET stranded 1\r\n');
  client.hangUp();
  await until(() => client.closed);
  await connected();
  expect(await server.cli('get', 'stranded')).toBe('');
  await proxy.deliver();
  expect(await server.cli('get', 'stranded')).toBe('1');
});

test('a stranded connection whose server hung up delivers nothing, and its client does not hear of it', async () => {
  const client = await connected();
  proxy.strand();
  client.say('SET stranded 2\r\n');
  await server.cli('client', 'kill', 'type', 'normal');
  await connected();
  expect(client.closed).toBe(false);
  await proxy.deliver();
  await until(() => client.closed);
  expect(await server.cli('get', 'stranded')).toBe('1');
});

test('a fault that does not exist is refused', () => {
  expect(() => proxy.inject({ blackHole: true })).toThrow('blackHole');
});
