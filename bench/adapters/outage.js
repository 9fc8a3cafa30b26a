// Owns the part of the page `adapters` in which Redis goes away: it is stopped under the calls of each store and the
// requests of each application, and goes on a while later.
'use strict';

const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');
const { get } = require('../http/load');
const { panel } = require('../lab/chart');
const { fixed, grouped, integer, median, table } = require('../lab/figures');
const { ask, end } = require('../lab/lab');
const { inTurn } = require('../lab/page');
const { rendersOf } = require('./sites');
const { startStrain } = require('./strain');
const { startSubject, subjects } = require('./subjects');

const CALLERS = 16;
/** Seconds for which Redis stands still, beyond the deadline of a call of ours, which is 250 ms. */
const AWAY_S = 2;
const QUICK_AWAY_S = 0.5;
/** Milliseconds before it is stopped, and after it goes on. */
const AROUND_MS = 500;

/** One outage a round for each subject that has a Redis. */
async function measureOutages(lab, names, { rounds, quick }) {
  const asked = names.filter((name) => !subjects[name].alone);
  const outages = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const name of inTurn(asked, round)) {
      const seen = await stopUnder(lab, subjects[name], quick ? QUICK_AWAY_S : AWAY_S);
      outages.push({ round, family: subjects[name].family, client: name, ...seen });
    }
    console.log(`outages, round ${round} of ${rounds}`);
  }
  return outages.sort((a, b) => names.indexOf(a.client) - names.indexOf(b.client));
}

async function stopUnder(lab, subject, awaySeconds) {
  const child = await startSubject(lab, subject, {});
  const load = await (subject.isStore ? loadOfCalls : loadOfRequests)(child, subject);
  await sleep(AROUND_MS);
  process.kill(lab.serverPid, 'SIGSTOP');
  try {
    await load.mark(true);
    await sleep(awaySeconds * 1000);
    await load.mark(false);
  } finally {
    process.kill(lab.serverPid, 'SIGCONT');
  }
  await sleep(AROUND_MS);
  const seen = await load.end();
  await end(child);
  return { ...seen, awaySeconds };
}

/** The callers are in the process of the store. */
async function loadOfCalls(child) {
  await ask(child, { kind: 'load', callers: CALLERS });
  return { mark: (away) => ask(child, { kind: 'mark', away }), end: () => ask(child, { kind: 'end' }) };
}

/** The callers are here, over HTTP. */
async function loadOfRequests(child, { isSite, paths = [''] }) {
  const url = await ask(child, 'url');
  const agent = new http.Agent({ keepAlive: true, maxSockets: CALLERS });
  const before = isSite && (await rendersOf());
  const call = async (n) => {
    const status = await get(url + paths[n % paths.length], agent);
    if (status !== 200 && status !== 401) throw new Error(`answered with ${status}`);
    return status === 200;
  };
  const strain = startStrain(call, CALLERS);
  const finish = async () => {
    const seen = await strain.end();
    agent.destroy();
    return isSite ? { ...seen, missed: (await rendersOf()) - before } : seen;
  };
  return { mark: strain.mark, end: finish };
}

function rowsOf(outages) {
  return [...grouped(outages, ({ client }) => client).values()].map((rounds) => {
    const over = (field) => rounds.map((each) => each[field]);
    return {
      family: rounds[0].family,
      client: rounds[0].client,
      longest: median(over('longest')),
      worst: Math.max(...over('longest')),
      served: median(over('served')),
      failed: Math.max(...over('failed')),
      missed: Math.max(...over('missed')),
    };
  });
}

const OUTAGE = `${CALLERS} callers, of the stores with \`get\` and \`set\` in turns, when Redis is stopped (SIGSTOP) for AWAY s: its connections stay open and say nothing. *Longest wait*: of all
calls, the median of the rounds; one of AWAY s is a call that waited until Redis went on. *Served meanwhile*: calls that began and ended in between. *Errors* and *misses*: the most of a round. An error is a call that rejected, or
of which Keyv told by its event, or an answer of 500; a miss a read that found nothing, a request whose session was not found, or a rendering of what Next.js had stored. A call that had no answer 10 s later counts as an error.`;

function outageText(outages) {
  if (outages.length === 0) return '';
  const figures = table(rowsOf(outages), {
    framework: (row) => row.family,
    adapter: (row) => row.client,
    'longest wait ms': (row) => integer(row.longest),
    'worst round': (row) => integer(row.worst),
    'served meanwhile': (row) => integer(row.served),
    errors: (row) => integer(row.failed),
    misses: (row) => integer(row.missed),
  });
  return `## Redis is away\n\n${OUTAGE.replaceAll('AWAY', outages[0].awaySeconds)}\n\n${figures}`;
}

function outagePanel(outages) {
  return panel('Redis is away: longest wait (less is better)', rowsOf(outages), {
    group: (row) => row.family,
    bar: (row) => ({ name: row.client, value: row.longest, text: `${fixed(row.longest / 1000)} s` }),
    shared: true,
  });
}

module.exports = { measureOutages, outageText, outagePanel };
