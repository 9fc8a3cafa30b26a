// Owns the page `adapters`, each adapter of Holdfast beside those that users of its framework mostly have, in
// interleaved rounds: what a call or a request costs, a crowd at one cold key, an outage.
'use strict';

const { panel } = require('../lab/chart');
const { rush, WORKS_MS } = require('../lab/crowd');
const { contests, costColumns, fixed, grouped, integer } = require('../lab/figures');
const { median, ratioColumns, summarize, table } = require('../lab/figures');
const { end, measureWindow } = require('../lab/lab');
const { inTurn, runPage } = require('../lab/page');
const { VALUE_BYTES } = require('../lab/workload');
const { measureOutages, outagePanel, outageText } = require('./outage');
const { extremes, measureRenders, renderText } = require('./renders');
const { FOLDER, removeSites } = require('./sites');
const { CALLERS, COMPUTING, CONNECTIONS, startSubject, subjects } = require('./subjects');

/** A window of requests begins with the opening of its connections. */
const defaults = { rounds: 3, seconds: 1, quickSeconds: 0.5 };

const PACKAGES = [
  ...['holdfast', 'keyv', '@keyv/redis', 'cache-manager', '@nestjs/core', '@nestjs/cache-manager', 'unstorage'],
  ...['ioredis', 'redis', 'express', 'express-rate-limit', 'rate-limit-redis', 'express-session', 'connect-redis'],
  ...['next', '@fortedigital/nextjs-cache-handler', '@trieb.work/nextjs-turbo-redis-cache'].map((name) => [
    name,
    FOLDER,
  ]),
];
/** Processes of a crowd, and callers of each. */
const CROWD = { processes: 2, each: 500 };
const QUICK_CROWD = { processes: 2, each: 50 };
const BY = ['family', 'op'];

function run(options) {
  const known = Object.keys(subjects);
  return runPage(options, { kind: 'adapter', known, packages: PACKAGES }, measureAll, report);
}

async function measureAll(lab, names, options) {
  try {
    return {
      windows: await measureCosts(lab, names, options),
      crowds: await measureCrowds(lab, names, options),
      renders: await measureRenders(lab, names, options),
      outages: await measureOutages(lab, names, options),
    };
  } finally {
    await removeSites();
  }
}

/** Windows of calls and requests; ends the processes that it starts. */
async function measureCosts(lab, names, { rounds, seconds }) {
  const measured = [];
  for (const name of names) {
    const child = await startSubject(lab, subjects[name]);
    for (const [op, work] of Object.entries(subjects[name].ops)) measured.push({ ...subjects[name], op, work, child });
  }
  const windows = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const { family, op, name, work, child } of inTurn(measured, round)) {
      // Every subject has written its own keys.
      const result = await measureWindow(
        lab,
        seconds,
        (length) => work(child, length),
        () => {},
      );
      windows.push({ round, family, op, client: name, ...result });
    }
    console.log(`calls and requests, round ${round} of ${rounds}`);
  }
  await end(...new Set(measured.map(({ child }) => child)));
  const place = ({ client, op }) => measured.findIndex((each) => each.name === client && each.op === op);
  const families = Object.values(subjects).map(({ family }) => family);
  const ordinal = ({ client, op }) => Object.keys(subjects[client].ops).indexOf(op);
  const order = (window) => families.indexOf(window.family) * 100 + ordinal(window) * 50 + place(window);
  return windows.sort((a, b) => order(a) - order(b));
}

async function measureCrowds(lab, names, { rounds, quick }) {
  const { processes, each } = quick ? QUICK_CROWD : CROWD;
  const children = {};
  for (const name of names.filter((known) => Object.hasOwn(COMPUTING, known))) {
    children[name] = await Promise.all(Array.from({ length: processes }, () => startSubject(lab, subjects[name])));
  }
  const crowds = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const name of inTurn(Object.keys(children), round)) {
      // The first one also finds out that nobody has compiled its code yet.
      for (const key of [`warm:${round}`, `cold:${round}`]) {
        const result = await rush(children[name], `${key}:${name}`, each);
        if (key.startsWith('cold')) crowds.push({ round, processes, each, client: COMPUTING[name], ...result });
      }
    }
  }
  await end(...Object.values(children).flat());
  const order = Object.values(COMPUTING);
  return crowds.sort((a, b) => order.indexOf(a.client) - order.indexOf(b.client));
}

