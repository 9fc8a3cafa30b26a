// Owns the part of the page `http` with more reads and fewer clients of the server: a plain route that awaits six cache
// reads one after the other, from one connection to many.
'use strict';

const { ASKING } = require('../clients/adapters');
const { panel } = require('../lab/chart');
const { contests, costColumns, integer, fixed, ratioColumns, summarize, table } = require('../lab/figures');
const { end, measureWindow } = require('../lab/lab');
const { inTurn } = require('../lab/page');
const { shoot } = require('./load');

const NONE = 'no cache';
const CLIENTS = [...ASKING, NONE];
const CONNECTIONS = [1, 8, 50, 500];
const BY = ['connections'];
/** The name of its drawing: it stands apart from that of the three reads. */
const DRAWING = 'http-six';

/** Windows of all rounds; ends the processes that it starts. */
async function measureSix(lab, wanted, { rounds, seconds }) {
  const names = CLIENTS.filter((name) => wanted.includes(name));
  const servers = {};
  for (const name of names) {
    servers[name] = await lab.start(require.resolve('./server'), ['plain', 'six', name, lab.url]);
  }
  const windows = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const connections of CONNECTIONS) {
      for (const client of inTurn(names, round)) {
        const work = (length) => shoot(servers[client], { connections, duration: length });
        const result = await measureWindow(lab, seconds, work);
        windows.push({ round, connections, client, ...result });
      }
    }
    console.log(`six reads, round ${round} of ${rounds}`);
  }
  await end(...Object.values(servers));
  return windows.sort((a, b) => a.connections - b.connections || names.indexOf(a.client) - names.indexOf(b.client));
}

function sixOf({ six }) {
  return summarize(six, [...BY, 'client']);
}

const SIX = `A plain \`node:http\` server whose route awaits six \`get\` one after another: the way of a call to Redis and back, six times. *Ratios*: Holdfast
divided by the best of the peers, chosen anew for each figure; throughput: more is better; all others: less is better.`;

function sixText(rows) {
  const connections = (row) => row.connections;
  const costs = table(rows, {
    connections,
    client: (row) => row.client,
    ...costColumns('requests/s', { digits: 2 }),
  });
  const ratios = table(contestsOfSix(rows), { connections: ({ row }) => connections(row), ...ratioColumns() });
  return `## Six reads, one after the other\n\n${SIX}\n\n![The same figures as bars](${DRAWING}.svg)\n\n${costs}\n\n### Ratios\n\n${ratios}`;
}

/** Ours with the clients that they are measured by: to do without any is no peer. */
function contestsOfSix(rows) {
  return contests(
    rows.filter((row) => row.client !== NONE),
    BY,
  );
}

function sixBars(rows) {
  const group = ({ connections }) => `${connections} ${connections === 1 ? 'connection' : 'connections'}`;
  return [
    panel('six reads: requests per second (more is better)', rows, {
      group,
      bar: (row) => ({ name: row.client, value: row.rate, text: integer(row.rate) }),
    }),
    panel('six reads: CPU per request (less is better)', rows, {
      group,
      bar: (row) => ({ name: row.client, value: row.cpu, text: `${fixed(row.cpu)} µs` }),
    }),
  ];
}

module.exports = { measureSix, sixOf, contestsOfSix, sixText, sixBars, CLIENTS, DRAWING };
