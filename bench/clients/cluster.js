// Owns the page `cluster`: Holdfast beside the clients over three primaries, and how the cost of a `get` grows with the
// number of primaries.
'use strict';

const { panel } = require('../lab/chart');
const { fixed, isOwn, matches, rateColumns, summarize, table, times } = require('../lab/figures');
const { seed, startLab } = require('../lab/lab');
const { inTurn, runPage } = require('../lab/page');
const { VALUE_BYTES } = require('../lab/workload');
const { callersOf, costs, measureCalls, measureWith, MEASURES, ratios, startWorkers } = require('./calls');
const { adapters, PACKAGES } = require('./cluster-adapters');

const defaults = { rounds: 5, seconds: 0.4 };

const PRIMARIES = 3;
const SIZES = [1, PRIMARIES, 6];
const OPS = ['get', 'set'];
const FULL = { callers: [1, 8, 64, 512], grown: [64, 512] };
const QUICK = { callers: [1, 64], grown: [64] };
const BY = ['keeping', 'op', 'callers'];
const BY_SIZE = ['primaries', 'callers'];

function run(options) {
  const clients = { kind: 'client', known: Object.keys(adapters), packages: PACKAGES, primaries: PRIMARIES };
  return runPage(options, clients, measureAll, report);
}

async function measureAll(lab, names, options) {
  const { callers, grown } = options.quick ? QUICK : FULL;
  const settings = OPS.flatMap((op) => callers.map((count) => ({ op, bytes: VALUE_BYTES, callers: count })));
  const windows = await measureCalls(lab, names, settings, options);
  const compared = ['holdfast', bestPeer(windows)].filter((name) => names.includes(name));
  return { windows, sizes: await measureSizes(compared, grown, options) };
}

/** Whose `get` had the highest throughput with the most callers: undefined where no peer takes part. */
function bestPeer(windows) {
  const most = Math.max(...windows.map(({ callers }) => callers));
  const peers = rowsOf({ windows }).filter(
    (row) => matches(row, { keeping: false, op: 'get', callers: most }) && !isOwn(row.client),
  );
  return peers.sort((a, b) => b.rate - a.rate)[0]?.client;
}

/** Windows of a `get` over a cluster of each size. They run side by side, so that the sizes take turns as well. */
async function measureSizes(names, callers, options) {
  const labs = [];
  const windows = [];
  try {
    for (const primaries of SIZES) labs.push(await startLab(options, primaries));
    const workers = new Map();
    for (const lab of labs) {
      workers.set(lab, await startWorkers(lab, names));
      await seed(lab);
    }
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const lab of inTurn(labs, round)) {
        for (const count of callers) {
          const setting = { op: 'get', bytes: VALUE_BYTES, callers: count };
          for (const client of inTurn(names, round)) {
            const result = await measureWith(lab, workers.get(lab), client, setting, options.seconds);
            windows.push({ round, primaries: lab.primaries, ...setting, ...result });
          }
        }
      }
      console.log(`round ${round} of ${options.rounds}, by the number of primaries`);
    }
  } finally {
    await Promise.all(labs.map((lab) => lab.stop()));
  }
  const order = (a, b) => a.primaries - b.primaries || names.indexOf(a.client) - names.indexOf(b.client);
  return windows.sort((a, b) => a.callers - b.callers || order(a, b));
}

function rowsOf({ windows }) {
  return summarize(windows, [...BY, 'client']);
}

function report({ windows, sizes }) {
  const rows = rowsOf({ windows });
  const grown = summarize(sizes, [...BY_SIZE, 'client']);
  const callers = { callers: (row) => row.callers };
  const sections = [false, true].flatMap((keeping) =>
    OPS.map((op) => rows.filter((row) => matches(row, { keeping, op })))
      .filter((shown) => shown.length > 0)
      .map((shown) => `## ${titleOf(shown[0])}\n\n${costs(shown, callers)}`),
  );
  return {
    name: 'cluster',
    title: 'Holdfast beside the clients of a cluster',
    about: INTRODUCTION,
    figures: [
      ...sections,
      ...ratios(rows, BY, { call: titleOf, ...callers }),
      `## The number of primaries\n\n${growth(grown)}`,
    ].join('\n\n'),
    panels: bars(rows, grown),
    windows: [...windows, ...sizes],
    raw: { windows, sizes },
  };
}

const INTRODUCTION = `\`npm run bench -- cluster\` wrote this page; the raw numbers are in [cluster.json](cluster.json). As [clients.md](clients.md), over a cluster of ${PRIMARIES} primaries of its own:
1,000 keys, which their slots spread over the primaries, JSON objects of ${VALUE_BYTES} bytes, medians of ROUNDS rounds with windows of SECONDS s. The primaries share the machine's processors
with the clients. Each client is told of one node and finds the others; it has a connection to each. Without *answered in process*, nobody keeps what was read, Holdfast neither.

${MEASURES}
- **The number of primaries**: a \`get\` over clusters of ${SIZES.join(', ')}, with Holdfast and the peer that was fastest over ${PRIMARIES}. *Beside one*: the same, divided by the client's own figure over one primary.`;

function titleOf({ keeping, op }) {
  return keeping ? `${op}, answered in process` : op;
}

function growth(rows) {
  const beside = (row, field) => {
    const base = rows.find((each) => matches(each, { client: row.client, callers: row.callers, primaries: SIZES[0] }));
    return times(row[field] / base[field]);
  };
  return table(rows, {
    callers: (row) => row.callers,
    primaries: (row) => row.primaries,
    client: (row) => row.client,
    ...rateColumns('get/s'),
    'beside one': (row) => beside(row, 'rate'),
    'CPU µs': (row) => fixed(row.cpu),
    'beside one ': (row) => beside(row, 'cpu'),
    'event loop µs': (row) => fixed(row.loop),
    'beside one  ': (row) => beside(row, 'loop'),
  });
}

function bars(rows, grown) {
  const rate = (row) => ({ name: row.client, value: row.rate, text: `${fixed(row.rate / 1000, 1)} k` });
  const cost = (field) => (row) => ({ name: row.client, value: row[field], text: `${fixed(row[field])} µs` });
  const shown = (keeping, op) => rows.filter((row) => matches(row, { keeping, op }));
  const sized = (row) => `${row.primaries} ${row.primaries === 1 ? 'primary' : 'primaries'}, ${callersOf(row)}`;
  return [
    panel('get: calls per second (more is better)', shown(false, 'get'), { group: callersOf, bar: rate }),
    panel('set: calls per second (more is better)', shown(false, 'set'), { group: callersOf, bar: rate }),
    panel('get: event-loop time per call (less is better)', shown(false, 'get'), {
      group: callersOf,
      bar: cost('loop'),
    }),
    panel('set: event-loop time per call (less is better)', shown(false, 'set'), {
      group: callersOf,
      bar: cost('loop'),
    }),
    panel('get, in process: calls per second', shown(true, 'get'), { group: callersOf, bar: rate }),
    panel('get, in process: event-loop time per call', shown(true, 'get'), { group: callersOf, bar: cost('loop') }),
    panel('get, by the number of primaries: calls per second', grown, { group: sized, bar: rate }),
    panel('get, by the number of primaries: CPU per call', grown, { group: sized, bar: cost('cpu') }),
  ].filter(({ groups }) => groups.length > 0);
}

module.exports = { run, defaults, rowsOf, BY };
