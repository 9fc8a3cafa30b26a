// Owns what the demo does to a fleet: load on the reports of every month, a primary killed under it, and what callers,
// instances and `health()` made of it.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { startLoad } = require('./load');
const { COMMUNITY, figures, growth, perInstance, request } = require('./measurements');

/** A report a month: enough keys that every primary of a cluster has some. */
const MONTHS = Array.from({ length: 36 }, (_, i) => {
  const first = (month) => new Date(Date.UTC(2023, month)).toISOString().slice(0, 10);
  return `${COMMUNITY}?tenant=7&period=day&from=${first(i)}&to=${first(i + 1)}`;
});
const BEFORE_MS = 3000;
const AFTER_MS = 4000;
/** Against a hang: a failover takes seconds. */
const FAILOVER_MS = 60_000;
/** Between two looks at the health of the instances. */
const LOOK_MS = 20;

/** The reports of every month under load while `fleet.killPrimary()` happens and another server takes its place. */
async function failover(instances, proxy, fleet) {
  for (const instance of instances) for (const path of MONTHS) await request(instance.url + path);
  const counts = [await figures(instances)];
  const watch = watchHealth(instances);
  const load = startLoad(proxy.url, MONTHS);
  load.mark('before');
  await sleep(BEFORE_MS);
  counts.push(await figures(instances));

  load.mark('during', { outage: true });
  const killedAt = Date.now();
  const killed = await fleet.killPrimary();
  const [promoted] = await Promise.all([killed.promoted, watch.untilReturned(killedAt)]);
  counts.push(await figures(instances));

  load.mark('after');
  await load.answered();
  await sleep(AFTER_MS);
  const parts = await load.stop();
  counts.push(await figures(instances));
  const seen = await watch.stop();

  ['before', 'during', 'after'].forEach((name, i) => {
    const grown = (field) => growth(counts[i], counts[i + 1], field);
    parts[name].answers = { near: grown('near'), redis: grown('redis'), memory: grown('memory') };
    parts[name].queries = grown('queries');
  });
  return {
    reports: MONTHS.length,
    ...parts,
    killed: killed.port,
    promoted: { port: promoted.port, ms: promoted.at - killedAt },
    instances: perInstance(instances, (_, i) => describe(seen[i], killedAt)),
  };
}

/** Looks at the health of all instances again and again, and keeps what has changed, with the time. */
function watchHealth(instances) {
  const seen = instances.map(() => []);
  let over = false;

  async function look() {
    const healths = await Promise.all(instances.map((instance) => instance.ask('health')));
    healths.forEach((health, i) => {
      if (essence(health) !== essence(seen[i].at(-1)?.health)) seen[i].push({ at: Date.now(), health });
    });
  }

  const looking = (async () => {
    while (!over) {
      await look();
      await sleep(LOOK_MS);
    }
  })();

  /** Until every instance has been degraded since, and is so no more; or until it is clear that it will not be. */
  async function untilReturned(since) {
    const giveUp = Date.now() + FAILOVER_MS;
    while (Date.now() < giveUp && !seen.every((own) => returnedAt(own, since))) await sleep(LOOK_MS);
  }

  async function stop() {
    over = true;
    await looking;
    return seen;
  }

  return { untilReturned, stop };
}

/** What of a health makes it another; without the times and the texts. */
function essence(health) {
  if (!health) return '';
  const { status, mode, nodes = [] } = health;
  return JSON.stringify([status, mode, nodes.map(({ address, mode: own, slots }) => [address, own, slots])]);
}

/** When an instance noticed, and when it had returned for good; null of what has not happened. */
function noticedAt(seen, since) {
  return seen.find(({ at, health }) => at >= since && health.status === 'degraded')?.at ?? null;
}

function returnedAt(seen, since) {
  const last = seen.at(-1);
  return noticedAt(seen, since) && last.health.status === 'ok' ? last.at : null;
}

/** What one instance said: its modes in the order of time, and its servers before, during and after. */
function describe(seen, killedAt) {
  const [noticed, returned] = [noticedAt(seen, killedAt), returnedAt(seen, killedAt)];
  const last = (until) => seen.findLast(({ at }) => at < until)?.health;
  // A single server is in no list.
  const nodes = (health) => health?.nodes ?? [];
  return {
    noticedMs: noticed && noticed - killedAt,
    returnedMs: returned && returned - killedAt,
    modes: seen.map(({ at, health }) => ({
      ms: at - killedAt,
      mode: health.mode,
      status: health.status,
      servers: nodes(health).length,
      away: nodes(health).filter(({ mode }) => mode !== 'redis').length,
    })),
    nodes: {
      before: nodes(last(killedAt)),
      during: nodes(seen.find(({ at }) => at === noticed)?.health),
      after: nodes(seen.at(-1).health),
    },
  };
}

module.exports = { failover };
