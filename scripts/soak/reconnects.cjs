// Owns the soak of a connection that is killed as soon as it is there, ten thousand times; the descriptors, threads and
// handles of the process are counted before and after.
'use strict';

const fs = require('node:fs');
const net = require('node:net');
const { createCache } = require('holdfast');
const { collectedRss, inMode, run, sleep } = require('./program.cjs');

const RECONNECTS = 10_000;
const WARM_UP = 500;

const troubles = [];
for (const event of ['uncaughtException', 'unhandledRejection', 'warning']) {
  process.on(event, (error) => troubles.push(String(error)));
}

function holds() {
  const resources = process.getActiveResourcesInfo().filter((name) => name !== 'Immediate' && name !== 'Timeout');
  return {
    fds: fs.readdirSync('/proc/self/fd').length,
    threads: fs.readdirSync('/proc/self/task').length,
    handles: resources.length,
    listeners: ['exit', 'beforeExit', 'warning'].map((name) => process.listenerCount(name)),
  };
}

async function main() {
  const cache = createCache({ namespace: 'reconnects', timeoutMs: 30_000 });
  const admin = net.connect(process.env.SOAK_SOCKET).resume();
  let recovered = 0;
  let told;
  cache.on('recovered', () => {
    recovered++;
    told();
  });
  let done = false;
  const caller = async (id) => {
    for (let n = 0; !done; n++) {
      await Promise.all([cache.set(`k${id}`, n), cache.get(`k${id}`), cache.getOrCompute(`c${n % 10}`, () => n)]);
      await sleep(50);
    }
  };
  const reconnect = async (count) => {
    for (const end = recovered + count; recovered < end; ) {
      const back = new Promise((resolve) => {
        told = resolve;
      });
      admin.write('CLIENT KILL TYPE normal SKIPME yes\r\n');
      await back;
    }
  };
  await inMode(cache, 'redis');
  const callers = Promise.all(Array.from({ length: 10 }, (_, id) => caller(id)));
  await reconnect(WARM_UP);
  const [rss, before] = [collectedRss(), holds()];
  await reconnect(RECONNECTS);
  const [grown, after] = [collectedRss() - rss, holds()];
  done = true;
  await callers;
  const { reconnects } = (await cache.getStats()).redis;
  return { reconnects, before, after, troubles, grownMb: grown / 1e6 };
}

run(main);
