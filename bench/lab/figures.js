// Owns the figures of a page: from the raw windows of a run to medians and Markdown tables.
'use strict';

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The items that agree in `keyOf`, as lists by that key, in order of appearance. */
function grouped(items, keyOf) {
  const groups = new Map();
  for (const item of items) {
    const key = keyOf(item);
    groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  return groups;
}

/**
 * The medians over the rounds of every group of windows that agree in `by`, in order of appearance. Costs become
 * microseconds per call, latencies stay milliseconds, and so do the fields that `more` names what they are.
 */
function summarize(windows, by, more = []) {
  const groups = grouped(windows, (window) => by.map((field) => window[field]).join());
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

/** Whether a subject is one of ours: all of our arms are called so. */
function isOwn(name) {
  return name.startsWith('holdfast');
}

function matches(row, fields) {
  return Object.entries(fields).every(([field, value]) => row[field] === value);
}

/** Each row of ours with the peers that agree with it in `by`; none where there are no peers. */
function contests(rows, by) {
  return rows
    .filter((row) => isOwn(row.client))
    .map((row) => ({
      row,
      peers: rows.filter((peer) => !isOwn(peer.client) && by.every((field) => peer[field] === row[field])),
    }))
    .filter(({ peers }) => peers.length > 0);
}

/** A figure of ours divided by that of the best peer, which is chosen anew for each figure; null where it was none. */
function ratioToBest({ row, peers }, field) {
  if (row[field] === null) return null;
  return row[field] / best(peers, field, field === 'rate' ? 'most' : 'least')[field];
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

/**
 * The columns that most tables of summarized rows have. `rate`: the heading of calls a second; `digits`: those of
 * latencies; `main`: with the CPU of the main thread.
 */
function costColumns(rate, { digits, main = false }) {
  return {
    ...rateColumns(rate),
    'CPU µs': (row) => fixed(row.cpu),
    'event loop µs': (row) => fixed(row.loop),
    ...(main ? { 'main thread µs': (row) => fixed(row.main) } : {}),
    'p50 ms': (row) => fixed(row.p50, digits),
    'p99 ms': (row) => fixed(row.p99, digits),
  };
}

/** The columns of a table of contests: who was fastest, and our figures in multiples of the best. */
function ratioColumns({ main = false } = {}) {
  const ratio = (field) => (contest) => times(ratioToBest(contest, field));
  return {
    client: ({ row }) => row.client,
    'fastest peer': ({ peers }) => best(peers, 'rate', 'most').client,
    throughput: ratio('rate'),
    CPU: ratio('cpu'),
    'event loop': ratio('loop'),
    ...(main ? { 'main thread': ratio('main') } : {}),
    p50: ratio('p50'),
    p99: ratio('p99'),
  };
}

function rateColumns(heading) {
  return {
    [heading]: (row) => integer(row.rate),
    'slowest–fastest round': (row) => `${integer(row.slowest)}–${integer(row.fastest)}`,
  };
}

function integer(number) {
  return Math.round(number).toLocaleString('en-US');
}

function fixed(number, digits = 2) {
  return number === null ? '–' : number.toFixed(digits);
}

function times(ratio) {
  return ratio === null ? '–' : `${fixed(ratio)} ×`;
}

module.exports = {
  median,
  grouped,
  summarize,
  isOwn,
  matches,
  contests,
  ratioToBest,
  best,
  table,
  costColumns,
  ratioColumns,
  rateColumns,
  integer,
  fixed,
  times,
};
