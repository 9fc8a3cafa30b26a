// From the raw windows of a run to medians, ratios and Markdown tables.
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/** The part of a run's windows that may have been disturbed. */
const FEW = 0.03;
const DOCS = path.join(__dirname, '../../docs/benchmarks');

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * The medians over the rounds of every group of windows that agree in `by`, in order of appearance. Costs become
 * microseconds per call, latencies stay milliseconds, and so do the fields that `more` names what they are.
 */
function summarize(windows, by, more = []) {
  const groups = new Map();
  for (const window of windows) {
    const name = by.map((field) => window[field]).join();
    groups.set(name, [...(groups.get(name) ?? []), window]);
  }
  return [...groups.values()].map((group) => {
    const over = (value) => median(group.map(value));
    const rates = group.map((window) => window.calls / window.seconds);
    return {
      ...Object.fromEntries(by.map((field) => [field, group[0][field]])),
      rate: median(rates),
      slowest: Math.min(...rates),
      fastest: Math.max(...rates),
      cpu: over((window) => window.cpuMicros / window.calls),
      loop: over((window) => window.loopMicros / window.calls),
      main: group.some((window) => window.mainMicros === null)
        ? null
        : over((window) => window.mainMicros / window.calls),
      p50: over((window) => window.p50),
      p99: over((window) => window.p99),
      askedPerRead: over((window) => window.askedPerRead),
      ...Object.fromEntries(more.map((field) => [field, over((window) => window[field])])),
    };
  });
}

/** The row with the `most` or the `least` of a figure. */
function best(rows, field, choose) {
  const better = choose === 'most' ? (a, b) => a[field] > b[field] : (a, b) => a[field] < b[field];
  return rows.reduce((chosen, row) => (better(row, chosen) ? row : chosen));
}

/**
 * A Markdown table: `columns` maps a heading to a function of a row that gives its text; numbers are set to the right.
 */
function table(rows, columns) {
  const headings = Object.keys(columns);
  const cells = rows.map((row) => headings.map((heading) => String(columns[heading](row))));
  const line = (texts) => `| ${texts.join(' | ')} |`;
  const rules = headings.map((_, i) => (cells.every((texts) => /^[\d.,×–]+$/.test(texts[i])) ? '---:' : '---'));
  return [line(headings), line(rules), ...cells.map(line)].join('\n');
}

function integer(number) {
  return Math.round(number).toLocaleString('en-US');
}

function fixed(number, digits = 2) {
  return number === null ? '–' : number.toFixed(digits);
}

/**
 * Writes the files of a run: to `docs/benchmarks` where it was whole and hardly disturbed, else to a fresh temporary
 * folder. Says which, and why.
 */
function publish(files, options, windows) {
  const disturbed = windows.filter((window) => window.disturbed).length;
  const notForDocs = whyNotForDocs(options, disturbed, windows.length);
  const folder = notForDocs ? fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-bench-')) : DOCS;
  fs.mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    const page = name.endsWith('.md') && disturbed > 0;
    fs.writeFileSync(path.join(folder, name), page ? `${text}\n${noteOf(disturbed, windows.length)}\n` : text);
  }
  console.log(`${Object.keys(files).join(', ')} written to ${folder}${notForDocs ? ` (${notForDocs})` : ''}`);
}

/**
 * Why the figures of a run are not for the documentation, or undefined. A median of rounds stands a few windows that
 * were disturbed.
 */
function whyNotForDocs(options, disturbed, all) {
  if (options.quick) return 'a quick run proves nothing';
  if (options.only) return 'only a part was run';
  if (disturbed > all * FEW) return `other programs used the machine during ${disturbed} of ${all} windows`;
}

function noteOf(disturbed, all) {
  return `During ${disturbed} of the ${all} windows other programs used more than a twentieth of the machine, when they were measured again as well.`;
}

module.exports = { median, summarize, best, table, integer, fixed, publish };
