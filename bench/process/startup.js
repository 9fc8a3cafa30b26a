// Owns the page `startup`, what it costs to have holdfast at all: the time of `require`, the size of its addon, and a
// connected process that does nothing.
'use strict';

const { panel } = require('../lab/chart');
const { fixed, grouped, integer, median, table } = require('../lab/figures');
const { ask, end } = require('../lab/lab');
const { inTurn, runPage } = require('../lab/page');

/** A round is one process for each package; `seconds` is how long it idles. */
const defaults = { rounds: 20, seconds: 10, quickSeconds: 1 };

const WORKER = require.resolve('./startup-worker');
const NOTHING = 'Node.js alone';
/** What is required, and what connects: the name of an adapter. */
const SUBJECTS = {
  holdfast: { package: 'holdfast', adapter: 'holdfast, near cache' },
  ioredis: { package: 'ioredis', adapter: 'ioredis' },
  iovalkey: { package: 'iovalkey', adapter: 'iovalkey' },
  'node-redis': { package: 'redis', adapter: 'node-redis' },
  'valkey-glide': { package: '@valkey/valkey-glide', adapter: 'valkey-glide' },
  [NOTHING]: { package: '', adapter: '' },
};
const IDLE_ROUNDS = 3;
const MIB = 2 ** 20;

function run(options) {
  const packages = (names) => names.map((name) => SUBJECTS[name].package).filter(Boolean);
  return runPage(options, { kind: 'package', known: Object.keys(SUBJECTS), packages }, measureAll, report);
}

async function measureAll(lab, names, options) {
  return { loads: await measureLoads(lab, names, options), idles: await measureIdles(lab, names, options) };
}

async function measureLoads(lab, names, { rounds }) {
  const loads = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const name of inTurn(names, round)) {
      const child = await lab.start(WORKER, ['require', SUBJECTS[name].package], { REDIS_URL: '' });
      loads.push({ round, name, ...(await ask(child, 0)) });
      await end(child);
    }
  }
  console.log(`required in ${rounds} processes each`);
  return loads;
}

/** All idle at the same time: they hardly meet. */
async function measureIdles(lab, names, { rounds, seconds }) {
  const idles = [];
  for (let round = 1; round <= Math.min(rounds, IDLE_ROUNDS); round += 1) {
    const children = await Promise.all(
      names.map((name) => lab.start(WORKER, ['idle', SUBJECTS[name].adapter, lab.url])),
    );
    const results = await Promise.all(children.map((child) => ask(child, seconds)));
    idles.push(...results.map((result, i) => ({ round, name: names[i], ...result })));
    await end(...children);
    console.log(`idled, round ${round}`);
  }
  return idles;
}

function report({ loads, idles }, options) {
  const loadsOf = grouped(loads, ({ name }) => name);
  const idlesOf = grouped(idles, ({ name }) => name);
  const rows = [...idlesOf].map(([name, own]) => {
    const times = loadsOf.get(name).map(({ ms }) => ms);
    return {
      name,
      ms: median(times),
      fastest: Math.min(...times),
      slowest: Math.max(...times),
      nativeBytes: loadsOf.get(name)[0].nativeBytes,
      rss: median(own.map(({ rss }) => rss)),
      cpu: median(own.map(({ cpuMicros, seconds }) => cpuMicros / seconds)),
    };
  });
  const figures = table(rows, {
    package: (row) => row.name,
    'require ms': (row) => (row.name === NOTHING ? '–' : fixed(row.ms, 1)),
    'fastest–slowest process': (row) =>
      row.name === NOTHING ? '–' : `${fixed(row.fastest, 1)}–${fixed(row.slowest, 1)}`,
    'native addon MB': (row) => (row.nativeBytes > 0 ? fixed(row.nativeBytes / 1e6) : '–'),
    'RSS idle MiB': (row) => fixed(row.rss / MIB, 1),
    'CPU idle, µs a second': (row) => integer(row.cpu),
    'of a processor': (row) => `${fixed(row.cpu / 10_000, 3)} %`,
  });
  return {
    name: 'startup',
    title: 'Start-up and idling',
    about: INTRODUCTION,
    fields: { IDLES: Math.min(options.rounds, IDLE_ROUNDS) },
    figures,
    panels: bars(rows),
    raw: { loads, idles },
  };
}

const INTRODUCTION = `\`npm run bench -- startup\` wrote this page; the raw numbers are in [startup.json](startup.json).

- **require**: of the package, in memory mode (no \`REDIS_URL\`), in ROUNDS fresh processes each, which take turns; the median. The files are in the page cache.
- **Native addon**: the \`.node\` files that \`require\` loaded, as built for this machine.
- **Idle**: a process that has connected to a Redis on loopback and read one key, then does nothing for SECONDS s; the median of IDLES. Holdfast sends a PING a second meanwhile, by which
  it notices a Redis that hangs; the clients here send nothing.`;

function bars(rows) {
  const of = (title, shown, value, text) =>
    panel(`${title} (less is better)`, shown, {
      group: () => '',
      bar: (row) => ({ name: row.name, value: value(row), text: text(row) }),
    });
  const packages = rows.filter((row) => row.name !== NOTHING);
  return [
    of(
      'require: milliseconds',
      packages,
      (row) => row.ms,
      (row) => fixed(row.ms, 1),
    ),
    of(
      'Idle: resident memory, MiB',
      rows,
      (row) => row.rss / MIB,
      (row) => fixed(row.rss / MIB, 1),
    ),
    of(
      'Idle: CPU, µs a second',
      rows,
      (row) => row.cpu,
      (row) => integer(row.cpu),
    ),
  ];
}

module.exports = { run, defaults };
