// Draws the figures of clients.js as a plain SVG of bars: throughput and event-loop time, `get` and `set` side by side.
'use strict';

const WIDTH = 960;
const PANEL = { width: 460, left: 150, bar: 11, step: 15, gap: 26, head: 34 };
const FOOT = 24;
const FIGURES = [
  {
    field: 'rate',
    title: (op) => `${op}: calls per second (more is better)`,
    text: (n) => `${(n / 1000).toFixed(1)} k`,
  },
  {
    field: 'loop',
    title: (op) => `${op}: event-loop time per call (less is better)`,
    text: (n) => `${n.toFixed(2)} µs`,
  },
];

/** Without a background of its own, and in tones that can be read on white and on black, whatever a page makes of its scheme. */
const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #7d8590; }
  .title { font-weight: 600; font-size: 13px; }
  .note { font-size: 11px; }
  .own { fill: #d9730d; }
  .peer { fill: #8b949e; }`;

function chart(rows, names) {
  const groups = [...new Set(rows.map((row) => row.callers))];
  const ops = [...new Set(rows.map((row) => row.op))];
  const panelHeight = PANEL.head + groups.length * (names.length * PANEL.step + PANEL.gap);
  const height = FIGURES.length * panelHeight + FOOT;
  const panels = FIGURES.flatMap((figure, y) =>
    ops.map((op, x) => {
      const shown = rows.filter((row) => row.op === op);
      const place = `translate(${x * (WIDTH - PANEL.width)} ${y * panelHeight})`;
      return `<g transform="${place}">\n${panel(figure, op, shown, groups)}\n</g>`;
    }),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    '<title>Holdfast beside the Redis clients: throughput and event-loop time per call</title>',
    `<style>${STYLE}\n</style>`,
    ...panels,
    `<text class="note" x="0" y="${height - 6}">The longest bar of a group fills its width: compare within a group.</text>`,
    '</svg>\n',
  ].join('\n');
}

function panel(figure, op, rows, groups) {
  const lines = [`<text class="title" x="0" y="16">${figure.title(op)}</text>`];
  const scales = scaleOf(figure, rows);
  let y = PANEL.head;
  for (const callers of groups) {
    lines.push(`<text class="note" x="0" y="${y + 8}">${callers} ${callers === 1 ? 'caller' : 'callers'}</text>`);
    y += PANEL.gap / 2;
    for (const row of rows.filter((candidate) => candidate.callers === callers)) {
      lines.push(bar(row, row[figure.field] / scales(callers), figure.text(row[figure.field]), y));
      y += PANEL.step;
    }
    y += PANEL.gap / 2;
  }
  return lines.join('\n');
}

/** Each number of callers has its own scale: a lone caller's bars would vanish beside those of 512, or dwarf them. */
function scaleOf(figure, rows) {
  return (callers) => Math.max(...rows.filter((row) => row.callers === callers).map((row) => row[figure.field]));
}

function bar(row, share, text, y) {
  const room = PANEL.width - PANEL.left - 70;
  const length = Math.max(1, Math.round(share * room));
  const baseline = y + PANEL.bar - 1;
  return [
    `<text x="${PANEL.left - 8}" y="${baseline}" text-anchor="end">${row.client}</text>`,
    `<rect class="${row.client === 'holdfast' ? 'own' : 'peer'}" x="${PANEL.left}" y="${y}" width="${length}" height="${PANEL.bar}" rx="2"/>`,
    `<text x="${PANEL.left + length + 6}" y="${baseline}">${text}</text>`,
  ].join('');
}

module.exports = { chart };
