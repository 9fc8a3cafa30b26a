// Owns the load: autocannon against the proxy, and what each part of a run looked like to the clients.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const autocannon = require('autocannon');

const CONNECTIONS = 20;

/**
 * Requests the paths in turn over CONNECTIONS connections, each sending its next request when it has its answer, until
 * `stop()`. `mark(name)` begins a part: requests answered after it and sent before the next one belong to it.
 */
function startLoad(url, paths) {
  const parts = [];
  const requests = paths.map((path) => ({ method: 'GET', path }));
  // The bound of an hour is never met: every run is stopped.
  const run = autocannon({ url, requests, connections: CONNECTIONS, duration: 3600, timeout: 30 });

  run.on('response', (_client, status, _bytes, ms) => {
    const part = partOf(performance.now() - ms);
    if (status === 200) part.latencies.push(ms);
    else part.errors += 1;
  });
  run.on('reqError', () => {
    parts.at(-1).errors += 1;
  });

  /**
   * A request that met an outage at any point belongs to it: so the first part, from the end, that began before its
   * answer.
   */
  function partOf(sentAt) {
    const current = parts.at(-1);
    const previous = parts.at(-2);
    return previous?.outage && sentAt < current.beganAt ? previous : current;
  }

  function mark(name, { outage = false } = {}) {
    const beganAt = performance.now();
    if (parts.length > 0) parts.at(-1).endedAt = beganAt;
    parts.push({ name, outage, beganAt, endedAt: null, latencies: [], errors: 0 });
  }

  /**
   * Resolves once the part that was marked last has its first answer: those who wait from an earlier one have theirs.
   */
  async function answered() {
    const part = parts.at(-1);
    const giveUp = performance.now() + 60_000;
    while (part.latencies.length + part.errors === 0) {
      if (performance.now() > giveUp)
        throw new Error(`no request of the part «${part.name}» was answered within a minute`);
      await sleep(20);
    }
  }

  async function stop() {
    parts.at(-1).endedAt = performance.now();
    run.stop();
    await run;
    return Object.fromEntries(parts.map((part) => [part.name, summarize(part)]));
  }

  return { mark, answered, stop };
}

function summarize({ beganAt, endedAt, latencies, errors }) {
  const sorted = latencies.toSorted((a, b) => a - b);
  const requests = sorted.length + errors;
  return {
    requests,
    errors,
    perSecond: (requests / (endedAt - beganAt)) * 1000,
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    slowest: sorted.at(-1) ?? null,
  };
}

/** The smallest value that at least the share `q` of all does not exceed; null of nothing. */
function percentile(sorted, q) {
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? null;
}

module.exports = { startLoad, percentile, CONNECTIONS };
