// Holdfast beside the Redis clients of Node.js: the same calls, each client in its own process, in interleaved rounds.
'use strict';

const { adapters } = require('./adapters');
const { chart } = require('./chart');
const { startLab, ask, measure, describe } = require('./lab');
const { summarize, table, integer, fixed, writeFiles, whyNotForDocs } = require('./report');
const { VALUE_BYTES, keys } = require('./workload');

const OPS = ['get', 'set'];
const CALLERS = [1, 64, 512];

async function run(options) {
  const names = options.only ?? Object.keys(adapters);
  const unknown = names.find((name) => !(name in adapters));
  if (unknown) throw new Error(`no client is called «${unknown}»; there are ${Object.keys(adapters).join(', ')}`);

  const lab = await startLab(options);
  try {
    const machine = await describe(lab, ['holdfast', 'ioredis', 'redis']);
    console.log(`${machine.join('\n')}\n`);
    const windows = await measureAll(lab, names, options);
    report(windows, names, machine, options);
  } finally {
    await lab.stop();
  }
}

async function measureAll(lab, names, { rounds, seconds }) {
  const workers = {};
  for (const name of names) workers[name] = await lab.start('worker.js', [name, lab.url]);
  const windows = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const op of OPS) {
      for (const callers of CALLERS) {
        // The order turns with the round, so that no client always follows the same neighbour.
        for (const name of names.map((_, i) => names[(i + round) % names.length])) {
          const work = (length) => ask(workers[name], { op, callers, seconds: length });
          const result = await measure(
            lab,
            () => work(seconds / 2),
            () => work(seconds),
          );
          if (result.asked < result.calls && !result.disturbed)
            throw new Error(`${name} answered without asking Redis`);
          windows.push({ round, op, callers, client: name, ...result });
        }
      }
    }
    console.log(`round ${round} of ${rounds}`);
  }
  // The files list the clients in the order of adapters.js, whatever the order of measuring was.
  return windows.sort(
    (a, b) =>
      OPS.indexOf(a.op) - OPS.indexOf(b.op) ||
      a.callers - b.callers ||
      names.indexOf(a.client) - names.indexOf(b.client),
  );
}

function report(windows, names, machine, options) {
  const rows = summarize(windows, ['op', 'callers', 'client']);
  const tables = OPS.map((op) => `## ${op}\n\n${costs(rows.filter((row) => row.op === op))}`);
  const ratios = names.includes('holdfast') && names.length > 1 ? `## Ratios\n\n${RATIOS}\n\n${compare(rows)}` : '';
  const figures = [...tables, ratios].filter(Boolean).join('\n\n');
  console.log(`\n${figures}\n`);

  const about = INTRODUCTION.replace('ROUNDS', options.rounds).replace('SECONDS', options.seconds);
  const head = `# Holdfast beside the Redis clients\n\n${machine.join('  \n')}\n\n${about}`;
  writeFiles(
    {
      'clients.md': `${head}\n\n![Throughput and event-loop time per call](clients.svg)\n\n${figures}\n`,
      'clients.svg': chart(rows, names),
      'clients.json': `${JSON.stringify({ machine, options, windows }, null, 1)}\n`,
    },
    whyNotForDocs(options, windows),
  );
}

const INTRODUCTION = `\`npm run bench\` wrote this page. One Redis of its own, one process a client, ${keys.length.toLocaleString('en-US')} keys, JSON objects of ${VALUE_BYTES}
bytes, parsed and stringified for every client because Holdfast does so. A caller is a loop that awaits one call after another. The
figures are medians of ROUNDS rounds, in which the clients take turns; a window of SECONDS s follows half as long a warm-up. Every \`set\`
carries an expiry of 300 s. The peers are set up as their documentation recommends; both speak RESP3, their default. Holdfast sends
the reads of a batch as MGET. A call that did not reach Redis would end the run.

- **CPU**: of all threads of the client's process, per call.
- **Event loop**: the time the loop was not waiting, per call: what a call takes from everything else the application does.
- **Main thread**: CPU of the thread that runs JavaScript, per call, as the kernel counts it.
- The raw numbers are in [clients.json](clients.json).`;

const RATIOS = `Holdfast divided by the best of the peers, which is chosen anew for each figure. Throughput: more is better; all others: less is better.`;

function costs(rows) {
  return table(rows, {
    callers: (row) => row.callers,
    client: (row) => row.client,
    'ops/s': (row) => integer(row.rate),
    'slowest–fastest round': (row) => `${integer(row.slowest)}–${integer(row.fastest)}`,
    'CPU µs': (row) => fixed(row.cpu),
    'event loop µs': (row) => fixed(row.loop),
    'main thread µs': (row) => fixed(row.main),
    'p50 ms': (row) => fixed(row.p50, 3),
    'p99 ms': (row) => fixed(row.p99, 3),
  });
}

function compare(rows) {
  const own = rows.filter((row) => row.client === 'holdfast');
  const ratio = (field, best) => (row) => {
    const peers = rows.filter((peer) => peer.op === row.op && peer.callers === row.callers && peer !== row);
    return row[field] === null ? '–' : `${fixed(row[field] / best(...peers.map((peer) => peer[field])))} ×`;
  };
  return table(own, {
    call: (row) => row.op,
    callers: (row) => row.callers,
    throughput: ratio('rate', Math.max),
    CPU: ratio('cpu', Math.min),
    'event loop': ratio('loop', Math.min),
    'main thread': ratio('main', Math.min),
    p50: ratio('p50', Math.min),
    p99: ratio('p99', Math.min),
  });
}

module.exports = { run };
