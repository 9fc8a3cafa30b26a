// The dashboard and the rules of alerts ask for what the exporter writes: each metric, each label and each value of
// one.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { Registry } = require('prom-client');
const { parse } = require('yaml');
const { register } = require('holdfast/prometheus');
const { closeCaches, makeCache, ROOT } = require('../../support/holdfast');
const { serverForAll } = require('../../support/redis-server');
const { untilMode } = require('../../support/until');
const { readQuery, samplesOf } = require('./support/exposition');

const read = (name) => fs.readFileSync(path.join(ROOT, 'adapters/prometheus', name), 'utf8');
const dashboard = JSON.parse(read('dashboard.json'));
const rules = parse(read('alerts.yml')).groups.flatMap((group) => group.rules);
const panels = dashboard.panels.filter(({ type }) => type !== 'row');

/** What Prometheus adds to each series. */
const TARGET = ['job', 'instance'];
/** Of Grafana's own, and those that the dashboard declares. */
const VARIABLE = /\$(?:\{(\w+)\}|(\w+))/g;

/** Every query of both files, with where it stands. */
const queries = [
  ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [`panel ${title}`, expr])),
  ...dashboard.templating.list.flatMap(({ name, type, query }) =>
    type === 'query' ? [[`variable ${name}`, query.query]] : [],
  ),
  ...rules.map(({ alert, expr }) => [`alert ${alert}`, expr]),
];

const server = serverForAll();
/** Each metric that is written, with its labels and their values: Map of Map of Set. */
const written = new Map();

beforeAll(async () => {
  const registry = new Registry();
  const cache = makeCache({ url: server.url() });
  await untilMode(cache, 'redis');
  register({ cache, registry });
  for (const { name, labels } of samplesOf(await registry.metrics())) {
    const known = written.get(name) ?? new Map();
    for (const [label, value] of Object.entries(labels)) known.set(label, (known.get(label) ?? new Set()).add(value));
    written.set(name, known);
  }
  await closeCaches();
});

/** All that is wrong with a query. */
function faultsOf(query) {
  const { selectors, labels, unknown } = readQuery(query);
  const faults = unknown.map((word) => `${word} is no word of a query`);
  if (selectors.length === 0) faults.push('asks for no metric of the exporter');
  for (const { metric, matchers } of selectors) {
    const known = written.get(metric);
    if (known === undefined) {
      faults.push(`no metric ${metric}`);
      continue;
    }
    const isLabel = (label) => TARGET.includes(label) || known.has(label);
    faults.push(...labels.filter((label) => !isLabel(label)).map((label) => `${metric} has no label ${label}`));
    for (const { label, value } of matchers) {
      if (!isLabel(label)) faults.push(`${metric} has no label ${label}`);
      else if (!value.includes('$')) {
        const values = value.split('|').filter((each) => !known.get(label)?.has(each));
        faults.push(...values.map((each) => `${metric} has no ${label} ${each}`));
      }
    }
  }
  return faults;
}

test('a query that names what is not written is found', () => {
  expect(faultsOf('sum by (cache) (rate(holdfast_requests_total{result="hit"}[5m] offset 1d)) > 1')).toEqual([]);
  expect(faultsOf('sum(rate(holdfast_request_total[5m]))')).toEqual(['no metric holdfast_request_total']);
  expect(faultsOf('sum by (tire) (holdfast_requests_total)')).toEqual(['holdfast_requests_total has no label tire']);
  expect(faultsOf('holdfast_requests_total{teir="hot"}')).toEqual(['holdfast_requests_total has no label teir']);
  expect(faultsOf('holdfast_requests_total{tier=~"hot|warm"}')).toEqual(['holdfast_requests_total has no tier warm']);
  expect(faultsOf('summe(holdfast_sets_total)')).toEqual(['summe is no word of a query']);
  expect(faultsOf('sum(up)')).toHaveLength(2);
});

test.each(queries)('%s asks for what is written', (_, query) => {
  expect(faultsOf(query)).toEqual([]);
});

test('the dashboard and the rules use every metric, so that none is forgotten', () => {
  const used = new Set(queries.flatMap(([, query]) => readQuery(query).selectors.map(({ metric }) => metric)));
  // A sum of a histogram is for means, of which neither has one.
  const unused = [...written.keys()].filter((name) => !used.has(name) && !/_seconds_(sum|count)$/.test(name));
  expect(unused).toEqual([]);
});

test('each variable of a query is declared, or of Grafana, and each legend has labels of its query', () => {
  const declared = [...dashboard.templating.list.map(({ name }) => name), '__rate_interval'];
  for (const [place, query] of queries) {
    for (const [, braced, plain] of query.matchAll(VARIABLE)) {
      expect([place, declared.includes(braced ?? plain)]).toEqual([place, true]);
    }
  }
  for (const { title, targets } of panels) {
    for (const { expr, legendFormat } of targets) {
      const { labels } = readQuery(expr);
      const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label);
      expect([title, named.filter((label) => !labels.includes(label))]).toEqual([title, []]);
      // Two series of one name cannot be told apart.
      const kept = labels.filter((label) => label !== 'le');
      expect([title, kept.filter((label) => !named.includes(label))]).toEqual([title, []]);
    }
  }
});

test('the dashboard can be imported anywhere: no id of a source, no panel that covers another', () => {
  expect(dashboard).toMatchObject({ schemaVersion: expect.any(Number), uid: expect.any(String), title: 'Holdfast' });
  expect(dashboard.id ?? null).toBeNull();
  const ids = dashboard.panels.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  const places = new Set();
  for (const { title, gridPos } of dashboard.panels) {
    expect([title, gridPos.x + gridPos.w <= 24]).toEqual([title, true]);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect([title, places.has(`${x},${y}`)]).toEqual([title, false]);
        places.add(`${x},${y}`);
      }
    }
  }
  for (const { title, datasource, targets } of panels) {
    for (const { uid } of [datasource, ...targets.map((target) => target.datasource)]) {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana.
      expect([title, uid]).toEqual([title, '${datasource}']);
    }
  }
});

test('each alert says what is the matter, and its text has labels of its query', () => {
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  for (const { alert, expr, labels, annotations } of rules) {
    expect(labels).toEqual({ severity: expect.stringMatching(/^(warning|critical)$/) });
    expect(annotations).toEqual({ summary: expect.any(String), description: expect.any(String) });
    const named = Object.values(annotations).flatMap((text) =>
      [...text.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label),
    );
    expect([alert, named.filter((label) => !readQuery(expr).labels.includes(label))]).toEqual([alert, []]);
  }
});
