// Owns the page `flush`: when should the bridge flush the calls of a turn? The adaptive way and three fixed ones,
// measured in the pure caller loop and in an HTTP server. The internal variable HOLDFAST_FLUSH selects the way in the
// process that is measured.
'use strict';

const { costColumns, fixed, summarize, table } = require('../lab/figures');
const { ask, measureWindow } = require('../lab/lab');
const { inTurn, runPage } = require('../lab/page');
const { shoot } = require('./load');

const WAYS = {
  adaptive: 'adaptive (as shipped)',
  nextTick: 'process.nextTick',
  microtask: 'queueMicrotask',
  immediate: 'setImmediate',
};
const defaults = { rounds: 3, seconds: 0.8 };

const CALLERS = [1, 64, 512];
const CONNECTIONS = [50, 500];
/** Windows of the HTTP server are longer by this: autocannon takes a part of a second to open its connections. */
const HTTP_STRETCH = 3;

function run(options) {
  const packages = ['holdfast', 'autocannon'];
  return runPage(options, { kind: 'way', known: Object.keys(WAYS), packages }, measureAll, report);
}

async function measureAll(lab, ways, { rounds, seconds }) {
  const workers = {};
  const servers = {};
  for (const way of ways) {
    const env = { HOLDFAST_FLUSH: way };
    workers[way] = await lab.start(require.resolve('../clients/worker'), ['holdfast', lab.url], env);
    servers[way] = await lab.start(require.resolve('./server'), ['plain', 'mixed', 'holdfast', lab.url], env);
  }
  const windows = [];
  for (let round = 1; round <= rounds; round += 1) {
    const turn = inTurn(ways, round);
    for (const callers of CALLERS) {
      for (const way of turn) {
        const work = (length) => ask(workers[way], { op: 'get', callers, seconds: length });
        const result = await measureWindow(lab, seconds, work);
        windows.push({ round, load: 'loop', clients: callers, way, ...result });
      }
    }
    for (const connections of CONNECTIONS) {
      for (const way of turn) {
        const work = (length) => shoot(servers[way], { connections, duration: length * HTTP_STRETCH });
        const result = await measureWindow(lab, seconds, work);
        windows.push({ round, load: 'http', clients: connections, way, ...result });
      }
    }
    console.log(`round ${round} of ${rounds}`);
  }
  return windows.sort((a, b) => a.clients - b.clients || ways.indexOf(a.way) - ways.indexOf(b.way));
}

function report(windows) {
  const rows = (load) =>
    summarize(
      windows.filter((window) => window.load === load),
      ['clients', 'way'],
    );
  const loop = `## The caller loop\n\n${LOOP}\n\n${costs(rows('loop'), 'callers', 'get/s', 3)}`;
  const http = `## An HTTP server\n\n${HTTP}\n\n${costs(rows('http'), 'connections', 'requests/s', 2)}`;
  return {
    name: 'flush',
    title: 'When to flush a batch',
    about: INTRODUCTION,
    figures: `${loop}\n\n${http}`,
    windows,
  };
}

const INTRODUCTION = `\`npm run bench -- flush\` wrote this page; the raw numbers are in [flush.json](flush.json). The calls of one turn of the event loop
travel as one batch, and these are moments at which the turn could be called over: the adaptive one of src/js/bridge/turn.js, and three fixed ones. Medians of ROUNDS interleaved rounds.
**Calls per read** is for how many calls Redis worked by one read of its socket: the batch as it arrived.`;

const LOOP = 'Callers that await one `get` after another, as in [clients.md](clients.md).';

const HTTP = `A \`node:http\` server whose route awaits three \`get\` one after another and then three together (\`Promise.all\`), under autocannon on the
same machine. Costs are those of the server's process, per request of six calls.`;

function costs(rows, clients, rate, digits) {
  return table(rows, {
    [clients]: (row) => row.clients,
    flush: (row) => WAYS[row.way],
    ...costColumns(rate, { digits, main: true }),
    'calls per read': (row) => fixed(row.askedPerRead, 1),
  });
}

module.exports = { run, defaults };
