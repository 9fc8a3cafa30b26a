// Owns the drawing of a page, a plain SVG of bars: panels two abreast, in each of them groups of bars.
'use strict';

const { grouped, isOwn } = require('./figures');

const WIDTH = 960;
const PANEL = { width: 460, left: 190, right: 66, bar: 11, step: 15, gap: 26, head: 34 };
const FOOT = 24;

/**
 * Without a background of its own, and in tones that can be read on white and on black, whatever a page makes of its
 * scheme.
 */
const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #7d8590; }
  .title { font-weight: 600; font-size: 13px; }
  .note { font-size: 11px; }
  .own { fill: #d9730d; }
  .peer { fill: #8b949e; }`;

const SCALED_APART = 'The longest bar of a group fills its width: compare within a group.';

/**
 * A panel of `rows`: those that agree in `group(row)` stand together, and `bar(row)` gives the `name`, `value` and
 * `text` of each. With `shared`, all groups have one scale, to be compared with each other; else each has its own.
 */
function panel(title, rows, { group, bar, shared = false }) {
  const groups = [...grouped(rows, group)].map(([label, own]) => ({ label, bars: own.map(bar) }));
  const all = groups.flatMap(({ bars }) => bars);
  const longest = (bars) => Math.max(...bars.map(({ value }) => value));
  return {
    title,
    shared,
    groups: groups.map(({ label, bars }) => ({ label, bars, longest: longest(shared ? all : bars) })),
  };
}

function chart(title, panels) {
  const parts = [];
  let y = 0;
  for (let i = 0; i < panels.length; i += 2) {
    const abreast = panels.slice(i, i + 2);
    for (const [n, each] of abreast.entries()) {
      parts.push(`<g transform="translate(${n * (WIDTH - PANEL.width)} ${y})">\n${draw(each)}\n</g>`);
    }
    y += Math.max(...abreast.map(heightOf));
  }
  const apart = panels.some((each) => !each.shared && each.groups.length > 1);
  const height = y + (apart ? FOOT : 0);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${STYLE}\n</style>`,
    ...parts,
    ...(apart ? [`<text class="note" x="0" y="${height - 6}">${SCALED_APART}</text>`] : []),
    '</svg>\n',
  ].join('\n');
}

function heightOf({ groups }) {
  return PANEL.head + groups.reduce((sum, { bars }) => sum + bars.length * PANEL.step + PANEL.gap, 0);
}

function draw({ title, groups }) {
  const lines = [`<text class="title" x="0" y="16">${escaped(title)}</text>`];
  let y = PANEL.head;
  for (const { label, bars, longest } of groups) {
    lines.push(`<text class="note" x="0" y="${y + 8}">${escaped(label)}</text>`);
    y += PANEL.gap / 2;
    for (const bar of bars) {
      lines.push(drawBar(bar, longest, y));
      y += PANEL.step;
    }
    y += PANEL.gap / 2;
  }
  return lines.join('\n');
}

function drawBar({ name, value, text }, longest, y) {
  const room = PANEL.width - PANEL.left - PANEL.right;
  const length = Math.max(1, Math.round((value / longest) * room) || 0);
  const baseline = y + PANEL.bar - 1;
  return [
    `<text x="${PANEL.left - 8}" y="${baseline}" text-anchor="end">${escaped(name)}</text>`,
    `<rect class="${isOwn(name) ? 'own' : 'peer'}" x="${PANEL.left}" y="${y}" width="${length}" height="${PANEL.bar}" rx="2"/>`,
    `<text x="${PANEL.left + length + 6}" y="${baseline}">${escaped(text)}</text>`,
  ].join('');
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

module.exports = { chart, panel };
