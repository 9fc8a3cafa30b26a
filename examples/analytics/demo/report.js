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

function printResult({ cold, shared, burst, cached, outage, mode }) {
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
  printLines(`mode at the end: ${each(mode.end)}`);
}

function printOutage({ noticedMs, returnedMs, healthWhileStopped, healthAfter }) {
  const delay = (value) => (value === null ? 'never' : `${value} ms`);
  printLines(
    `until the outage was noticed: ${each(noticedMs, delay)}; /health/redis then answered ${each(healthWhileStopped)}`,
    `until redis mode was back: ${each(returnedMs, delay)}; /health/redis then answered ${each(healthAfter)}`,
    'without Redis each instance computes the hot reports once for itself; who waits for that is slowest',
  );
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
