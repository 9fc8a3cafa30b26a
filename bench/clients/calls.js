// Owns the measuring of clients call by call, each in its own process, and the tables of their costs: what the pages
// `clients`, `matrix` and `processors` share.
'use strict';

const { KEEPING } = require('./adapters');
const { contests, costColumns, matches, ratioColumns, table } = require('../lab/figures');
const { ask, measureWindow, seed } = require('../lab/lab');
const { inTurn } = require('../lab/page');
const { workloadOf } = require('../lab/workload');

/** Commands that may reach Redis in a window though nothing is read from it: heartbeats, and our own INFO. */
const STRAY_COMMANDS = 100;

const MEASURES = `- **CPU**: of all threads of the client's process, per call.
- **Event loop**: the time the loop was not waiting, per call: what a call takes from everything else the application does.
- **Main thread**: CPU of the thread that runs JavaScript, per call, as the kernel counts it.`;

const RATIOS =
  'Holdfast divided by the best of the peers, which is chosen anew for each figure. Throughput: more is better; all others: less is better.';

/**
 * Windows of all `settings` (`{ op, bytes, callers }`, and what a page adds) with all clients that take turns. Before a
 * setting, `place(setting, workers)` may move the processes; what it returns belongs to the windows.
 */
async function measureCalls(lab, names, settings, { rounds, seconds }, place = () => ({})) {
  const workers = await startWorkers(lab, names);
  const windows = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const setting of settings) {
      const placed = place(setting, Object.values(workers));
      // Every client writes what is there already, so one seed will do for all.
      await seed(lab, workloadOf(setting.bytes));
      for (const client of inTurn(names, round)) {
        // What they do otherwise is what they do without: a write goes to Redis.
        if (KEEPING.includes(client) && setting.op !== 'get') continue;
        windows.push({ round, ...setting, ...placed, ...(await measureWith(lab, workers, client, setting, seconds)) });
      }
    }
    console.log(`round ${round} of ${rounds}`);
  }
  // The files list the clients in the order of adapters.js, whatever the order of measuring was.
  const placeOf = (window) => settings.findIndex((setting) => matches(window, setting));
  return windows.sort((a, b) => placeOf(a) - placeOf(b) || names.indexOf(a.client) - names.indexOf(b.client));
}

/** A process for each of these clients, by name. */
async function startWorkers(lab, names) {
  const workers = {};
  for (const name of names)
    workers[name] = await lab.start(require.resolve('./worker'), [name, lab.url, lab.primaries]);
  return workers;
}

/** One window of a setting with one of the clients. */
async function measureWith(lab, workers, client, setting, seconds) {
  const keeping = KEEPING.includes(client);
  const work = (length, warmUp) => ask(workers[client], { ...setting, readAll: warmUp && keeping, seconds: length });
  const result = await measureWindow(lab, seconds, work, () => {});
  const wrong = keeping ? result.asked > STRAY_COMMANDS : result.asked < result.calls;
  if (wrong && !result.disturbed) throw new Error(`${client}: ${result.calls} calls, ${result.asked} asked of Redis`);
  return { client, keeping, ...result };
}

/** The table of what calls cost; `leading` columns say which calls. */
function costs(rows, leading) {
  return table(rows, {
    ...leading,
    client: (row) => row.client,
    ...costColumns('ops/s', { digits: 3, main: true }),
  });
}

/** The section of ratios to the peers that agree in `by`; none where there are no peers. */
function ratios(rows, by, leading) {
  const own = contests(rows, by);
  if (own.length === 0) return [];
  const columns = Object.fromEntries(
    Object.entries(leading).map(([heading, text]) => [heading, ({ row }) => text(row)]),
  );
  return [`## Ratios\n\n${RATIOS}\n\n${table(own, { ...columns, ...ratioColumns({ main: true }) })}`];
}

function callersOf({ callers }) {
  return `${callers} ${callers === 1 ? 'caller' : 'callers'}`;
}

module.exports = { measureCalls, startWorkers, measureWith, costs, ratios, callersOf, MEASURES };
