// Owns the course of the demo: data set, Redis, two instances behind a proxy; then either measures them or leaves them
// running.
'use strict';

const { randomUUID } = require('node:crypto');
const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { ensureDataset } = require('./demo/dataset');
const { failover } = require('./demo/failover');
const { startInstances } = require('./demo/instances');
const measurements = require('./demo/measurements');
const { readOptions, USAGE, UsageError } = require('./demo/options');
const { startProxy } = require('./demo/proxy');
const { findRedis } = require('./demo/redis');
const { printResult, progressBar } = require('./demo/report');

/** What must be ended when the demo is over, the last one first. */
const cleanups = [];

async function main() {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options.help) return console.log(USAGE);
  const demo = await start(options);
  if (options.serve) await serve(demo);
  else await measure(demo, options);
}

async function start({ rows, fleet }) {
  console.log(`Holdfast demo: ${rows.toLocaleString('en')} trades, two instances of one application behind a proxy`);
  const file = await ensureDataset(rows, progressBar('  making up the trades, once'));
  const redis = await findRedis(fleet);
  cleanups.push(() => redis.stop());
  console.log(`  ${redis.description}`);

  const instances = await startInstances(file, {
    ...process.env,
    ...redis.env,
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
  result.failover = null;
  if (redis.fleet) {
    step('the reports of every month while a primary is killed and its replica takes over');
    result.failover = await failover(instances, proxy, redis.fleet);
  } else if (redis.server) {
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
async function serve({ redis, instances, proxy, mode }) {
  const path = '/api/community/analytics/performance?tenant=7&period=month';
  console.log(`\n  both in turn   ${proxy.url}${path}`);
  for (const { name, url } of instances)
    console.log(`  instance ${name}     ${url}/health/redis   (${mode[name]} mode)`);
  for (const { role, port, pid } of redis.fleet?.servers ?? [])
    console.log(`  ${role.padEnd(12)}   127.0.0.1:${port}, kill -9 ${pid} ends it`);
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
