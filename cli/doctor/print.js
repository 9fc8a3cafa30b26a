// The report as people read it: a line for what is well, and for all else what was measured, why it matters, and the
// mend. And as the document of --json, whose shape docs/doctor.md promises.
'use strict';

const { wrapped } = require('../frame/colours.js');
const { version } = require('../frame/main.js');
const { TOTAL_MS } = require('./budget.js');

/** @typedef {import('../frame/output.js').Output} Output */
/** @typedef {import('./report.js').Report} Report */
/** @typedef {import('./report.js').Finding} Finding */

/** Raised where a field is taken away or means something else; further fields do not raise it. */
const SCHEMA = 1;
/** @type {Record<import('./report.js').Level, import('../frame/colours.js').Colour>} */
const COLOURS = { ok: 'green', note: 'cyan', warning: 'yellow', problem: 'red' };
/** Columns of a level, and of what stands beneath it. */
const LEVEL_COLUMNS = 9;
const LABEL_COLUMNS = 6;
/** Columns of an id; longer ones push what stands behind them. */
const ID_COLUMNS = 18;

/**
 * @param {Report} report
 * @param {number} tookMs
 */
function document(report, tookMs) {
  return {
    schema: SCHEMA,
    holdfast: version(),
    exitCode: report.exitCode(),
    worst: report.worst(),
    tookMs: Math.round(tookMs),
    budgetMs: TOTAL_MS,
    findings: report.findings,
    steps: report.steps,
  };
}

/**
 * @param {Report} report
 * @param {number} tookMs
 * @param {Output} out
 */
function print(report, tookMs, out) {
  for (const finding of report.findings) printOne(finding, out);
  const skipped = report.steps.filter(({ outcome }) => outcome === 'skipped').map(({ name }) => name);
  out.line();
  if (skipped.length > 0) out.line(`not examined, as what stands above is in the way: ${skipped.join(', ')}`);
  const counts = [
    counted(report.count('problem'), 'problem'),
    counted(report.count('warning'), 'warning'),
    counted(report.count('note'), 'note'),
    `${report.count('ok')} ok`,
  ];
  const worst = report.worst();
  const verdict = `${counts.join(', ')}, in ${(tookMs / 1000).toFixed(1)} s`;
  out.line(out.paint(COLOURS[worst], verdict));
}

/**
 * @param {Finding} finding
 * @param {Output} out
 */
function printOne({ id, level, measured, why, mend }, out) {
  const { paint } = out;
  const head = `${paint(COLOURS[level], level.padEnd(LEVEL_COLUMNS))}${paint('bold', id)}`;
  const indent = ' '.repeat(LEVEL_COLUMNS);
  if (why === null) {
    const gap = ' '.repeat(Math.max(2, ID_COLUMNS - id.length));
    const [first, ...rest] = wrapped(measured, out.columns - LEVEL_COLUMNS - ID_COLUMNS);
    out.line(`${head}${gap}${first}`);
    for (const line of rest) out.line(`${indent}${' '.repeat(ID_COLUMNS)}${line}`);
    return;
  }
  out.line(head);
  for (const [label, text] of [
    ['saw', measured],
    ['why', why],
  ]) {
    const [first, ...rest] = wrapped(text, out.columns - LEVEL_COLUMNS - LABEL_COLUMNS);
    out.line(`${indent}${paint('dim', label.padEnd(LABEL_COLUMNS))}${first}`);
    for (const line of rest) out.line(`${indent}${' '.repeat(LABEL_COLUMNS)}${line}`);
  }
  // Whole, however long: they are for pasting.
  for (const [n, line] of mend.entries()) {
    out.line(`${indent}${paint('dim', (n === 0 ? 'mend' : '').padEnd(LABEL_COLUMNS))}${line}`);
  }
}

/**
 * @param {number} count
 * @param {string} what
 */
function counted(count, what) {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

module.exports = { document, print };
