// The benchmarks run and report; what they measure is for docs/benchmarks, never for a test.
'use strict';

const { execFile } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');
const { processorsOf, whyNotPinned } = require('../bench/lab/processors');
const { judge } = require('../bench/targets');
const { makeFolder } = require('./support/folder');
const { cleanEnv } = require('./support/run-script');

const RUN = path.join(__dirname, '../bench/run.js');

test('clients: compares holdfast with a peer, by way of Redis and in process', async () => {
  const { stdout, data } = await quickRun('clients', '--only', 'holdfast;holdfast, loop;ioredis;holdfast, near cache');
  // Three clients, get and set, at 1 and 64 callers; and the reads of the fourth.
  expect(data.windows.filter(({ keeping }) => !keeping)).toHaveLength(12);
  expect(data.windows.filter(({ keeping }) => keeping)).toHaveLength(2);
  expect(stdout).toContain('## Ratios');
});

test('processors: pins the client, then the server beside it, or says that it cannot', async () => {
  if (whyNotPinned()) return refusesToPin(cleanEnv({}));
  const { stdout, data } = await quickRun('processors', '--only', 'holdfast;ioredis');
  expect(data.windows.map(({ pinned, callers, client }) => `${pinned} ${callers} ${client}`)).toEqual([
    'client 1 holdfast',
    'client 1 ioredis',
    'both 4 holdfast',
    'both 4 ioredis',
  ]);
  const all = processorsOf(process.pid);
  for (const { pinned, clientOn, serverOn } of data.windows) {
    expect(clientOn).toMatch(/^\d+$/);
    expect(serverOn).toBe(pinned === 'both' ? clientOn : all);
  }
  expect(stdout).toContain('## Ratios');
});

test('processors: says what is missing where nothing can pin a process', async () => {
  const folder = makeFolder('no-taskset');
  for (const program of ['redis-server', 'redis-cli']) {
    const found = process.env.PATH.split(path.delimiter).map((each) => path.join(each, program));
    fs.symlinkSync(found.find(fs.existsSync), path.join(folder.dir, program));
  }
  try {
    await refusesToPin({ ...cleanEnv({}), PATH: folder.dir });
  } finally {
    folder.remove();
  }
});

async function refusesToPin(env) {
  await expect(promisify(execFile)(process.execPath, [RUN, 'processors'], { env })).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^bench: cannot measure «processors»: it needs `taskset`/),
  });
}

test('matrix: has values of other sizes, mixed calls and getMany', async () => {
  const { data } = await quickRun('matrix', '--only', 'holdfast;node-redis');
  const measured = new Set(data.windows.map(({ op, bytes }) => `${op} ${bytes}`));
  for (const op of ['get', 'set', 'mixed', 'getMany']) {
    expect(measured).toContain(`${op} 20`);
    expect(measured).toContain(`${op} 2000`);
  }
});

test('cluster: compares holdfast with a peer over three primaries, and over one, three and six', async () => {
  const { stdout, data } = await quickRun('cluster', '--only', 'holdfast;ioredis;holdfast, near cache');
  // Two clients, get and set, at 1 and 64 callers; and the reads of the third.
  expect(data.windows.filter(({ keeping }) => !keeping)).toHaveLength(8);
  expect(data.windows.filter(({ keeping }) => keeping)).toHaveLength(2);
  expect(data.sizes.map(({ primaries, client }) => `${primaries} ${client}`)).toEqual(
    [1, 3, 6].flatMap((primaries) => [`${primaries} holdfast`, `${primaries} ioredis`]),
  );
  expect(stdout).toContain('## Ratios');
  expect(stdout).toContain('## The number of primaries');
});

test('tiered: reads hot keys, none of them from Redis, and a crowd of holdfast computes once', async () => {
  const names = ['holdfast', 'holdfast near hit', 'cacheable', 'lru-cache'];
  const { stdout, data } = await quickRun('tiered', '--only', names.join(';'));
  expect(data.hits.map((window) => window.cache)).toEqual(names);
  expect(data.windows).toHaveLength(6);
  const crowds = data.crowds.filter(({ cache }) => cache === 'holdfast');
  expect(crowds.map(({ processes, runs }) => [processes, runs])).toEqual([
    [1, 1],
    [2, 1],
  ]);
  expect(stdout).toContain('## A stampede');
});

test('adapters: each beside the usual one: calls and requests, a crowd at one cold key, an outage', async () => {
  const subjects = [
    ...['@keyv/redis', "Keyv's memory", 'holdfast/keyv', "unstorage's redis", 'holdfast/unstorage'],
    ...['@nestjs/cache-manager', 'holdfast/nest'],
    ...['rate-limit-redis', 'holdfast/rate-limit', 'connect-redis', 'holdfast/session'],
  ];
  const { stdout, data } = await quickRun('adapters', '--only', subjects.join(';'));
  expect([...new Set(data.windows.map(({ client }) => client))]).toEqual(subjects);
  expect(data.windows.every(({ failed }) => failed === 0)).toBe(true);
  expect(data.crowds.map(({ client, runs }) => [client, runs])).toEqual([
    ['cache-manager over @keyv/redis', 2],
    ['cache-manager over holdfast/keyv', 2],
    ['@nestjs/cache-manager', 2],
    ['holdfast/nest', 1],
  ]);
  // What waits for Redis, and for how long, is for the page; ours never fail for it.
  expect(data.outages.map(({ client }) => client)).toEqual(subjects.filter((name) => name !== "Keyv's memory"));
  const own = data.outages.filter(({ client }) => client.startsWith('holdfast'));
  expect(own.map(({ failed }) => failed)).toEqual(own.map(() => 0));
  expect(stdout).toContain('## Redis is away');
});

