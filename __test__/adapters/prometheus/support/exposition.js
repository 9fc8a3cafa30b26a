// Reads what a registry of prom-client writes, and what a query of Prometheus names.
'use strict';

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** The samples of a text: [{ name, labels, value }]. Fails for a line that is none. */
function samplesOf(text) {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => {
    const found = SAMPLE.exec(line);
    if (found === null) throw new Error(`no sample: ${line}`);
    const [, name, labels = '', value] = found;
    return {
      name,
      labels: Object.fromEntries([...labels.matchAll(LABEL)].map(([, label, text]) => [label, text])),
      value: Number(value),
    };
  });
}

/** The types that a text declares: Map of name and type. */
const typesOf = (text) => new Map([...text.matchAll(/^# TYPE (\S+) (\w+)$/gm)].map(([, name, type]) => [name, type]));

/**
 * What lets a test ask for a value: `value('hits_total', { tier: 'near' })` is that of the one sample with these
 * labels.
 */
function askerOf(text) {
  const samples = samplesOf(text);
  return (name, labels = {}) => {
    const found = samples.filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([label, each]) => sample.labels[label] === String(each)),
    );
    if (found.length !== 1) throw new Error(`${found.length} samples of ${name} ${JSON.stringify(labels)}:\n${text}`);
    return found[0].value;
  };
}

/** What PromQL has of its own, as far as the files of the package use it. */
const WORDS = new Set([
  ...['sum', 'max', 'by', 'and', 'offset'],
  ...['rate', 'increase', 'histogram_quantile', 'label_values'],
]);

/**
 * What a query names: its selectors as { metric, matchers: [{ label, operator, value }] }, the labels that it groups
 * by, and words that are neither, nor PromQL's.
 */
function readQuery(query) {
  const selectors = [];
  const labels = [];
  const rest = query
    .replace(/\[[^\]]*\]/g, ' ')
    .replace(/(holdfast_\w+)\s*(?:\{([^}]*)\})?/g, (_, metric, inner = '') => {
      const matchers = [...inner.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].map(([, label, operator, value]) => ({
        label,
        operator,
        value,
      }));
      selectors.push({ metric, matchers });
      return ' ';
    })
    .replace(/\bby\s*\(([^)]*)\)/g, (_, list) => {
      labels.push(...list.split(',').map((label) => label.trim()));
      return ' ';
    })
    .replace(/label_values\(\s*,\s*(\w+)\)/g, (_, label) => {
      labels.push(label);
      return ' ';
    })
    .replace(/\boffset \d+[smhd]\b/g, ' ');
  const unknown = [...rest.matchAll(/[a-zA-Z_]\w*/g)].map(([word]) => word).filter((word) => !WORDS.has(word));
  return { selectors, labels, unknown };
}

module.exports = { askerOf, readQuery, samplesOf, typesOf };
