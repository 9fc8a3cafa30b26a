// Owns the course of the demo: data set, Redis, two instances behind a proxy; then either measures them or leaves them
// running.
'use strict';

const { spawnSync } = require('node:child_process');
const { randomUUID } = require('node:crypto');
const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { startRedis } = require('../../__test__/support/redis-server');
const { ensureDataset } = require('./demo/dataset');
const { startInstances } = require('./demo/instances');
const measurements = require('./demo/measurements');
const { readOptions, USAGE, UsageError } = require('./demo/options');
const { startProxy } = require('./demo/proxy');
const { printResult, progressBar } = require('./demo/report');

const SERVER_CONFIG = ['maxmemory 64mb', 'maxmemory-policy allkeys-lru'];

/** What must be ended when the demo is over, the last one first. */
const cleanups = [];

async function main() {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options.help) return console.log(USAGE);
  const demo = await start(options);
  if (options.serve) await serve(demo);
  else await measure(demo, options);
}

async function start({ rows }) {
  console.log(`Holdfast demo: ${rows.toLocaleString('en')} trades, two instances of one application behind a proxy`);
  const file = await ensureDataset(rows, progressBar('  making up the trades, once'));
  const redis = await findRedis();
  console.log(`  ${redis.description}`);

  const instances = await startInstances(file, {
    ...process.env,
    REDIS_URL: redis.url,
    // Of its own, so that the first request is cold whatever the server holds.
    HOLDFAST_NAMESPACE: `demo-${randomUUID().slice(0, 8)}`,
    HOLDFAST_LOG: 'silent',
  });
  for (const instance of instances) {
    instance.on('error', fail);
    cleanups.push(() => instance.stop());
  }
  cleanups.push(() => instances[0].ask('clear'));
  const proxy = await startProxy(instances);
  cleanups.push(() => proxy.close());
  await untilConnected(instances);
  return { redis, instances, proxy, mode: await modes(instances) };
}

/** The server that REDIS_URL names, else one of our own, else none. */
async function findRedis() {
  if (process.env.REDIS_URL) {
    return {
      origin: 'REDIS_URL',
      url: process.env.REDIS_URL,
      server: null,
      description: 'Redis: the one of REDIS_URL',
    };
  }
  const { stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' });
  if (!stdout) {
    const description = 'Redis: none, since there is no redis-server here and REDIS_URL is not set. Memory mode.';
    return { origin: null, url: '', server: null, description };
  }
  const server = await startRedis({ config: SERVER_CONFIG });
  cleanups.push(() => server.stop());
  const version = /v=([\d.]+)/.exec(stdout)?.[1] ?? 'of unknown version';
  return {
    origin: 'own',
    url: server.url(),
    server,
    description: `Redis: ${version}, our own, on port ${server.port}`,
  };
}

async function untilConnected(instances) {
  while (Object.values(await modes(instances)).includes('initializing')) await sleep(20);
}

async function modes(instances) {
  const figures = await Promise.all(instances.map((instance) => instance.ask('figures')));
  return Object.fromEntries(instances.map(({ name }, i) => [name, figures[i].mode]));
}

async function measure({ redis, instances, proxy, mode }, { rows, json }) {
  const [a, b] = instances;
  const step = (text) => console.log(`  ${text} …`);
  const result = { rows, redis: redis.origin, mode: { start: mode } };

  step('cold reports from instance A, then the same from B');
  result.cold = await measurements.readReports(a);
  result.shared = await measurements.readReports(b);
  step('many callers at once for one new report');
  result.burst = await measurements.burst(instances, proxy);
  step('cached reports under load');
  result.cached = await measurements.cachedLoad(instances, proxy);
  result.outage = null;
  if (redis.server) {
    step('the same while Redis is stopped and comes back');
    result.outage = await measurements.outage(instances, proxy, redis.server);
  } else {
    step(`no outage: ${redis.origin ? 'the server of REDIS_URL is not ours to stop' : 'there is no Redis to stop'}`);
  }
  result.mode.end = await modes(instances);

  printResult(result);
  if (json) fs.writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`);
}

/** Runs until the process is told to end. */
async function serve({ instances, proxy, mode }) {
  const path = '/api/community/analytics/performance?tenant=7&period=month';
  console.log(`\n  both in turn   ${proxy.url}${path}`);
  for (const { name, url } of instances)
    console.log(`  instance ${name}     ${url}/health/redis   (${mode[name]} mode)`);
  console.log('\n  Ctrl-C ends it.');
  await new Promise(() => {});
}

let ending = false;

/** Ends all that was started, then the process. */
async function end(code) {
  if (ending) return;
  ending = true;
  for (const cleanup of cleanups.reverse()) {
    try {
      await cleanup();
    } catch (error) {
      console.error(`demo: ${error.message}`);
    }
  }
  process.exit(code);
}

function fail(error) {
  if (ending) return;
  if (error instanceof UsageError) console.error(`demo: ${error.message}\n\n${USAGE}`);
  else console.error(error);
  end(1);
}

process.once('SIGINT', () => end(130));
process.once('SIGTERM', () => end(143));
main().then(() => end(0), fail);