test('http: loads a route of both frameworks, as much as it takes and at a fixed rate, and a plain one', async () => {
  const { stdout, data } = await quickRun('http', '--only', 'holdfast');
  expect(data.windows.map(({ framework, load }) => `${framework}, ${load}`)).toEqual([
    'express, 50 connections',
    'express, 500 connections',
    'express, fixed rate',
    'fastify, 50 connections',
    'fastify, 500 connections',
    'fastify, fixed rate',
  ]);
  expect(data.six.map(({ connections }) => connections)).toEqual([1, 8, 50, 500]);
  expect([...data.windows, ...data.six].every(({ failed }) => failed === 0)).toBe(true);
  expect(stdout).toContain('requests a second');
  expect(stdout).toContain('## Six reads');
});

test('memory: weighs the entries of both caches, and misses none of them', async () => {
  const { stdout, data } = await quickRun('memory');
  expect(data.windows.map(({ shape, cache }) => `${shape}, ${cache}`)).toEqual([
    'flat, holdfast',
    'flat, lru-cache',
    'rows, holdfast',
    'rows, lru-cache',
  ]);
  expect(data.windows.every(({ failed }) => failed === 0)).toBe(true);
  expect(stdout).toContain('## Ratios');
});

test('startup: requires holdfast with its addon, and idles', async () => {
  const { data } = await quickRun('startup', '--only', 'holdfast;Node.js alone');
  expect(data.loads.find(({ name }) => name === 'holdfast').nativeBytes).toBeGreaterThan(0);
  expect(data.loads.find(({ name }) => name === 'Node.js alone').nativeBytes).toBe(0);
  expect(data.idles).toHaveLength(2);
});

test('scaling: varies callers, sizes, keys and threads', async () => {
  const { stdout } = await quickRun('scaling', '--only', 'holdfast');
  for (const title of ['Callers', 'Bytes of a value', 'Keys', 'Worker threads'])
    expect(stdout).toContain(`## ${title}`);
});

test('coherence: tells how soon near caches see a write', async () => {
  const { data } = await quickRun('coherence');
  const readers = data.rounds.flatMap((round) => round.readers);
  expect(readers).toHaveLength(8);
  // How many of their reads were near depends on the machine; that each saw the last version is why it ended.
  for (const reader of readers) {
    expect(reader).toMatchObject({ backwards: 0, delay: expect.any(Number), near: expect.any(Number) });
    expect(reader.reads).toBeGreaterThan(0);
  }
});

test('outage: with either driver nobody waits for a server that stopped, and all come back to it', async () => {
  const { data } = await quickRun('outage');
  expect(data.outages.map(({ cache }) => cache)).toEqual(['holdfast', 'holdfast, loop', 'holdfast, thread']);
  for (const outage of data.outages) {
    expect(outage).toMatchObject({ failed: 0, first: expect.any(Number), p99: expect.any(Number) });
    expect(outage.calls).toBeGreaterThan(0);
  }
});

test('targets: a figure is judged beside the best peer of that figure', () => {
  const folder = makeFolder('targets');
  const window = (client, callers, calls, cpuMicros) => ({
    ...{ op: 'get', keeping: false, bytes: 200, client, callers, calls, cpuMicros, loopMicros: 1, mainMicros: null },
    ...{ seconds: 1, p50: 1, p99: 1 },
  });
  const windows = [
    ...[window('holdfast', 64, 3000, 3000), window('holdfast, loop', 64, 9000, 1)],
    // The first has the throughput, the second the CPU a call: 2 µs and 1 µs.
    ...[window('ioredis', 64, 1000, 2000), window('iovalkey', 64, 500, 500)],
    ...[window('holdfast', 512, 5000, 750), window('ioredis', 512, 1000, 1000), window('iovalkey', 512, 500, 1000)],
  ];
  try {
    for (const page of ['clients', 'cluster'])
      fs.writeFileSync(path.join(folder.dir, `${page}.json`), JSON.stringify({ windows }));
    const rows = judge([folder.dir]).split('\n');
    const row = (what) => rows.find((line) => line.startsWith(`| ${what}`)).split(' | ');
    expect(row('`get`: throughput, 64 / 512').slice(1, 4)).toEqual(['≥ 2.5 / 7 ×', '3 / 5 ×', 'missed at 512']);
    expect(row('`get`: CPU').slice(2, 4)).toEqual(['– / – / – / – / – / 0.15 ×', 'met where measured']);
    expect(row('over three primaries').slice(1, 4)).toEqual([
      '≥ 2 / 2 / 2 / 2 ×',
      '3 / 5 / – / – ×',
      'met where measured',
    ]);
    expect(row('`require`').slice(2, 4)).toEqual(['–', '']);
  } finally {
    folder.remove();
  }
});

/**
 * Runs a part of the benchmark with `args`; resolves to its output and its raw numbers. A quick run leaves the
 * documentation alone.
 */
async function quickRun(...args) {
  const { stdout } = await promisify(execFile)(process.execPath, [RUN, ...args, '--quick'], { env: cleanEnv({}) });
  const [, names, folder] = /^(.*) written to (\S+) \(a quick run proves nothing\)$/m.exec(stdout);
  try {
    const files = Object.fromEntries(
      names.split(', ').map((name) => [path.extname(name), fs.readFileSync(path.join(folder, name), 'utf8')]),
    );
    expect(files['.md']).toContain('`npm run bench -- ');
    if (files['.svg']) expect(files['.svg']).toMatch(/^<svg .*<\/svg>\n$/s);
    return { stdout, data: JSON.parse(files['.json']) };
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}
