// Owns the look of what the demo prints: the progress bar, the steps, the tables.
'use strict';

const { CONNECTIONS } = require('./load');

const BAR = 40;

/** A progress bar on a terminal, a line a quarter elsewhere. */
function progressBar(label) {
  let quarter = -1;
  return (done, total) => {
    const share = done / total;
    const percent = `${Math.floor(share * 100)} %`.padStart(5);
    if (process.stdout.isTTY) {
      const filled = Math.round(share * BAR);
      process.stdout.write(`\r${label} ${'█'.repeat(filled)}${'░'.repeat(BAR - filled)} ${percent}`);
      if (share === 1) process.stdout.write('\n');
    } else if (Math.floor(share * 4) > quarter) {
      quarter = Math.floor(share * 4);
      console.log(`${label} ${percent}`);
    }
  };
}

function printResult({ cold, shared, burst, cached, outage, failover, mode }) {
  const burstQueries = burst.queries.A + burst.queries.B;
  const readCells = ({ requests, fastest, median, slowest, queries }) => [
    requests,
    ms(fastest),
    ms(median),
    ms(slowest),
    queries,
  ];
  printTable(
    ['one request after the other', 'requests', 'fastest', 'median', 'slowest', 'queries run'],
    [
      ['cold, from instance A', ...readCells(cold)],
      ['the same from instance B', ...readCells(shared)],
    ],
  );
  printLines(
    `instance B found ${shared.hits} of the ${cold.requests} reports that A had computed`,
    `${burst.callers} callers at once for a new report: queries run ${burstQueries} (${each(burst.queries)}), slowest ${ms(burst.slowest)}`,
  );

  const rows = [[`cached, for ${cached.seconds} s`, ...loadCells(cached)]];
  if (outage) {
    rows.push(
      ['before the outage', ...loadCells(outage.before)],
      [`Redis stopped for ${outage.seconds} s`, ...loadCells(outage.stopped)],
      ['Redis back', ...loadCells(outage.after)],
    );
  }
  printTable(
    [`${CONNECTIONS} connections`, 'requests', 'per second', 'p50', 'p99', 'slowest', 'errors', 'queries run'],
    rows,
  );
  printLines(`hit rate while cached: ${(cached.hitRate * 100).toFixed(1)} %`);
  if (outage) printOutage(outage);
  if (failover) printFailover(failover);
  printLines(`mode at the end: ${each(mode.end)}`);
}

function printOutage({ noticedMs, returnedMs, healthWhileStopped, healthAfter }) {
  printLines(
    `until the outage was noticed: ${each(noticedMs, delay)}; /health/redis then answered ${each(healthWhileStopped)}`,
    `until redis mode was back: ${each(returnedMs, delay)}; /health/redis then answered ${each(healthAfter)}`,
    'without Redis each instance computes the hot reports once for itself; who waits for that is slowest',
  );
}

/** What callers saw, then what the instances said of it. */
function printFailover({ reports, before, during, after, killed, promoted, instances }) {
  const cells = (part) => {
    const { near, redis, memory } = part.answers;
    return [...loadCells({ ...part, queries: count(part.queries) }), count(near), count(redis), count(memory)];
  };
  const head = ['requests', 'per second', 'p50', 'p99', 'slowest', 'rejected', 'queries run'];
  printTable(
    [`${CONNECTIONS} connections, ${reports} reports`, ...head, 'found near', 'in Redis', 'in memory'],
    [
      ['before', ...cells(before)],
      ['a primary killed, until all is well', ...cells(during)],
      ['after', ...cells(after)],
    ],
  );
  printLines(
    `killed: the primary at port ${killed}; ${promoted.port} took its place, in the eyes of all servers after ${delay(promoted.ms)}`,
    `instances: noticed after ${each(instances, ({ noticedMs }) => delay(noticedMs))}; all well after ${each(instances, ({ returnedMs }) => delay(returnedMs))}`,
  );
  for (const [name, { modes }] of Object.entries(instances))
    printLines(`modes of ${name}: ${modes.map(modeAt).join(', ')}`);
  const { nodes } = instances.A;
  if (nodes.before.length > 0) printNodes(nodes);
}

function modeAt({ ms: at, mode, servers, away }) {
  const when = at < 0 ? 'before' : `at ${delay(at)}`;
  return `${when} ${mode}${away > 0 ? ` without ${away} of ${servers} servers` : ''}`;
}

/** `health().nodes` of instance A: a line for each server, whenever it was in use. */
function printNodes(phases) {
  const addresses = [...new Set(Object.values(phases).flatMap((nodes) => nodes.map(({ address }) => address)))];
  const cell = (nodes, address) => {
    const node = nodes.find((each) => each.address === address);
    if (!node) return '–';
    const error = node.lastError ? ` (${node.lastError.kind})` : '';
    // Behind sentinels there are none.
    return `${node.mode}${error}${node.slots === null ? '' : `, ${count(node.slots)} slots`}`;
  };
  printTable(
    ['health().nodes of A', ...Object.keys(phases)],
    addresses.map((address) => [address ?? 'nobody', ...Object.values(phases).map((nodes) => cell(nodes, address))]),
  );
}

function delay(value) {
  return value === null ? 'never' : `${count(value)} ms`;
}

function loadCells({ requests, perSecond, p50, p99, slowest, errors, queries }) {
  return [count(requests), count(Math.round(perSecond)), ms(p50), ms(p99), ms(slowest), errors, queries];
}

/** The first column to the left, figures to the right, each as wide as its widest cell. */
function printTable(head, rows) {
  const texts = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(...texts.map((row) => row[column].length)));
  const lines = texts.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('   '),
  );
  lines.splice(1, 0, '─'.repeat(lines[0].length));
  console.log();
  printLines(...lines);
}

function printLines(...lines) {
  for (const line of lines) console.log(`  ${line}`);
}

function each({ A, B }, show = String) {
  return `A ${show(A)}, B ${show(B)}`;
}

function ms(value) {
  if (value === null) return '–';
  return `${value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en')} ms`;
}

function count(value) {
  return value.toLocaleString('en');
}

module.exports = { progressBar, printResult };
