// Owns what the demo does to the two instances, in order, and the figures that it takes from each step.
'use strict';

const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');
const { percentile, startLoad } = require('./load');

const COMMUNITY = '/api/community/analytics/performance';
const TRADER = '/api/trader/analytics/performance';
const REPORTS = ['day', 'week', 'month'].flatMap((period) => [
  `${COMMUNITY}?tenant=7&period=${period}`,
  `${TRADER}?tenant=7&trader=7042&period=${period}`,
]);
/** The reports that everybody looks at. */
const HOT = REPORTS.filter((path) => path.endsWith('month'));
const LOAD_MS = 5000;
const BEFORE_MS = 3000;
const OUTAGE_MS = 5000;
const AFTER_MS = 4000;

/** A report of another tenant, which nobody has asked for before. */
const BURST = { path: `${COMMUNITY}?tenant=8&period=month`, callers: 100 };

/** Each report once from one instance, one after the other: cold from the first, then what the second makes of it. */
async function readReports(instance) {
  const before = await instance.ask('figures');
  const reports = [];
  for (const path of REPORTS) reports.push({ path, ms: await request(instance.url + path) });
  const after = await instance.ask('figures');
  const sorted = reports.map(({ ms }) => ms).sort((a, b) => a - b);
  return {
    requests: reports.length,
    fastest: sorted[0],
    median: percentile(sorted, 0.5),
    slowest: sorted.at(-1),
    hits: after.hits - before.hits,
    queries: after.queries - before.queries,
    reports,
  };
}

/** Many callers at a time for one report that nobody has computed, through the proxy. */
async function burst(instances, proxy) {
  const before = await figures(instances);
  const times = await Promise.all(Array.from({ length: BURST.callers }, () => request(proxy.url + BURST.path)));
  const after = await figures(instances);
  return {
    callers: BURST.callers,
    slowest: Math.max(...times),
    queries: perInstance(instances, (_, i) => after[i].queries - before[i].queries),
  };
}

/** The hot reports under load. */
async function cachedLoad(instances, proxy) {
  const before = await figures(instances);
  const load = startLoad(proxy.url, HOT);
  load.mark('cached');
  await sleep(LOAD_MS);
  const { cached } = await load.stop();
  const after = await figures(instances);
  const hits = growth(before, after, 'hits');
  const misses = growth(before, after, 'misses');
  return {
    ...cached,
    seconds: LOAD_MS / 1000,
    hitRate: hits / (hits + misses),
    queries: growth(before, after, 'queries'),
  };
}

/** The hot reports under load while Redis stops answering and comes back. */
async function outage(instances, proxy, redis) {
  const queries = [await figures(instances)];
  const load = startLoad(proxy.url, HOT);
  load.mark('before');
  await sleep(BEFORE_MS);
  queries.push(await figures(instances));

  const fallbacks = instances.map((instance) => firstEvent(instance, 'fallback', OUTAGE_MS));
  const stoppedAt = Date.now();
  load.mark('stopped', { outage: true });
  await redis.kill('SIGSTOP');
  await sleep(OUTAGE_MS);
  const healthWhileStopped = await healthStatus(instances);
  const noticed = await Promise.all(fallbacks);
  queries.push(await figures(instances));

  const recoveries = instances.map((instance) => firstEvent(instance, 'recovered', 30_000));
  const resumedAt = Date.now();
  await redis.kill('SIGCONT');
  load.mark('after');
  const returned = await Promise.all(recoveries);
  await load.answered();
  await sleep(AFTER_MS);
  const parts = await load.stop();
  queries.push(await figures(instances));

  ['before', 'stopped', 'after'].forEach((name, i) => {
    parts[name].queries = growth(queries[i], queries[i + 1], 'queries');
  });
  const delays = (start, times) => perInstance(instances, (_, i) => times[i] && times[i] - start);
  return {
    ...parts,
    seconds: OUTAGE_MS / 1000,
    noticedMs: delays(stoppedAt, noticed),
    returnedMs: delays(resumedAt, returned),
    healthWhileStopped,
    healthAfter: await healthStatus(instances),
  };
}

/** The time of the next such event, or null where there is none within `ms`. */
async function firstEvent(instance, event, ms) {
  try {
    const [at] = await once(instance, event, { signal: AbortSignal.timeout(ms) });
    return at;
  } catch (error) {
    if (error.name === 'AbortError') return null;
    throw error;
  }
}

/** The status that /health/redis of each instance answers. */
async function healthStatus(instances) {
  const replies = await Promise.all(instances.map(({ url }) => fetch(`${url}/health/redis`)));
  await Promise.all(replies.map((reply) => reply.text()));
  return perInstance(instances, (_, i) => replies[i].status);
}

async function request(url) {
  const start = performance.now();
  const reply = await fetch(url);
  const body = await reply.text();
  if (reply.status !== 200) throw new Error(`${url} answered ${reply.status}: ${body}`);
  return performance.now() - start;
}

function figures(instances) {
  return Promise.all(instances.map((instance) => instance.ask('figures')));
}

function growth(before, after, name) {
  return after.reduce((sum, figures, i) => sum + figures[name] - before[i][name], 0);
}

function perInstance(instances, value) {
  return Object.fromEntries(instances.map((instance, i) => [instance.name, value(instance, i)]));
}

module.exports = { COMMUNITY, readReports, burst, cachedLoad, outage, request, figures, growth, perInstance };
