// Owns the page `clients`, Holdfast beside the Redis clients of Node.js: the same calls, each client in its own
// process, in interleaved rounds.
'use strict';

const { adapters, KEEPING } = require('./adapters');
const { panel } = require('../lab/chart');
const { best, costColumns, fixed, integer, summarize, table } = require('../lab/figures');
const { ask, measureWindow, seed } = require('../lab/lab');
const { inTurn, runPage } = require('../lab/page');
const { VALUE_BYTES, workloadOf } = require('../lab/workload');

const defaults = { rounds: 7, seconds: 0.5 };
const matrixDefaults = { rounds: 3, seconds: 0.5 };

const USUAL = { ops: ['get', 'set'], callers: [1, 2, 4, 8, 16, 64, 512], bytes: [VALUE_BYTES] };
const QUICK = { ops: ['get', 'set'], callers: [1, 64], bytes: [VALUE_BYTES] };
const MATRIX_OPS = ['get', 'set', 'mixed', 'getMany'];
const MATRIX = { ops: MATRIX_OPS, callers: [1, 8, 64, 512], bytes: [20, 200, 2000, 50_000] };
const QUICK_MATRIX = { ops: MATRIX_OPS, callers: [8], bytes: [20, 2000] };
/** Values under way at a time have so many bytes at most: with more the machine's memory would be measured. */
const UNDER_WAY = 64 << 20;
/** Commands that may reach Redis in a window though nothing is read from it: heartbeats, and our own INFO. */
const STRAY_COMMANDS = 100;
const OWN = ['holdfast', 'holdfast, loop', 'holdfast, near cache'];
const MEANING = {
  get: 'get',
  set: 'set',
  mixed: 'four `get`, then a `set`',
  getMany: 'getMany of 100 keys',
};

function run(options) {
  const known = Object.keys(adapters);
  const usual = known.filter((name) => !options.matrix || !KEEPING.includes(name));
  const packages = ['holdfast', 'ioredis', 'redis', 'iovalkey', '@valkey/valkey-glide'];
  return runPage(options, { kind: 'client', known, usual, packages }, measureAll, report);
}

function wanted(matrix, quick) {
  if (!matrix) return quick ? QUICK : USUAL;
  return quick ? QUICK_MATRIX : MATRIX;
}

/** What is measured: each op with each number of callers and each size, but for what would not fit into memory. */
function settings({ ops, callers, bytes }) {
  return ops.flatMap((op) =>
    bytes.flatMap((size) =>
      callers
        .filter((count) => count * size * (op === 'getMany' ? 100 : 1) <= UNDER_WAY)
        .map((count) => ({ op, bytes: size, callers: count })),
    ),
  );
}

async function measureAll(lab, names, { rounds, seconds, matrix, quick }) {
  const workers = {};
  for (const name of names) workers[name] = await lab.start(require.resolve('./worker'), [name, lab.url]);
  const all = settings(wanted(matrix, quick));
  const windows = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const setting of all) {
      for (const name of inTurn(names, round)) {
        const keeping = KEEPING.includes(name);
        // What they do otherwise is what they do without: a write goes to Redis.
        if (keeping && setting.op !== 'get') continue;
        const work = (length, warmUp) =>
          ask(workers[name], { ...setting, readAll: warmUp && keeping, seconds: length });
        const result = await measureWindow(lab, seconds, work, () => seed(lab, workloadOf(setting.bytes)));
        const wrong = keeping ? result.asked > STRAY_COMMANDS : result.asked < result.calls;
        if (wrong && !result.disturbed)
          throw new Error(`${name}: ${result.calls} calls, ${result.asked} asked of Redis`);
        windows.push({ round, ...setting, client: name, keeping, ...result });
      }
    }
    console.log(`round ${round} of ${rounds}`);
  }
  // The files list the clients in the order of adapters.js, whatever the order of measuring was.
  const place = (window) => all.findIndex(({ op, bytes, callers }) => matches(window, { op, bytes, callers }));
  return windows.sort((a, b) => place(a) - place(b) || names.indexOf(a.client) - names.indexOf(b.client));
}

function matches(row, fields) {
  return Object.entries(fields).every(([field, value]) => row[field] === value);
}

function report(windows, options) {
  const rows = summarize(windows, ['keeping', 'op', 'bytes', 'callers', 'client']);
  const sections = [];
  for (const keeping of [false, true]) {
    for (const op of MATRIX_OPS) {
      const shown = rows.filter((row) => matches(row, { keeping, op }));
      if (shown.length > 0) sections.push(`## ${titleOf(keeping, op)}\n\n${costs(shown, options.matrix)}`);
    }
  }
  const ratios = compare(rows, options.matrix);
  if (ratios) sections.push(`## Ratios\n\n${RATIOS}\n\n${ratios}`);
  const name = options.matrix ? 'clients-matrix' : 'clients';
  return {
    name,
    title: 'Holdfast beside the Redis clients',
    about: INTRODUCTION,
    fields: { PART: options.matrix ? 'clients --matrix' : 'clients', JSON_FILE: `${name}.json` },
    figures: sections.join('\n\n'),
    panels: options.matrix ? ratioBars(rows) : costBars(rows),
    windows,
  };
}

