// A process with one cache and a Redis that others write to and that stops for a while: what must hold whoever has the
// socket, the engine's thread or the event loop. Prints what it saw; ends by itself, without close().
'use strict';

const net = require('node:net');
const path = require('node:path');
const { createCache } = require('holdfast');

const { REDIS_URL: url, REDIS_PID: pid } = process.env;
const DEADLINE_MS = 20_000;

// No function of the package says who has the socket: the event loop's line does where it takes one.
const { Line } = require(path.join(path.dirname(require.resolve('holdfast')), 'bridge/line.js'));
const { adopt } = Line.prototype;
let io = 'thread';
Line.prototype.adopt = function () {
  adopt.call(this);
  if (this.socket !== null) io = 'loop';
};

const cache = createCache({ url, namespace: 'outage', timeoutMs: 500, logger: null });

async function until(holds) {
  const end = Date.now() + DEADLINE_MS;
  while (!(await holds()) && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
  return holds();
}

/** Another client writes a key. */
function foreignSet(key, json) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(`SET ${key} ${json}\r\n`));
    socket.once('error', reject).once('data', () => resolve(socket.destroy()));
  });
}

async function main() {
  const seen = { ready: await cache.ready() };

  const large = 'x'.repeat(3 << 20);
  await Promise.all([cache.set('k', 1), cache.set('large', large)]);
  const computed = await Promise.all(Array.from({ length: 50 }, () => cache.getOrCompute('c', async () => 'computed')));
  seen.computed = new Set(computed).size === 1 && computed[0];
  seen.large = (await cache.get('large')) === large;

  // Near hits, until another client writes: then its value.
  seen.near = await until(async () => (await cache.get('k')) === 1 && (await cache.getStats()).hits.near > 0);
  await foreignSet('outage:k', '2');
  seen.invalidated = await until(async () => (await cache.get('k')) === 2);

  process.kill(Number(pid), 'SIGSTOP');
  const begun = Date.now();
  const settled = await Promise.all(Array.from({ length: 200 }, (_, i) => cache.set(`away:${i}`, i).then(() => true)));
  seen.away = [settled.length, cache.getMode(), await cache.get('away:7'), Date.now() - begun < DEADLINE_MS];
  process.kill(Number(pid), 'SIGCONT');
  seen.back = await until(() => cache.getMode() === 'redis');
  seen.written = await until(async () => {
    await cache.set('after', 'the outage');
    return (await cache.get('after')) === 'the outage' && cache.getMode() === 'redis';
  });
  console.log(JSON.stringify({ io, ...seen }));
}

main().catch((error) => {
  process.kill(Number(pid), 'SIGCONT');
  console.error(error);
  process.exitCode = 1;
});
