// Owns the page `http`, what the cache reads of a route cost an HTTP server: three in Express and Fastify, with
// holdfast, with the clients and without any cache; and six, see six.js.
'use strict';

const { PACKAGES } = require('../clients/adapters');
const { panel } = require('../lab/chart');
const { best, costColumns, fixed, integer, isOwn, summarize, table, times } = require('../lab/figures');
const { end, measureWindow } = require('../lab/lab');
const { inTurn, runPage } = require('../lab/page');
const { shoot, pace } = require('./load');
const six = require('./six');

/** A window begins with the opening of its connections. */
const defaults = { rounds: 3, seconds: 1, quickSeconds: 0.5 };

const SERVER = require.resolve('./server');
const PRODUCTION = { NODE_ENV: 'production' };
const FRAMEWORKS = ['express', 'fastify'];
const NONE = 'no cache';
const CLIENTS = ['holdfast, near cache', 'holdfast', 'ioredis', 'ioredis autopipelining', 'node-redis', NONE];
/** Requests a second of the fixed rate, which the slowest can answer. */
const RATE = 1000;
const FIXED = 'fixed rate';
const LOADS = {
  '50 connections': { drive: shoot, connections: 50 },
  '500 connections': { drive: shoot, connections: 500 },
  [FIXED]: { drive: pace, connections: 50, rate: RATE },
};

function run(options) {
  const packages = [...PACKAGES, 'express', 'fastify', 'autocannon'];
  const known = [...new Set([...CLIENTS, ...six.CLIENTS])];
  return runPage(options, { kind: 'client', known, packages }, measureAll, report);
}

async function measureAll(lab, names, options) {
  return {
    windows: await measureThree(lab, names, options),
    six: await six.measureSix(lab, names, options),
  };
}

/** Windows of the route of three reads; ends the processes that it starts. */
async function measureThree(lab, wanted, { rounds, seconds }) {
  const names = CLIENTS.filter((name) => wanted.includes(name));
  const servers = [];
  for (const framework of FRAMEWORKS) {
    for (const client of names) {
      const child = await lab.start(SERVER, [framework, 'three', client, lab.url], PRODUCTION);
      servers.push({ framework, client, child });
    }
  }
  const windows = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const [load, { drive, ...how }] of Object.entries(LOADS)) {
      for (const { framework, client, child } of inTurn(servers, round)) {
        const work = (length) => drive(child, { ...how, duration: length });
        const result = await measureWindow(lab, seconds, work);
        windows.push({ round, framework, load, client, ...result });
      }
    }
    console.log(`three reads, round ${round} of ${rounds}`);
  }
  await end(...servers.map(({ child }) => child));
  const place = ({ framework, load, client }) =>
    (FRAMEWORKS.indexOf(framework) * 10 + Object.keys(LOADS).indexOf(load)) * 10 + names.indexOf(client);
  return windows.sort((a, b) => place(a) - place(b));
}

function report(measured, options) {
  const { windows } = measured;
  const sixRows = six.sixOf(measured);
  const rows = summarize(windows, ['framework', 'load', 'client'], ['busy']);
  const full = rows.filter((row) => row.load !== FIXED);
  const paced = rows.filter((row) => row.load === FIXED);
  const three = [
    `## Three reads: as many requests as it answers\n\n${costs(full)}`,
    `## Three reads: ${integer(RATE)} requests a second\n\n${PACED}\n\n${utilization(paced)}`,
    `### Ratios\n\n${RATIOS}\n\n${compare(rows)}`,
  ];
  const figures = [...(rows.length > 0 ? three : []), ...(sixRows.length > 0 ? [six.sixText(sixRows)] : [])];
  return {
    name: 'http',
    title: 'Cache reads in a route',
    about: INTRODUCTION,
    fields: { WARM: options.seconds / 2 },
    figures: figures.join('\n\n'),
    panels: bars(full, paced),
    drawings: { [six.DRAWING]: six.sixBars(sixRows) },
    raw: measured,
    windows: [...windows, ...measured.six],
  };
}

const INTRODUCTION = `\`npm run bench -- http\` wrote this page; the raw numbers are in [http.json](http.json). A route that awaits three \`get\` one after another, or six, of 1,000 keys
with 200 bytes of JSON, and answers with a small object. One server process for each framework and client, all on one Redis, with \`NODE_ENV=production\`; autocannon (of the fixed rate: a loop of \`node:http\`) runs on
the same machine and takes its share of it, as Redis does. Medians of ROUNDS rounds, in which the servers take turns; a window of SECONDS s follows a warm-up of WARM s.
Costs are those of the server's process, per request. *no cache* awaits three values that are there: what the framework costs.`;

const PACED = `Evenly, over 50 connections at most. *Utilization*: the part of the time that the event loop was not waiting. *Above no cache*: what is left of it for the reads.`;

const RATIOS = `Holdfast beside the best of the peers, chosen anew for each figure. Requests a second: more is better. Utilization: less is better.`;

function costs(rows) {
  return table(rows, {
    framework: (row) => row.framework,
    connections: (row) => LOADS[row.load].connections,
    client: (row) => row.client,
    ...costColumns('requests/s', { digits: 2 }),
  });
}

function utilization(rows) {
  return table(rows, {
    framework: (row) => row.framework,
    client: (row) => row.client,
    'requests/s': (row) => integer(row.rate),
    utilization: (row) => `${fixed(row.busy * 100, 1)} %`,
    'above no cache': (row) => {
      const above = aboveNone(rows, row);
      return above === null ? '–' : `${fixed(above * 100, 1)} %`;
    },
    'CPU µs a request': (row) => fixed(row.cpu),
    'p50 ms': (row) => fixed(row.p50),
    'p99 ms': (row) => fixed(row.p99),
  });
}

function aboveNone(rows, row) {
  const none = rows.find((other) => other.client === NONE && other.framework === row.framework);
  return none && none !== row ? row.busy - none.busy : null;
}

function compare(rows) {
  const own = rows.filter((row) => isOwn(row.client));
  const peersOf = (row) =>
    rows
      .filter((peer) => peer.framework === row.framework && peer.load === row.load)
      .filter((peer) => peer.client !== NONE && !isOwn(peer.client));
  const ratio = (row) => {
    const peers = peersOf(row);
    if (peers.length === 0) return '–';
    if (row.load === FIXED) return times(row.busy / best(peers, 'busy', 'least').busy);
    return times(row.rate / best(peers, 'rate', 'most').rate);
  };
  return table(own, {
    framework: (row) => row.framework,
    client: (row) => row.client,
    load: (row) => row.load,
    figure: (row) => (row.load === FIXED ? 'utilization' : 'requests/s'),
    ratio,
  });
}

function bars(full, paced) {
  const rate = (row) => ({ name: row.client, value: row.rate, text: integer(row.rate) });
  const busy = (row) => ({ name: row.client, value: row.busy, text: `${fixed(row.busy * 100, 1)} %` });
  return FRAMEWORKS.flatMap((framework) => {
    const of = (rows) => rows.filter((row) => row.framework === framework);
    return [
      panel(`${framework}: requests per second (more is better)`, of(full), { group: (row) => row.load, bar: rate }),
      panel(`${framework}: event loop busy at ${integer(RATE)} requests/s`, of(paced), {
        group: () => '50 connections',
        bar: busy,
      }),
    ];
  });
}

module.exports = { run, defaults };