const INTRODUCTION = `\`npm run bench -- PART\` wrote this page; the raw numbers are in [JSON_FILE](JSON_FILE). One Redis of its own, one process a client, 1,000 keys (400 of 50,000
bytes), JSON objects, parsed and stringified for every client because Holdfast does so; ${VALUE_BYTES} bytes each unless it says otherwise. A caller is a loop that
awaits one call after another. The figures are medians of ROUNDS rounds, in which the clients take turns; a window of SECONDS s follows half as long a warm-up. Every \`set\`
carries an expiry of 300 s. The peers are set up as their documentation recommends; ioredis, iovalkey and node-redis share one connection as Holdfast does. Holdfast sends
the reads of a batch as MGET. A call that did not reach Redis would end the run, and so would one that did in *answered in process*.

- **CPU**: of all threads of the client's process, per call.
- **Event loop**: the time the loop was not waiting, per call: what a call takes from everything else the application does.
- **Main thread**: CPU of the thread that runs JavaScript, per call, as the kernel counts it.
- **Answered in process**: the keys were read before and nobody changed them; both clients hear from Redis when somebody does.`;

const RATIOS = `Holdfast divided by the best of the peers, which is chosen anew for each figure. Throughput: more is better; all others: less is better.`;

function titleOf(keeping, op) {
  return keeping ? `${MEANING[op]}, answered in process` : MEANING[op];
}

function costs(rows, matrix) {
  return table(rows, {
    ...(matrix ? { bytes: (row) => integer(row.bytes) } : {}),
    callers: (row) => row.callers,
    client: (row) => row.client,
    ...costColumns('ops/s', { digits: 3, main: true }),
  });
}

/** Holdfast's rows, each with the peers it is measured by; none where there are no peers. */
function contests(rows) {
  return rows
    .filter((row) => OWN.includes(row.client))
    .map((row) => {
      const { keeping, op, bytes, callers } = row;
      return {
        row,
        peers: rows.filter((peer) => !OWN.includes(peer.client) && matches(peer, { keeping, op, bytes, callers })),
      };
    })
    .filter(({ peers }) => peers.length > 0);
}

function compare(rows, matrix) {
  const own = contests(rows);
  if (own.length === 0) return '';
  const ratio =
    (field, choose) =>
    ({ row, peers }) =>
      row[field] === null ? '–' : `${fixed(row[field] / best(peers, field, choose)[field])} ×`;
  return table(own, {
    call: ({ row }) => titleOf(row.keeping, row.op),
    ...(matrix ? { bytes: ({ row }) => integer(row.bytes) } : {}),
    callers: ({ row }) => row.callers,
    client: ({ row }) => row.client,
    'fastest peer': ({ peers }) => best(peers, 'rate', 'most').client,
    throughput: ratio('rate', 'most'),
    CPU: ratio('cpu', 'least'),
    'event loop': ratio('loop', 'least'),
    'main thread': ratio('main', 'least'),
    p50: ratio('p50', 'least'),
    p99: ratio('p99', 'least'),
  });
}

const callersOf = (row) => `${row.callers} ${row.callers === 1 ? 'caller' : 'callers'}`;

function costBars(rows) {
  const rate = (row) => ({ name: row.client, value: row.rate, text: `${fixed(row.rate / 1000, 1)} k` });
  const loop = (row) => ({ name: row.client, value: row.loop, text: `${fixed(row.loop)} µs` });
  const shown = (keeping, op) => rows.filter((row) => matches(row, { keeping, op }));
  return [
    panel('get: calls per second (more is better)', shown(false, 'get'), { group: callersOf, bar: rate }),
    panel('set: calls per second (more is better)', shown(false, 'set'), { group: callersOf, bar: rate }),
    panel('get: event-loop time per call (less is better)', shown(false, 'get'), { group: callersOf, bar: loop }),
    panel('set: event-loop time per call (less is better)', shown(false, 'set'), { group: callersOf, bar: loop }),
    panel('get, in process: calls per second', shown(true, 'get'), { group: callersOf, bar: rate }),
    panel('get, in process: event-loop time per call', shown(true, 'get'), { group: callersOf, bar: loop }),
  ].filter(({ groups }) => groups.length > 0);
}

/** Of a matrix too much for a bar a client: how many times as fast as the fastest peer. */
function ratioBars(rows) {
  const own = contests(rows).map(({ row, peers }) => ({ ...row, times: row.rate / best(peers, 'rate', 'most').rate }));
  return MATRIX_OPS.map((op) =>
    panel(
      `${op}: throughput, in multiples of the fastest peer's`,
      own.filter((row) => row.op === op),
      {
        group: (row) => `${integer(row.bytes)} bytes`,
        bar: (row) => ({ name: `${row.client}, ${callersOf(row)}`, value: row.times, text: `${fixed(row.times)} ×` }),
        shared: true,
      },
    ),
  ).filter(({ groups }) => groups.length > 0);
}

module.exports = { run, defaults, matrixDefaults };