function report({ windows, crowds, renders, outages }) {
  const rows = summarize(windows, [...BY, 'client']);
  const costs = table(rows, { ...families, adapter: (row) => row.client, ...costColumns('per second', { digits: 2 }) });
  const figures = [
    `## Calls and requests\n\n${COSTS}\n\n${costs}`,
    `### Ratios\n\n${RATIOS}\n\n${compare(rows)}`,
    ...(crowds.length > 0 ? [crowdText(crowds)] : []),
    ...(renders.length > 0 ? [renderText(renders)] : []),
    outageText(outages),
  ];
  return {
    name: 'adapters',
    title: 'Adapters beside the usual ones',
    about: INTRODUCTION,
    figures: figures.join('\n\n').trim(),
    panels: [...bars(rows), ...(outages.length > 0 ? [outagePanel(outages)] : [])],
    raw: { windows, crowds, renders, outages },
    windows,
  };
}

const INTRODUCTION = `\`npm run bench -- adapters\` wrote this page; the raw numbers are in [adapters.json](adapters.json). One Redis of its own, one process for each adapter, set up as its
documentation shows and otherwise with its defaults; 1,000 keys with objects whose JSON has ${VALUE_BYTES} bytes. Medians of ROUNDS rounds, in which the adapters take turns; a window of SECONDS s follows half as long a warm-up.

- **Keyv 5** and **unstorage**: ${CALLERS} callers await one \`get\` or \`set\` after another. *Near cache off*: every read goes to Redis, as with the others. *Keyv's memory* is a Map in the process, without a Redis.
- **NestJS**: a route that \`wrap\`s one of the keys by \`CACHE_MANAGER\`; **express-rate-limit**: a route behind a limit; **express-session**: a route that reads its session, of which there are 100. ${CONNECTIONS} connections
  of autocannon, which runs on the same machine, with \`NODE_ENV=production\`. Costs are those of the server's process, per request.
- **Next.js**: \`next build\` and \`next start\` of one site with each handler, asked in the same way for 100 ISR pages of some 30 KB, and for 100 functions with \`'use cache'\`, in a route that is run for each request; all
  were rendered before. *holdfast/next* has \`holdfast/next-use-cache\` beside it; @fortedigital/nextjs-cache-handler has no handler for \`'use cache'\`. *Next's own* are the memory and the files of each instance, which share nothing.

Holdfast's reads of what is in process are coherent: it learns of a change in Redis by client tracking. The peers here ask Redis each time; @trieb.work/nextjs-turbo-redis-cache keeps an answer for 10 s.`;

const COSTS = `Of stores per call, of applications per request.`;

const RATIOS = `Holdfast divided by the usual adapter. Throughput: more is better; all others: less is better.`;

const CROWD_TEXT = `All ask \`wrap\` for one cold key at the same moment; its function takes ${WORKS_MS} ms. *Runs*: how often it ran in a round, fewest to most; one is what it should be.
*All had it*: after the first asked, median of the rounds. cache-manager shares a computation within a process, over any store; \`holdfast/nest\` in all that share the Redis.`;

const families = { framework: (row) => row.family, what: (row) => row.op };

function compare(rows) {
  const alone = (row) => subjects[row.client].alone;
  const compared = contests(
    rows.filter((row) => !alone(row)),
    BY,
  );
  return table(compared, {
    ...Object.fromEntries(Object.entries(families).map(([heading, of]) => [heading, ({ row }) => of(row)])),
    ...ratioColumns(),
  });
}

function crowdText(crowds) {
  const rows = [...grouped(crowds, ({ client }) => client).values()];
  const figures = table(rows, {
    processes: ([first]) => first.processes,
    callers: ([first]) => integer(first.processes * first.each),
    adapter: ([first]) => first.client,
    runs: (rounds) => extremes(rounds.map(({ runs }) => runs)),
    'all had it, ms': (rounds) => fixed(median(rounds.map(({ ms }) => ms)), 1),
    'slowest round': (rounds) => fixed(Math.max(...rounds.map(({ ms }) => ms)), 1),
  });
  return `## A stampede\n\n${CROWD_TEXT}\n\n${figures}`;
}

function bars(rows) {
  const group = (row) => `${row.family}: ${row.op}`;
  return [
    panel('Calls and requests per second (more is better)', rows, {
      group,
      bar: (row) => ({ name: row.client, value: row.rate, text: integer(row.rate) }),
    }),
    panel('Event loop per call or request (less is better)', rows, {
      group,
      bar: (row) => ({ name: row.client, value: row.loop, text: `${fixed(row.loop)} µs` }),
    }),
  ];
}

module.exports = { run, defaults, folders: [FOLDER] };
